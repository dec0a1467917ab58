"""The cells that have no integer engine: against their equations, and what a cell has to do."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from torch import Tensor

from support.paths import ROOT
from support.training import plan, waves
from ulnn_host import api
from ulnn_host.base.errors import UlnnError
from ulnn_host.experiments import budget, robustness
from ulnn_host.experiments.space import Space
from ulnn_host.network import layers
from ulnn_host.train import diagonal, networks, reading, recipe, train
from ulnn_host.train.cells import CELLS, min_gru
from ulnn_host.train.model_recipe import ModelRecipe
from ulnn_host.train.rollout import Rollout

RIVALS = [name for name, cell in CELLS.items() if not cell.integers]


def recipe_of(cell: str, **keys) -> ModelRecipe:
    """Small, with all that the cell can have."""
    sizes = {"hidden": 5, "layers": 2, "taps": 3, "reach": 6, "dt_input": True} | keys
    return ModelRecipe(cell=cell, **{k: v for k, v in sizes.items() if k in CELLS[cell].keys})


def built(cell: str, **keys) -> Rollout:
    model = recipe_of(cell, **keys)
    net = networks.build(model, 3, 2)
    networks.start(net, model, (0.5, 5.0), 1.0)
    return net


def sample(batch=4, steps=9) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, steps, 3), torch.rand(batch, steps) * 3 + 0.1


def sigmoid(value: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-value))


# ---- equations ---------------------------------------------------------------------------------


def min_gru_step(net, x: Tensor, h: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
    states = []
    for into, out, before in zip(net.input, net.output, h.chunk(2, 1), strict=True):
        gate, new = into(x).chunk(2, 1)
        states.append(before + (1 - (1 + gate.exp()) ** -ts) * (new - before))
        value, mask = out(states[-1]).chunk(2, 1)
        x = value * sigmoid(mask)
    return x, torch.cat(states, 1)


def liquid_step(net, x: Tensor, h: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
    """Many small steps of the differential equation."""
    f, tau = torch.tanh(net.input(x) + net.recurrent(h)), net.log_tau.exp()
    parts = 20000
    for _ in range(parts):
        h = h + ts / parts * (f - h) / tau
    return h, h


def fast_grnn_step(net, x: Tensor, h: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
    p = torch.cat([x, ts], 1) @ net.input.weight.T + h @ net.recurrent.weight.T
    z, c = sigmoid(p + net.bias_z), torch.tanh(p + net.bias_c)
    h = (sigmoid(net.zeta) * (1 - z) + sigmoid(net.nu)) * c + z * h
    return h, h


STEPS = {"min_gru": min_gru_step, "liquid": liquid_step, "fast_grnn": fast_grnn_step}


@pytest.mark.parametrize("cell", STEPS)
@torch.no_grad()
def test_a_step_is_what_the_equations_say(double, cell):
    net = built(cell)
    x, ts = sample(steps=3)
    y, last = net(x, timespans=ts)
    h = torch.zeros(4, net.state_size)
    for t in range(3):
        seen, h = STEPS[cell](net, x[:, t], h, ts[:, t, None])
        assert (net.fc(seen) - y[:, t]).abs().max() < (1e-4 if cell == "liquid" else 1e-12)
    assert (last - h).abs().max() < (1e-4 if cell == "liquid" else 1e-12)


def test_at_one_unit_of_time_the_gate_is_that_of_the_min_gru(double):
    gate = torch.randn(100)
    keep = torch.exp(-torch.nn.functional.softplus(gate))
    assert (keep - (1 - sigmoid(gate))).abs().max() < 1e-12


@torch.no_grad()
def test_gru_d_fades_inputs_that_are_missing_and_the_state(double):
    net = built("gru_d")
    net.weight_x.fill_(0.7)
    net.bias_x.fill_(0.1)
    x, ts = sample(steps=5)
    x[0, 2:, 1] = torch.nan
    x[1, 0] = torch.nan
    units, h = 5, torch.zeros(4, 5)
    last, since = torch.zeros(4, 3), torch.zeros(4, 3)
    wx, wg, wc = net.input, net.gates.weight, net.candidate.weight
    y, end = net(x, timespans=ts)
    for t in range(5):
        since = since + ts[:, t, None]
        there = ~x[:, t].isnan()
        last = torch.where(there, x[:, t], last)
        g = torch.exp(-torch.clamp(0.7 * since + 0.1, min=0))
        inputs = torch.cat([torch.where(there, last, g * last), there.double()], 1)
        h = h * torch.exp(-torch.clamp(net.decay(since), min=0))
        p = wx(inputs)
        r, z = sigmoid(p[:, : 2 * units] + h @ wg.T).chunk(2, 1)
        h = (1 - z) * h + z * torch.tanh(p[:, 2 * units :] + (r * h) @ wc.T)
        assert (net.fc(h) - y[:, t]).abs().max() < 1e-12
        since = torch.where(there, 0.0, since)
    assert (end - torch.cat([h, last, since], 1)).abs().max() < 1e-12


@torch.no_grad()
def test_a_convolution_and_attention_see_the_last_samples_alone(double):
    for cell, reach in (("cnn", 7), ("attention", 6)):
        net = built(cell)
        assert net.reach == reach
        x, ts = sample(steps=12)
        y = net(x, timespans=ts)[0]
        changed = x.clone()
        changed[:, 2] += 1
        moved = (net(changed, timespans=ts)[0] - y).abs().amax((0, 2))
        assert moved[:2].max() == 0, cell
        assert moved[2 : 2 + reach].min() > 0, cell
        assert moved[2 + reach :].max() < 1e-12, cell


@torch.no_grad()
def test_attention_knows_the_time_between_samples_and_not_when_it_began(double):
    net = built("attention", hidden=6)
    torch.nn.init.zeros_(net.embed.weight[:, -1])  # without the time as an input
    x, ts = sample(steps=6)
    later = ts.clone()
    later[:, 0] += 5.0
    assert (net(x, timespans=later)[0] - net(x, timespans=ts)[0]).abs().max() < 1e-12
    later[:, 3] += 1.0
    assert (net(x, timespans=later)[0] - net(x, timespans=ts)[0]).abs().max() > 1e-6


@torch.no_grad()
def test_the_baseline_sees_mean_spread_and_last_samples(double):
    net = built("linear")
    net.fc = torch.nn.Identity()
    x, ts = sample(steps=5)
    y = net(x, timespans=ts)[0]
    for t in range(5):
        want = [x[:, : t + 1].mean(1), x[:, : t + 1].std(1, correction=0)]
        for k in range(t - 2, t + 1):
            row = torch.cat([x[:, k], ts[:, k, None]], 1)
            want.append(row if k >= 0 else torch.zeros_like(row))
        assert (y[:, t] - torch.cat(want, 1)).abs().max() < 1e-7


def test_the_scan_has_the_gradients_of_its_loop(double):
    keep, new = (torch.rand(6, 2, 3, requires_grad=True) for _ in range(2))
    h = torch.rand(2, 3, requires_grad=True)
    states = []
    for t in range(6):
        states.append(keep[t] * (states[-1] if states else h) + new[t])
    assert (torch.stack(states) - diagonal.scan(keep, new, h)).abs().max() < 1e-12
    assert torch.autograd.gradcheck(diagonal.scan, (keep, new, h))


# ---- what every cell does ----------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_every_cell_goes_on_from_its_state_and_ends_with_the_length(double, cell):
    net = built(cell)
    x, ts = sample(3, 8)
    y, last = net(x, timespans=ts)
    assert y.shape == (3, 8, 2)
    assert last.shape == (3, net.state_size)
    _, state = net(x[:, :5], timespans=ts[:, :5])
    after, end = net(x[:, 5:], state, ts[:, 5:])
    assert (y[:, 5:] - after).abs().max() < 1e-12
    assert (end - last).abs().max() < 1e-12
    _, early = net(x, None, ts, torch.tensor([5, 8, 5]))
    assert (early[[0, 2]] - state[[0, 2]]).abs().max() < 1e-12
    assert (early[1] - last[1]).abs().max() < 1e-12
    one, _ = net(x[1:2], timespans=ts[1:2])
    assert (one[0] - y[1]).abs().max() < 1e-12
    moved, _ = net(x, timespans=ts * 1.5)
    assert (moved - y).abs().max() > 1e-6


@pytest.mark.parametrize("cell", RIVALS)
def test_every_rival_learns_its_task(tmp_path: Path, cell: str) -> None:
    model = recipe_of(cell, hidden=8, reach=32)
    keys = {key: getattr(model, key) for key in ("cell", *CELLS[cell].keys)}
    made = plan(tmp_path, waves(), training={"epochs": 30})
    made = replace(made, model=ModelRecipe(readout="mean", **keys))
    task, data = waves(), waves(seed=1)
    if cell == "linear":  # means and spreads of these waves are alike: it gets some that differ
        task, data = (replace(d, x=d.x + 0.5 * d.y[:, None, None]) for d in (task, data))
    first = train.train(made, task, quiet=True)
    again = train.train(made, task, quiet=True)
    assert all(torch.equal(first.state[key], again.state[key]) for key in first.state)
    assert train.evaluate(first, data).balanced > 0.9
    path = tmp_path / "net.safetensors"
    first.save(path)
    assert (train.read_trained(path).outputs(data) == first.outputs(data)).all()
    line = f"net.safetensors: a network of cell {cell}, which is float only: there is no integer"
    with pytest.raises(UlnnError, match=line):
        api.convert(path, data)
    network, assumed = reading.read_network(path)
    found = robustness.robustness(data, network=network, tried=robustness.conditions([0.5]))
    assert not assumed
    assert found.results[0].scores["float"] == train.evaluate(first, data)
    assert found.results[1].samples < found.results[0].samples


def test_time_constants_of_a_start_fill_their_range() -> None:
    torch.manual_seed(0)
    rates = min_gru.spread_rates((0.5, 50.0), 1000)
    assert 0.02 <= rates.min() < 0.022
    assert 1.9 < rates.max() <= 2.0
    net = built("min_gru", hidden=400, layers=1)
    keep = torch.exp(-torch.nn.functional.softplus(net.input[0].bias[:400].detach()))
    assert float(keep.min()) == pytest.approx(np.exp(-2.0), abs=0.02)
    assert float(keep.max()) == pytest.approx(np.exp(-0.2), abs=0.02)


# ---- the registry ------------------------------------------------------------------------------


def test_the_document_names_every_cell_and_its_keys() -> None:
    text = (ROOT / "host" / "docs" / "cells.md").read_text()
    boards, rivals = text.partition("## Cells that are float only")[::2]
    rivals = rivals.partition("## Adding one")[0]
    for name, cell in CELLS.items():
        (row,) = re.findall(rf"^\| [^|]*`{name}`.* \|$", boards if cell.integers else rivals, re.M)
        if "as `cfc`" not in row:
            assert set(re.findall(r"`(\w+)`", row.rpartition(" | ")[2])) == set(cell.keys)


def test_the_cell_in_the_document_is_a_whole_one(tmp_path, monkeypatch) -> None:
    text = (ROOT / "host" / "docs" / "cells.md").read_text()
    (source,) = re.findall(r"```python\n(.*?)```", text, re.S)
    place = tmp_path / "average.py"
    place.write_text(source)
    spec = importlib.util.spec_from_file_location("ulnn_host.train.cells.average", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(CELLS, "average", module.CELL)
    content = {"data": {"source": ""}, "model": {"cell": "average", "hidden": 4}}
    made = recipe.parse(content | {"training": {"epochs": 2}})
    trained = train.train(made, waves(), quiet=True)
    trained.save(tmp_path / "net.safetensors")
    assert train.read_trained(tmp_path / "net.safetensors").state.keys() == trained.state.keys()
    larger = budget.solved(made, budget.Budget(5000, "bytes"), waves())
    assert larger.model.hidden > 4
    space = Space(made, 0.1, ("average", "gru"))
    assert space.recipe(optuna.trial.FixedTrial(space.own)) == made


def test_cells_of_boards_are_those_that_checkpoints_may_name() -> None:
    assert {name for name, cell in CELLS.items() if cell.integers} == set(layers.CELLS)
    with pytest.raises(UlnnError, match="cell is 'rnn', expected one of attention, cfc"):
        recipe.with_keys({"data": {"source": "a"}}, {"cell": "rnn"})
    with pytest.raises(UlnnError, match=r"model\.taps is not for cell 'gru', which has cell"):
        recipe.parse({"data": {"source": "a"}, "model": {"cell": "gru", "taps": 3}})
