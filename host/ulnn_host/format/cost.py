"""What a step costs on a microcontroller, estimated from the shape of a model.

The constants come from `native_module/bench/fit_cost.py`: least squares of the relative error,
none below 0, over the models of every cell that it makes and counts as `make bench` does (kernels
cortex-m7 and rv32imc of November 2026; instructions from QEMU, cycles from `cycle_model`, which
is -5/+15 % against a board with memory without wait states). The largest error over those models
is 11 % (tests/format/test_cost.py holds it to 15 %).

Cycles hold where model and memory are tightly coupled (TCM). Behind the data cache of an STM32H743
every line that a step fetches (`cache`) costs a penalty that nobody has measured: a range.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from . import cache
from .model import Activation, Kind, Layer, Matrix, Mode, ModelFile


@dataclass(frozen=True)
class Prices:
    """What the parts of a step cost on one machine.

    block: 4 rows by 4 columns, by weight width; sparse_block: the same of a sparse matrix.
    recurrent, dense, ltc: a layer. matrix: one that is not the heads. table_group, heads_group,
    fixed_heads_group, sparse_group, plain_group: a group of four rows, its multipliers and what
    follows, where the kernel has a loop of its own (rows of a table; heads of mode `default`, with
    and without a fixed dt; both of a sparse matrix) or has none. row: besides, for each row of a
    plain group, by activation. heads_neuron: for each neuron of plain heads. state:
    a state value of a CfC layer. lstm, gru, pure: a neuron. ltc_neuron: a neuron a step; unfold: a
    neuron an unfold; synapse: one that is computed.
    """

    machine: str
    unit: str
    block: dict[int, float]
    sparse_block: float
    sparse_group: float
    recurrent: float
    dense: float
    matrix: float
    table_group: float
    heads_group: float
    fixed_heads_group: float
    plain_group: float
    row: dict[Activation, float]
    heads_neuron: float
    state: float
    lstm: float
    gru: float
    pure: float
    ltc: float
    ltc_neuron: float
    unfold: float
    synapse: float


CORTEX_M7 = Prices(
    machine="Cortex-M7",
    unit="cycles",
    block={8: 10.9, 16: 8.9},
    sparse_block=20.7,
    sparse_group=10.8,
    recurrent=178.4,
    dense=111.1,
    matrix=66.9,
    table_group=25.9,
    heads_group=0.0,
    fixed_heads_group=0.9,
    plain_group=66.5,
    row={
        Activation.LINEAR: 0.0,
        Activation.RELU: 0.2,
        Activation.TABLE: 0.0,
        Activation.GATED: 16.2,
    },
    heads_neuron=11.1,
    state=26.4,
    lstm=39.3,
    gru=32.5,
    pure=23.8,
    ltc=414.3,
    ltc_neuron=18.8,
    unfold=50.9,
    synapse=20.1,
)
RV32 = Prices(
    machine="RV32IMC",
    unit="instructions",
    block={8: 48.5, 16: 48.5},
    sparse_block=61.9,
    sparse_group=32.4,
    recurrent=311.1,
    dense=284.2,
    matrix=53.6,
    table_group=129.0,
    heads_group=50.0,
    fixed_heads_group=36.7,
    plain_group=104.8,
    row={
        Activation.LINEAR: 0.0,
        Activation.RELU: 1.4,
        Activation.TABLE: 0.0,
        Activation.GATED: 22.7,
    },
    heads_neuron=0.0,
    state=30.6,
    lstm=9.0,
    gru=24.1,
    pure=32.6,
    ltc=556.6,
    ltc_neuron=22.1,
    unfold=71.6,
    synapse=30.0,
)
MACHINES = (CORTEX_M7, RV32)


TCM = "TCM"
AXI = "AXI SRAM behind 16 KB of D-cache"


@dataclass(frozen=True)
class Estimate:
    """A step on a machine, in its unit (cycles or instructions).

    memory: where that holds; empty: anywhere. misses: lines a step fetches through the data cache
    of an STM32H743, where MicroPython's heap is AXI SRAM; cached: cycles with them, at each
    penalty of `cache.PENALTY`; empty: not known for this machine.
    """

    machine: str
    unit: str
    count: int
    memory: str = ""
    misses: int = 0
    cached: tuple[int, ...] = ()

    @property
    def likely(self) -> int:
        """With the likely penalty."""
        return self.cached[1] if self.cached else self.count


def estimates(model: ModelFile) -> tuple[Estimate, ...]:
    """One for each machine."""
    missed = cache.model_misses(model)
    counts = [round(step(model, prices)) for prices in MACHINES]
    slow = tuple(counts[0] + missed * penalty for penalty in cache.PENALTY)
    return (
        Estimate(CORTEX_M7.machine, CORTEX_M7.unit, counts[0], TCM, missed, slow),
        Estimate(RV32.machine, RV32.unit, counts[1]),
    )


def better_narrow(model: ModelFile) -> Estimate | None:
    """What a Cortex-M7 would need with int8 weights, where those of int16 stream through its cache
    at every step and int8 is faster there; else None."""
    if 16 not in {m.weight_bits for layer in model.layers for m in layer.matrices}:
        return None
    wide = estimates(model)[0]
    if not wide.misses:
        return None
    layers = tuple(
        replace(layer, matrices=tuple(replace(m, weight_bits=8) for m in layer.matrices))
        for layer in model.layers
    )
    narrow = estimates(replace(model, layers=layers))[0]
    return narrow if narrow.likely < wide.likely else None


def step(model: ModelFile, prices: Prices) -> float:
    """What a step costs at these prices."""
    return sum(_layer(layer, prices) for layer in model.layers)


def _layer(layer: Layer, prices: Prices) -> float:
    if layer.ltc is not None:
        unfolds = layer.ltc.unfolds
        synapses = int(layer.ltc.sensory.sum()) + unfolds * int(layer.ltc.internal.sum())
        neurons = layer.neurons * (prices.ltc_neuron + unfolds * prices.unfold)
        return prices.ltc + neurons + synapses * prices.synapse
    rows = layer.matrices[:-1] if layer.kind.is_cfc else layer.matrices
    total = sum(_rows(matrix, prices) for matrix in rows)
    total += prices.dense if layer.kind is Kind.DENSE else prices.recurrent
    if layer.kind.is_cfc:
        total += _heads(layer, prices)
    if layer.kind in (Kind.LSTM, Kind.MIXED):
        total += layer.neurons * prices.lstm
    if layer.kind is Kind.GRU:
        total += layer.neurons * prices.gru
    return total


def _heads(layer: Layer, prices: Prices) -> float:
    heads = layer.matrices[-1]
    groups = -(-heads.rows // 4)
    total = _blocks(heads, prices) + layer.neurons * prices.state
    if layer.mode is Mode.PURE:
        return total + groups * prices.plain_group + layer.neurons * prices.pure
    if heads.activation is Activation.TABLE:
        if heads.lists is not None and heads.shift == layer.gate_shift == 0:
            return total + groups * prices.sparse_group
        if heads.lists is None and layer.mode.gated:
            a_group = prices.fixed_heads_group if layer.mode.fixed_dt else prices.heads_group
            return total + groups * a_group
    return total + groups * prices.plain_group + layer.neurons * prices.heads_neuron


def _rows(matrix: Matrix, prices: Prices) -> float:
    groups = -(-matrix.rows // 4)
    total = prices.matrix + _blocks(matrix, prices)
    if matrix.activation is Activation.TABLE and matrix.shift == 0:
        dense = matrix.lists is None
        return total + groups * (prices.table_group if dense else prices.sparse_group)
    return total + groups * prices.plain_group + matrix.rows * prices.row[matrix.activation]


def _blocks(matrix: Matrix, prices: Prices) -> float:
    if matrix.lists is None:
        blocks = -(-matrix.rows // 4) * -(-matrix.columns // 4)
        return blocks * prices.block[matrix.weight_bits]
    blocks = sum(-(-len(columns) // 4) for columns in matrix.lists)
    return blocks * prices.sparse_block
