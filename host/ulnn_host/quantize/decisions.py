"""What a network's inputs and outputs mean, for the file: names, and how outputs become decisions
as they did on the data."""

from __future__ import annotations

import numpy as np

from ..data.sequences import Sequences
from ..format.limits import TICKS_MAX
from ..format.model import Decision, Names
from ..network.float_network import FloatNetwork

SAME = 0.05
"""Durations that differ by no more than this share are one window."""


def names(network: FloatNetwork) -> Names | None:
    """Names of inputs and outputs, and units where the inputs have names; None where none are
    known."""
    if not network.channels and not network.labels:
        return None
    units = network.units or ("",) * len(network.channels)
    return Names(network.channels, units if network.channels else (), network.labels)


def decision(network: FloatNetwork, data: Sequences, tick_ns: int) -> Decision | None:
    """How outputs become decisions: as trained, else one a step or one a sequence as the targets
    are; None where neither is known. The window is that of the data, where their sequences have
    one target each and are equally long."""
    y = data.y
    if not network.readout and (y is None or y.dtype.kind not in "iu"):
        return None
    readout = network.readout or ("each" if y is not None and y.ndim == 2 else "last")
    values = network.output_size == 1 if y is None else y.dtype.kind not in "iu"
    if readout == "each":
        return Decision(readout, values)
    samples, ticks = (0, 0) if y is None else _window(data, tick_ns)
    return Decision(readout, values, bool(ticks), reset=True, window=samples or ticks)


def _window(data: Sequences, tick_ns: int) -> tuple[int, int]:
    """How long all sequences are, in samples, or else in ticks; 0: they differ."""
    if len(data) < 2:
        return 0, 0
    if (data.length == data.length[0]).all():
        return int(data.length[0]), 0
    seconds = np.where(data.mask, data.dt, 0).sum(axis=1, dtype=np.float64)
    middle = float(np.median(seconds))
    ticks = round(middle * 1e9 / tick_ns)
    if np.abs(seconds / middle - 1).max() > SAME or not 1 <= ticks <= TICKS_MAX:
        return 0, 0
    return 0, ticks
