"""Every engine gives the integers of the reference: random models, extreme ones, ncps models."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.ncps_models import Spec, data, network, trained
from support.random_models import (
    STACKS,
    Shape,
    random_input,
    random_model,
    random_stack,
    shapes,
    stacks,
    trimmed,
)
from ulnn_host.board import board_engine
from ulnn_host.engines import registry as engines
from ulnn_host.engines.batch import Batch, Outputs, quantise
from ulnn_host.format import container
from ulnn_host.format.model import Activation as A
from ulnn_host.format.model import Kind, Mode, ModelFile
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.network.layers import ACTIVATIONS
from ulnn_host.quantize import quantize
from ulnn_host.quantize.calibration import FloatRollout

Run = Callable[[bytes, Batch], Outputs]
ENGINES = ("native", "pure", "unix", "cortex-m7", "rv32")


@pytest.fixture(scope="session")
def boards(request: pytest.FixtureRequest) -> Iterator[Callable[[str], board_engine.BoardEngine]]:
    """Boards booted once for the whole session; `--port` stands in for the Cortex-M7."""
    opened: dict[str, board_engine.BoardEngine] = {}
    ports = {
        "cortex-m7": request.config.getoption("--port") or "virtual:cortex-m7?heap=2m",
        "rv32": "virtual:rv32?heap=2m",
    }
    with contextlib.ExitStack() as stack:

        def get(name: str) -> board_engine.BoardEngine:
            if name not in opened:
                opened[name] = stack.enter_context(board_engine.open_board(ports[name]))
            return opened[name]

        yield get


@pytest.fixture(params=ENGINES)
def run(request: pytest.FixtureRequest, boards: Callable[[str], board_engine.BoardEngine]) -> Run:
    """The engine under test."""
    name: str = request.param
    if name in ("cortex-m7", "rv32"):
        return boards(name).run
    return lambda content, batch: engines.run(content, batch, name)


def check(run: Run, model: ModelFile, batch: Batch) -> None:
    content = container.write(trimmed(model))
    expected = engines.run(content, batch, "reference")
    got = run(content, batch)
    different = np.argwhere(got.y != expected.y)
    assert different.size == 0, f"first difference at (sequence, step, output) {different[0]}"
    assert np.array_equal(got.state, expected.state)


def random_batch(model: ModelFile, seed: int, steps: int) -> Batch:
    pairs = [random_input(seed + k, model, steps) for k in range(2)]
    return Batch(
        np.stack([x for x, _ in pairs]),
        np.stack([dt for _, dt in pairs]),
        np.array([steps, max(1, steps // 2)]),
    )


# Small models of every cell: the shapes of random_models whose seeds make them differ.
CELLS = {
    "cfc": Shape(inputs=3, hidden=9),
    "cfc-no-gate": Shape(inputs=3, hidden=9, backbone=(), mode=Mode.NO_GATE),
    "pure": Shape(inputs=4, hidden=7, mode=Mode.PURE, state_shift=1, gate_shift=6),
    "cfc-linear": Shape(inputs=5, hidden=6, backbone=((7, A.GATED),), linear=True),
    "cfc-linear-no-gate": Shape(inputs=5, hidden=6, mode=Mode.NO_GATE, linear=True),
    "sparse": Shape(inputs=6, hidden=9, backbone=(), layers=3, density=0.3),
    "sparse-backbone": Shape(inputs=6, hidden=5, backbone=((9, A.RELU),), density=0.4),
    "sparse-fixed-dt": Shape(inputs=6, hidden=9, backbone=(), density=0.3, dt_fixed=20_000),
    "mixed": Shape(inputs=3, hidden=7, kind=Kind.MIXED, cell_shift=2),
    "mixed-no-backbone": Shape(inputs=2, hidden=5, kind=Kind.MIXED, backbone=()),
    "mixed-pure": Shape(inputs=3, hidden=6, kind=Kind.MIXED, mode=Mode.PURE, gate_shift=5),
    "mixed-fixed-dt": Shape(inputs=3, hidden=6, kind=Kind.MIXED, dt_fixed=500),
    "lstm": Shape(inputs=3, hidden=8, kind=Kind.LSTM, cell_shift=3),
    "lstm-dt": Shape(inputs=4, hidden=7, kind=Kind.LSTM, dt_input=True, layers=2),
    "lstm-sparse": Shape(inputs=4, hidden=7, kind=Kind.LSTM, density=0.4),
    "gru": Shape(inputs=3, hidden=8, kind=Kind.GRU, state_shift=2),
    "gru-dt": Shape(inputs=4, hidden=7, kind=Kind.GRU, dt_input=True, layers=2),
    "gru-sparse": Shape(inputs=6, hidden=7, kind=Kind.GRU, density=0.4),
    "ltc": Shape(inputs=3, hidden=7, kind=Kind.LTC, motor=3, unfolds=6),
    "ltc-sparse": Shape(inputs=5, hidden=13, kind=Kind.LTC, motor=4, density=0.2, layers=2),
}

SHAPES = [
    Shape(inputs=1, hidden=1, backbone=(), outputs=None),
    Shape(inputs=16, hidden=5, backbone=(), outputs=3, mode=Mode.NO_GATE, weight_bits=16),
    Shape(inputs=3, hidden=8, backbone=((5, A.RELU), (7, A.GATED), (6, A.TABLE))),
    Shape(inputs=2, hidden=9, backbone=((13, A.GATED),), weight_bits=16, shift=2, gate_shift=4),
    Shape(inputs=7, hidden=6, backbone=((4, A.TABLE),), dt_max=2**31 - 1, mode=Mode.NO_GATE),
    Shape(inputs=4, hidden=3, dt_max=1, shift=8, gate_shift=12),
    Shape(inputs=4, hidden=12, layers=3, outputs=None),
    Shape(inputs=5, hidden=11, backbone=((9, A.GATED),), extreme=True),
    Shape(inputs=5, hidden=11, backbone=((9, A.RELU),), extreme=True, weight_bits=16, shift=8),
    Shape(inputs=1, hidden=4, mode=Mode.NO_GATE, extreme=True, gate_shift=12),
    Shape(inputs=130, hidden=4, outputs=150),
    Shape(inputs=6, hidden=9, dt_fixed=20_000),
    Shape(inputs=3, hidden=7, backbone=(), dt_fixed=1, mode=Mode.NO_GATE, weight_bits=16),
    Shape(inputs=2, hidden=6, dt_fixed=500, shift=3, extreme=True, layers=2),
    *(
        shape
        for number, shape in enumerate(CELLS.values())
        for shape in (
            shape,
            dataclasses.replace(
                shape,
                weight_bits=16,
                extreme=True,
                shift=number % 9,
                layers=2,
                gate_shift=12,
                state_shift=8,
                cell_shift=8,
                dt_max=2**31 - 1,
                hidden=6,
            ),
        )
    ),
]


@pytest.mark.parametrize("name", STACKS)
def test_stacks_of_different_kinds_are_equal_to_the_reference(run: Run, name: str) -> None:
    model = random_stack(3, STACKS[name])
    check(run, model, random_batch(model, 5, 25))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_random_models_are_equal_to_the_reference(run: Run, shape: Shape) -> None:
    model = random_model(11, shape)
    check(run, model, random_batch(model, 5, 25))


@pytest.mark.parametrize("cell", CELLS)
def test_random_models_of_every_cell_are_equal_over_300_steps(
    run: Run, cell: str, full: bool
) -> None:
    """With `--full` 200 models of each cell, shared out among its variants; weights go to their
    bounds in every third."""
    variants = sum(name.split("-")[0] == cell.split("-")[0] for name in CELLS)
    for seed in range(-(-200 // variants) if full else 2):
        rng = np.random.default_rng(seed)
        shape = dataclasses.replace(
            CELLS[cell],
            weight_bits=int(rng.choice([8, 16])),
            hidden=int(rng.integers(1, 14)),
            inputs=int(rng.integers(1, 8)),
            extreme=seed % 3 == 2,
            dt_max=int(2 ** rng.uniform(0, 31)) if seed % 2 else 1_000_000,
        )
        model = random_model(seed, shape)
        x, dt = random_input(seed, model, 300)
        check(run, model, Batch(x[None], dt[None], np.array([300])))


SPECS = [
    *(
        Spec(2 + k, 4 + 3 * k, 1 + k % 3, 5 + 4 * k, mode, activation, proj=(None, 3)[k % 2])
        for mode in ("default", "no_gate")
        for k, activation in enumerate(ACTIVATIONS)
    ),
    Spec(1, 4, 0, 0),
    Spec(16, 33, 0, 0, "no_gate", proj=1),
    Spec(16, 128, 3, 128, gain=1.0),
    Spec(8, 64, 2, 40, "no_gate", "silu", gain=1.0),
]


def check_network(run: Run, net: FloatNetwork, spec: Spec, bits: int) -> None:
    model = quantize.convert(FloatRollout(net, data(spec, 2, 100, 1)), quantize.Options(bits=bits))
    check(run, model, quantise(model, data(spec, 1, 500, 2)))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_random_ncps_models_are_equal_over_500_steps(run: Run, spec: Spec, bits: int) -> None:
    check_network(run, network(spec), spec, bits)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("mode", ["default", "no_gate"])
def test_trained_ncps_models_are_equal_over_500_steps(run: Run, mode: str, bits: int) -> None:
    net, spec = trained(mode)
    check_network(run, net, spec, bits)


def test_a_fixed_dt_is_equal_over_500_steps(run: Run) -> None:
    spec = Spec(6, 16, 1, 24, proj=4)
    one = data(spec, 1, 500, 2)
    steady = dataclasses.replace(one, dt=np.full_like(one.dt, 0.02))
    for bits in (8, 16):
        options = quantize.Options(bits=bits, fixed_dt=0.02)
        model = quantize.convert(FloatRollout(network(spec), steady), options)
        check(run, model, quantise(model, one))


@pytest.mark.parametrize("name", ["native", "pure"])
def test_any_valid_model_is_equal_to_the_reference(name: str, full: bool) -> None:
    @settings(max_examples=1000 if full else 60)
    @given(
        layers=shapes(hidden=20, depth=3).map(lambda shape: [shape]) | stacks(),
        seed=st.integers(0, 2**20),
    )
    def holds(layers: list[Shape], seed: int) -> None:
        model = random_stack(seed, layers)
        check(
            lambda content, batch: engines.run(content, batch, name),
            model,
            random_batch(model, seed, 12),
        )

    holds()
