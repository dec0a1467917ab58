"""Models and cases for the bare-metal bench (native_module/bench/bench.c)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ulnn_host.board.bench import INPUTS, bench_model
from ulnn_host.engines.reference import Reference
from ulnn_host.format import container
from ulnn_host.format.model import Int, Int16, ModelFile

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
