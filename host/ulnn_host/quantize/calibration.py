"""What a float network does on data, and the ranges that follow from it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulnn_rules.features import UNIT

from ..base.errors import UlnnError
from ..data.matched import matched
from ..data.sampling import duration, sampling
from ..data.sequences import Sequences
from ..engines.coverage import unkept
from ..format.model import Decision
from ..network.float_network import FloatNetwork, Trace
from ..network.layers import Array
from .decisions import decision
from .options import Method, Options
from .rounding import Signal, Vectors

PERCENTILE = 99.95
USUAL = 99.0  # percentile of the elapsed times that are usual
MSE_SHARES = np.geomspace(1.0, 0.1, 24)
SAMPLES = 20_000


@dataclass(frozen=True)
class FloatRollout:
    """A float network over data. It runs once, when its outputs are first asked for; whoever needs
    them gets this object. Channels and classes are put in the network's order, by name; a network
    without names of channels takes those of the data; for one with a fixed dt, that is the dt of
    the data. Raises UlnnError for a wrong number of inputs, and for names that the network does
    not know."""

    network: FloatNetwork
    data: Sequences

    def __post_init__(self) -> None:
        data = matched(self.data, self.network.channels, self.network.labels)
        if self.network.fixed_dt:
            dt = np.full(data.dt.shape, self.network.fixed_dt, np.float32)
            data = dataclasses.replace(data, dt=dt)
        object.__setattr__(self, "data", data)
        if data.channels and not self.network.channels:
            meta = self.network.meta | {"channels": list(data.channels)}
            object.__setattr__(self, "network", dataclasses.replace(self.network, meta=meta))
        if self.data.x.shape[2] != self.network.input_size:
            raise UlnnError(
                f"the data have {self.data.x.shape[2]} inputs, "
                f"expected {self.network.input_size} as in the network"
            )

    def on(self, data: Sequences) -> FloatRollout:
        """The same network over other data; over the same, this rollout."""
        return self if data is self.data else FloatRollout(self.network, data)

    @cached_property
    def _trace(self) -> Trace:
        return self.network.run(self.data.x, self.data.dt, self.data.length)

    @property
    def y(self) -> Array:
        """Outputs (N, T, O)."""
        return self._trace.y

    @cached_property
    def outputs(self) -> Array:
        """Outputs of the valid steps (steps, O)."""
        return np.asarray(self.y[self.data.mask])

    @cached_property
    def dt_median(self) -> float:
        """The median elapsed time of the data, seconds, to two digits."""
        return float(f"{self.data.tick:.2g}")

    @cached_property
    def seen(self) -> tuple[dict[str, Vectors], ...]:
        """For each layer what it saw in the valid steps, by name."""
        return tuple({n: Vectors(v) for n, v in layer.items()} for layer in self._trace.seen)


@dataclass(frozen=True)
class Ranges:
    """How a range is taken from values: the largest (`max`), a percentile of the magnitudes, or
    the one with the least mean squared error of 16 bits (`mse`); times room."""

    room: float
    method: Method = "max"

    def reach(self, values: NDArray[Any], axis: int | None = None) -> Any:
        """Largest magnitude to represent: a number, or one per column with axis=0."""
        size = np.abs(values)
        if self.method == "percentile":
            return np.percentile(size, PERCENTILE, axis=axis, method="lower") * self.room
        top = size.max(axis=axis) * self.room
        if self.method == "max":
            return top
        size = size[:: max(1, len(size) // SAMPLES)]
        errors = [_rounding_error(size, top * share, axis) for share in MSE_SHARES]
        return top * MSE_SHARES[np.argmin(errors, axis=0)]

    def middles(self, values: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """What a range may lie around, (columns,) each, from the same extremes or percentiles."""
        extremes = values.min(axis=0), values.max(axis=0)
        # values that occur: between two of them, one outlier among few would still reach in
        usual = (
            np.percentile(values, 100 - PERCENTILE, axis=0, method="higher"),
            np.percentile(values, PERCENTILE, axis=0, method="lower"),
        )
        tried = {"max": (extremes,), "percentile": (usual,), "mse": (extremes, usual)}
        return tuple(_offset(low, high) for low, high in tried[self.method])


def _offset(low: NDArray[Any], high: NDArray[Any]) -> NDArray[Any]:
    """The middle, or 0 where that is near enough."""
    middle = (low + high) / 2
    return np.where(np.abs(middle) > 0.25 * (high - low) / 2, middle, 0.0)


def _rounding_error(size: NDArray[Any], top: Any, axis: int | None) -> Any:
    """Mean squared error of magnitudes in 16 bits, clipped at top."""
    step = np.maximum(top, 1e-30) / 32767
    rounded = np.minimum(np.rint(size / step), 32767) * step
    return ((rounded - size) ** 2).mean(axis=axis)


@dataclass(frozen=True)
class Calibration:
    """What a float rollout over the data says of the integers: input_scale and input_offset (I,):
    real input = integer * scale + offset; dt_max in ticks; span: seconds of 2^n ticks (SPEC.md
    2.3); ranges: how the others are taken from the rollout; decision: how outputs become decisions
    as they do in the data."""

    input_scale: Array
    input_offset: Array
    dt_max: int
    span: float
    ranges: Ranges
    rollout: FloatRollout
    decision: Decision | None = None

    def inputs_of(self, network: FloatNetwork) -> Signal:
        """What the integer inputs mean to the first layer of a network."""
        return Signal(
            self.input_scale / network.std, (self.input_offset - network.mean) / network.std
        )


def calibrate(rollout: FloatRollout, options: Options) -> Calibration:
    """Ranges of the inputs and times in the data, and of the network over them. Raises UlnnError
    when they cannot be represented."""
    data, valid = rollout.data, rollout.data.mask
    ranges = Ranges(options.room, options.ranges)
    scaling = _feature_scaling if data.features or data.beats else _input_scaling
    scale, offset = scaling(data.x[valid], ranges)
    expected = options.fixed_dt or 0.0, options.longest_gap or 0.0
    every_dt = np.append(data.dt[valid].astype(np.float64), expected)
    span, dt_max = _time_span(every_dt, options.tick_ns)
    if not np.isfinite(rollout.outputs).all():
        raise UlnnError(
            "the float network's outputs are not finite on the calibration data; "
            "check its inputs, its elapsed times and the time scale"
        )
    found = decision(rollout.network, data, options.tick_ns)
    return Calibration(scale, offset, dt_max, span, ranges, rollout, found)


def for_usual_dt(calibration: Calibration, options: Options) -> Calibration:
    """The same with room for the elapsed times of nearly all steps only."""
    data = calibration.rollout.data
    usual = np.percentile(data.dt[data.mask].astype(np.float64), USUAL)
    span, dt_max = _time_span(np.array([usual]), options.tick_ns)
    return dataclasses.replace(calibration, span=span, dt_max=dt_max)


def check_fixed_dt(data: Sequences, fixed: float | None) -> None:
    """Raises UlnnError for a fixed dt (seconds) that no sample keeps."""
    dt = data.dt[data.mask].astype(np.float64)
    if fixed is not None and unkept(dt, fixed) == len(dt):
        raise UlnnError(
            f"fixed dt of {duration(fixed)}: no sample of the calibration data is that far from "
            f"the one before ({sampling(dt)}); expected {np.median(dt):.3g} s, or no --fixed-dt"
        )


def _input_scaling(x: NDArray[Any], ranges: Ranges) -> tuple[Array, Array]:
    """Scale and offset of each input, from the values (steps, I), as float32 numbers."""
    x = x.astype(np.float64)
    tried = [(offset, ranges.reach(x - offset, axis=0)) for offset in ranges.middles(x)]
    errors = [_rounding_error(np.abs(x - offset), reach, 0) for offset, reach in tried]
    best = np.argmin(errors, axis=0)[None]
    offset, reach = (np.take_along_axis(np.stack(v), best, 0)[0] for v in zip(*tried, strict=True))
    reach = np.where(reach > 0, reach, np.maximum(np.abs(offset), 1.0))
    offset, reach = _rounded_outwards(offset, reach)
    scale = reach / 32767
    return scale.astype(np.float32).astype(np.float64), offset.astype(np.float32).astype(
        np.float64
    )


def _feature_scaling(x: NDArray[Any], ranges: Ranges) -> tuple[Array, Array]:
    """The same for features: a scale that is a power of two of their unit, at least as wide, and
    an offset that is a whole number of it (SPEC.md 2.12), so that boards shift and subtract."""
    scale, offset = _input_scaling(x, ranges)
    shift = np.clip(np.floor(-np.log2(scale * UNIT)), 0, 15)
    return 2.0**-shift / UNIT, np.clip(np.rint(offset * UNIT), -32768, 32767) / UNIT


def _rounded_outwards(offset: NDArray[Any], reach: NDArray[Any]) -> tuple[Array, Array]:
    """Middle and half width of a range whose ends are multiples of the second digit of the half
    width: the exact extremes of somebody's data are in no file."""
    digit = 10.0 ** (np.floor(np.log10(reach)) - 1)
    low = np.floor((offset - reach) / digit) * digit
    high = np.ceil((offset + reach) / digit) * digit
    return (low + high) / 2, (high - low) / 2


def _time_span(dt: NDArray[Any], tick_ns: int) -> tuple[float, int]:
    """Seconds of 2^n ticks and dt_max, the largest dt that is not clamped, in ticks."""
    longest = min(float(dt.max()) / tick_ns * 1e9 * 1.25, 2.0**32)
    bits = max(1, int(np.ceil(longest)).bit_length())
    if bits > 31:
        raise UlnnError(
            f"elapsed time of {dt.max():g} s: expected at most {2**31 * tick_ns / 1e9 / 1.25:g} s "
            f"with a tick of {tick_ns} ns; choose a longer tick with --tick-ns"
        )
    return float(2.0**bits * tick_ns / 1e9), 2**bits - 1
