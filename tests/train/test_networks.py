"""Wired, stacked and mixed memory CfC, LTC, LSTM and GRU: against ncps, torch and themselves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from ncps import torch as ncps
from ncps import wirings
from torch import Tensor

import bench_train
from ulnn_host.base.errors import UlnnError
from ulnn_host.format.model import MODES
from ulnn_host.network import wiring
from ulnn_host.train import ltc_cell, networks
from ulnn_host.train.cells import CELLS
from ulnn_host.train.cfc_cell import CfC, stacked, wired
from ulnn_host.train.ltc_cell import LTC
from ulnn_host.train.model_recipe import ModelRecipe, WiringRecipe
from ulnn_host.train.recurrent import Recurrent
from ulnn_host.train.rollout import Rollout

pytestmark = pytest.mark.usefixtures("double")


def sample(net: Rollout, batch=4, steps=7) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, steps, net.input_size), torch.rand(batch, steps) * 3 + 0.1


def alone(other: torch.nn.Module, x: Tensor, ts: Tensor) -> tuple[Tensor, list[Tensor]]:
    """ncps sample by sample, since it is wrong for batches with timespans."""
    parts = [other(x[k : k + 1], None, ts[k : k + 1]) for k in range(len(x))]
    states = [h if isinstance(h, tuple) else (h,) for _, h in parts]
    return torch.cat([y for y, _ in parts]), [torch.cat(h) for h in zip(*states, strict=True)]


def kinds() -> dict[str, Rollout]:
    ncp = wiring.auto_ncp(3, 12, 3)
    return {
        "wired": wired(ncp, 2),
        "wired as ncps": wired(ncp, 2, dialect="ncps"),
        "wired pure": wired(ncp, 2, "pure"),
        "wired one layer": wired(wiring.random(3, 6, sparsity=0.5), 2, "no_gate"),
        "stacked": stacked(3, 4, 3, 2, backbone_units=5),
        "mixed": CfC(3, 4, 2, backbone_units=5, mixed_memory=True),
        "ltc": LTC(ncp, 2, 3),
        "ltc full": LTC(wiring.fully_connected(3, 5), None),
        "lstm": Recurrent("lstm", 3, 5, 2, dt_input=True),
        "lstm stacked": Recurrent("lstm", 3, 5, 2, layers=2),
        "gru": Recurrent("gru", 3, 5, 2, dt_input=True, layers=2),
    }


KINDS = list(kinds())


@pytest.mark.parametrize("mode", MODES)
def test_wired_equals_ncps(mode):
    for sizes, sparsity in (((19, 4), 0.5), ((8, 2), 0.8)):
        net = wired(wiring.auto_ncp(6, *sizes, sparsity), 7, mode, "ncps")
        other = ncps.CfC(6, wirings.AutoNCP(*sizes, sparsity), proj_size=7, mode=mode)
        other.load_state_dict(net.state_dict())
        x, ts = sample(net)
        y, h = net(x, timespans=ts)
        want, (state,) = alone(other.double(), x, ts)
        assert (y - want).abs().max() < 1e-12
        assert (h - state).abs().max() < 1e-12


def test_own_wired_network_has_the_synapses_of_its_wiring():
    ncp = wiring.auto_ncp(6, 19, 4)
    net = wired(ncp, 7)
    inner = np.abs(ncp.adjacency).sum()
    masks = [cell.sparsity_mask.numpy() for cell in net.cells]
    within = [ncp.within(k) for k in range(3)]
    # beside the synapses every neuron sees itself; some do already
    assert sum(m.sum() for m in masks) == np.abs(ncp.sensory).sum() + inner + sum(
        len(w) - np.count_nonzero(np.diag(w)) for w in within
    )
    assert np.count_nonzero(within[1]) > 0
    assert np.array_equal(masks[1][:, 9:], (np.eye(6) + np.abs(within[1])).T > 0)
    # a head's weight without a connection is 0 and stays so
    optimiser = torch.optim.AdamW(net.parameters(), 0.1)
    x, ts = sample(net)
    net(x, timespans=ts)[0].square().sum().backward()
    optimiser.step()
    for cell, mask in zip(net.cells, masks, strict=True):
        for name in cell.head_names:
            assert ((getattr(cell, name).weight != 0).numpy() == (mask != 0)).all()
        assert torch.equal(cell.sparsity_mask, torch.tensor(mask))


@pytest.mark.parametrize("mode", MODES)
def test_mixed_memory_equals_ncps(mode):
    net = CfC(3, 8, 5, mode, "silu", 10, 1, mixed_memory=True)
    other = ncps.CfC(
        3, 8, 5, mode=mode, activation="silu", backbone_units=10, backbone_layers=1,
        mixed_memory=True,
    )  # fmt: skip
    other.load_state_dict(net.state_dict())
    x, ts = sample(net)
    y, h = net(x, timespans=ts)
    want, state = alone(other.double(), x, ts)
    assert (y - want).abs().max() < 1e-12
    assert (h - torch.cat(state, 1)).abs().max() < 1e-12


def test_stacked_equals_a_list_of_ncps():
    net = stacked(3, 8, 2, 5, "default", "silu", 10, 1)
    layers = torch.nn.ModuleList(
        ncps.CfC(inputs, 8, activation="silu", backbone_units=10, backbone_layers=1)
        for inputs in (3, 8)
    )
    fc = torch.nn.Linear(8, 5)
    torch.nn.ModuleDict({"rnn": layers, "fc": fc}).load_state_dict(net.state_dict())
    x, ts = sample(net)
    y, h = net(x, timespans=ts)
    first, (one,) = alone(layers[0].double(), x, ts)
    second, (two,) = alone(layers[1].double(), first, ts)
    assert (y - fc(second)).abs().max() < 1e-12
    assert (h - torch.cat([one, two], 1)).abs().max() < 1e-12


@pytest.mark.parametrize("unfolds", [1, 6])
@pytest.mark.parametrize("kind", ["auto_ncp", "full", "random"])
def test_ltc_equals_ncps(kind, unfolds):
    wires, other = {
        "auto_ncp": (wiring.auto_ncp(6, 19, 4), wirings.AutoNCP(19, 4)),
        "full": (wiring.fully_connected(6, 7, 3), wirings.FullyConnected(7, 3)),
        "random": (wiring.random(6, 9, 2, 0.7), wirings.Random(9, 2, 0.7)),
    }[kind]
    net, theirs = LTC(wires, None, unfolds), ncps.LTC(6, other, ode_unfolds=unfolds)
    theirs.load_state_dict(net.state_dict())
    x, ts = sample(net)
    y, h = net(x, timespans=ts)
    want, (state,) = alone(theirs.double(), x, ts)
    assert (y - want).abs().max() < 1e-12
    assert (h - state).abs().max() < 1e-12


def test_ltc_starts_like_ncps():
    net = LTC(wiring.auto_ncp(6, 40, 4))
    theirs = ncps.LTC(6, wirings.AutoNCP(40, 4)).state_dict()
    for key, value in net.state_dict().items():
        assert value.shape == theirs[key].shape
        assert (value.mean() - theirs[key].mean()).abs() < 0.3 * theirs[key].std() + 1e-9, key
        if "erev" in key or "mask" in key:
            assert torch.equal(value, theirs[key].double())


@pytest.mark.parametrize("wires", [wiring.auto_ncp(2, 7, 2), wiring.random(2, 3, 2, 0.4)])
def test_ltc_fast_path(wires):
    net = LTC(wires, 2, 2)
    x, ts = (v.requires_grad_() for v in sample(net, 2, 3))
    h0 = torch.randn(2, wires.units, requires_grad=True)
    slow = ltc_cell._loop(net.rnn_cell, x, h0, ts.T[..., None])
    assert (net.states(x, h0, ts.T[..., None])[1] - slow).abs().max() < 1e-12
    trained = [p for p in net.parameters() if p.requires_grad]
    run = lambda x, ts, h0, *_: net(x, h0, ts)  # noqa: E731
    assert torch.autograd.gradcheck(run, (x, ts, h0, *trained), fast_mode=True)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("layers", [1, 2])
def test_torch_reads_lstm_and_gru(kind, layers):
    net = Recurrent(kind, 3, 5, 2, dt_input=True, layers=layers)
    rnn = (torch.nn.LSTM if kind == "lstm" else torch.nn.GRU)(4, 5, layers, batch_first=True)
    fc = torch.nn.Linear(5, 2)
    torch.nn.ModuleDict({"rnn": rnn, "fc": fc}).load_state_dict(net.state_dict())
    x, ts = sample(net)
    want = fc(rnn(torch.cat([x, ts[..., None]], 2))[0])
    assert (net(x, timespans=ts)[0] - want).abs().max() < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_elapsed_times_belong_to_their_sample(kind):
    net = kinds()[kind]
    units = net.state_size
    for batch in {1, 2, 9, units}:
        x, ts = sample(net, batch)
        y, h = net(x, timespans=ts)
        assert torch.equal(y, net(x, timespans=ts[..., None])[0])
        for k in range(batch):
            one, state = net(x[k : k + 1], timespans=ts[k : k + 1])
            assert (y[k] - one[0]).abs().max() < 1e-12
            assert (h[k] - state[0]).abs().max() < 1e-12
    moved, _ = net(x, timespans=ts * 1.5)
    assert ((moved - y).abs().max() > 1e-6) == (kind != "lstm stacked")


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_goes_on_and_length_ends_it(kind):
    net = kinds()[kind]
    x, ts = sample(net, 3, 8)
    y, last = net(x, timespans=ts)
    before, state = net(x[:, :5], timespans=ts[:, :5])
    after, end = net(x[:, 5:], state, ts[:, 5:])
    assert (torch.cat([before, after], 1) - y).abs().max() < 1e-12
    assert (end - last).abs().max() < 1e-12
    _, early = net(x, None, ts, torch.tensor([5, 8, 5]))
    assert (early[[0, 2]] - state[[0, 2]]).abs().max() < 1e-12
    assert (early[1] - last[1]).abs().max() < 1e-12


@pytest.mark.parametrize("kind", ["wired", "wired as ncps", "stacked", "mixed"])
def test_gradients(kind):
    net = kinds()[kind]
    x, ts = (v.requires_grad_() for v in sample(net, 2, 3))
    h0 = torch.randn(2, net.state_size, requires_grad=True)
    trained = [p for p in net.parameters() if p.requires_grad]
    run = lambda x, ts, h0, *_: net(x, h0, ts)  # noqa: E731
    assert torch.autograd.gradcheck(run, (x, ts, h0, *trained), fast_mode=True)


def test_networks_of_recipes_come_back():
    for cell, mode, dialect in itertools.product(
        [name for name, cell in CELLS.items() if cell.integers],
        ("default", "pure"),
        ("ncps", "ulnn"),
    ):
        wires = WiringRecipe(units=9, outputs=2, dialect=dialect)
        model = ModelRecipe(cell=cell, mode=mode, hidden=4, dt_input=True, wiring=wires)
        net = networks.build(model, 3, 5)
        hyper = networks.describe(model, 3, 5)
        again = networks.from_hyper({k: v for k, v in hyper.items() if v is not None})
        again.load_state_dict(net.state_dict())
        x, ts = sample(net)
        assert torch.equal(net(x, timespans=ts)[0], again(x, timespans=ts)[0])
        assert hyper["dialect"] == {"lstm": "torch", "gru": "torch"}.get(
            cell, "ulnn" if (cell, dialect) == ("wired", "ulnn") else "ncps.torch"
        )


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: wired(wiring.random(3, 6, 2)), "2 outputs of 6 units, expected 6"),
        (lambda: wired(wiring.auto_ncp(3, 9, 2), dialect="x"), "dialect 'x' not known"),
        (lambda: LTC(wiring.random(3, 6), unfolds=0), "unfolds 0, expected 1 or more"),
        (lambda: Recurrent("rnn", 3, 4), "cell 'rnn' not known, expected one of lstm, gru"),
        (lambda: Recurrent("gru", 3, 0), "hidden size 0, expected 1 or more"),
        (lambda: LTC(wiring.random(3, 6))(torch.zeros(2, 4, 2)), "x has shape"),
    ],
)
def test_refuses(call, text):
    with pytest.raises(UlnnError, match=text):
        call()


def test_speed_beside_ncps_compares_the_same():
    lines = bench_train.measure(3, 4, 1, quiet=True)
    assert len(lines) == 5
    different = [line.name for line in lines if not line.difference < 1e-10]
    assert different == ["wired CfC, AutoNCP(19, 4), dialect ulnn"]
