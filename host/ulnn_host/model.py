"""The integer model: what a `.ulnn` file holds, as dataclasses (SPEC.md sections 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Int = NDArray[np.int64]
Int16 = NDArray[np.int16]
Float = NDArray[np.float32]

DIALECTS = {1: "ncps.torch", 2: "ncps.keras", 3: "raminmh.torch", 4: "raminmh.tf", 5: "ulnn"}
DT_LIMIT = 2**31 - 1


class Kind(IntEnum):
    """Kind of a layer."""

    CFC = 1
    DENSE = 2


class Mode(IntEnum):
    """Mode of a CfC layer; a dense layer has DEFAULT."""

    DEFAULT = 0
    NO_GATE = 1
    DEFAULT_FIXED_DT = 2
    NO_GATE_FIXED_DT = 3

    @property
    def gated(self) -> bool:
        """Whether the gate weighs both heads (`default`), not only the second (`no_gate`)."""
        return self in (Mode.DEFAULT, Mode.DEFAULT_FIXED_DT)

    @property
    def heads(self) -> int:
        """Rows a neuron has in the heads: 4, with a fixed dt 3."""
        return 3 if self >= Mode.DEFAULT_FIXED_DT else 4

    @property
    def with_fixed_dt(self) -> Mode:
        """The same mode with a fixed dt."""
        return Mode.DEFAULT_FIXED_DT if self.gated else Mode.NO_GATE_FIXED_DT


class Activation(IntEnum):
    """What follows a row of a matrix (SPEC.md 3.2)."""

    LINEAR = 0
    RELU = 1
    TABLE = 2
    GATED = 3


@dataclass(frozen=True)
class Table:
    """512 line segments over -8 .. 8 (SPEC.md 2.4): slope and offset, int16 each."""

    slope: Int16
    offset: Int16


@dataclass(frozen=True)
class Matrix:
    """Integer rows and what follows them.

    weights: (rows, columns), int8 or int16 range; bias: (rows,) int32; multiplier: (rows,) int32,
    0 or more.
    """

    weights: Int
    bias: Int
    multiplier: Int
    weight_bits: int
    activation: Activation
    shift: int = 0
    output_shift: int = 0
    table: int = 0

    @cached_property
    def float_weights(self) -> NDArray[np.float64]:
        """The weights as float64, which holds them exactly and multiplies faster."""
        return self.weights.astype(np.float64)

    @property
    def rows(self) -> int:
        """Rows without filling."""
        return int(self.weights.shape[0])

    @property
    def columns(self) -> int:
        """Columns without filling."""
        return int(self.weights.shape[1])


@dataclass(frozen=True)
class Layer:
    """A layer: CfC (backbone matrices, then the heads) or dense (one matrix).

    dt_fixed: ticks, in the modes with a fixed dt; 0 in others.
    """

    kind: Kind
    matrices: tuple[Matrix, ...]
    input_size: int
    output_size: int
    mode: Mode = Mode.DEFAULT
    gate_shift: int = 0
    dt_fixed: int = 0

    @property
    def state_size(self) -> int:
        """Number of int16 state values."""
        return self.output_size if self.kind is Kind.CFC else 0


@dataclass(frozen=True)
class Golden:
    """Golden vectors from a reset model.

    dt (steps,) ticks, x (steps, I), y (steps, O), state (S,) after the last step.
    """

    dt: Int
    x: Int16
    y: Int16
    state: Int16


@dataclass(frozen=True)
class ModelFile:
    """A whole model.

    Scales and offsets: float32 (input_size,) and (output_size,); tick in ns; dt_max in ticks.
    """

    input_scale: Float
    input_offset: Float
    output_scale: Float
    output_offset: Float
    tick_ns: int
    dt_max: int
    tables: tuple[Table, ...]
    layers: tuple[Layer, ...]
    golden: Golden | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    dialect: str = "ncps.torch"
    model_version: int = 1
    sha256: str = ""
    file_size: int = 0

    @property
    def input_size(self) -> int:
        """Number of inputs of a step."""
        return int(self.input_scale.shape[0])

    @property
    def output_size(self) -> int:
        """Number of outputs of a step."""
        return int(self.output_scale.shape[0])

    @property
    def state_size(self) -> int:
        """Number of int16 state values of all layers."""
        return sum(layer.state_size for layer in self.layers)

    @property
    def weight_bits(self) -> int:
        """The largest weight width in the file."""
        return max(matrix.weight_bits for layer in self.layers for matrix in layer.matrices)

    @property
    def dt_fixed(self) -> int:
        """Fixed dt in ticks of the first layer that has one; 0 without."""
        return next((layer.dt_fixed for layer in self.layers if layer.dt_fixed), 0)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a step, without filling."""
        return sum(m.rows * m.columns for layer in self.layers for m in layer.matrices)

    def quantise_input(self, x: ArrayLike) -> Int16:
        """Real inputs (..., input_size) to int16, rounded to nearest even and saturated."""
        real = (np.asarray(x, np.float64) - self.input_offset) / self.input_scale
        return np.clip(np.rint(real), -32768, 32767).astype(np.int16)

    def dequantise_output(self, y: ArrayLike) -> Float:
        """Integer outputs (..., output_size) to real values, float32."""
        real = np.asarray(y, np.float64) * self.output_scale + self.output_offset
        return real.astype(np.float32)

    def ticks(self, dt_seconds: ArrayLike) -> Int:
        """Elapsed seconds to ticks, at least 1. Raises ValueError for a dt that is not above 0."""
        seconds = np.asarray(dt_seconds, np.float64)
        good = np.isfinite(seconds) & (seconds > 0)
        if not good.all():
            raise ValueError(f"dt: expected seconds above 0, got {seconds[~good].flat[0]}")
        ticks = np.minimum(np.rint(seconds * 1e9 / self.tick_ns), DT_LIMIT)
        return np.maximum(ticks, 1).astype(np.int64)
