"""Random integer models: valid files with any shapes, shifts and weights, extreme ones included.

They need not compute anything sensible: they exercise the arithmetic of SPEC.md, not training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from ulnn_host.engines.reference import Reference
from ulnn_host.format import container
from ulnn_host.format.model import (
    Activation,
    Golden,
    Int,
    Kind,
    Layer,
    LtcNumbers,
    Matrix,
    Mode,
    ModelFile,
    Pure,
)
from ulnn_host.format.tables import decay_table, erf_table, tanh_table

TABLES = (tanh_table(), erf_table(), decay_table())
Strategy = st.SearchStrategy["Shape"]


@dataclass(frozen=True)
class Shape:
    """What a random model looks like. Activations: one per backbone layer.

    dt_fixed: ticks, for the form of `mode` with a fixed dt. density: share of the columns that a
    sparse matrix lists, 0: dense; of LTC synapses, 0: all. motor: outputs of an LTC of `hidden`
    neurons. linear: heads without an activation (CfC with variable dt). activation: of dense
    layers, those of kind DENSE and the one of `outputs` rows behind all others.
    """

    kind: Kind = Kind.CFC
    inputs: int = 3
    hidden: int = 8
    backbone: tuple[tuple[int, Activation], ...] = ((8, Activation.TABLE),)
    mode: Mode = Mode.DEFAULT
    weight_bits: int = 8
    outputs: int | None = 2
    shift: int = 0
    gate_shift: int = 0
    dt_fixed: int = 0
    dt_max: int = 1_000_000
    layers: int = 1
    extreme: bool = False
    density: float = 0.0
    state_shift: int = 0
    cell_shift: int = 0
    dt_input: bool = False
    linear: bool = False
    unfolds: int = 2
    motor: int = 1
    activation: Activation = Activation.LINEAR


# Every kind after a dense layer of some activation, and before another one.
STACKS = {
    kind.name.lower(): (
        Shape(kind=Kind.DENSE, hidden=6, activation=Activation(number % 4)),
        Shape(
            kind=kind, hidden=5, outputs=4, activation=Activation((number + 1) % 4), gate_shift=2
        ),
        Shape(kind=list(Kind)[number - 1], hidden=7, weight_bits=16, outputs=None),
    )
    for number, kind in enumerate(Kind)
}


def random_matrix(
    rng: np.random.Generator,
    rows: int,
    columns: int,
    shape: Shape,
    activation: Activation,
    table: int = 0,
) -> Matrix:
    """A matrix within the accumulator bound of SPEC.md 2.5; `extreme` goes to the bound."""
    top = 127 if shape.weight_bits == 8 else 32767
    weights: Int = rng.integers(-top - 1, top + 1, (rows, columns))
    if shape.extreme:
        weights = np.where(rng.random((rows, columns)) < 0.5, top, -top - 1)
    room = 2**31 - 1
    sums = np.abs(weights).sum(axis=1, keepdims=True) * 32768
    weights = np.trunc(weights * np.minimum(1.0, 0.9 * room / np.maximum(sums, 1))).astype(
        np.int64
    )
    left = room - 32768 * np.abs(weights).sum(axis=1)
    bias = (rng.uniform(-1, 1, rows) * left * (1.0 if shape.extreme else 0.2)).astype(np.int64)
    spread = np.abs(weights).sum(axis=1) * 8000.0 + np.abs(bias) + 1
    wanted = (
        2.0 ** rng.uniform(17, 21, rows) if activation >= 2 else 2.0 ** rng.uniform(12, 16, rows)
    )
    multiplier = np.minimum(wanted / spread * 2.0 ** (32 - shape.shift), room).astype(np.int64)
    if shape.extreme:
        multiplier = rng.choice(np.array([0, 1, room // 3, room]), rows)
    gated = activation is Activation.GATED
    return Matrix(
        weights=weights,
        bias=bias,
        multiplier=multiplier,
        weight_bits=shape.weight_bits,
        activation=activation,
        shift=shape.shift,
        output_shift=int(rng.integers(0, 15)) if gated else 0,
        table=table if activation >= 2 else 0,
    )


def _matrix(
    rng: np.random.Generator,
    rows: int,
    columns: int,
    shape: Shape,
    activation: Activation,
    table: int = 0,
) -> Matrix:
    """A random matrix, sparse where the shape is."""
    matrix = random_matrix(rng, rows, columns, shape, activation, table)
    if not shape.density:
        return matrix
    groups = -(-rows // 4)
    used = rng.random((groups, columns)) < shape.density
    used[np.arange(groups), rng.integers(0, columns, groups)] = True
    weights = np.where(used.repeat(4, axis=0)[:rows], matrix.weights, 0)
    lists = tuple(tuple(int(c) for c in np.flatnonzero(row)) for row in used)
    return replace(matrix, weights=weights, lists=lists)


def _cfc(rng: np.random.Generator, shape: Shape, incoming: int) -> Layer:
    mixed = shape.kind is Kind.MIXED
    columns = incoming + shape.hidden
    matrices: list[Matrix] = []
    if mixed:
        matrices.append(_matrix(rng, 4 * shape.hidden, columns, shape, Activation.TABLE))
    for units, activation in shape.backbone:
        table = int(rng.integers(0, 2)) if activation is Activation.GATED else 0
        matrices.append(_matrix(rng, units, columns, shape, activation, table))
        columns = units
    pure = shape.mode is Mode.PURE
    fixed = bool(shape.dt_fixed) and not pure
    mode = shape.mode.with_fixed_dt if fixed else shape.mode
    linear = pure or (shape.linear and not fixed)
    activation = Activation.LINEAR if linear else Activation.TABLE
    heads = _matrix(rng, mode.heads * shape.hidden, columns, shape, activation)
    numbers = None
    if pure:
        heads = replace(heads, table=2)
        top = 2**30 if shape.extreme else 2**16
        gain = 2**31 - 1 if shape.extreme else 2**17
        numbers = Pure(
            rng.integers(0, top + 1, shape.hidden),
            rng.integers(-32768, 32768, shape.hidden),
            rng.integers(-gain - 1, gain + 1, shape.hidden),
        )
    return Layer(
        shape.kind,
        (*matrices, heads),
        incoming,
        shape.hidden,
        mode,
        0 if fixed else shape.gate_shift,
        min(shape.dt_fixed, shape.dt_max) if fixed else 0,
        shape.state_shift if pure else 0,
        shape.cell_shift if mixed else 0,
        numbers,
    )


def _recurrent(rng: np.random.Generator, shape: Shape, incoming: int) -> Layer:
    """An LSTM or GRU layer."""
    size = shape.hidden
    columns = incoming + shape.dt_input
    mode = Mode.DT_INPUT if shape.dt_input else Mode.DEFAULT
    if shape.kind is Kind.LSTM:
        gates = _matrix(rng, 4 * size, columns + size, shape, Activation.TABLE)
        return Layer(shape.kind, (gates,), incoming, size, mode, cell_shift=shape.cell_shift)
    filled = columns + -columns % 4
    matrices = (
        _matrix(rng, 2 * size, filled + size, shape, Activation.TABLE),
        _matrix(rng, size, size, shape, Activation.LINEAR),
        _matrix(rng, size, filled, shape, Activation.LINEAR),
    )
    return Layer(shape.kind, matrices, incoming, size, mode, state_shift=shape.state_shift)


def _ltc(rng: np.random.Generator, shape: Shape, incoming: int) -> Layer:
    size = shape.hidden
    motor = min(shape.motor, size)
    used = rng.random((incoming + size, size)) < (shape.density or 1.0)
    to, source = np.nonzero(used.T)
    inner = source >= incoming
    order = np.argsort(inner, kind="stable")
    to, source, inner = to[order], source[order], inner[order]
    count = len(source)
    number = np.maximum(1, np.bincount(to, minlength=size))
    top = 65535 // (2 * number) if shape.extreme else 20000 // number
    w_den = rng.integers(-top[to], top[to] + 1)
    w_num = rng.integers(-2 * top[to], 2 * top[to] + 1)
    w_den, w_num = (np.clip(w, -32768, 32767) for w in (w_den, w_num))
    to_den, to_num = (
        32768 * np.bincount(to, np.abs(w), size).astype(np.int64) for w in (w_den, w_num)
    )
    room = 2**31 - 1
    share = 1.0 if shape.extreme else 0.1
    den = to_den + ((room - 2 * to_den) * rng.random(size) * share).astype(np.int64)
    num = ((room - to_num) * rng.uniform(-share, share, size)).astype(np.int64)
    slope_top = 2**31 if shape.extreme else 2**22
    return Layer(
        Kind.LTC,
        (),
        incoming,
        motor,
        ltc=LtcNumbers(
            shape.unfolds,
            0,
            np.bincount(to[~inner], minlength=size),
            np.bincount(to[inner], minlength=size),
            np.where(inner, source - incoming, source),
            num,
            den,
            rng.choice(np.array([1, 2**20, 2**26, 2**30]), size),
            rng.integers(-slope_top, slope_top, count),
            rng.integers(-(2**20), 2**20 + 1, count) * (2**10 if shape.extreme else 1),
            w_den,
            w_num,
        ),
    )


def _dense(rng: np.random.Generator, shape: Shape, incoming: int, rows: int) -> Layer:
    table = int(rng.integers(0, 2)) if shape.activation is Activation.GATED else 0
    matrix = _matrix(rng, rows, incoming, shape, shape.activation, table)
    return Layer(Kind.DENSE, (matrix,), incoming, rows)


def random_model(seed: int, shape: Shape) -> ModelFile:
    """A valid model of that shape."""
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []
    incoming = shape.inputs
    for _ in range(shape.layers):
        if shape.kind is Kind.DENSE:
            layers.append(_dense(rng, shape, incoming, shape.hidden))
        elif shape.kind is Kind.LTC:
            layers.append(_ltc(rng, shape, incoming))
        elif shape.kind.is_cfc:
            layers.append(_cfc(rng, shape, incoming))
        else:
            layers.append(_recurrent(rng, shape, incoming))
        incoming = layers[-1].output_size
    if shape.outputs is not None:
        layers.append(_dense(rng, shape, incoming, shape.outputs))
        incoming = shape.outputs
    return ModelFile(
        input_scale=np.full(shape.inputs, 1 / 32768, np.float32),
        input_offset=np.zeros(shape.inputs, np.float32),
        output_scale=np.full(incoming, 1 / 32768, np.float32),
        output_offset=np.zeros(incoming, np.float32),
        tick_ns=1000,
        dt_max=shape.dt_max,
        tables=TABLES,
        layers=tuple(layers),
        meta={"name": f"random {seed}"},
        dialect="ulnn",
    )


def random_stack(seed: int, shapes: Sequence[Shape]) -> ModelFile:
    """The layers of random models one after the other. Each takes what the one before puts out,
    and the first one's dt_max."""
    first = random_model(seed, shapes[0])
    layers, last = first.layers, first
    for k, shape in enumerate(shapes[1:], 1):
        fitting = replace(shape, inputs=last.output_size, dt_max=first.dt_max)
        last = random_model(seed + k, fitting)
        layers += last.layers
    return replace(
        first, layers=layers, output_scale=last.output_scale, output_offset=last.output_offset
    )


