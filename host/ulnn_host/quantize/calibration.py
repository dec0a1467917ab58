"""What a float network does on data, and the ranges that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from ..data.sequences import Sequences
from ..network.float_network import FloatNetwork, Trace
from ..network.layers import Array
from .rounding import Vectors

Method = Literal["max", "percentile", "mse"]
METHODS: tuple[Method, ...] = get_args(Method)
PERCENTILE = 99.95
MSE_SHARES = np.geomspace(1.0, 0.1, 24)
SAMPLES = 20_000


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
            return np.percentile(size, PERCENTILE, axis=axis) * self.room
        top = size.max(axis=axis) * self.room
        if self.method == "max":
            return top
        size = size[:: max(1, len(size) // SAMPLES)]
        errors = []
        for share in MSE_SHARES:
            step = np.maximum(top * share, 1e-30) / 32767
            rounded = np.minimum(np.rint(size / step), 32767) * step
            errors.append(((rounded - size) ** 2).mean(axis=axis))
        return top * MSE_SHARES[np.argmin(errors, axis=0)]


@dataclass(frozen=True)
class Calibration:
    """A float rollout over the data: input_scale and input_offset (I,): real input = integer *
    scale + offset; dt_max in ticks; span: seconds of 2^n ticks (SPEC.md 2.3); trace; seen: what
    each layer saw."""

    input_scale: Array
    input_offset: Array
    dt_max: int
    span: float
    trace: Trace
    outputs: Array
    seen: tuple[dict[str, Vectors], ...]


def calibrate(
    network: FloatNetwork,
    data: Sequences,
    ranges: Ranges,
    tick_ns: int = 1000,
    longest_dt: float = 0.0,
) -> Calibration:
    """Run the network over the data. longest_dt: seconds that must fit besides those in the data.

    Raises UlnnError when inputs or times do not fit.
    """
    if data.x.shape[2] != network.input_size:
        raise UlnnError(
            f"the data have {data.x.shape[2]} inputs, "
            f"expected {network.input_size} as in the network"
        )
    valid = data.mask
    scale, offset = _input_scaling(data.x[valid], ranges)
    span, dt_max = _time_span(np.append(data.dt[valid].astype(np.float64), longest_dt), tick_ns)
    trace = network.run(data.x, data.dt, data.length)
    if not np.isfinite(trace.y[valid]).all():
        raise UlnnError(
            "the float network's outputs are not finite on the calibration data; "
            "check its inputs, its elapsed times and the time scale"
        )
    seen = tuple({name: Vectors(v) for name, v in layer.items()} for layer in trace.seen)
    return Calibration(scale, offset, dt_max, span, trace, trace.y[valid], seen)


def _input_scaling(x: NDArray[Any], ranges: Ranges) -> tuple[Array, Array]:
    """Scale and offset of each input, from the values (steps, I), as float32 numbers."""
    low, high = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
    middle = (low + high) / 2
    offset = np.where(np.abs(middle) > 0.25 * (high - low) / 2, middle, 0.0)
    reach = ranges.reach(x.astype(np.float64) - offset, axis=0)
    scale = np.where(reach > 0, reach, np.maximum(np.abs(offset), 1.0)) / 32767
    return scale.astype(np.float32).astype(np.float64), offset.astype(np.float32).astype(
        np.float64
    )


def _time_span(dt: NDArray[Any], tick_ns: int) -> tuple[float, int]:
    """Seconds of 2^n ticks and dt_max, the largest dt that is not clamped, in ticks."""
    longest = float(dt.max()) * 1e9 / tick_ns
    bits = max(1, int(np.ceil(longest * 1.25)).bit_length())
    if bits > 31:
        raise UlnnError(
            f"elapsed time of {dt.max():g} s: expected at most {2**31 * tick_ns / 1e9 / 1.25:g} s "
            f"with a tick of {tick_ns} ns; choose a longer tick with --tick-ns"
        )
    return float(2.0**bits * tick_ns / 1e9), 2**bits - 1
