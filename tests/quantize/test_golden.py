"""Golden vectors are made, not taken from data, and notice a broken engine."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from ncps.torch import CfC

from support import convert_cases
from support.misreadings import MISREADINGS, misread
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines import registry as engines
from ulnn_host.engines.reference import Reference
from ulnn_host.format import container
from ulnn_host.format.model import Golden, Int, ModelFile
from ulnn_host.importers import checkpoint
from ulnn_host.quantize import golden, quantize
from ulnn_host.quantize.calibration import FloatRollout
from ulnn_host.quantize.options import Options

DATA = convert_cases.data(6, steps=140)


def like_the_demo(data: Sequences = DATA, **keys: object) -> ModelFile:
    """A CfC of the demo's sizes, fresh from ncps."""
    torch.manual_seed(0)
    given = {"mode": "default", "activation": "silu"} | keys
    net = CfC(6, 32, proj_size=7, backbone_units=32, backbone_layers=1, **given)
    weights = {name: value.double().numpy() for name, value in net.state_dict().items()}
    network = checkpoint.from_weights(weights, given).network
    return quantize.convert(FloatRollout(network, data), Options())


def noticed(model: ModelFile) -> set[str]:
    """The misreadings that the self test of a model file notices."""
    vectors = model.golden
    assert vectors is not None
    found = set()
    for name in MISREADINGS:
        engine = misread(name).Reference(model)
        y = engine.run(vectors.x, vectors.dt)
        if (y != vectors.y).any() or (engine.state != vectors.state).any():
            found.add(name)
    return found


def with_vectors(model: ModelFile, x: Int, dt: Int) -> ModelFile:
    engine = Reference(model)
    y = engine.run(x, dt)
    return dataclasses.replace(model, golden=Golden(dt, x, y, engine.state))


@pytest.mark.parametrize("mode", ["default", "no_gate"])
def test_32_steps_notice_what_1500_do(mode: str) -> None:
    """All that inputs in range can show: of 47 misreadings, most of them of other cells, 11. The
    first 32 samples of the data, which were the golden vectors once, notice 10."""
    model = like_the_demo(mode=mode)
    assert len(MISREADINGS) == 47
    found = noticed(model)
    assert len(found) == 11
    rng = np.random.default_rng(0)
    top = 32767 // 1.5
    x = rng.integers(-top, top + 1, (1500, 6)).astype(np.int16)
    dt = np.exp(rng.uniform(0, np.log(model.dt_max * 1.2), 1500)).astype(np.int64)
    dt[:5] = model.dt_max
    assert noticed(with_vectors(model, x, dt)) <= found
    taken = model.quantise_input(DATA.x[0, :32]), model.ticks(DATA.dt[0, :32])
    assert noticed(with_vectors(model, *taken)) < found


def test_every_cell_notices_some() -> None:
    seen: set[str] = set()
    for name in convert_cases.NAMES:
        found = noticed(convert_cases.model(name))
        assert len(found) >= 6, name
        seen |= found
    assert len(seen) >= 30


def test_they_are_the_same_for_every_data() -> None:
    """x and dt depend on the number of inputs, dt_max and the margin, and on nothing else."""
    rng = np.random.default_rng(5)
    other = dataclasses.replace(DATA, x=rng.normal(3, 2, DATA.x.shape).astype(np.float32))
    one, two = (like_the_demo(data).golden for data in (DATA, other))
    assert one is not None
    assert two is not None
    assert np.array_equal(one.x, two.x)
    assert np.array_equal(one.dt, two.dt)


@pytest.mark.parametrize("dt_max", [1, 2, 1000, 2**31 - 1])
@pytest.mark.parametrize("inputs", [1, 3, 200])
def test_inputs_and_times_reach_everywhere(inputs: int, dt_max: int) -> None:
    x, dt = golden.stimulus(inputs, dt_max, 1.5)
    top = int(32767 / 1.5)
    assert (x.min(), x.max()) == (-top, top)
    assert {1, dt_max, min(3 * dt_max, 2**31 - 1)} <= set(dt.tolist())
    assert dt.min() >= 1
    assert (np.abs(x) < top // 2).any()
    if dt_max > 2:
        assert len(set(dt.tolist())) > 16


def test_the_engine_repeats_them() -> None:
    data = container.write(like_the_demo())
    for module in (engines.native_module(), engines.pure_module()):
        assert module.load(data).self_test() == golden.STEPS
