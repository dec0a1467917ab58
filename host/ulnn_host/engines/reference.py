"""The numpy reference engine: SPEC.md section 3, formula by formula, in exact 64-bit integers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..format.model import (
    Activation,
    Int,
    Int16,
    Kind,
    Layer,
    LtcNumbers,
    Matrix,
    Mode,
    ModelFile,
    Pure,
    Table,
)

Clipped = NDArray[np.bool_]
# Told which values of a tensor of a layer saturated, by name; an Observer by layer number, too.
Watch = Callable[[str, Clipped], None] | None
Observer = Callable[[int, str, Clipped], None]
BEFORE_TABLE = " before the table"


def saturate(value: Int, bits: int, watch: Watch = None, name: str = "") -> Int:
    """satN of SPEC.md."""
    top = (1 << (bits - 1)) - 1
    limited: Int = np.maximum(np.minimum(value, top), -top - 1)
    if watch is not None:
        watch(name, limited != value)
    return limited


def lookup(table: Table, u: Int) -> Int:
    """Table value (Q15) of a pre-activation in Q18, |u| <= 8 (SPEC.md 2.4)."""
    k = (u >> 13) + 256
    value: Int = ((u * table.slope[k].astype(np.int64)) >> 16) + table.offset[k]
    return value


def rows(matrix: Matrix, v: Int) -> Int:
    """The values m of all rows over the vectors v (..., columns) (SPEC.md 3.1)."""
    # Every partial sum is below 2^31 (the bound of SPEC.md 2.5), so float64 products are exact.
    acc: Int = (v.astype(np.float64) @ matrix.float_weights.T).astype(np.int64) + matrix.bias
    m: Int = (acc * matrix.multiplier + (1 << 31)) >> 32
    return m


def activate(
    matrix: Matrix, m: Int, tables: tuple[Table, ...], watch: Watch = None, name: str = "rows"
) -> Int:
    """What follows a row in a dense or backbone matrix (SPEC.md 3.2)."""
    p = saturate(m << matrix.shift, 32)
    if matrix.activation is Activation.LINEAR:
        return saturate(p, 16, watch, name)
    if matrix.activation is Activation.RELU:
        return saturate(np.maximum(0, p), 16, watch, name)
    u = saturate(p, 22, watch, name + BEFORE_TABLE)
    g = lookup(tables[matrix.table], u)
    if matrix.activation is Activation.TABLE:
        return g
    product = (p * ((32768 + g) << matrix.output_shift) + (1 << 31)) >> 32
    return saturate(product, 16, watch, name)


def cfc(
    layer: Layer, tables: tuple[Table, ...], x: Int, h: Int, frac: Int, watch: Watch = None
) -> Int:
    """New state of a CfC layer (SPEC.md 3.3 to 3.5).

    x (..., I), h (..., H), frac (...): one elapsed time a vector. The memory of a mixed memory
    layer is not looked at.
    """
    v = np.concatenate([x, h], axis=-1)
    for k, matrix in enumerate(layer.matrices[layer.kind is Kind.MIXED : -1]):
        v = activate(matrix, rows(matrix, v), tables, watch, f"backbone {k}")
    heads = layer.matrices[-1]
    table = tables[heads.table]
    m = rows(heads, v).reshape(*v.shape[:-1], -1, layer.mode.heads)
    if layer.pure is not None:
        z = activate(heads, m[..., 0], tables, watch, "heads")
        return _pure(layer, layer.pure, z, table, frac, watch)

    def squash(value: Int, name: str) -> Int:
        scaled = saturate(value << heads.shift, 32)
        return lookup(table, saturate(scaled, 22, watch, name + BEFORE_TABLE))

    if heads.activation is Activation.LINEAR:
        targets = saturate(saturate(m[..., :2] << heads.shift, 32), 16, watch, "heads")
        f1, f2 = targets[..., 0], targets[..., 1]
    else:
        f1, f2 = squash(m[..., 0], "heads"), squash(m[..., 1], "heads")
    if layer.dt_fixed:
        s = squash(m[..., 2], "gate")
    else:
        step = m[..., 2] * frac[..., None] + (1 << (31 - layer.gate_shift))
        s = squash(m[..., 3] + (step >> (32 - layer.gate_shift)), "gate")
    new: Int
    if layer.mode.gated:
        new = saturate(((f1 + f2) >> 1) + (((f2 - f1) * s) >> 16), 16, watch, "state")
    else:
        new = (f1 + (f2 >> 1) + ((f2 * s) >> 16) + 1) >> 1
    return new


def _pure(layer: Layer, pure: Pure, z: Int, table: Table, frac: Int, watch: Watch = None) -> Int:
    """SPEC.md 3.5. z (..., H)."""
    gate = layer.gate_shift
    elapsed = ((np.abs(z) + pure.tau) * frac[..., None] + (1 << (31 - gate))) >> (32 - gate)
    root = lookup(table, saturate(elapsed, 22, watch, "elapsed" + BEFORE_TABLE))
    e = (root * root + (1 << 14)) >> 15
    p = (e * z + (1 << 14)) >> 15
    return saturate(pure.a + ((pure.gain * (p << 15) + (1 << 31)) >> 32), 16, watch, "state")


def lstm(
    matrix: Matrix,
    cell_shift: int,
    tables: tuple[Table, ...],
    v: Int,
    c: Int,
    watch: Watch = None,
) -> tuple[Int, Int]:
    """New hidden and cell state of an LSTM over the vector v (SPEC.md 3.6)."""
    gates = activate(matrix, rows(matrix, v), tables, watch, "lstm gates")
    gates = gates.reshape(*v.shape[:-1], -1, 4)
    i, f, g, o = (gates[..., k] for k in range(4))
    kept = c * (32768 + f) + (((32768 + i) * g) >> cell_shift)
    c = saturate((kept + (1 << 15)) >> 16, 16, watch, "cell")
    u = saturate(c << (3 + cell_shift), 22, watch, "cell" + BEFORE_TABLE)
    squashed = lookup(tables[matrix.table], u)
    return ((32768 + o) * squashed + (1 << 15)) >> 16, c


def gru(layer: Layer, tables: tuple[Table, ...], x: Int, h: Int, watch: Watch = None) -> Int:
    """New state of a GRU layer (SPEC.md 3.7). x: with dt where it is an input, without filling."""
    gates, hidden, inputs = layer.matrices
    filled = np.concatenate([x, np.zeros((*x.shape[:-1], -x.shape[-1] % 4), np.int64)], axis=-1)
    v = np.concatenate([filled, h], axis=-1)
    gate = activate(gates, rows(gates, v), tables, watch, "gates").reshape(*v.shape[:-1], -1, 2)
    r, z = gate[..., 0], gate[..., 1]
    p = activate(inputs, rows(inputs, filled), tables, watch, "input candidate")
    q = activate(hidden, rows(hidden, h), tables, watch, "hidden candidate")
    w = (p << 15) + (((32768 + r) * q) >> 1)
    u = saturate(w >> (12 - layer.state_shift), 22, watch, "candidate" + BEFORE_TABLE)
    n = lookup(tables[gates.table], u)
    new: Int = (n * (32768 - z) + h * (32768 + z) + (1 << 15)) >> 16
    return new


def ltc(
    layer: LtcNumbers, tables: tuple[Table, ...], x: Int, v: Int, frac: Int, watch: Watch = None
) -> Int:
    """New potentials of an LTC layer (SPEC.md 3.8). x (..., I), v (..., N), frac (...)."""
    sensory = int(layer.sensory.sum())
    parts = slice(sensory), slice(sensory, None)
    time = frac[..., None]

    def currents(k: int, values: Int) -> tuple[Int, Int]:
        part = parts[k]
        product = (layer.slope[part] * (values[..., layer.source[part]] << 15) + (1 << 31)) >> 32
        name = ("sensory synapses", "synapses")[k] + BEFORE_TABLE
        u = saturate(product + layer.offset[part], 22, watch, name)
        u = lookup(tables[layer.table], u)
        n, d = ((u * w[part]) @ layer.sums[k] for w in (layer.w_num, layer.w_den))
        return n.astype(np.int64), d.astype(np.int64)

    numerator, denominator = currents(0, x)
    for _ in range(layer.unfolds):
        n, d = currents(1, v)
        n, d = n + numerator + layer.num, d + denominator + layer.den
        top = layer.capacity * v + (((n * time) >> 31) << 15)
        bottom = layer.capacity + ((d * time) >> 31)
        shift = np.maximum(0, _bit_length(bottom) - 16)
        top, bottom = top >> shift, bottom >> shift
        v = np.clip((top + (bottom >> 1)) // bottom, -32768, 32767)
        v = np.where(top >= 32767 * bottom, 32767, v)
        v = np.where(top <= -32768 * bottom, -32768, v)
        if watch is not None:
            watch("potentials", (top > 32767 * bottom) | (top < -32768 * bottom))
    return v


def _bit_length(value: Int) -> Int:
    """Bit lengths of numbers from 0 to 2^53."""
    return np.frexp(value.astype(np.float64))[1].astype(np.int64)


def clamped_steps(model: ModelFile, dt: Int) -> Clipped:
    """Which elapsed times (ticks, any shape) are not what a step computes with: those above
    dt_max, and those that are not the fixed dt of each layer that has one. `clamped` counts them.
    """
    found: Clipped = dt > model.dt_max
    for layer in model.layers:
        if layer.dt_fixed:
            found = found | (dt != layer.dt_fixed)
    return found


class Reference:
    """A model with its state; `lanes` independent sequences are stepped together when it is given.

    Shapes below are without lanes; with lanes every array has the lane axis first. observe: told
    at every step, for each layer and tensor, which values saturated.
    """

    def __init__(
        self, model: ModelFile, lanes: int | None = None, observe: Observer | None = None
    ) -> None:
        self.model = model
        self._watches: list[Watch] = [
            observe and partial(observe, number) for number in range(len(model.layers))
        ]
        self._lanes = () if lanes is None else (lanes,)
        self.reset()

    def reset(self) -> None:
        """State and counter of clamped steps to 0."""
        self._states = [
            [np.zeros((*self._lanes, size), np.int64) for size in layer.state_sizes]
            for layer in self.model.layers
        ]
        self.clamped = 0

    @property
    def state(self) -> Int16:
        """The state, int16 (state_size,)."""
        parts = [part for parts in self._states for part in parts]
        return np.concatenate(parts, axis=-1).astype(np.int16) if parts else self._no_state

    @state.setter
    def state(self, value: ArrayLike) -> None:
        flat = np.asarray(value, np.int64)
        if flat.shape != (*self._lanes, self.model.state_size):
            raise ValueError(
                f"state: expected {self.model.state_size} values, got shape {flat.shape}"
            )
        end = 0
        for parts in self._states:
            for k, part in enumerate(parts):
                end += part.shape[-1]
                parts[k] = flat[..., end - part.shape[-1] : end]

    @property
    def _no_state(self) -> Int16:
        return np.zeros((*self._lanes, 0), np.int16)

    def step(self, x: ArrayLike, dt: ArrayLike) -> Int16:
        """One step: x int16 (input_size,), dt ticks, 1 or more. Returns y int16 (output_size,)."""
        return self.step_layers(x, dt)[-1][0].astype(np.int16)

    def step_layers(self, x: ArrayLike, dt: ArrayLike) -> list[tuple[Int, tuple[Int, ...]]]:
        """One step: the output and the state of every layer."""
        ticks = np.asarray(dt, np.int64)
        if (ticks < 1).any():
            raise ValueError(f"dt: expected 1 or more ticks, got {ticks.min()}")
        self.clamped += int(clamped_steps(self.model, ticks).sum())
        frac = np.minimum(ticks, self.model.dt_max) << (31 - self.model.dt_max.bit_length())
        v = np.asarray(x, np.int64)
        if v.shape != (*self._lanes, self.model.input_size):
            raise ValueError(f"x: expected {self.model.input_size} values, got shape {v.shape}")
        after = []
        for layer, state, watch in zip(
            self.model.layers, self._states, self._watches, strict=True
        ):
            v = self._layer(layer, v, state, frac, watch)
            after.append((v, tuple(state)))
        return after

    def _layer(self, layer: Layer, x: Int, state: list[Int], frac: Int, watch: Watch) -> Int:
        """Output of a layer; its state is replaced in place."""
        tables = self.model.tables
        if layer.kind is Kind.DENSE:
            (matrix,) = layer.matrices
            return activate(matrix, rows(matrix, x), tables, watch)
        if layer.kind is Kind.LTC:
            assert layer.ltc is not None
            state[0] = ltc(layer.ltc, tables, x, state[0], frac, watch)
            return state[0][..., : layer.output_size]
        if layer.kind in (Kind.LSTM, Kind.GRU) and layer.mode is Mode.DT_INPUT:
            x = np.concatenate([x, (frac >> 16)[..., None]], axis=-1)
        if layer.kind is Kind.GRU:
            state[0] = gru(layer, tables, x, state[0], watch)
        if layer.kind in (Kind.LSTM, Kind.MIXED):
            v = np.concatenate([x, state[0]], axis=-1)
            state[:] = lstm(layer.matrices[0], layer.cell_shift, tables, v, state[1], watch)
        if layer.kind.is_cfc:
            state[0] = cfc(layer, tables, x, state[0], frac, watch)
        return state[0]

    def run(self, x: ArrayLike, dt: ArrayLike) -> Int16:
        """Steps: x (T, input_size), dt (T,) ticks. Returns y (T, output_size)."""
        xs, dts = np.asarray(x), np.asarray(dt)
        axis = len(self._lanes)
        steps = [
            self.step(np.take(xs, t, axis=axis), np.take(dts, t, axis=axis))
            for t in range(dts.shape[-1])
        ]
        if not steps:
            return np.zeros((*self._lanes, 0, self.model.output_size), np.int16)
        return np.stack(steps, axis=axis)
