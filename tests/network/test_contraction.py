"""The exponent of a layer says whether errors grow along the rollout."""

from __future__ import annotations

import numpy as np
import pytest

from support.convert_cases import NAMES, chaotic, data, network
from ulnn_host.format import container
from ulnn_host.network import contraction
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.network.layers import Dense, Linear, Lstm
from ulnn_host.quantize import quantize
from ulnn_host.quantize.calibration import FloatRollout
from ulnn_host.report.convert_report import Reporter


@pytest.mark.parametrize("name", NAMES)
def test_small_weights_make_contractive_layers(name: str) -> None:
    net = network(name, 0.5)
    found = contraction.measure(net, data(net.input_size))
    assert [c.layer for c in found] == [n for n, x in enumerate(net.layers) if x.state_sizes]
    assert all(c.contractive and c.exponent < -0.1 and c.peak < 1.5 for c in found)


def test_a_chaotic_layer_is_named_and_its_error_grows() -> None:
    net, seen = chaotic(), data(3)
    (layer,) = contraction.measure(net, seen)
    assert not layer.contractive
    assert layer.warning.startswith("layer 0 (CfC no_gate) is not contractive: ")
    assert "consistency" in layer.warning
    floats = FloatRollout(net, seen)
    content = container.write(quantize.convert(floats, quantize.Options(16)))
    curve = Reporter(floats).measure("int16", content).curve
    assert curve.rms[40] > 20 * curve.rms[0]


def test_the_exponent_of_a_known_layer() -> None:
    """An LSTM whose gates do not see its state: c' = sigmoid(2) c + ..., so the difference goes
    with log(sigmoid(2)) a step."""
    gates = Linear(np.zeros((4, 2)), np.array([0.0, 2.0, 0.0, 0.0]))
    head = Dense(Linear(np.ones((1, 1)), np.zeros(1)))
    net = FloatNetwork((Lstm(gates), head), np.zeros(1), np.ones(1))
    (layer,) = contraction.measure(net, data(1))
    assert layer.exponent == pytest.approx(np.log(1 / (1 + np.exp(-2))), abs=1e-4)
    assert layer.memory == pytest.approx(-1 / layer.exponent)


def test_a_single_step_is_enough_and_the_result_is_repeatable() -> None:
    net = network("gru-1")
    short = data(net.input_size, count=1, steps=1)
    assert contraction.measure(net, short) == contraction.measure(net, short)


def test_a_network_without_state_has_nothing_to_measure() -> None:
    net = FloatNetwork((Dense(Linear(np.ones((1, 3)), np.zeros(1))),), np.zeros(3), np.ones(3))
    assert contraction.measure(net, data(3)) == ()
