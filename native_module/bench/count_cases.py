"""Models and cases for the bare-metal bench (native_module/bench/bench.c)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .engines.reference import Reference
from .format import container
from .format.model import Activation, Int, Int16, Kind, Layer, Matrix, Mode, ModelFile
from .format.tables import tanh_table

HIDDEN_SIZES = (16, 32, 64, 128)
FORMATS = {"int8": 8, "int16": 16}
INPUTS = 8
STEPS, COUNTED = 8, 5
DT_FIXED = 10_000


@dataclass(frozen=True)
class Case:
    """A model, what it is fed, and the step that is counted.

    x: (steps, inputs); dt: (steps,) ticks.
    """

    model: ModelFile
    x: Int16
    dt: Int
    counted: int = COUNTED


def _matrix(
    rng: np.random.Generator, rows: int, columns: int, bits: int, unit: float = 1.0
) -> Matrix:
    """Rows like those of a trained network: pre-activations around 1. unit: scales the result."""
    weights = rng.standard_normal((rows, columns)) * 1.5 / np.sqrt(columns)
    # int16: 32768 * sum(|w|) + |bias| must fit 31 bits (SPEC.md 2.5).
    size = np.abs(weights)
    scale = size.max(axis=1) / 127 if bits == 8 else size.sum(axis=1) / 64000
    rounded = np.round(weights / scale[:, None]).astype(np.int64)
    bias = np.round(0.1 * rng.standard_normal(rows) / scale * 32768).astype(np.int64)
    bias = np.clip(bias, -(2**24), 2**24)
    multiplier = np.round(scale * 2.0**35).astype(np.int64)
    return Matrix(rounded, bias, multiplier, bits, Activation.TABLE)


def bench_model(
    bits: int, hidden: int, inputs: int = INPUTS, seed: int = 1, dt_fixed: int = 0
) -> ModelFile:
    """A CfC layer with one backbone layer as wide as its state, and nothing behind it.

    dt_fixed: ticks, for heads with a fixed dt.
    """
    rng = np.random.default_rng([seed, bits, hidden])
    backbone = _matrix(rng, hidden, inputs + hidden, bits)
    mode = Mode.DEFAULT_FIXED_DT if dt_fixed else Mode.DEFAULT
    heads = _matrix(rng, mode.heads * hidden, hidden, bits)
    layer = Layer(Kind.CFC, (backbone, heads), inputs, hidden, mode, dt_fixed=dt_fixed)
    return ModelFile(
        input_scale=np.full(inputs, 1 / 32768, np.float32),
        input_offset=np.zeros(inputs, np.float32),
        output_scale=np.full(hidden, 1 / 32768, np.float32),
        output_offset=np.zeros(hidden, np.float32),
        tick_ns=1000,
        dt_max=1_000_000,
        tables=(tanh_table(),),
        layers=(layer,),
        meta={"name": f"bench H={hidden} int{bits}"},
        dialect="ulnn",
    )


def bench_case(bits: int, hidden: int, dt_fixed: int = 0) -> Case:
    """A bench model with random inputs and elapsed times, or the fixed one."""
    rng = np.random.default_rng(hidden)
    x = rng.integers(-20000, 20001, (STEPS, INPUTS)).astype(np.int16)
    dt = rng.integers(1, 1_000_001, STEPS).astype(np.int64)
    if dt_fixed:
        dt[:] = dt_fixed
    return Case(bench_model(bits, hidden, dt_fixed=dt_fixed), x, dt)


def bundle(cases: Sequence[Case]) -> bytes:
    """The cases as bench.c reads them, with the outputs of the reference."""
    end = _align(4 + 32 * len(cases))
    parts: list[tuple[int, bytes]] = []

    def place(data: bytes) -> int:
        nonlocal end
        at = end
        parts.append((at, data))
        end = _align(at + len(data))
        return at

    heads: list[list[int]] = []
    for case in cases:
        file = container.write(case.model)
        y: NDArray[np.int16] = Reference(case.model).run(case.x, case.dt)
        head = [place(file), len(file), len(case.dt), case.counted]
        head += [place(case.x.astype("<i2").tobytes()), place(case.dt.astype("<u4").tobytes())]
        head.append(place(y.astype("<i2").tobytes()))
        heads.append(head)
    image = bytearray(end)
    struct.pack_into("<I", image, 0, len(cases))
    for index, head in enumerate(heads):
        struct.pack_into("<8I", image, 4 + 32 * index, *head, end)
    for at, data in parts:
        image[at : at + len(data)] = data
    return bytes(image)


def _align(offset: int) -> int:
    return (offset + 15) & ~15
