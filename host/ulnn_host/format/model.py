"""The integer model: what a `.ulnn` file holds, as dataclasses (SPEC.md sections 1 and 2)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .limits import TICKS_MAX

Int = NDArray[np.int64]
Int16 = NDArray[np.int16]
Float = NDArray[np.float32]

FORMAT = (1, 2)
"""Version of the files that are written here, but of those with FEATURES, BEATS or UNKNOWN."""
FEATURES_MINOR, BEATS_MINOR, UNKNOWN_MINOR = 3, 4, 4
DIALECTS = {
    1: "ncps.torch",
    2: "ncps.keras",
    3: "raminmh.torch",
    4: "raminmh.tf",
    5: "ulnn",
    6: "torch",
}


class Kind(IntEnum):
    """Kind of a layer."""

    CFC = 1
    DENSE = 2
    LSTM = 3
    GRU = 4
    LTC = 5
    MIXED = 6

    @property
    def is_cfc(self) -> bool:
        """Whether the layer ends in the heads of a CfC."""
        return self in (Kind.CFC, Kind.MIXED)


class Mode(IntEnum):
    """Mode of a CfC or mixed memory layer. Of LSTM and GRU layers: 1 (DT_INPUT) where dt is an
    input, too; others have DEFAULT."""

    DEFAULT = 0
    NO_GATE = 1
    DEFAULT_FIXED_DT = 2
    NO_GATE_FIXED_DT = 3
    PURE = 4
    DT_INPUT = 1

    @property
    def gated(self) -> bool:
        """Whether the gate weighs both heads (`default`), not only the second (`no_gate`)."""
        return self in (Mode.DEFAULT, Mode.DEFAULT_FIXED_DT)

    @property
    def heads(self) -> int:
        """Rows a neuron has in the heads: 4, with a fixed dt 3, in mode `pure` 1."""
        return {Mode.PURE: 1, Mode.DEFAULT_FIXED_DT: 3, Mode.NO_GATE_FIXED_DT: 3}.get(self, 4)

    @property
    def fixed_dt(self) -> bool:
        """Whether the mode is one with a fixed dt."""
        return self in (Mode.DEFAULT_FIXED_DT, Mode.NO_GATE_FIXED_DT)

    @property
    def with_fixed_dt(self) -> Mode:
        """The same mode with a fixed dt."""
        return Mode.DEFAULT_FIXED_DT if self.gated else Mode.NO_GATE_FIXED_DT


ModeName = Literal["default", "no_gate", "pure"]
# The modes of a CfC's equations, by the names that checkpoints, recipes and options use.
MODES: dict[str, Mode] = {name: Mode[name.upper()] for name in get_args(ModeName)}


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
    0 or more. lists: for each group of four rows its columns (SPEC.md 2.5, sparse stream); None:
    dense. Weights of a sparse matrix are 0 in all columns that its group does not list.
    """

    weights: Int
    bias: Int
    multiplier: Int
    weight_bits: int
    activation: Activation
    shift: int = 0
    output_shift: int = 0
    table: int = 0
    lists: tuple[tuple[int, ...], ...] | None = None

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

    @property
    def macs(self) -> int:
        """Multiply-accumulates, without filling."""
        if self.lists is None:
            return self.rows * self.columns
        return sum(
            len(columns) * min(4, self.rows - 4 * group)
            for group, columns in enumerate(self.lists)
        )

    @property
    def synapses(self) -> int:
        """Connections: columns times groups of four rows, of a sparse matrix the listed ones."""
        if self.lists is None:
            return -(-self.rows // 4) * self.columns
        return sum(map(len, self.lists))

    def sparse(self) -> Matrix:
        """The same matrix with the columns listed in which a group has a weight (at least one)."""
        lists = []
        for first in range(0, self.rows, 4):
            used = np.flatnonzero((self.weights[first : first + 4] != 0).any(axis=0))
            lists.append(tuple(int(c) for c in used) or (0,))
        return dataclasses.replace(self, lists=tuple(lists))


@dataclass(frozen=True)
class Pure:
    """Numbers of the neurons of mode `pure` (SPEC.md 3.5): tau, a, gain, each (H,)."""

    tau: Int
    a: Int
    gain: Int


@dataclass(frozen=True)
class LtcNumbers:
    """An LTC layer's numbers (SPEC.md 2.5.2).

    sensory, internal: number of synapses of each neuron (N,); source: index of each synapse's
    input or neuron, first the sensory ones of all neurons, then the internal ones; num, den,
    capacity: (N,); slope, offset, w_den, w_num: one a synapse, as in source.
    """

    unfolds: int
    table: int
    sensory: Int
    internal: Int
    source: Int
    num: Int
    den: Int
    capacity: Int
    slope: Int
    offset: Int
    w_den: Int
    w_num: Int

    @property
    def neurons(self) -> int:
        """N."""
        return int(self.num.shape[0])

    @property
    def targets(self) -> Int:
        """The neuron that each synapse goes to, in the order of `source`."""
        every = np.arange(self.neurons)
        return np.concatenate([np.repeat(every, self.sensory), np.repeat(every, self.internal)])

    @cached_property
    def sums(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(synapses, N) each, sensory and internal: a 1 where a synapse goes to a neuron. float64
        holds the sums exactly and multiplies faster."""
        every = np.eye(self.neurons)
        return np.repeat(every, self.sensory, axis=0), np.repeat(every, self.internal, axis=0)


@dataclass(frozen=True)
class Layer:
    """A layer: matrices in the order of SPEC.md 2.5, or an LTC's numbers.

    dt_fixed: ticks, in the modes with a fixed dt; 0 in others. pure: in mode `pure`.
    """

    kind: Kind
    matrices: tuple[Matrix, ...]
    input_size: int
    output_size: int
    mode: Mode = Mode.DEFAULT
    gate_shift: int = 0
    dt_fixed: int = 0
    state_shift: int = 0
    cell_shift: int = 0
    pure: Pure | None = None
    ltc: LtcNumbers | None = None

    @property
    def neurons(self) -> int:
        """Neurons with a state."""
        if self.ltc is not None:
            return self.ltc.neurons
        return 0 if self.kind is Kind.DENSE else self.output_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Values of each part of the state: hidden state, then cell state where there is one."""
        if self.kind is Kind.DENSE:
            return ()
        return (self.neurons,) * (2 if self.kind in (Kind.LSTM, Kind.MIXED) else 1)

    @property
    def state_size(self) -> int:
        """Number of int16 state values."""
        return sum(self.state_sizes)

    @property
    def synapses(self) -> int:
        """Connections, as SPEC.md section 5 counts them."""
        if self.ltc is not None:
            return len(self.ltc.source)
        return sum(matrix.synapses for matrix in self.matrices)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a step, as SPEC.md section 5 counts them."""
        if self.ltc is not None:
            return 3 * int(self.ltc.sensory.sum() + self.ltc.unfolds * self.ltc.internal.sum())
        return sum(matrix.macs for matrix in self.matrices)

    @property
    def weight_bits(self) -> int:
        """The largest weight width."""
        return max((matrix.weight_bits for matrix in self.matrices), default=16)


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
class Names:
    """Names of the inputs and their units ("": not known), one of each for every input, and of the
    outputs; () for those that are not known (SPEC.md 2.9)."""

    channels: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """How outputs become decisions (SPEC.md 2.10).

    readout: each, last, mean or vote. values: the outputs are values, not scores of classes.
    window: samples, or ticks where `ticks` is true; 0: a whole sequence. reset: the state is reset
    at the start of a window. votes: decisions that vote. enter, leave: margins in output units,
    below which there is no decision. least: how long a new decision must hold, in the unit of
    `window`.
    """

    readout: str = "last"
    values: bool = False
    ticks: bool = False
    reset: bool = False
    window: int = 0
    votes: int = 1
    enter: int = 0
    leave: int = 0
    least: int = 0


@dataclass(frozen=True)
class Centres:
    """Means of the outputs for each class, where what a wearer teaches begins (SPEC.md 2.12).

    weight: examples that one counts as. values: (class, output), -32767 to 32767.
    """

    weight: int
    values: Int


@dataclass(frozen=True)
class ModelFile:
    """A whole model.

    Scales and offsets: float32 (input_size,) and (output_size,); tick in ns; dt_max in ticks.
    names, decision, centres: None where the file has none. features, beats: the section with the
    recipe of the inputs (`Recipe` of `ulnn_rules.features` and `beats`); empty: none, and one of
    them is. unknown: the section that says what the model knows (`ulnn_rules.unknown.Unknown`);
    empty: none. format_minor: of the file's version.
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
    names: Names | None = None
    decision: Decision | None = None
    centres: Centres | None = None
    features: bytes = b""
    beats: bytes = b""
    unknown: bytes = b""
    dialect: str = "ncps.torch"
    model_version: int = 1
    sha256: str = ""
    file_size: int = 0
    format_minor: int = FORMAT[1]

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the inputs; empty: not known. META has them in files of version 1.1."""
        return _names(self.meta, "channels") if self.names is None else self.names.channels

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs; empty: not known."""
        return _names(self.meta, "labels") if self.names is None else self.names.labels

    @property
    def readout(self) -> str:
        """What decides: each, last, mean or vote."""
        if self.decision is None:
            return str(self.meta.get("readout", "last"))
        return self.decision.readout

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
        return max(layer.weight_bits for layer in self.layers)

    @property
    def dt_fixed(self) -> int:
        """Fixed dt in ticks of the first layer that has one; 0 without."""
        return next((layer.dt_fixed for layer in self.layers if layer.dt_fixed), 0)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a step, without filling."""
        return sum(layer.macs for layer in self.layers)

    @property
    def neurons(self) -> int:
        """Neurons with a state."""
        return sum(layer.neurons for layer in self.layers)

    @property
    def synapses(self) -> int:
        """Connections."""
        return sum(layer.synapses for layer in self.layers)

    def quantise_input(self, x: ArrayLike) -> Int16:
        """Real inputs (..., input_size) to int16, rounded to nearest even and saturated; 0 for
        what is not a number, and where the scale is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            real = (np.asarray(x, np.float64) - self.input_offset) / self.input_scale
        real = np.where(np.isnan(real) | (self.input_scale == 0), 0.0, real)
        return np.clip(np.rint(real), -32768, 32767).astype(np.int16)

    def dequantise_output(self, y: ArrayLike) -> Float:
        """Integer outputs (..., output_size) to real values, float32."""
        real = np.asarray(y, np.float64) * self.output_scale + self.output_offset
        return real.astype(np.float32)

    def ticks(self, dt_seconds: ArrayLike) -> Int:
        """As the function `ticks`."""
        return ticks(dt_seconds, self.tick_ns)


def ticks(dt_seconds: ArrayLike, tick_ns: int) -> Int:
    """Elapsed seconds to ticks, at least 1. Raises ValueError for a dt that is not above 0."""
    seconds = np.asarray(dt_seconds, np.float64)
    good = np.isfinite(seconds) & (seconds > 0)
    if not good.all():
        raise ValueError(f"dt: expected seconds above 0, got {seconds[~good].flat[0]}")
    whole = np.minimum(np.rint(seconds * 1e9 / tick_ns), TICKS_MAX)
    return np.maximum(whole, 1).astype(np.int64)


def _names(meta: dict[str, Any], key: str) -> tuple[str, ...]:
    """A list of names in the metadata, which anybody may have written."""
    names = meta.get(key)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return ()
    return tuple(names)
