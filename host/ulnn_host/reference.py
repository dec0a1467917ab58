"""The numpy reference engine: SPEC.md section 3, formula by formula, in exact 64-bit integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .model import Activation, Int, Int16, Kind, Layer, Matrix, ModelFile, Table


def saturate(value: Int, bits: int) -> Int:
    """satN of SPEC.md."""
    top = (1 << (bits - 1)) - 1
    limited: Int = np.maximum(np.minimum(value, top), -top - 1)
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


def activate(matrix: Matrix, m: Int, tables: tuple[Table, ...]) -> Int:
    """What follows a row in a dense or backbone matrix (SPEC.md 3.2)."""
    p = saturate(m << matrix.shift, 32)
    if matrix.activation is Activation.LINEAR:
        return saturate(p, 16)
    if matrix.activation is Activation.RELU:
        return saturate(np.maximum(0, p), 16)
    g = lookup(tables[matrix.table], saturate(p, 22))
    if matrix.activation is Activation.TABLE:
        return g
    return saturate((p * ((32768 + g) << matrix.output_shift) + (1 << 31)) >> 32, 16)


def cfc(layer: Layer, tables: tuple[Table, ...], x: Int, h: Int, frac: Int) -> Int:
    """New state of a CfC layer (SPEC.md 3.3 and 3.4).

    x (..., I), h (..., H), frac (...): one elapsed time a vector.
    """
    v = np.concatenate([x, h], axis=-1)
    for matrix in layer.matrices[:-1]:
        v = activate(matrix, rows(matrix, v), tables)
    heads = layer.matrices[-1]
    table = tables[heads.table]
    m = rows(heads, v).reshape(*v.shape[:-1], -1, layer.mode.heads)

    def squash(value: Int) -> Int:
        return lookup(table, saturate(saturate(value << heads.shift, 32), 22))

    f1, f2 = squash(m[..., 0]), squash(m[..., 1])
    if layer.dt_fixed:
        s = squash(m[..., 2])
    else:
        step = m[..., 2] * frac[..., None] + (1 << (31 - layer.gate_shift))
        s = squash(m[..., 3] + (step >> (32 - layer.gate_shift)))
    new: Int
    if layer.mode.gated:
        new = ((f1 + f2) >> 1) + (((f2 - f1) * s) >> 16)
    else:
        new = (f1 + (f2 >> 1) + ((f2 * s) >> 16) + 1) >> 1
    return new


class Reference:
    """A model with its state; `lanes` independent sequences are stepped together when it is given.

    Shapes below are without lanes; with lanes every array has the lane axis first.
    """

    def __init__(self, model: ModelFile, lanes: int | None = None) -> None:
        self.model = model
        self._lanes = () if lanes is None else (lanes,)
        self.reset()

    def reset(self) -> None:
        """State and counter of clamped steps to 0."""
        self._states = [
            np.zeros((*self._lanes, n.state_size), np.int64) for n in self.model.layers
        ]
        self.clamped = 0

    @property
    def state(self) -> Int16:
        """The state, int16 (state_size,)."""
        return np.concatenate(self._states, axis=-1).astype(np.int16)

    @state.setter
    def state(self, value: ArrayLike) -> None:
        flat = np.asarray(value, np.int64)
        if flat.shape != (*self._lanes, self.model.state_size):
            raise ValueError(
                f"state: expected {self.model.state_size} values, got shape {flat.shape}"
            )
        ends = np.cumsum([layer.state_size for layer in self.model.layers])[:-1]
        self._states = list(np.split(flat, ends, axis=-1))

    def step(self, x: ArrayLike, dt: ArrayLike) -> Int16:
        """One step: x int16 (input_size,), dt ticks, 1 or more. Returns y int16 (output_size,)."""
        ticks = np.asarray(dt, np.int64)
        if (ticks < 1).any():
            raise ValueError(f"dt: expected 1 or more ticks, got {ticks.min()}")
        replaced = ticks > self.model.dt_max
        for layer in self.model.layers:
            replaced = replaced | ((layer.dt_fixed != 0) & (ticks != layer.dt_fixed))
        self.clamped += int(replaced.sum())
        frac = np.minimum(ticks, self.model.dt_max) << (31 - self.model.dt_max.bit_length())
        v = np.asarray(x, np.int64)
        if v.shape != (*self._lanes, self.model.input_size):
            raise ValueError(f"x: expected {self.model.input_size} values, got shape {v.shape}")
        for k, layer in enumerate(self.model.layers):
            if layer.kind is Kind.CFC:
                v = self._states[k] = cfc(layer, self.model.tables, v, self._states[k], frac)
            else:
                v = activate(layer.matrices[0], rows(layer.matrices[0], v), self.model.tables)
        return v.astype(np.int16)

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
