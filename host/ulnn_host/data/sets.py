"""What data.source and data.valid of a recipe name: a set that a package has, or files."""

from __future__ import annotations

from . import vowels, watch
from .logs import read_data
from .options import DataOptions
from .sequences import Sequences

NAMES = ("watch", "vowels")


def read_source(
    source: str, options: DataOptions | None = None, readout: str = "", *, held_out: bool = False
) -> Sequences:
    """The data. held_out: those of a set that are not for training. Raises UlnnError when they are
    missing or damaged.
    """
    if source == "watch":
        return watch.recordings("unseen" if held_out else "train")
    if source == "vowels":
        return vowels.utterances("test" if held_out else "train")
    return read_data(source, options, readout)
