"""Figures as files: the formats that can be written, and the same bytes at every call."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from ..base import files
from ..base.errors import UlnnError, one_line

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


def save(figure: Figure, path: Path) -> None:
    """Write a figure. Raises UlnnError for another ending, or where nothing can be written."""
    check_picture(path)
    files.write(path, render(figure, path.suffix))
