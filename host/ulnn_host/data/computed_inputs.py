"""What recipes of features and of beats share: a TOML file, and sequences of what they compute."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ulnn_rules.features import UNIT

from ..base.errors import UlnnError
from ..base.toml_tables import table
from .sequences import Float, Int, Sequences


class _Recipe(Protocol):
    @property
    def content(self) -> bytes:
        """The section of a model file. Raises UlnnError for values that do not go together."""


R = TypeVar("R", bound=_Recipe)


def read(kind: type[R], path: str | Path, what: str) -> R:
    """The recipe of a TOML file; what: is computed. Raises UlnnError that names the file and the
    first wrong key."""
    try:
        made = table(kind, tomllib.loads(Path(path).read_text(encoding="utf-8-sig")))
        made.content  # noqa: B018, every value is looked at
        return made
    except FileNotFoundError:
        raise UlnnError(f"{path}: no such file; expected a recipe of {what} (.toml)") from None
    except (OSError, ValueError, UlnnError) as error:
        raise UlnnError(f"{path}: {error}") from None


class Steps(NamedTuple):
    """Recordings with a step or more. kept: which they are; x: (N, T, outputs), real; y: targets
    of steps are those of the samples; length: steps of each."""

    data: Sequences
    kept: Int
    x: Float
    y: NDArray[Any] | None
    length: Int


def gathered(
    data: Sequences, values: Sequence[NDArray[np.int16]], at: Sequence[Int], problem: str
) -> Steps:
    """values: (steps, outputs) of each recording, in 2 ** -8; at: the sample of each step. Raises
    UlnnError, with the problem, where no recording has a step."""
    steps = np.array([len(part) for part in values])
    kept = np.flatnonzero(steps)
    if not kept.size:
        raise UlnnError(problem)
    data, steps = data.take(kept), steps[kept]
    x = np.zeros((len(steps), steps.max(), values[0].shape[1]), np.float32)
    samples = np.zeros(x.shape[:2], np.int64)
    for row, k in enumerate(kept.tolist()):
        x[row, : steps[row]] = values[k].astype(np.float32) / UNIT
        samples[row, : steps[row]] = at[k]
    y = data.y
    if y is not None and data.per_step:
        y = y[np.arange(len(steps))[:, None], samples]
    return Steps(data, kept, x, y, steps)
