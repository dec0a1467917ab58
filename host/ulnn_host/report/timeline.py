"""Inputs, labels and decisions over time, sequence after sequence: a figure of a validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ulnn_rules.decider import UNKNOWN, UNSURE

from ..board.validate import Arrays, ValidationReport
from ..data.scores import class_names
from ..engines.decided import NONE
from .pictures import COLOURS, INK, new_figure, plain

STEPS = 3000  # drawn, at most
CHANNELS = 12
Int = NDArray[np.int64]


def timeline(report: ValidationReport) -> tuple[Figure, str]:
    """(figure, caption): sequences from all of the data. Labels and decisions are there where
    there are classes; the colours are named in a legend."""
    arrays = report.arrays
    assert arrays is not None
    batch = arrays.batch
    shown = _chosen(batch.length)
    time = np.cumsum(_row(batch.dt, shown)) * (report.model_facts["tick_ns"] / 1e9)
    rows = _classes(report, arrays, shown)
    channels = min(batch.x.shape[2], CHANNELS)
    figure, axes = new_figure(9, 2.6 + 0.45 * len(rows), 1 + len(rows), (4.5, *[1] * len(rows)))
    _draw_inputs(axes[0], report, arrays, shown, time, channels)
    for ax, (name, classes) in zip(axes[1:], rows, strict=True):
        _draw_classes(ax, name, time, classes)
    starts = time[np.cumsum([steps for _, steps in shown[:-1]], dtype=np.int64)]
    for ax in axes:
        for start in starts if len(starts) <= 60 else ():
            ax.axvline(start, color=INK, linewidth=0.5, alpha=0.5)
    axes[-1].set_xlabel("seconds of the sequences, one after the other")
    if rows:
        names = class_names(report.labels, report.model_facts["output_size"])
        handles = [
            Patch(color=COLOURS[k % len(COLOURS)], label=plain(name))
            for k, name in enumerate(names)
        ]
        axes[-1].legend(
            handles=handles, frameon=False, fontsize=8, ncols=4, loc="upper center",
            bbox_to_anchor=(0.5, -1.9),
        )  # fmt: skip
    caption = f"{len(shown):,} of {len(batch.length):,} sequences as the board sees them"
    if len(shown) == 1 and shown[0][1] < batch.length[0]:
        caption += f", the first {STEPS:,} steps"
    if batch.x.shape[2] > channels:
        caption += f"; {channels} of {batch.x.shape[2]} inputs"
    return figure, caption


def _chosen(length: Int) -> list[tuple[int, int]]:
    """(sequence, its steps that are drawn), at equal distances in the data, as they are often
    sorted by class."""
    count = max(1, min(len(length), STEPS // int(length.max())))
    at = np.linspace(0, len(length) - 1, count).round().astype(int)
    return [(int(n), min(int(length[n]), STEPS)) for n in at]


def _row(values: NDArray[Any], shown: Sequence[tuple[int, int]]) -> NDArray[Any]:
    """The drawn steps of (N, T, ...), one after the other."""
    return np.concatenate([values[n, :steps] for n, steps in shown])


def _classes(
    report: ValidationReport, arrays: Arrays, shown: Sequence[tuple[int, int]]
) -> list[tuple[str, Int]]:
    """(name, class of each step, or -1) of labels and decisions; a decision is drawn over the
    steps from the one before to its own."""
    if arrays.decisions is None or report.truth is None:
        return []
    decided = arrays.decisions.copy()
    for t in range(decided.shape[1] - 2, -1, -1):
        decided[:, t] = np.where(decided[:, t] == NONE, decided[:, t + 1], decided[:, t])
    decided[decided == UNKNOWN] = UNSURE
    every = arrays.batch.dt.shape
    return [
        (name, _row(np.broadcast_to(c if c.ndim == 2 else c[:, None], every), shown))
        for name, c in (("label", report.truth), ("board", decided))
    ]


def _draw_inputs(
    ax: Axes,
    report: ValidationReport,
    arrays: Arrays,
    shown: Sequence[tuple[int, int]],
    time: NDArray[np.float64],
    channels: int,
) -> None:
    x = _row(arrays.batch.x, shown)
    names = report.channels if len(report.channels) == x.shape[1] else ()
    scale, offset = (np.array(report.model_facts[k]) for k in ("input_scale", "input_offset"))
    for k in range(channels):
        name = plain(names[k]) if names else f"input {k}"
        value = x[:, k] * scale[k] + offset[k]
        ax.plot(time, value, color=COLOURS[k % len(COLOURS)], linewidth=0.8, label=name)
    ax.set_ylabel("inputs")
    ax.margins(x=0)
    ax.legend(
        frameon=False, fontsize=8, ncols=6, loc="lower left", bbox_to_anchor=(0, 1), borderpad=0
    )


def _draw_classes(ax: Axes, name: str, time: NDArray[np.float64], classes: Int) -> None:
    """A band whose colour is the class of each step; blank where there is none."""
    change = np.flatnonzero(np.diff(classes)) + 1
    for start, end in zip([0, *change], [*change, len(classes)], strict=True):
        left = time[start - 1] if start else 0.0
        known = classes[start] >= 0
        colour = COLOURS[classes[start] % len(COLOURS)] if known else "none"
        ax.axvspan(left, time[end - 1], color=colour, lw=0)
    ax.set_ylabel(name, rotation=0, ha="right", va="center")
    ax.set_yticks([])
    ax.grid(False)
