"""A comparison as a picture: the networks, and their differences to the first."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..experiments.compare import Comparison
from ..experiments.intervals import Interval
from ..experiments.measured import RMSE
from .compare_text import title
from .pictures import BOARD, INK, REFERENCE, plain


def picture(found: Comparison) -> Figure:
    """Left every seed of every network, and the mean with its interval; right the differences."""
    rows = len(found.entries)
    figure = Figure(figsize=(10.4, 1.6 + 0.55 * rows), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    factor = 1 if found.measure == RMSE else 100
    for row, entry in enumerate(found.entries):
        values = [factor * value for value in entry.by_seed]
        left.plot(values, [row] * len(values), "o", ms=4, mfc="none", color=BOARD, zorder=3)
        left.plot(factor * entry.floats.value, row, "x", ms=7, color=REFERENCE, zorder=4)
        _bar(left, entry.judged, row, factor)
    names = [
        f"{plain(entry.name)}\n{entry.recipe.model.cell} {entry.what}" for entry in found.entries
    ]
    left.set_yticks(range(rows), names, fontsize=8)
    left.set_xlabel(found.measure + ("" if factor == 1 else ", %"))
    left.set_title(f"{found.integers}: seeds (o), mean and 95 %; float mean (x)", fontsize=9)
    for change in found.differences:
        row = next(k for k, e in enumerate(found.entries) if e.name == change.name)
        _bar(right, change.interval, row, factor)
    right.axvline(0, color=INK, lw=0.8)
    right.set_yticks(range(rows), [""] * rows)
    first = plain(found.entries[0].name)
    right.set_xlabel(f"difference to {first}" + (", points" * (factor > 1)))
    side = "left" if found.measure == RMSE else "right"
    right.set_title(f"differences and 95 %; {side} of 0 is better", fontsize=9)
    for axes in (left, right):
        axes.set_ylim(rows - 0.5, -0.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3, axis="x")
    figure.suptitle(title(found), fontsize=10)
    return figure


def _bar(axes: Axes, interval: Interval, row: int, factor: float) -> None:
    ends = [factor * interval.low, factor * interval.high]
    axes.plot(ends, [row, row], "-", lw=2.2, color=INK, alpha=0.7, zorder=2)
    axes.plot([factor * interval.value], [row], "|", ms=14, mew=2.2, color=INK, zorder=5)
