"""Figures: their style, on light and dark ground, and the files that they become.

The same figure is the same bytes at every call.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from ..base import files
from ..base.errors import UlnnError, one_line

BOARD, REFERENCE = "#1f77b4", "#e07b39"
INK, INK_ON_DARK = "#1c2733", "#dbe2e8"
# colours of classes, channels and recordings, told apart on light and dark ground
COLOURS = (
    "#1f77b4", "#e07b39", "#2a9d5c", "#c8382c", "#8e5bb5", "#8c6d31", "#d6619c", "#7f8c97",
    "#9aa81f", "#17a3b8", "#6baed6", "#f5b078", "#86c99b", "#eb938c", "#b79ad1", "#c9b27c",
)  # fmt: skip
FORMATS = (".png", ".svg", ".pdf")
NAME_MAX = 40


def check_picture(path: Path) -> None:
    """Raise UlnnError unless the name ends as one of FORMATS."""
    if path.suffix not in FORMATS:
        raise UlnnError(f"{path}: expected a name that ends in .png, .svg or .pdf")


def plain(name: str) -> str:
    """A name out of a file as matplotlib is to draw it: on one line, not too long, no formula."""
    name = one_line(name)
    return (name if len(name) <= NAME_MAX else name[: NAME_MAX - 3] + "...").replace("$", r"\$")


def render(figure: Figure, suffix: str, dpi: int = 150, *, tight: bool = False) -> bytes:
    """The content of a picture file. suffix: of FORMATS. tight: without the figure's margins."""
    buffer = io.BytesIO()
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with mpl.rc_context({"svg.hashsalt": "ulnn", "svg.fonttype": "none"} if not tight else {}):
        figure.savefig(
            buffer,
            format=suffix[1:],
            dpi=dpi,
            metadata=dates.get(suffix),
            bbox_inches="tight" if tight else None,
        )
    return buffer.getvalue()


def new_figure(
    width: float = 9.0,
    height: float = 3.0,
    rows: int = 1,
    heights: Sequence[float] | None = None,
) -> tuple[Figure, list[Axes]]:
    """A figure with axes below each other, in the style of the reports. heights: of the rows, in
    proportion."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = list(
        np.atleast_1d(np.array(figure.subplots(rows, 1, sharex=rows > 1, height_ratios=heights)))
    )
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.set_axisbelow(True)
    return figure, axes


def render_dark(figure: Figure, suffix: str, dpi: int = 150) -> bytes:
    """The content of a picture file for dark pages. What is not drawn on a picture's own ground,
    and has no colour of its own, is light then."""
    for ax in figure.axes:
        ax.set_facecolor("none")
        ax.tick_params(which="both", colors=INK_ON_DARK)
        for spine in ax.spines.values():
            spine.set_edgecolor(INK_ON_DARK)
        for line in ax.lines:
            if line.get_color() == INK:
                line.set_color(INK_ON_DARK)
        on_picture = set(ax.texts) if ax.images else set()
        for text in ax.findobj(Text):
            if isinstance(text, Text) and text not in on_picture:
                text.set_color(INK_ON_DARK)
        legend = ax.get_legend()
        if legend is not None:
            for handle in legend.legend_handles:
                if handle is not None and getattr(handle, "get_color", str)() == INK:
                    handle.set_color(INK_ON_DARK)  # type: ignore[attr-defined]
    figure.set_facecolor("none")
    return render(figure, suffix, dpi, tight=True)


def save(figure: Figure, path: Path) -> None:
    """Write a figure. Raises UlnnError for another ending, or where nothing can be written."""
    check_picture(path)
    files.write(path, render(figure, path.suffix))