def trimmed(model: ModelFile) -> ModelFile:
    """The same without tables that it does not use, which is quicker to send to a board."""
    used = [matrix.table for layer in model.layers for matrix in layer.matrices]
    return replace(model, tables=model.tables[: 1 + max(used, default=0)])


def random_input(seed: int, model: ModelFile, steps: int) -> tuple[Int, Int]:
    """x int16 (steps, I) and dt ticks (steps,), extremes and clamped elapsed times among them."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-32768, 32768, (steps, model.input_size))
    x[rng.random(x.shape) < 0.05] = -32768
    x[rng.random(x.shape) < 0.05] = 32767
    dt = np.maximum(1, (model.dt_max * rng.random(steps) * 1.1).astype(np.int64))
    dt[rng.random(steps) < 0.05] = 1
    if model.dt_fixed:
        dt[rng.random(steps) < 0.5] = model.dt_fixed
    return x.astype(np.int16), np.minimum(dt, 2**31 - 1)


def shapes(inputs: int = 20, hidden: int = 40, units: int = 20, depth: int = 4) -> Strategy:
    """Shapes up to these sizes, extreme times, shifts and weights among them."""
    backbones = st.lists(
        st.tuples(
            st.integers(1, units),
            st.sampled_from([Activation.RELU, Activation.TABLE, Activation.GATED]),
        ),
        max_size=depth,
    ).map(tuple)
    return st.builds(
        Shape,
        inputs=st.integers(1, inputs),
        hidden=st.integers(1, hidden),
        backbone=backbones,
        kind=st.sampled_from(Kind),
        mode=st.sampled_from([Mode.DEFAULT, Mode.NO_GATE, Mode.PURE]),
        density=st.just(0.0) | st.floats(0.05, 1.0),
        state_shift=st.integers(0, 8),
        cell_shift=st.integers(0, 8),
        dt_input=st.booleans(),
        linear=st.booleans(),
        unfolds=st.integers(1, 3),
        motor=st.integers(1, 9),
        weight_bits=st.sampled_from([8, 16]),
        outputs=st.none() | st.integers(1, 9),
        shift=st.integers(0, 8),
        gate_shift=st.integers(0, 12),
        dt_fixed=st.just(0) | st.integers(1, 2**31 - 1),
        dt_max=st.integers(1, 2**31 - 1) | st.sampled_from([1, 2, 3, 2**30, 2**31 - 1]),
        layers=st.integers(1, 3),
        extreme=st.booleans(),
        activation=st.sampled_from(Activation),
    )


def stacks(size: int = 8) -> st.SearchStrategy[list[Shape]]:
    """Two to four small shapes for random_stack: every kind before and after every other."""
    return st.lists(shapes(size, size, size, 2), min_size=2, max_size=4)


def with_golden(model: ModelFile, steps: int = 6) -> bytes:
    """The model's file with golden vectors of the reference."""
    x, dt = random_input(1, model, steps)
    reference = Reference(model)
    y = reference.run(x, dt)
    return container.write(replace(model, golden=Golden(dt, x, y, reference.state)))
