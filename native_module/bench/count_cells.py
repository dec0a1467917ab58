"""Models of the other cells for the bench: wired networks and LTCs, sparse and dense; LSTM, GRU,
mixed memory, mode `pure`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from count_cases import STEPS, Case
from ulnn_host.board.bench import FORMATS, INPUTS
from ulnn_host.data.sequences import Sequences
from ulnn_host.format.model import Mode, ModelFile
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.network.layers import (
    HEADS,
    Array,
    CfC,
    Decay,
    FloatLayer,
    Gru,
    Linear,
    Lstm,
    Ltc,
    Synapses,
)
from ulnn_host.network.wiring import Adjacency, Wiring, auto_ncp
from ulnn_host.quantize.calibration import FloatRollout
from ulnn_host.quantize.options import Options, Sparsity
from ulnn_host.quantize.quantize import convert

HIDDEN = 32
UNITS, MOTORS = 19, 4
WIRED_INPUTS, LTC_INPUTS = 6, 3
ABSENT = 1e-9  # a weight that rounds to 0, but is there


@dataclass(frozen=True)
class CellCase:
    """A case under the name of its cell, with what it is compared to in parentheses: `(dense)`,
    `(sparse)`, `(all synapses)`. format: of the weights; hidden: neurons."""

    cell: str
    format: str
    hidden: int
    case: Case

    @property
    def inputs(self) -> int:
        """Its inputs."""
        return self.case.model.input_size


def cell_cases() -> Iterator[CellCase]:
    """Every case; the same at every call."""
    seen = _data(WIRED_INPUTS)
    for name, bits in FORMATS.items():
        for dialect in ("ncps", "ulnn"):
            layers = _wired(dialect)
            choices: dict[str, Sparsity] = {"": "auto", " (dense)": "never", " (sparse)": "always"}
            for suffix, sparse in choices.items():
                model = _convert(layers, seen, bits, sparse)
                yield CellCase(f"wired {dialect}{suffix}", name, UNITS, _case(model))
        seen_plain = _data(INPUTS)
        for cell, layer in _plain().items():
            yield CellCase(cell, name, HIDDEN, _case(_convert((layer,), seen_plain, bits)))
    for suffix, every in (("", False), (" (all synapses)", True)):
        model = _convert((_ltc(every),), _data(LTC_INPUTS), 16)
        yield CellCase(f"ltc{suffix}", "int16", UNITS, _case(model))


def _convert(
    layers: tuple[FloatLayer, ...], seen: Sequences, bits: int, sparse: Sparsity = "auto"
) -> ModelFile:
    size = layers[0].input_size
    network = FloatNetwork(layers, np.zeros(size), np.ones(size))
    options = Options(bits, compensate=False, sparse=sparse)
    return convert(FloatRollout(network, seen), options)


def _data(inputs: int) -> Sequences:
    rng = np.random.default_rng(inputs)
    x = rng.uniform(-1, 1, (2, 40, inputs)).astype(np.float32)
    dt = rng.uniform(0.1, 1, (2, 40)).astype(np.float32)
    return Sequences(x, dt)


def _case(model: ModelFile) -> Case:
    rng = np.random.default_rng(0)
    x = rng.integers(-20000, 20001, (STEPS, model.input_size)).astype(np.int16)
    return Case(model, x, rng.integers(1, model.dt_max, STEPS).astype(np.int64))


def _linear(
    rng: np.random.Generator, rows: int, columns: int, mask: Array | None = None
) -> Linear:
    weight = rng.normal(size=(rows, columns))
    there = np.ones_like(weight) if mask is None else mask
    weight = weight * there / np.sqrt(there.sum(axis=1, keepdims=True))
    return Linear(weight, 0.1 * rng.normal(size=rows))


def _wired(dialect: str) -> tuple[CfC, ...]:
    """As `cells.wired`: the masks of the two dialects."""
    rng = np.random.default_rng(1)
    wiring = _wiring(WIRED_INPUTS)
    layers = []
    for k, neurons in enumerate(wiring.layers):
        size = len(neurons)
        own = dialect == "ulnn"
        inner = np.eye(size) + np.abs(wiring.within(k)) if own else np.ones((size, size))
        mask = (np.concatenate([np.abs(wiring.into(k)), inner]).T > 0).astype(np.float64)
        masks = {name: mask if own or name in ("ff1", "ff2") else None for name in HEADS}
        heads = {name: _linear(rng, size, mask.shape[1], masks[name]) for name in HEADS}
        layers.append(CfC(Mode.DEFAULT, "lecun_tanh", (), heads))
    return tuple(layers)


def _wiring(inputs: int) -> Wiring:
    return auto_ncp(inputs, UNITS, MOTORS)


def _plain() -> dict[str, FloatLayer]:
    """The cells without a wiring."""
    rng = np.random.default_rng(2)
    size, columns = HIDDEN, INPUTS + HIDDEN
    gates = _linear(rng, 4 * size, columns)
    gru = Gru(
        _linear(rng, 2 * size, columns), _linear(rng, size, size), _linear(rng, size, INPUTS)
    )
    backbone = (_linear(rng, size, columns),)
    heads = {name: _linear(rng, size, size) for name in HEADS}
    cfc = CfC(Mode.DEFAULT, "lecun_tanh", backbone, heads)
    decay = Decay(rng.uniform(size=size), rng.uniform(size=size))
    pure = dataclasses.replace(cfc, mode=Mode.PURE, heads={"ff1": heads["ff1"]}, decay=decay)
    mixed = dataclasses.replace(cfc, memory=_linear(rng, 4 * size, columns))
    return {"lstm": Lstm(gates), "gru": gru, "mixed memory": mixed, "pure": pure}


def _ltc(every: bool) -> Ltc:
    """every: also the synapses that the wiring does not have, of no weight."""
    rng = np.random.default_rng(3)
    wiring = _wiring(LTC_INPUTS)

    def synapses(adjacency: Adjacency) -> Synapses:
        shape = adjacency.shape
        w, sigma, mu = (
            rng.uniform(low, high, shape) for low, high in ((0.01, 1), (3, 8), (0.3, 0.8))
        )
        w = np.where(adjacency != 0, w, ABSENT if every else 0.0)
        return Synapses(w, sigma, mu, np.where(adjacency < 0, -1.0, 1.0))

    units, inputs = wiring.units, wiring.inputs
    return Ltc(
        *(synapses(wiring.sensory), synapses(wiring.adjacency)),
        *(rng.uniform(0.1, 1, units), rng.uniform(-0.2, 0.2, units), np.full(units, 0.5)),
        *(np.ones(inputs), np.zeros(inputs), np.ones(MOTORS), np.zeros(MOTORS)),
    )
