"""Wirings against ncps, and their picture."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from ncps import wirings as ncps
from typer.testing import CliRunner

from support import random_models
from ulnn_host.base.errors import UlnnError
from ulnn_host.cli.main import app
from ulnn_host.format import container
from ulnn_host.format.model import Kind, Mode
from ulnn_host.network import wiring
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.network.layers import CfC, Dense, Linear, Ltc, Synapses
from ulnn_host.report import graph, pictures


def check(ours: wiring.Wiring, theirs: ncps.Wiring) -> None:
    theirs.build(ours.inputs)
    assert np.array_equal(ours.adjacency, theirs.adjacency_matrix)
    assert np.array_equal(ours.sensory, theirs.sensory_adjacency_matrix)
    assert ours.outputs == theirs.output_dim
    assert [list(layer) for layer in ours.layers] == [
        list(theirs.get_neurons_of_layer(k)) for k in range(theirs.num_layers)
    ]
    assert [ours.kind(k) for k in range(ours.units)] == [
        theirs.get_type_of_neuron(k) for k in range(ours.units)
    ]
    assert ours.synapses == theirs.synapse_count + theirs.sensory_synapse_count


@pytest.mark.parametrize(
    ("sizes", "sparsity", "seed"),
    list(itertools.product([(19, 4), (32, 2), (12, 7), (8, 1)], [0.1, 0.5, 0.9], [22222, 3])),
)
def test_auto_ncp_equals_ncps(sizes, sparsity, seed):
    for inputs in (1, 6, 30):
        check(
            wiring.auto_ncp(inputs, *sizes, sparsity, seed),
            ncps.AutoNCP(*sizes, sparsity, seed),
        )


def test_ncp_equals_ncps():
    rng = np.random.default_rng(0)
    for seed in range(20):
        inter, command, motor = (int(n) for n in rng.integers(2, 12, 3))
        fans = (
            int(rng.integers(1, inter + 1)),
            int(rng.integers(1, command + 1)),
            int(rng.integers(0, 20)),
            int(rng.integers(1, command + 1)),
        )
        sizes = (inter, command, motor, *fans)
        check(wiring.ncp(5, *sizes, seed), ncps.NCP(*sizes, seed))


@pytest.mark.parametrize("seed", [1111, 5])
@pytest.mark.parametrize("outputs", [None, 3])
def test_one_layer_wirings_equal_ncps(seed, outputs):
    check(wiring.fully_connected(4, 9, outputs, seed), ncps.FullyConnected(9, outputs, seed))
    check(
        wiring.fully_connected(4, 9, outputs, seed, self_connections=False),
        ncps.FullyConnected(9, outputs, seed, self_connections=False),
    )
    for sparsity in (0.0, 0.3, 0.75):
        check(
            wiring.random(4, 9, outputs, sparsity, seed), ncps.Random(9, outputs, sparsity, seed)
        )


def test_making_one_twice_adds_no_synapses():
    first, second = (wiring.make("auto_ncp", 6, 19, 4, 0.5, 22222) for _ in range(2))
    assert first.synapses == second.synapses
    assert np.array_equal(first.adjacency, second.adjacency)
    theirs = ncps.AutoNCP(19, 4)
    theirs.build(6)
    assert np.array_equal(wiring.of_ncps(theirs).adjacency, first.adjacency)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: wiring.auto_ncp(6, 8, 6), "outputs 6 of 8 units, expected 1 to 5"),
        (lambda: wiring.auto_ncp(6, 8, 2, 0.05), "sparsity 0.05, expected 0.1 to 0.9"),
        (lambda: wiring.ncp(0, 4, 4, 1, 1, 1, 1, 1), "inputs 0, expected 1 or more"),
        (lambda: wiring.ncp(2, 4, 4, 1, 5, 1, 1, 1), "sensory_fanout 5, expected 1 to 4, the int"),
        (lambda: wiring.random(2, 4, 5), "outputs 5 of 4 units, expected 1 to 4"),
        (lambda: wiring.random(2, 4, sparsity=1.0), "sparsity 1, expected 0 up to below 1"),
        (lambda: wiring.make("ring", 1, 2, 1, 0.5, 0), "wiring 'ring' not known, expected auto"),
    ],
)
def test_refuses(call, text):
    with pytest.raises(UlnnError, match=text):
        call()


def linear(mask: np.ndarray) -> Linear:
    return Linear(mask.astype(float), np.zeros(len(mask)))


def sparse_network(wires: wiring.Wiring) -> FloatNetwork:
    """A wired CfC in float with the synapses alone."""
    layers = []
    for k in range(len(wires.layers)):
        mask = np.concatenate([wires.into(k), wires.within(k)]).T != 0
        heads = {name: linear(mask) for name in ("ff1", "ff2", "time_a", "time_b")}
        layers.append(CfC(Mode.DEFAULT, "tanh", (), heads))
    fc = Dense(Linear(np.ones((7, wires.outputs)), np.zeros(7)))
    meta = {"labels": list("abcdefg")}
    return FloatNetwork((*layers, fc), np.zeros(wires.inputs), np.ones(wires.inputs), meta=meta)


def ltc_network(wires: wiring.Wiring) -> FloatNetwork:
    groups = [
        Synapses(np.abs(a).astype(float), np.ones(a.shape), np.ones(a.shape), a.astype(float))
        for a in (wires.sensory, wires.adjacency)
    ]
    n, m = np.ones(wires.units), np.ones(wires.outputs)
    inputs = np.ones(wires.inputs)
    return FloatNetwork((Ltc(*groups, n, n, n, inputs, inputs, m, m),), inputs, inputs)


def test_graphs_have_every_synapse():
    wires = wiring.auto_ncp(6, 19, 4)
    drawn = graph.of_wiring(wires)
    assert drawn.synapses == wires.synapses
    assert [c.title for c in drawn.columns] == ["inputs", "inter", "command", "motor"]
    assert (
        sum((k.sign > 0).sum() for k in drawn.links)
        == (wires.adjacency > 0).sum() + (wires.sensory > 0).sum()
    )
    network = graph.of_network(sparse_network(wires))
    assert network.synapses == wires.synapses + 4 * 7
    assert network.columns[-1].names == tuple("abcdefg")
    ltc = graph.of_network(ltc_network(wires))
    assert ltc.synapses == wires.synapses
    assert [c.size for c in ltc.columns] == [6, 9, 6, 4]


@pytest.mark.parametrize("density", [0.0, 0.3])
@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.DENSE])
def test_graphs_of_integer_models(tmp_path, kind, density):
    shape = random_models.Shape(kind, density=density, dt_input=True, motor=3)
    drawn = graph.of_model(random_models.random_model(1, shape))
    assert (drawn.columns[0].size, drawn.columns[-1].size) == (3, 2)
    assert all(k.pairs is None for k in drawn.links) == (not density and kind is not Kind.LTC)
    for name in ("a.svg", "a.png"):
        pictures.save(graph.draw(drawn, "a model"), tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000
    first = (tmp_path / "a.svg").read_bytes()
    pictures.save(graph.draw(drawn, "a model"), tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_bytes() == first
    model, picture = tmp_path / "m.ulnn", tmp_path / "b.svg"
    model.write_bytes(container.write(random_models.random_model(1, shape)))
    done = CliRunner().invoke(app, ["info", str(model), "--graph", str(picture)])
    assert done.exit_code == 0
    assert b"inputs" in picture.read_bytes()
    with pytest.raises(UlnnError, match=r"ends in \.png, \.svg or \.pdf"):
        pictures.save(graph.draw(drawn), tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("size", "lines", "said"),
    [(1001, 1, "1,001 neurons in a column and 1 synapses"), (200, 30001, "30,001 synapses")],
)
def test_a_network_too_large_for_a_picture_is_one_line(size, lines, said):
    drawn = graph.Graph()
    for name in ("inputs", "outputs"):
        drawn.column(name, size, name)
    pairs = np.array([divmod(k, size) for k in range(lines)])
    drawn.links.append(graph.Link(0, 1, pairs))
    with pytest.raises(UlnnError, match=f"{said} are too many for a picture, expected at most"):
        graph.draw(drawn)
    drawn.columns = [graph.Column(c.title, min(size, 200), c.colour) for c in drawn.columns]
    drawn.links[0] = graph.Link(0, 1, pairs[: graph.LINES_MAX])
    assert graph.draw(drawn).axes
