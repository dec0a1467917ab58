"""What a recipe's data.source names: a set that a package brings along, or a file."""

from __future__ import annotations

from pathlib import Path

from . import vowels, watch
from .sequences import Sequences
from .sequences import load as load_file


def load(source: str) -> Sequences:
    """Everything to train on. Raises UlnnError when it is missing or damaged."""
    if source == "watch":
        return watch.recordings("train")
    if source == "vowels":
        return vowels.load("train")
    return load_file(Path(source))
