"""What a network's inputs and outputs mean, for the file: names, and how outputs become decisions
as they did on the data, and how sure they have to be."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..base.errors import UlnnError
from ..data.scores import pool
from ..data.sequences import Sequences
from ..format.limits import TICKS_MAX
from ..format.model import Centres, Decision, Names
from ..network.float_network import FloatNetwork
from ..network.layers import Array
from .options import Options
from .rounding import Signal

MARGIN_MAX = 65535
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
    if values and readout == "vote":
        raise UlnnError(
            'readout "vote" is for classes, the outputs are values: expected mean or last'
        )
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


def with_thresholds(
    rule: Decision | None, data: Sequences, y: Array, outputs: Signal, options: Options
) -> Decision | None:
    """The rule with the votes and thresholds of the options. y (N, T, O): what the float network
    gives on the calibration data; outputs: what the integers of its outputs mean.

    A window is unsure below the margin `enter`, which the share `unsure` of the calibration data's
    windows does not reach in float; below half of it once its class is decided, so that a decision
    does not flicker. Raises UlnnError where outputs are not classes that can be compared.
    """
    if options.votes == 1 and not (options.unsure or options.least):
        return rule
    if rule is None or rule.values:
        raise UlnnError(
            "--votes, --unsure and --least are for decisions: expected data with classes, or a "
            "readout in the checkpoint"
        )
    if options.unsure and len({*zip(outputs.unit, outputs.offset, strict=True)}) > 1:
        raise UlnnError(
            "--unsure compares outputs, but their scales differ: expected a network that ends in "
            "a linear layer"
        )
    enter = 0
    if options.unsure:
        unit = 1.0 if rule.readout == "vote" else float(outputs.unit[0])
        margin = np.quantile(_margins(data, y, rule.readout), options.unsure) / unit
        enter = min(MARGIN_MAX, int(np.ceil(margin)))
    made = dataclasses.replace(rule, votes=options.votes, enter=enter, leave=enter // 2)
    if not options.least:
        return made
    if made.window and not made.ticks:
        least = round(options.least / float(data.dt[data.mask].mean()))
    else:
        made = dataclasses.replace(made, ticks=True)
        least = round(options.least * 1e9 / options.tick_ns)
    if least > TICKS_MAX:
        raise UlnnError(
            f"--least {options.least:g}: expected at most {TICKS_MAX} samples or ticks"
        )
    return dataclasses.replace(made, least=least)


def centres(
    rule: Decision | None, data: Sequences, y: Array, outputs: Signal, weight: int
) -> Centres | None:
    """The mean result of each class, every group (person, machine) weighing the same; None for
    weight 0. Raises UlnnError where there are no classes, or data of some are missing."""
    if not weight:
        return None
    targets = data.y
    if rule is None or rule.values or rule.readout == "vote" or targets is None:
        raise UlnnError("--centres: expected data with classes, and a readout mean, last or each")
    if len({*zip(outputs.unit, outputs.offset, strict=True)}) > 1:
        raise UlnnError("--centres compares outputs, but their scales differ")
    results = pool(y, data.length, rule.readout)
    group = np.zeros(len(data), np.int64) if data.group is None else data.group
    if results.ndim == 3:
        steps = np.broadcast_to(
            targets if targets.ndim == 2 else targets[:, None], data.mask.shape
        )
        group = np.broadcast_to(group[:, None], data.mask.shape)[data.mask]
        results, targets = results[data.mask], steps[data.mask]
    found = np.empty((outputs.unit.size, outputs.unit.size))
    for c in range(len(found)):
        of_class = targets == c
        if not of_class.any():
            name = data.labels[c] if data.labels else str(c)
            raise UlnnError(f"--centres: expected data of every class, found none of {name}")
        means = [results[of_class & (group == g)].mean(axis=0) for g in np.unique(group[of_class])]
        found[c] = np.mean(means, axis=0)
    integers = np.rint((found - outputs.offset) / outputs.unit)
    return Centres(weight, np.clip(integers, -32767, 32767).astype(np.int64))


def _margins(data: Sequences, y: Array, readout: str) -> Array:
    """By how much the largest result of each decision is larger than the second."""
    result = pool(y, data.length, readout)
    result = result[data.mask] if readout == "each" else result
    second, first = np.partition(result, -2, axis=-1)[:, -2:].T
    return np.asarray(first - second, np.float64)
