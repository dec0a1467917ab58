"""One float layer to one integer layer: scales, shifts and the order of the rows (SPEC.md 3).

Every function takes the meaning of what comes in and gives the layer and the meaning of what goes
out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from ..format import model as integer
from ..format.model import Activation, Kind, Matrix, Mode
from ..network.layers import (
    EPSILON,
    HEADS,
    LECUN_IN,
    LECUN_OUT,
    Array,
    CfC,
    Dense,
    FloatLayer,
    Gru,
    Linear,
    Lstm,
    Ltc,
    Synapses,
)
from .calibration import Ranges
from .rounding import Q15, Signal, Style, Vectors, round_rows

Q18 = 2.0**18
TANH, ERF, DECAY = "tanh", "erf", "decay"
OUTPUT_ROOM = 2.0


@dataclass(frozen=True)
class Converted:
    """The integer layer, and what its outputs and the parts of its state mean."""

    layer: integer.Layer
    output: Signal
    states: tuple[Signal, ...] = ()


@dataclass(frozen=True)
class Setting:
    """What a layer's conversion needs beside the layer.

    seen: what the float layer saw on the data. span: 2^n ticks in units of the cells. fixed_dt:
    in the same units, dt_fixed in ticks; 0: none. table: number of the table of that name in the
    file. style: how the weights of matrix j are rounded. outputs: real outputs (samples, O).
    stored: a matrix in the form in which it is stored, dense or sparse.
    """

    seen: Mapping[str, Vectors]
    ranges: Ranges
    span: float
    table: Callable[[str], int]
    style: Callable[[int], Style]
    outputs: Array
    fixed_dt: float
    dt_fixed: int
    stored: Callable[[Matrix], Matrix]


def convert(layer: FloatLayer, signal: Signal, setting: Setting) -> Converted:
    """The integer layer and the meaning of its values. Raises UlnnError when its numbers cannot be
    represented."""
    if isinstance(layer, Dense):
        return _dense(layer, signal, setting)
    if isinstance(layer, CfC):
        return _cfc(layer, signal, setting)
    if isinstance(layer, Lstm):
        return _lstm(layer, signal, setting)
    if isinstance(layer, Gru):
        return _gru(layer, signal, setting)
    return _ltc(layer, signal, setting)


def _matrix(
    linear: Linear,
    name: str,
    signal: Signal,
    target: Array | float,
    activation: Activation,
    j: int,
    setting: Setting,
) -> Matrix:
    """Matrix j: the real rows times target, over what was seen under the name."""
    style = setting.style(j)
    rounded = round_rows(linear, setting.seen[name], signal, style)
    factor = np.broadcast_to(np.asarray(target, np.float64), rounded.scale.shape)
    matrix = rounded.matrix(activation, factor, rounded.shift(factor), style.bits)
    return setting.stored(matrix)


def _activated(
    activation: str, linear: Linear, name: str, signal: Signal, j: int, setting: Setting
) -> tuple[Matrix, float]:
    """A dense or backbone matrix and the real value of one unit of its output."""
    tables = {"tanh": TANH, "lecun_tanh": TANH, "silu": TANH, "gelu": ERF}
    table = setting.table(tables[activation]) if activation in tables else 0
    if activation in ("lecun_tanh", "tanh"):
        lecun = activation == "lecun_tanh"
        target = (LECUN_IN if lecun else 1.0) * Q18
        matrix = _matrix(linear, name, signal, target, Activation.TABLE, j, setting)
        unit = Q15 * (LECUN_OUT if lecun else 1.0)
        return dataclasses.replace(matrix, table=table), unit
    largest = linear(setting.seen[name].values)
    if activation != "linear":
        largest = np.maximum(largest, 0)
    reach = max(float(setting.ranges.reach(largest)), Q15)
    if activation in ("relu", "linear"):
        unit = reach / 32767
        kind = Activation.RELU if activation == "relu" else Activation.LINEAR
        return _matrix(linear, name, signal, 1 / unit, kind, j, setting), unit
    silu = activation == "silu"
    halved = 1 if silu else 2
    output_shift = int(np.clip(np.floor(np.log2(32767 / reach)) - halved, 0, 14))
    target = (0.5 if silu else 1.0) * Q18
    matrix = _matrix(linear, name, signal, target, Activation.GATED, j, setting)
    matrix = dataclasses.replace(matrix, output_shift=output_shift, table=table)
    return matrix, 2.0 ** -(output_shift + halved)


def _dense(layer: Dense, signal: Signal, setting: Setting) -> Converted:
    if layer.activation == "linear":
        reach = float(setting.ranges.reach(setting.outputs)) / setting.ranges.room
        unit = reach * OUTPUT_ROOM / 32767 or Q15
        matrix = _matrix(layer.linear, "matrix", signal, 1 / unit, Activation.LINEAR, 0, setting)
    else:
        matrix, unit = _activated(layer.activation, layer.linear, "matrix", signal, 0, setting)
    converted = integer.Layer(Kind.DENSE, (matrix,), layer.input_size, layer.output_size)
    return Converted(converted, Signal.of(unit, layer.output_size))


# ---- CfC ----------------------------------------------------------------------------------------


def _cfc(layer: CfC, inputs: Signal, setting: Setting) -> Converted:
    size = layer.hidden_size
    state, state_shift = _state_unit(layer, setting)
    signal = inputs.joined(Signal.of(state, size))
    matrices: list[Matrix] = []
    cell_shift = 0
    if layer.memory is not None:
        gates, cell_shift = _lstm_matrix(layer.memory, "memory", signal, size, setting)
        matrices.append(gates)
        signal = inputs.joined(Signal.of(Q15, size))
    for k, linear in enumerate(layer.backbone):
        matrix, unit = _activated(
            layer.activation, linear, f"backbone.{k}", signal, len(matrices), setting
        )
        matrices.append(matrix)
        signal = Signal.of(unit, matrix.rows)
    kind = Kind.CFC if layer.memory is None else Kind.MIXED
    mode, gate_shift, pure = layer.mode, 0, None
    if layer.mode is Mode.PURE:
        heads, gate_shift, pure = _pure(layer, signal, state, len(matrices), setting)
    else:
        heads, gate_shift = _heads(layer, signal, state, len(matrices), setting)
        if setting.dt_fixed:
            mode = mode.with_fixed_dt
    converted = integer.Layer(
        kind, (*matrices, heads), layer.input_size, size, mode, gate_shift,
        setting.dt_fixed if mode.fixed_dt else 0, state_shift, cell_shift, pure,
    )  # fmt: skip
    hidden = Signal.of(state, size)
    states = (hidden,) if layer.memory is None else (hidden, _cell(cell_shift, size))
    return Converted(converted, hidden, states)


def _cell(cell_shift: int, size: int) -> Signal:
    return Signal.of(2.0 ** (cell_shift - 15), size)


def _state_unit(layer: CfC, setting: Setting) -> tuple[float, int]:
    """Real value of one unit of the hidden state, and the state shift."""
    if layer.mode is Mode.PURE:
        assert layer.decay is not None
        top = max(
            float(setting.ranges.reach(setting.seen["hidden"].values)),
            float(np.abs(layer.decay.a).max()),
        )
        shift = _range_shift(top, "hidden states of mode pure")
        return 2.0 ** (shift - 15), shift
    unit = {"tanh": Q15, "lecun_tanh": Q15 * LECUN_OUT}.get(layer.head_activation)
    if unit is None:
        unit = max(float(setting.ranges.reach(setting.seen["targets"].values)), Q15) / 32767
    return unit * (2 if layer.mode is Mode.NO_GATE else 1), 0


def _range_shift(top: float, what: str) -> int:
    """The smallest s with values up to `top` below 2^s."""
    shift = max(0, int(np.ceil(np.log2(max(top, 1e-9) / (32767 / 32768)))))
    if shift > 8:
        raise UlnnError(f"{what} reach {top:g}, expected at most 256; check the training")
    return shift


def _heads(
    layer: CfC, signal: Signal, state: float, j: int, setting: Setting
) -> tuple[Matrix, int]:
    """The heads neuron by neuron, four rows each or with a fixed dt three, and the gate shift."""
    linear_heads = layer.head_activation == "linear"
    if linear_heads:
        f = 1 / (state / (2 if layer.mode is Mode.NO_GATE else 1))
    else:
        f = (LECUN_IN if layer.head_activation == "lecun_tanh" else 1.0) * Q18
    parts = [layer.heads[name] for name in HEADS]
    factors = [f, f, setting.span * Q18, 0.5 * Q18]
    if setting.dt_fixed:
        if linear_heads:
            raise UlnnError("heads are linear (Keras dialect): expected no --fixed-dt with them")
        a, b = parts[2:]
        dt = setting.fixed_dt
        parts[2:] = [Linear(a.weight * dt + b.weight, a.bias * dt + b.bias)]
        factors = [f, f, 0.5 * Q18]
    linear = _interleaved(parts)
    factor = np.tile(factors, layer.hidden_size)
    time_a = np.tile(np.arange(len(parts)) == 2, layer.hidden_size) & (len(parts) == 4)
    style = setting.style(j)
    rounded = round_rows(linear, setting.seen["heads"], signal, style)
    shift = dataclasses.replace(rounded, scale=rounded.scale[~time_a]).shift(factor[~time_a])
    gate_shift = 0
    if time_a.any():
        times = dataclasses.replace(rounded, scale=rounded.scale[time_a])
        gate_shift = max(0, times.shift(factor[time_a], limit=99) - shift)
    if gate_shift > 12:
        raise UlnnError(
            f"elapsed times up to {setting.span:g} time scales times time_a weights are too large "
            "for the gate: expected a time scale near the elapsed times; retrain with a larger "
            "time_scale, or expect shorter gaps (--longest-gap)"
        )
    factor = np.where(time_a, factor / 2.0**gate_shift, factor)
    activation = Activation.LINEAR if linear_heads else Activation.TABLE
    matrix = rounded.matrix(activation, factor, shift, style.bits)
    return setting.stored(dataclasses.replace(matrix, table=setting.table(TANH))), gate_shift


def _interleaved(parts: list[Linear]) -> Linear:
    """Rows of all parts neuron by neuron."""
    columns = parts[0].weight.shape[1]
    return Linear(
        np.stack([p.weight for p in parts], axis=1).reshape(-1, columns),
        np.stack([p.bias for p in parts], axis=1).reshape(-1),
    )


def _pure(
    layer: CfC, signal: Signal, state: float, j: int, setting: Setting
) -> tuple[Matrix, int, integer.Pure]:
    assert layer.decay is not None
    if setting.dt_fixed:
        raise UlnnError("mode pure: expected no --fixed-dt, which saves nothing there")
    reach = max(float(setting.ranges.reach(setting.seen["drive"].values)), Q15)
    gate_shift = max(0, int(np.ceil(np.log2(reach / 32767 * setting.span * Q18))))
    if gate_shift > 12:
        raise UlnnError(
            f"elapsed times up to {setting.span:g} time scales times drives up to {reach:g} are "
            "too large; retrain with a larger time_scale, or expect shorter gaps (--longest-gap)"
        )
    unit = 2.0 ** (gate_shift - 18) / setting.span
    heads = _matrix(layer.heads["ff1"], "heads", signal, 1 / unit, Activation.LINEAR, j, setting)
    heads = dataclasses.replace(heads, table=setting.table(DECAY))
    tau = np.rint(np.minimum(np.abs(layer.decay.w_tau) / unit, 2.0**30))
    a = np.clip(np.rint(layer.decay.a / state), -32768, 32767)
    gain = np.rint(-layer.decay.a * unit / state * 2.0**17)
    if np.abs(gain).max() >= 2.0**31:
        raise UlnnError(
            f"mode pure: A up to {np.abs(layer.decay.a).max():g} with drives up to {reach:g} "
            "cannot be represented; check the training"
        )
    numbers = (v.astype(np.int64) for v in (tau, a, gain))
    return heads, gate_shift, integer.Pure(*numbers)


# ---- LSTM, GRU ----------------------------------------------------------------------------------


def _lstm_matrix(
    gates: Linear, name: str, signal: Signal, size: int, setting: Setting
) -> tuple[Matrix, int]:
    """The matrix of an LSTM (it is matrix 0) and its cell shift."""
    parts = [
        Linear(gates.weight[k * size : (k + 1) * size], gates.bias[k * size : (k + 1) * size])
        for k in range(4)
    ]
    target = np.tile([0.5, 0.5, 1.0, 0.5], size) * Q18
    matrix = _matrix(_interleaved(parts), name, signal, target, Activation.TABLE, 0, setting)
    top = float(setting.ranges.reach(setting.seen["cell"].values))
    matrix = dataclasses.replace(matrix, table=setting.table(TANH))
    return matrix, _range_shift(top, "cell states of the LSTM")


def _lstm(layer: Lstm, inputs: Signal, setting: Setting) -> Converted:
    size = layer.hidden_size
    hidden = Signal.of(Q15, size)
    signal = _with_dt(inputs, layer.dt_input, setting).joined(hidden)
    matrix, cell_shift = _lstm_matrix(layer.gates, "gates", signal, size, setting)
    mode = Mode.DT_INPUT if layer.dt_input else Mode.DEFAULT
    converted = integer.Layer(
        Kind.LSTM, (matrix,), layer.input_size, size, mode, cell_shift=cell_shift
    )
    return Converted(converted, hidden, (hidden, _cell(cell_shift, size)))


def _with_dt(inputs: Signal, dt_input: bool, setting: Setting) -> Signal:
    return inputs.joined(Signal.of(setting.span * Q15, 1)) if dt_input else inputs


def _gru(layer: Gru, inputs: Signal, setting: Setting) -> Converted:
    size = layer.hidden_size
    inputs = _with_dt(inputs, layer.dt_input, setting)
    used = len(inputs.unit)
    hidden = Signal.of(Q15, size)
    filled = inputs.joined(Signal.of(Q15, -used % 4))
    seen = dict(setting.seen) | {
        name: Vectors(_filled(setting.seen[name].values, used)) for name in ("gates", "input")
    }
    setting = dataclasses.replace(setting, seen=seen)
    parts = [
        Linear(_filled(layer.gates.weight[rows], used), layer.gates.bias[rows])
        for rows in (slice(size), slice(size, None))
    ]
    gates = _matrix(
        _interleaved(parts), "gates", filled.joined(hidden), 0.5 * Q18, Activation.TABLE, 0,
        setting,
    )  # fmt: skip
    gates = dataclasses.replace(gates, table=setting.table(TANH))
    top = float(setting.ranges.reach(seen["candidates"].values))
    shift = _range_shift(top, "candidates of the GRU")
    target = 2.0 ** (15 - shift)
    candidate = Linear(_filled(layer.candidate_input.weight, used), layer.candidate_input.bias)
    matrices = (
        gates,
        _matrix(layer.candidate_hidden, "hidden", hidden, target, Activation.LINEAR, 1, setting),
        _matrix(candidate, "input", filled, target, Activation.LINEAR, 2, setting),
    )
    mode = Mode.DT_INPUT if layer.dt_input else Mode.DEFAULT
    converted = integer.Layer(Kind.GRU, matrices, layer.input_size, size, mode, state_shift=shift)
    return Converted(converted, hidden, (hidden,))


def _filled(values: Array, used: int) -> Array:
    """Columns of 0 behind the first `used`, up to a multiple of four."""
    return np.insert(values, [used] * (-used % 4), 0.0, axis=1)


# ---- LTC ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _List:
    """The synapses that are there, neuron by neuron: index of source and target, and the real
    numbers of u = slope * source value (int16) + offset (in Q18), w/2 and w erev/2."""

    source: NDArray[np.intp]
    target: NDArray[np.intp]
    slope: Array
    offset: Array
    half: Array
    pull: Array

    @staticmethod
    def of(synapses: Synapses, signal: Signal) -> _List:
        target, source = np.nonzero(synapses.w.T)
        w, sigma, mu, erev = (
            part[source, target]
            for part in (synapses.w, synapses.sigma, synapses.mu, synapses.erev)
        )
        slope = sigma / 2 * signal.unit[source] * Q18
        offset = sigma / 2 * (signal.offset[source] - mu) * Q18
        return _List(source, target, slope, offset, w / 2, w * erev / 2)


def _ltc(layer: Ltc, inputs: Signal, setting: Setting) -> Converted:
    size = layer.neurons
    erev = [s.erev[s.w > 0] for s in (layer.sensory, layer.internal)]
    largest = float(np.abs(np.concatenate([*erev, layer.vleak])).max())
    unit = max(largest, Q15) * Q15
    potentials = Signal.of(unit, size)
    mapped = inputs.mapped(layer.input_scale, layer.input_offset)
    lists = [_List.of(layer.sensory, mapped), _List.of(layer.internal, potentials)]
    target, half, pull, slope, offset = (
        np.concatenate([getattr(part, name) for part in lists])
        for name in ("target", "half", "pull", "slope", "offset")
    )
    pull = pull / (unit / Q15)

    def total(values: Array) -> Array:
        return np.asarray(np.bincount(target, values, size), np.float64)

    den = layer.gleak + EPSILON + total(half)
    num = layer.gleak * layer.vleak / (unit / Q15) + total(pull)
    capacity = layer.cm * layer.unfolds / setting.span
    biggest = np.zeros(size)
    np.maximum.at(biggest, target, np.maximum(half, np.abs(pull)))
    # Rounding adds up to half a unit a synapse, to its weight and to what den must be at least.
    room = (2.0**31 - 2.0**16 - 2.0**15 * np.bincount(target, minlength=size)) * Q15
    scale = np.max(
        [
            biggest / 32766,
            (den + total(half)) / room,
            (np.abs(num) + total(np.abs(pull))) / room,
            capacity / (2.0**30 * Q15),
        ],
        axis=0,
    )
    slopes = np.rint(slope * 2.0**17)
    if len(slopes) and np.abs(slopes).max() >= 2.0**31:
        raise UlnnError(
            "LTC: sigma times the range of the inputs is too large for the sigmoids; "
            "check the scales of the inputs"
        )
    w_den, w_num = np.rint(half / scale[target]), np.rint(pull / scale[target])
    den_int = np.maximum(np.rint(den / scale / Q15), total(w_den) / Q15)
    numbers = {
        "num": np.rint(num / scale / Q15),
        "den": den_int,
        "capacity": np.maximum(1, np.rint(capacity / scale / Q15)),
        "slope": slopes,
        "offset": np.clip(np.rint(offset), -(2.0**30), 2.0**30),
        "w_den": w_den,
        "w_num": w_num,
        "source": np.concatenate([part.source for part in lists]),
        "sensory": np.bincount(lists[0].target, minlength=size),
        "internal": np.bincount(lists[1].target, minlength=size),
    }
    ltc = integer.LtcNumbers(
        unfolds=layer.unfolds,
        table=setting.table(TANH),
        **{name: value.astype(np.int64) for name, value in numbers.items()},
    )
    motor = slice(layer.output_size)
    out = Signal(potentials.unit[motor], potentials.offset[motor])
    converted = integer.Layer(Kind.LTC, (), layer.input_size, layer.output_size, ltc=ltc)
    out = out.mapped(layer.output_scale, layer.output_offset)
    return Converted(converted, out, (potentials,))
