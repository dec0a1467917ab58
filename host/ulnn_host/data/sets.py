"""What data.source and data.valid of a recipe name: a set that a package has, or files."""

from __future__ import annotations

from ..base.errors import UlnnError
from . import lives, targets, vowels, watch
from .features import read_recipe
from .logs import read_data
from .options import DataOptions
from .sequences import Sequences

NAMES = ("watch", "vowels", "machines")


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
    if source == "machines":
        return _machines(options or DataOptions(), held_out)
    return read_data(source, options, readout)


def _machines(options: DataOptions, held_out: bool) -> Sequences:
    """Features of the healthy time of machines for development, of the last three held out."""
    if not options.features:
        raise UlnnError("the set machines has 3 GB of samples: name a recipe of features")
    made = lives.generated("development", read_recipe(options.features), None)
    last = made.machine >= len(made) - 3
    data = made.data.take(made.healthy() & made.running & (last == held_out))
    return targets.settle(data, options)
