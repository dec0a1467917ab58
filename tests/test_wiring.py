"""Wirings against ncps, and their picture."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from ncps import wirings as ncps

from ulnn_host import wiring
from ulnn_host.errors import UlnnError


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
