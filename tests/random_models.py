"""Random integer models: valid files with any shapes, shifts and weights, extreme ones included.

They need not compute anything sensible: they exercise the arithmetic of SPEC.md, not training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from ulnn_host import container
from ulnn_host.model import Activation, Golden, Int, Kind, Layer, Matrix, Mode, ModelFile
from ulnn_host.reference import Reference
from ulnn_host.tables import erf_table, tanh_table

Strategy = st.SearchStrategy["Shape"]


@dataclass(frozen=True)
class Shape:
    """What a random model looks like. Activations: one per backbone layer.

    dt_fixed: ticks, for the form of `mode` with a fixed dt.
    """

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


def random_model(seed: int, shape: Shape) -> ModelFile:
    """A valid model of that shape."""
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []
    incoming = shape.inputs
    for _ in range(shape.layers):
        columns = incoming + shape.hidden
        matrices: list[Matrix] = []
        for units, activation in shape.backbone:
            table = int(rng.integers(0, 2)) if activation is Activation.GATED else 0
            matrices.append(random_matrix(rng, units, columns, shape, activation, table))
            columns = units
        mode = shape.mode.with_fixed_dt if shape.dt_fixed else shape.mode
        heads = mode.heads * shape.hidden
        matrices.append(random_matrix(rng, heads, columns, shape, Activation.TABLE))
        layers.append(
            Layer(
                Kind.CFC,
                tuple(matrices),
                incoming,
                shape.hidden,
                mode,
                0 if shape.dt_fixed else shape.gate_shift,
                min(shape.dt_fixed, shape.dt_max),
            )
        )
        incoming = shape.hidden
    if shape.outputs is not None:
        head = random_matrix(rng, shape.outputs, incoming, shape, Activation.LINEAR)
        layers.append(Layer(Kind.DENSE, (head,), incoming, shape.outputs))
        incoming = shape.outputs
    return ModelFile(
        input_scale=np.full(shape.inputs, 1 / 32768, np.float32),
        input_offset=np.zeros(shape.inputs, np.float32),
        output_scale=np.full(incoming, 1 / 32768, np.float32),
        output_offset=np.zeros(incoming, np.float32),
        tick_ns=1000,
        dt_max=shape.dt_max,
        tables=(tanh_table(), erf_table()),
        layers=tuple(layers),
        meta={"name": f"random {seed}"},
        dialect="ulnn",
    )


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
        mode=st.sampled_from([Mode.DEFAULT, Mode.NO_GATE]),
        weight_bits=st.sampled_from([8, 16]),
        outputs=st.none() | st.integers(1, 9),
        shift=st.integers(0, 8),
        gate_shift=st.integers(0, 12),
        dt_fixed=st.just(0) | st.integers(1, 2**31 - 1),
        dt_max=st.integers(1, 2**31 - 1) | st.sampled_from([1, 2, 3, 2**30, 2**31 - 1]),
        layers=st.integers(1, 3),
        extreme=st.booleans(),
    )


def with_golden(model: ModelFile, steps: int = 6) -> bytes:
    """The model's file with golden vectors of the reference."""
    x, dt = random_input(1, model, steps)
    reference = Reference(model)
    y = reference.run(x, dt)
    return container.write(replace(model, golden=Golden(dt, x, y, reference.state)))
