"""What a step costs on a microcontroller, estimated from the shape of a model.

The constants are fitted (least squares of the relative error, none below 0) to 75 CfC and dense
models of 1 to 16 inputs and 4 to 128 neurons that were counted as `ulnn bench` counts: the
kernels cortex-m7 and rv32imc of November 2026, instructions from QEMU, cycles from `cycle_model`
(-5/+15 % against a board). Over those models the estimate is off by 2 % (cortex-m7) and 6 %
(rv32imc) for the CfC layers of BENCHMARKS.md, and by at most 15 % and 8 % for the rest.
Other cells and sparse matrices were not counted yet: their constants are guesses (`rough`).
"""

from __future__ import annotations

from dataclasses import dataclass

from .model import Activation, Kind, Layer, Matrix, Mode, ModelFile


@dataclass(frozen=True)
class Prices:
    """What the parts of a step cost on one machine.

    block: 4 rows by 4 columns, by weight width. table_group, heads_group, fixed_heads_group,
    plain_group: a group of four rows, its multipliers and what follows, where the kernel has a
    loop of its own (rows of a tanh table; heads of mode `default`, with and without a fixed dt;
    all others). row: besides, for each row of a plain group, by activation. state: a state value
    of a CfC layer. sparse: factor on the blocks of a sparse matrix. neuron, unfold, synapse: of
    LSTM and GRU neurons, LTC neurons an unfold, LTC synapses an unfold.
    """

    machine: str
    unit: str
    block: dict[int, float]
    cfc: float
    dense: float
    matrix: float
    state: float
    table_group: float
    heads_group: float
    fixed_heads_group: float
    plain_group: float
    heads_neuron: float
    row: dict[Activation, float]
    sparse: float = 1.5
    neuron: float = 60.0
    unfold: float = 70.0
    synapse: float = 25.0


CORTEX_M7 = Prices(
    machine="Cortex-M7",
    unit="cycles",
    block={8: 10.9, 16: 9.0},
    cfc=215.7,
    dense=99.7,
    matrix=57.1,
    state=0.0,
    table_group=24.8,
    heads_group=24.0,
    fixed_heads_group=34.1,
    plain_group=68.7,
    heads_neuron=0.0,
    row={
        Activation.LINEAR: 2.3,
        Activation.RELU: 2.3,
        Activation.TABLE: 0.0,
        Activation.GATED: 20.4,
    },
)
RV32 = Prices(
    machine="RV32IMC",
    unit="instructions",
    block={8: 49.3, 16: 49.3},
    cfc=390.6,
    dense=213.5,
    matrix=163.7,
    state=57.3,
    table_group=82.5,
    heads_group=18.9,
    fixed_heads_group=0.0,
    plain_group=0.0,
    heads_neuron=81.2,
    row={
        Activation.LINEAR: 22.8,
        Activation.RELU: 25.9,
        Activation.TABLE: 26.5,
        Activation.GATED: 51.2,
    },
    neuron=120.0,
    unfold=150.0,
    synapse=45.0,
)
MACHINES = (CORTEX_M7, RV32)


@dataclass(frozen=True)
class Estimate:
    """A step on a machine, in its unit (cycles or instructions). rough: parts of it rest on
    guesses, not on counted models."""

    machine: str
    unit: str
    count: int
    rough: bool


def estimates(model: ModelFile) -> tuple[Estimate, ...]:
    """One for each machine."""
    rough = any(map(_is_rough, model.layers))
    return tuple(
        Estimate(
            prices.machine,
            prices.unit,
            round(sum(_layer(layer, prices) for layer in model.layers)),
            rough,
        )
        for prices in MACHINES
    )


def _is_rough(layer: Layer) -> bool:
    sparse = any(matrix.lists is not None for matrix in layer.matrices)
    return sparse or layer.kind not in (Kind.CFC, Kind.DENSE) or layer.mode is Mode.PURE


def _layer(layer: Layer, prices: Prices) -> float:
    if layer.ltc is not None:
        internal = layer.ltc.unfolds * int(layer.ltc.internal.sum())
        neurons = layer.ltc.unfolds * layer.neurons
        synapses = int(layer.ltc.sensory.sum()) + internal
        return prices.cfc + synapses * prices.synapse + neurons * prices.unfold
    if layer.kind is Kind.DENSE:
        return prices.dense + _rows(layer.matrices[0], prices)
    total = prices.cfc + prices.state * layer.output_size
    if layer.kind in (Kind.LSTM, Kind.GRU):
        rows = sum(_rows(matrix, prices) for matrix in layer.matrices)
        return total + rows + layer.neurons * prices.neuron
    if layer.kind is Kind.MIXED:
        total += layer.neurons * prices.neuron
    total += sum(_rows(matrix, prices) for matrix in layer.matrices[:-1])
    return total + _heads(layer, prices)


def _heads(layer: Layer, prices: Prices) -> float:
    heads = layer.matrices[-1]
    groups = -(-heads.rows // 4)
    total = _blocks(heads, prices)
    if layer.mode is Mode.PURE:
        return total + groups * prices.plain_group + layer.neurons * prices.neuron
    if layer.mode.gated and heads.shift == 0 and heads.activation is Activation.TABLE:
        a_group = prices.fixed_heads_group if layer.mode.fixed_dt else prices.heads_group
        return total + groups * a_group
    return total + groups * prices.plain_group + layer.neurons * prices.heads_neuron


def _rows(matrix: Matrix, prices: Prices) -> float:
    groups = -(-matrix.rows // 4)
    total = prices.matrix + _blocks(matrix, prices)
    if matrix.activation is Activation.TABLE and matrix.shift == 0:
        return total + groups * prices.table_group
    return total + groups * prices.plain_group + matrix.rows * prices.row[matrix.activation]


def _blocks(matrix: Matrix, prices: Prices) -> float:
    price = prices.block[matrix.weight_bits]
    if matrix.lists is None:
        return -(-matrix.rows // 4) * -(-matrix.columns // 4) * price
    return sum(-(-len(columns) // 4) for columns in matrix.lists) * price * prices.sparse
