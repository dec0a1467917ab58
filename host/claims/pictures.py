"""The picture of a claim: numbers with their intervals."""

from __future__ import annotations

from pathlib import Path

from ulnn_host.base import files
from ulnn_host.report.pictures import COLOURS, INK, new_figure, plain, render

from .claim import Chart

FOLDER = Path(__file__).with_name("pictures")
WIDE = 100.0  # largest by smallest number: above it the axis is logarithmic


def draw(chart: Chart, path: Path) -> None:
    """Write the picture (.svg): a row for each number, a colour for each group."""
    groups = list(dict.fromkeys(dot.group for dot in chart.dots))
    figure, (axes,) = new_figure(8.0, 1.1 + 0.24 * len(chart.dots))
    for row, dot in enumerate(chart.dots):
        colour = COLOURS[groups.index(dot.group) % len(COLOURS)]
        axes.plot([dot.low, dot.high], [row, row], "-", lw=2, color=colour, alpha=0.6)
        axes.plot([dot.value], [row], "o", ms=5, color=colour)
    if min(dot.low for dot in chart.dots) > 0 and _span(chart) > WIDE:
        axes.set_xscale("log")
    if chart.line is not None:
        axes.axvline(chart.line, color=INK, lw=0.9, ls="--")
    for number, group in enumerate(groups if len(groups) > 1 else ()):
        axes.plot([], [], "o-", color=COLOURS[number % len(COLOURS)], label=group)
    if len(groups) > 1:
        axes.legend(frameon=False, fontsize=8)
    axes.set_yticks(range(len(chart.dots)), [plain(dot.label) for dot in chart.dots], fontsize=8)
    axes.set_ylim(len(chart.dots) - 0.5, -0.5)
    axes.set_xlabel(chart.axis)
    axes.set_title(chart.title, fontsize=10)
    files.write(path, render(figure, ".svg"))


def _span(chart: Chart) -> float:
    values = [dot.value for dot in chart.dots]
    return max(values) / min(values)
