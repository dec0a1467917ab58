"""What goes into an engine and what comes out: integers, the same for all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..base.errors import UlnnError
from ..data.sequences import Sequences
from ..format.model import Int, Int16, ModelFile, ticks


@dataclass(frozen=True)
class Batch:
    """N sequences: x int16 (N, T, I), dt ticks (N, T), length (N,) valid steps.

    The state is reset before each sequence.
    """

    x: Int16
    dt: Int
    length: Int


@dataclass(frozen=True)
class Outputs:
    """y int16 (N, T, O), 0 behind the valid steps; state int16 (N, S) after the last step."""

    y: Int16
    state: Int16

    @staticmethod
    def empty(model: ModelFile, batch: Batch) -> Outputs:
        """Zeros of the right shapes."""
        count, steps = batch.dt.shape
        return Outputs(
            np.zeros((count, steps, model.output_size), np.int16),
            np.zeros((count, model.state_size), np.int16),
        )


def quantise(model: ModelFile, data: Sequences) -> Batch:
    """The integers an engine gets for real data, their channels in the model's order. Raises
    UlnnError for channels that are not the model's.
    """
    data = fitting(model, data)
    return Batch(model.quantise_input(data.x), elapsed(data, model.tick_ns), data.length)


def fitting(model: ModelFile, data: Sequences) -> Sequences:
    """The data with their channels in the model's order. Raises UlnnError for channels that are
    not the model's, and for features of another recipe.
    """
    raw = data.x.shape[2] != model.input_size
    if model.features and not data.features and raw:
        raise UlnnError(
            f"the data have {data.x.shape[2]} channels, and the model takes {model.input_size} "
            "features of raw samples: name their recipe, --features or features="
        )
    if model.beats and not data.beats and raw:
        raise UlnnError(
            f"the data have {data.x.shape[2]} channels, and the model takes {model.input_size} "
            "values of each beat of an ECG: name their recipe, --beats or beats="
        )
    data = data.in_order(model.channels)
    for what in ("features", "beats"):
        wanted, given = getattr(model, what), getattr(data, what)
        if wanted and given not in (b"", wanted):
            raise UlnnError(f"the {what} of the data are of another recipe than the model's")
    if data.x.shape[2] != model.input_size:
        raise UlnnError(
            f"the data have {data.x.shape[2]} inputs, expected {model.input_size} as in the model"
        )
    return data


def elapsed(data: Sequences, tick_ns: int) -> Int:
    """dt (N, T) in ticks, 1 after the end of shorter sequences."""
    dt = np.ones(data.dt.shape, np.int64)
    dt[data.mask] = ticks(data.dt[data.mask], tick_ns)
    return dt
