"""The PyTorch cell against ncps, against its own readable form, and its gradients."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ulnn_host.base.errors import UlnnError
from ulnn_host.train.cfc_cell import ACTIVATIONS, MODES, CfC, _loop

ncps = pytest.importorskip("ncps.torch")

FAST = [mode for mode in MODES if mode != "pure"]


def make(mode="default", activation="lecun_tanh", layers=1, sizes=(3, 8, 5, 10), seed=0) -> CfC:
    torch.manual_seed(seed)
    inputs, units, outputs, width = sizes
    return CfC(inputs, units, outputs, mode, activation, width, layers)


def twin(net: CfC) -> torch.nn.Module:
    """The same network in ncps."""
    cell = net.rnn_cell
    stages = len(cell.backbone) // 2 if cell.backbone is not None else 0
    units = cell.backbone[0].out_features if cell.backbone is not None else 1
    other = ncps.CfC(
        cell.input_size,
        cell.hidden_size,
        net.proj_size,
        mode=cell.mode,
        activation=cell.activation,
        backbone_units=units,
        backbone_layers=stages,
    )
    other.load_state_dict(net.state_dict())
    return other.to(cell.ff1.weight.dtype)


def sample(net: CfC, batch=4, steps=20, seed=1) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    like = net.rnn_cell.ff1.weight.dtype
    x = torch.randn(batch, steps, net.rnn_cell.input_size, generator=rng).to(like)
    return x, (torch.rand(batch, steps, generator=rng) * 3 + 0.01).to(like)


def ncps_rollout(other: torch.nn.Module, x: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
    """Sample by sample: ncps 1.0.1 is wrong for batches with timespans."""
    zero = x.new_zeros(1, other.state_size)
    parts = [other(x[k : k + 1], zero, ts[k : k + 1]) for k in range(len(x))]
    return torch.cat([y for y, _ in parts]), torch.cat([h for _, h in parts])


@pytest.mark.parametrize(
    ("mode", "activation", "layers"), list(itertools.product(MODES, ACTIVATIONS, range(4)))
)
def test_equals_ncps(mode, activation, layers):
    net = make(mode, activation, layers)
    x, ts = sample(net)
    y, h = net(x, timespans=ts)
    want, last = ncps_rollout(twin(net), x, ts)
    # no_gate with random weights is chaotic: rounding grows, so it is held to its double below
    limit = 1e-5 if mode == "no_gate" else 1e-6
    assert (y - want).abs().max() <= limit
    assert (h - last).abs().max() <= limit


@pytest.mark.parametrize(("mode", "activation"), list(itertools.product(MODES, ACTIVATIONS)))
def test_equals_ncps_in_double(mode, activation):
    net = make(mode, activation, 2).double()
    x, ts = sample(net, steps=30)
    y, _ = net(x, timespans=ts)
    want, _ = ncps_rollout(twin(net), x, ts)
    assert (y - want).abs().max() <= 1e-10


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(FAST),
    st.sampled_from(ACTIVATIONS),
    st.integers(0, 3),
    st.tuples(*[st.integers(1, 9)] * 4),
    st.integers(1, 9),
    st.integers(1, 7),
)
def test_fast_path_equals_the_readable_one(mode, activation, layers, sizes, batch, steps):
    net = make(mode, activation, layers, sizes).double()
    x, ts = sample(net, batch, steps)
    h0 = torch.randn(batch, sizes[1], dtype=torch.double)
    length = torch.randint(1, steps + 1, (batch,))
    y, last = net(x, h0, ts, length)
    want = _loop(net.rnn_cell, x.transpose(0, 1), h0, ts.T[..., None])
    assert torch.allclose(y, net.fc(want).transpose(0, 1), rtol=0, atol=1e-12)
    assert torch.allclose(last, want[length - 1, torch.arange(batch)], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("mode", "activation", "layers"), list(itertools.product(FAST, ACTIVATIONS, range(3)))
)
def test_gradients(mode, activation, layers):
    net = make(mode, activation, layers, (2, 3, 2, 4)).double()
    x, ts = (v.requires_grad_() for v in sample(net, 2, 4))
    h0 = torch.randn(2, 3, dtype=torch.double, requires_grad=True)

    def run(x, ts, h0, *_weights):
        return net(x, h0, ts)

    assert torch.autograd.gradcheck(run, (x, ts, h0, *net.parameters()))


@pytest.mark.parametrize("batch", [1, 2, 8, 9])
def test_elapsed_times_belong_to_their_sample(batch):
    """ncps 1.0.1 takes them for neurons when batch and hidden size are equal (8 here)."""
    net = make()
    x, ts = sample(net, batch)
    y, _ = net(x, timespans=ts)
    for k in range(batch):
        alone, _ = net(x[k : k + 1], timespans=ts[k : k + 1])
        assert (y[k] - alone[0]).abs().max() <= 1e-6
    assert torch.equal(y, net(x, timespans=ts[..., None])[0])


def test_no_timespans_means_one():
    net = make()
    x, ts = sample(net)
    assert torch.equal(net(x)[0], net(x, timespans=torch.ones_like(ts))[0])


def test_state_dict_goes_both_ways():
    for mode, layers, head in itertools.product(MODES, (0, 1, 3), (None, 4)):
        ours = CfC(3, 8, head, mode, "silu", 10, layers)
        other = ncps.CfC(
            3, 8, head, mode=mode, activation="silu", backbone_units=10, backbone_layers=layers
        )
        shapes = {key: value.shape for key, value in other.state_dict().items()}
        assert {key: value.shape for key, value in ours.state_dict().items()} == shapes
        ours.load_state_dict(other.state_dict())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"mode": "fast"}, "mode 'fast' not known, expected one of default, no_gate, pure"),
        ({"activation": "sin"}, "activation 'sin' not known, expected one of silu, relu"),
        ({"layers": -1}, "backbone layers -1, expected 0 or more"),
        ({"sizes": (0, 8, 5, 10)}, "input size 0, expected 1 or more"),
    ],
)
def test_refuses(arguments, text):
    with pytest.raises(UlnnError, match=text):
        make(**arguments)


def test_refuses_shapes():
    net = make()
    x, ts = sample(net)
    for call in (
        lambda: net(x[0]),
        lambda: net(x[..., :2]),
        lambda: net(x, timespans=ts[:, :-1]),
        lambda: net(x, hx=torch.zeros(1, 8)),
    ):
        with pytest.raises(UlnnError, match="expected"):
            call()


def step_time(net: torch.nn.Module, x: Tensor, ts: Tensor) -> float:
    net.zero_grad()
    start = time.perf_counter()
    net(x, timespans=ts)[0].square().mean().backward()
    return time.perf_counter() - start


def test_at_least_as_fast_as_ncps(capsys):
    net = make("default", "lecun_tanh", 1, (6, 32, 7, 32))
    other = twin(net)
    x, ts = sample(net, 128, 100)
    wide = ts[..., None].expand(128, 100, 32)  # the form in which ncps gets batches right
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rounds = [(step_time(net, x, ts), step_time(other, x, wide)) for _ in range(6)]
    finally:
        torch.set_num_threads(threads)
    ours, theirs = np.min(rounds, 0) * 1e3
    with capsys.disabled():
        print(
            f" [training step {ours:.1f} ms, ncps {theirs:.1f} ms, {theirs / ours:.2f} x] ", end=""
        )
    assert ours <= theirs
