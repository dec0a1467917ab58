"""From a float network to an integer model: post-training quantisation calibrated on data.

What the integers mean is fixed by SPEC.md section 3; here only the free choices are made: scales
of inputs, outputs, rows and activations, shifts, and the rounding of the weights. Rounding follows
the data: the error of a column is made good by the columns behind it, weighted with the covariance
of what the matrix really sees (Frantar et al. 2022, GPTQ; Hassibi and Stork 1993, optimal brain
surgeon).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import __version__
from .data import Sequences
from .engine_types import quantise
from .errors import UlnnError
from .model import Activation, Golden, Kind, Layer, Matrix, ModelFile
from .network import HEADS, LECUN_IN, LECUN_OUT, Array, FloatNetwork, Linear
from .reference import Reference
from .tables import erf_table, tanh_table

Q15 = 2.0**-15
ROW_LIMIT = 65400.0
GOLDEN_STEPS = 32
OUTPUT_ROOM = 2.0


@dataclass(frozen=True)
class Options:
    """Free choices of the conversion.

    bits: weight width, 8 or 16. margin: room above the largest calibrated input, 1 = none (None:
    1.5 for int8, where room costs resolution of the weights, 2 for int16). tick_ns: length of a
    tick. compensate: rounding that follows the data (else to nearest). fixed_dt: seconds, the
    promise that every sample comes that long after the one before (SPEC.md 3.4); None: any dt.
    """

    bits: int = 8
    margin: float | None = None
    tick_ns: int = 1000
    compensate: bool = True
    fixed_dt: float | None = None
    name: str = ""

    @property
    def room(self) -> float:
        """The margin in force."""
        return self.margin or (1.5 if self.bits == 8 else 2.0)


@dataclass(frozen=True)
class _Target:
    """What a row's accumulator has to become: pre-activation factor and fractional bits, one each
    per row."""

    factor: Array
    fraction_bits: float


def convert(network: FloatNetwork, data: Sequences, options: Options) -> ModelFile:
    """The integer model of a float network. Raises UlnnError when its numbers cannot be
    represented."""
    if options.bits not in (8, 16):
        raise UlnnError(f"bits: expected 8 or 16, got {options.bits}")
    if data.x.shape[2] != network.input_size:
        raise UlnnError(
            f"the data have {data.x.shape[2]} inputs, "
            f"expected {network.input_size} as in the network"
        )
    trace = network.run(data.x, data.dt, data.length)
    valid = data.mask
    scale, offset = _input_scaling(data.x[valid], options.room)
    times = np.append(data.dt[valid].astype(np.float64), options.fixed_dt or [])
    span, dt_max = _time_span(times, options.tick_ns)
    dt_fixed = _fixed_ticks(options)

    unit = np.concatenate(
        [scale / network.std, np.full(network.hidden_size, _state_unit(network))]
    )
    shift_x = np.concatenate(
        [(offset - network.mean) / network.std, np.zeros(network.hidden_size)]
    )
    matrices: list[Matrix] = []
    for j, linear in enumerate(network.backbone):
        vectors = trace.vectors[j]
        matrix, out_unit = _backbone_matrix(
            network.activation, linear, vectors, unit, shift_x, options
        )
        matrices.append(matrix)
        unit, shift_x = np.full(matrix.rows, out_unit), np.zeros(matrix.rows)
    vectors = trace.vectors[len(network.backbone)]
    heads, gate_shift = _heads_matrix(network, vectors, unit, shift_x, span, options)
    layers = [
        Layer(
            Kind.CFC,
            (*matrices, heads),
            network.input_size,
            network.hidden_size,
            network.mode.with_fixed_dt if dt_fixed else network.mode,
            gate_shift,
            dt_fixed,
        )
    ]
    out_scale = np.full(network.hidden_size, _state_unit(network))
    if network.fc is not None:
        out_unit = float(np.abs(trace.y[valid]).max()) * OUTPUT_ROOM / 32767 or Q15
        head = _linear_matrix(network.fc, trace.vectors[-1], out_scale, out_unit, options)
        layers.append(Layer(Kind.DENSE, (head,), network.hidden_size, head.rows))
        out_scale = np.full(head.rows, out_unit)
    model = ModelFile(
        input_scale=scale.astype(np.float32),
        input_offset=offset.astype(np.float32),
        output_scale=out_scale.astype(np.float32),
        output_offset=np.zeros(len(out_scale), np.float32),
        tick_ns=options.tick_ns,
        dt_max=dt_max,
        tables=(tanh_table(), erf_table()) if network.activation == "gelu" else (tanh_table(),),
        layers=tuple(layers),
        meta=_meta(network, options),
        dialect=network.dialect,
    )
    return dataclasses.replace(model, golden=_golden(model, data))


@dataclass(frozen=True)
class RolloutError:
    """Integer against float outputs over whole sequences, in real units of the output.

    coarse_dt: median relative error of the elapsed times in whole ticks.
    """

    largest: float
    rms: float
    steps: int
    clamped: int
    coarse_dt: float


def rollout_error(network: FloatNetwork, model: ModelFile, data: Sequences) -> RolloutError:
    """Run both over the data, each with its own state, and compare the valid outputs."""
    batch = quantise(model, data)
    dt = batch.dt
    y = model.dequantise_output(Reference(model, lanes=len(data)).run(batch.x, dt))
    error = (y - network.run(data.x, data.dt, data.length).y)[data.mask]
    return RolloutError(
        largest=float(np.abs(error).max()),
        rms=float(np.sqrt(np.mean(error**2))),
        steps=int(data.length.sum()),
        clamped=int((dt > model.dt_max).sum()),
        coarse_dt=float(np.median(np.abs(dt * (model.tick_ns / 1e9) / data.dt - 1)[data.mask])),
    )


# ---- scales of what comes in and goes out -------------------------------------------------------


def _state_unit(network: FloatNetwork) -> float:
    return Q15 if network.mode.gated else 2 * Q15


def _input_scaling(x: NDArray[Any], margin: float) -> tuple[Array, Array]:
    """Scale and offset of each input, from the values (steps, I), as float32 numbers."""
    low, high = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
    middle = (low + high) / 2
    half = (high - low) / 2
    offset = np.where(np.abs(middle) > 0.25 * half, middle, 0.0)
    reach = np.maximum(high - offset, offset - low) * margin
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


def _fixed_ticks(options: Options) -> int:
    if options.fixed_dt is None:
        return 0
    ticks = round(options.fixed_dt * 1e9 / options.tick_ns)
    if ticks < 1:
        raise UlnnError(
            f"fixed dt of {options.fixed_dt:g} s: expected at least a tick of {options.tick_ns} "
            "ns; choose a shorter tick with --tick-ns"
        )
    return ticks


def _golden(model: ModelFile, data: Sequences) -> Golden:
    steps = min(GOLDEN_STEPS, int(data.length[0]))
    engine = Reference(model)
    x, dt = model.quantise_input(data.x[0, :steps]), model.ticks(data.dt[0, :steps])
    y = engine.run(x, dt)
    return Golden(dt, x, y, engine.state)


def _meta(network: FloatNetwork, options: Options) -> dict[str, Any]:
    meta = {
        "name": options.name,
        "tool": f"ulnn {__version__}",
        "mode": network.mode.name.lower(),
        "activation": network.activation if network.backbone else "none",
        "backbone": [int(linear.weight.shape[0]) for linear in network.backbone],
        "time_scale": network.time_scale,
    }
    return meta | network.meta


# ---- matrices -----------------------------------------------------------------------------------


def _backbone_matrix(
    activation: str, linear: Linear, vectors: Array, unit: Array, shift_x: Array, options: Options
) -> tuple[Matrix, float]:
    """The matrix and the real value of one unit of its output."""
    rows = len(linear.bias)
    if activation in ("lecun_tanh", "tanh"):
        lecun = activation == "lecun_tanh"
        target = _Target(np.full(rows, LECUN_IN if lecun else 1.0), 18)
        matrix = _matrix(linear, vectors, unit, shift_x, target, Activation.TABLE, options)
        return matrix, Q15 * (LECUN_OUT if lecun else 1.0)
    pre = vectors @ linear.weight.T + linear.bias
    largest = max(float(pre.max()), Q15) * options.room
    if activation == "relu":
        out_unit = largest / 32767
        target = _Target(np.full(rows, 1 / out_unit), 0)
        return _matrix(linear, vectors, unit, shift_x, target, Activation.RELU, options), out_unit
    silu = activation == "silu"
    output_shift = int(np.clip(np.floor(np.log2(32767 / largest)) - (1 if silu else 2), 0, 14))
    target = _Target(np.full(rows, 0.5 if silu else 1.0), 18)
    matrix = _matrix(linear, vectors, unit, shift_x, target, Activation.GATED, options)
    matrix = dataclasses.replace(matrix, output_shift=output_shift, table=0 if silu else 1)
    return matrix, 2.0 ** -(output_shift + (1 if silu else 2))


def _linear_matrix(
    linear: Linear, vectors: Array, unit: Array, out_unit: float, options: Options
) -> Matrix:
    target = _Target(np.full(len(linear.bias), 1 / out_unit), 0)
    return _matrix(linear, vectors, unit, np.zeros(len(unit)), target, Activation.LINEAR, options)


def _heads_matrix(
    network: FloatNetwork,
    vectors: Array,
    unit: Array,
    shift_x: Array,
    span: float,
    options: Options,
) -> tuple[Matrix, int]:
    """The heads neuron by neuron, four rows each or with a fixed dt three, and the gate shift."""
    parts = [network.heads[name] for name in HEADS]
    factors = [1.0, 1.0, span / network.time_scale, 0.5]
    if options.fixed_dt:
        dt = options.fixed_dt / network.time_scale
        a, b = parts[2:]
        parts[2:] = [Linear(a.weight * dt + b.weight, a.bias * dt + b.bias)]
        factors = [1.0, 1.0, 0.5]
    linear = Linear(
        np.stack([p.weight for p in parts], axis=1).reshape(-1, len(unit)),
        np.stack([p.bias for p in parts], axis=1).reshape(-1),
    )
    factor = np.tile(factors, network.hidden_size)
    time_a = np.tile(np.arange(len(parts)) == 2, network.hidden_size) & (len(parts) == 4)
    rounded = _round_rows(linear, vectors, unit, shift_x, options)
    shift = _shift(rounded.scale[~time_a], factor[~time_a], 18)
    gate_shift = 0
    if time_a.any():
        gate_shift = max(0, _shift(rounded.scale[time_a], factor[time_a], 18, limit=99) - shift)
    if gate_shift > 12:
        raise UlnnError(
            f"elapsed times up to {span:g} s times time_a weights are too large for the gate: "
            "expected a time scale near the elapsed times; retrain with a larger time_scale"
        )
    factor = np.where(time_a, factor / 2.0**gate_shift, factor)
    return rounded.matrix(Activation.TABLE, _Target(factor, 18), shift, options.bits), gate_shift


def _matrix(
    linear: Linear,
    vectors: Array,
    unit: Array,
    shift_x: Array,
    target: _Target,
    activation: Activation,
    options: Options,
) -> Matrix:
    rounded = _round_rows(linear, vectors, unit, shift_x, options)
    shift = _shift(rounded.scale, target.factor, target.fraction_bits)
    return rounded.matrix(activation, target, shift, options.bits)


def _shift(scale: Array, factor: Array, fraction_bits: float, limit: int = 8) -> int:
    """The smallest shift with which every multiplier is below 2^31."""
    largest = float((scale * factor).max()) * Q15 * 2.0 ** (fraction_bits + 32)
    shift = max(0, int(np.ceil(np.log2(max(largest, 1.0) / (2.0**31 - 2)))))
    if shift > limit:
        raise UlnnError(
            f"weights too large: they need a shift of {shift}, expected at most {limit}; "
            "check the scales of the inputs or use --bits 16"
        )
    return shift


@dataclass(frozen=True)
class _Rounded:
    """Integer rows: weights (rows, columns), bias (rows,) in units of scale * 2^-15, scale
    (rows,)."""

    weights: NDArray[np.int64]
    bias: NDArray[np.int64]
    scale: Array

    def matrix(self, activation: Activation, target: _Target, shift: int, bits: int) -> Matrix:
        wanted = self.scale * target.factor * Q15 * 2.0 ** (target.fraction_bits + 32 - shift)
        multiplier = np.minimum(np.rint(wanted), 2**31 - 1).astype(np.int64)
        return Matrix(self.weights, self.bias, multiplier, bits, activation, shift)


def _round_rows(
    linear: Linear, vectors: Array, unit: Array, shift_x: Array, options: Options
) -> _Rounded:
    """Round the rows of a matrix whose column j really has the unit `unit[j]` and the offset
    `shift_x[j]`.

    vectors: (samples, columns) real values of the matrix's inputs (before unit and offset).
    """
    weights = linear.weight * (unit / Q15)
    bias = linear.bias + linear.weight @ shift_x
    seen = (vectors - shift_x) / unit * Q15
    top = 127 if options.bits == 8 else 32767
    reach = np.abs(weights).max(axis=1)
    bound = (np.abs(weights).sum(axis=1) + np.abs(bias)) / ROW_LIMIT
    floor = np.where(bound > 0, bound, 1.0)
    mean = seen.mean(axis=0)
    covariance = _covariance(seen, mean)
    while True:
        scale, integers = _best_rounding(weights, reach, floor, top, covariance, options)
        corrected = bias - (integers * scale[:, None] - weights) @ mean
        bias_int = np.rint(corrected / (scale * Q15)).astype(np.int64)
        over = 32768 * np.abs(integers).sum(axis=1) + np.abs(bias_int) > 2**31 - 1
        if not over.any():
            return _Rounded(integers, bias_int, scale)
        floor = np.where(over, np.maximum(floor, scale) * 1.002, floor)


def _covariance(seen: Array, mean: Array) -> Array:
    """Second moments that weigh a rounding error; some of the mean and of the identity keep it
    honest off the data."""
    centred = seen - mean
    covariance = centred.T @ centred / len(seen) + 0.05 * np.outer(mean, mean)
    covariance[np.diag_indices_from(covariance)] += 0.01 * np.trace(covariance) / len(mean) + 1e-9
    return covariance


def _best_rounding(
    weights: Array, reach: Array, floor: Array, top: int, covariance: Array, options: Options
) -> tuple[Array, NDArray[np.int64]]:
    """Scale (rows,) and integers (rows, columns): per row, the clipping with the least weighted
    error."""
    if not options.compensate:
        scale = np.maximum(reach / top, floor)
        return scale, np.clip(np.rint(weights / scale[:, None]), -top, top).astype(np.int64)
    best_cost = np.full(len(weights), np.inf)
    best_scale, best = np.zeros(len(weights)), np.zeros(weights.shape)
    for clip in (1.0,) if options.bits == 16 else (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6):
        scale = np.maximum(reach * clip / top, floor)
        rounded = _compensated(weights, scale, top, covariance)
        error = rounded * scale[:, None] - weights
        cost = np.einsum("ij,jk,ik->i", error, covariance, error)
        better = cost < best_cost
        best_cost = np.where(better, cost, best_cost)
        best_scale = np.where(better, scale, best_scale)
        best = np.where(better[:, None], rounded, best)
    return best_scale, best.astype(np.int64)


def _compensated(weights: Array, scale: Array, top: int, covariance: Array) -> Array:
    """Round column by column, the largest variance first; each error is spread over the columns to
    come."""
    order = np.argsort(-np.diag(covariance))
    inverse = np.linalg.inv(covariance[np.ix_(order, order)])
    upper = np.linalg.cholesky(inverse).T
    left = weights[:, order].copy()
    rounded = np.zeros_like(left)
    for j in range(left.shape[1]):
        rounded[:, j] = np.clip(np.rint(left[:, j] / scale), -top, top)
        error = (left[:, j] - rounded[:, j] * scale) / upper[j, j]
        left[:, j + 1 :] -= np.outer(error, upper[j, j + 1 :])
    result = np.empty_like(rounded)
    result[:, order] = rounded
    return result
