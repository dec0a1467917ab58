"""The report of `ulnn convert` as a picture."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .convert_report import ConvertReport, ModelReport
from .convert_text import same_tensor
from .pictures import BOARD, REFERENCE

COLORS = (BOARD, REFERENCE, "#2a9d5c", "#8e5bb5")
BARS = 14
LABEL = 7


def figure(report: ConvertReport) -> Figure:
    """Error over rollout time above; saturation and bytes per section below."""
    models = (report.model, *report.compared)
    below = 3.6 + 1.2 * max(0, len(models) - 2)
    result = Figure(figsize=(10, 3.6 + below), layout="constrained")
    grid = result.add_gridspec(2, 2, height_ratios=(3.6, below))
    _draw_errors(result.add_subplot(grid[0, :]), models)
    if any(s.clipped for model in models for s in model.saturation):
        _draw_saturation(result.add_subplot(grid[1, 0]), models)
        _draw_sections(result.add_subplot(grid[1, 1]), models)
    else:
        ax = result.add_subplot(grid[1, :])
        _draw_sections(ax, models)
        ax.set_xlabel(f"No value saturates in {len(models[0].saturation)} tensors.", loc="left")
    for ax in result.axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_axisbelow(True)
    return result


def _draw_errors(ax: Axes, models: tuple[ModelReport, ...]) -> None:
    lowest = 1e-9
    for color, model in zip(COLORS, models, strict=False):
        steps = np.arange(1, len(model.curve.rms) + 1)
        marker = "." if len(steps) < 3 else ""
        largest, rms = (np.maximum(c, lowest) for c in (model.curve.largest, model.curve.rms))
        ax.plot(steps, rms, color=color, lw=1.8, marker=marker, label=f"{model.name}, rms")
        ax.plot(
            steps, largest, color=color, lw=0.8, alpha=0.6, marker=marker,
            label=f"{model.name}, largest",
        )  # fmt: skip
    ax.set_yscale("log")
    ax.margins(x=0.01)
    ax.legend(
        frameon=False, ncols=len(models), loc="lower right", bbox_to_anchor=(1, 1), fontsize=8,
        borderpad=0, columnspacing=1.0,
    )  # fmt: skip
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_title("Integer against float outputs along the rollout", loc="left", size=11)
    ax.set_xlabel("step of the sequence")
    ax.set_ylabel("error, units of the output")


def _draw_saturation(ax: Axes, models: tuple[ModelReport, ...]) -> None:
    tensors = [s for s in models[0].saturation if any(same_tensor(m, s).clipped for m in models)]
    tensors = sorted(tensors, key=lambda s: -max(same_tensor(m, s).share for m in models))[:BARS]
    ax.set_title("Saturated values, % of a tensor (pale: harmless)", loc="left", size=11)
    height = 0.8 / len(models)
    for k, model in enumerate(models):
        at = np.arange(len(tensors)) + (k - (len(models) - 1) / 2) * height
        shares = [100 * same_tensor(model, s).share for s in tensors]
        bars = ax.barh(at, shares, height, color=COLORS[k % len(COLORS)])
        for bar, tensor in zip(bars, tensors, strict=True):
            bar.set_alpha(0.35 if tensor.harmless else 1.0)
        ax.bar_label(bars, [f" {share:.3g}" for share in shares], size=LABEL)
    ax.set_yticks(range(len(tensors)), [s.name for s in tensors], size=8)
    ax.set_ylim(max(len(tensors), 5) - 0.5, -0.5)
    ax.margins(x=0.15)


def _draw_sections(ax: Axes, models: tuple[ModelReport, ...]) -> None:
    names = list(dict.fromkeys(name for model in models for name in model.sections))
    height = 0.8 / len(models)
    for k, model in enumerate(models):
        at = np.arange(len(names)) + (k - (len(models) - 1) / 2) * height
        sizes = [model.sections.get(name, 0) for name in names]
        label = f"{model.name}: {model.file_bytes:,} bytes"
        bars = ax.barh(at, sizes, height, color=COLORS[k % len(COLORS)], label=label)
        ax.bar_label(bars, [f" {size:,}" for size in sizes], size=LABEL)
    ax.set_yticks(range(len(names)), names, size=8)
    ax.invert_yaxis()
    ax.margins(x=0.15)
    ax.legend(frameon=False, loc="lower right", fontsize=9)
    ax.set_title("Bytes of the sections", loc="left", size=11)
