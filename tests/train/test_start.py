"""The leaky start of a dense CfC: states decay as they should, whatever the cell is made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from support.training import plan, waves
from ulnn_host.base.errors import UlnnError
from ulnn_host.train import networks, recipe, train
from ulnn_host.train.cfc_cell import CfCCell
from ulnn_host.train.start import start_leaky, time_constants

TAUS = (4.0, 40.0)


def started(taus: tuple[float, float] = TAUS, usual: float = 1.0, **keys) -> CfCCell:
    """A cell of three inputs and sixteen neurons."""
    torch.manual_seed(0)
    cell = CfCCell(3, 16, **{"backbone_units": 32, "backbone_layers": 0} | keys)
    start_leaky(cell, taus, usual)
    return cell


def quiet(cell: CfCCell) -> CfCCell:
    """Without what is random in the heads: the neurons alone."""
    with torch.no_grad():
        cell.ff1.weight.zero_()
        own = cell.ff2.weight.abs() > 0.9
        cell.ff2.weight[~own] = 0
        cell.time_a.weight.zero_()
        cell.time_b.weight.zero_()
    return cell


def decayed(cell: CfCCell, ts: float) -> Tensor:
    """What is left of small states after a step without input: (N, H) shares."""
    h = 0.05 * torch.ones(1, 16)
    with torch.no_grad():
        return cell(torch.zeros(1, 3), h, torch.full((1, 1), ts)) / h


def test_a_state_is_left_as_long_as_time_constants_say() -> None:
    cell = quiet(started())
    left = decayed(cell, 1.0)[0]
    taus = -1 / torch.log(left)
    assert 3.9 < float(taus.min()) < 8
    assert 20 < float(taus.max()) < 42
    # the gate's argument is a line in ts: exact at the usual time, about right near it
    for ts in (0.5, 2.0):
        assert torch.allclose(decayed(cell, ts)[0], torch.exp(-ts / taus), atol=0.1)


def test_the_gate_is_exact_at_the_usual_time() -> None:
    left = [decayed(quiet(started((8.0, 8.001), usual)), usual)[0] for usual in (0.2, 1.0, 3.0)]
    for usual, share in zip((0.2, 1.0, 3.0), left, strict=True):
        assert torch.allclose(share, torch.exp(torch.tensor(-usual / 8)), atol=0.002)


@pytest.mark.parametrize("mode", ["default", "no_gate"])
def test_behind_a_backbone_gates_alone_have_time_constants(mode: str) -> None:
    cell = started(mode=mode, backbone_layers=1)
    gate = torch.sigmoid(cell.time_a.bias + cell.time_b.bias).detach()
    taus = -1 / torch.log(gate)
    assert 3.9 < float(taus.min()) < 8
    assert 20 < float(taus.max()) < 42
    largest = [float(getattr(cell, name).weight.detach().abs().max()) for name in cell.head_names]
    limit = (3 / 32) ** 0.5
    assert largest == pytest.approx([share * limit for share in (1.0, 0.3, 0.5, 0.5)], rel=0.1)
    assert max(map(abs, (*cell.ff1.bias.tolist(), *cell.ff2.bias.tolist()))) == 0


def test_time_constants_come_from_the_data() -> None:
    data = waves(n=10, steps=20)
    length = np.full(10, 20)
    length[:2] = 5
    short = replace(data, length=length)
    spans = (data.dt * data.mask).sum(1)
    low, high = time_constants(data, 0.1, 0.0, 0.1)
    assert (low, high) == (1.0, pytest.approx(np.median(spans) / 2 / 0.1, rel=1e-5))
    assert time_constants(short, 0.1, 0.0, 0.1)[1] < high
    assert time_constants(data, 0.1, 1.2, 0.05) == pytest.approx((2.0, 12.0))
    assert time_constants(data, 0.1, 0.1, 0.1) == pytest.approx((1.0, 2.0))


@pytest.mark.parametrize(
    "model",
    [
        {}, {"layers": 2, "backbone_layers": 0}, {"cell": "mixed", "mode": "no_gate"},
        {"time_scale": 0.3, "use_dt": False},
    ],
    ids=str,
)  # fmt: skip
def test_recipes_start_as_they_say_and_train(tmp_path, model) -> None:
    data = waves(n=16, steps=8)
    xavier, leaky = (
        plan(tmp_path, data, model=model | {"start": start}, training={"epochs": 1})
        for start in ("xavier", "leaky")
    )
    first, other = (train.untrained(made, data).state for made in (xavier, leaky))
    assert first.keys() == other.keys()
    gates = [key for key in first if key.endswith("time_a.bias")]
    assert len(gates) == model.get("layers", 1)
    for key in gates:
        assert (other[key] < 0).all()
        assert not (first[key] < 0).all()
    again = train.train(leaky, data, quiet=True)
    assert again.hyper["recipe"]["model"]["start"] == "leaky"
    assert np.isfinite(again.outputs(data)).all()
    read = networks.from_hyper(again.hyper)
    read.load_state_dict(again.state)


def test_mode_pure_has_no_gate_to_start() -> None:
    with pytest.raises(UlnnError, match='start = "leaky" is not for mode "pure"'):
        recipe.parse({"data": {"source": "a"}, "model": {"mode": "pure", "start": "leaky"}})
    with pytest.raises(UlnnError, match=r"model\.start is not for cell 'gru'"):
        recipe.parse({"data": {"source": "a"}, "model": {"cell": "gru", "start": "leaky"}})


@pytest.mark.parametrize(
    ("model", "leaky"),
    [
        ({"backbone_layers": 0}, True), ({}, False), ({"start": "leaky"}, True),
        ({"backbone_layers": 0, "start": "xavier"}, False),
        ({"backbone_layers": 0, "mode": "pure"}, False),
        ({"backbone_layers": 0, "cell": "mixed"}, False),
        ({"backbone_layers": 0, "layers": 2}, False),
        ({"cell": "mixed", "start": "leaky"}, True),
    ],
    ids=str,
)  # fmt: skip
def test_the_start_that_is_chosen_is_the_one_that_was_measured(tmp_path, model, leaky) -> None:
    data = waves(n=8, steps=6)
    made = plan(tmp_path, data, model=model)
    gates = [v for k, v in train.untrained(made, data).state.items() if k.endswith("time_a.bias")]
    assert all(bool((gate < 0).all()) == leaky for gate in gates)
