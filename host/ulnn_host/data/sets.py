"""What a recipe's data.source names: a set that a package brings along, or a file."""

from __future__ import annotations

from pathlib import Path

from . import vowels, watch
from .sequences import Sequences, read_sequences


def read_source(source: str) -> Sequences:
    """Everything to train on. Raises UlnnError when it is missing or damaged."""
    if source == "watch":
        return watch.recordings("train")
    if source == "vowels":
        return vowels.utterances("train")
    return read_sequences(Path(source))
