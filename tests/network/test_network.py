"""The float layers: the LTC paper's equation, and walking over a network's arrays."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from support import convert_cases
from support.every_cell import every_cell
from support.ncps_models import Spec, data
from ulnn_host.format import container
from ulnn_host.network.float_network import FloatNetwork, arrays, mapped, replaced
from ulnn_host.network.layers import Ltc, sigmoid
from ulnn_host.quantize import quantize
from ulnn_host.quantize.calibration import FloatRollout

INPUTS, NEURONS = 2, 4


def constants(seed: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = (INPUTS + NEURONS, NEURONS)
    return {
        "tau": rng.uniform(0.5, 2, NEURONS),
        "w": rng.uniform(0.1, 1, shape),
        "a": rng.uniform(-1, 1, shape),
        "sigma": rng.uniform(1, 3, shape),
        "mu": rng.uniform(-0.3, 0.3, shape),
    }


def integrated(c: dict[str, np.ndarray], x: np.ndarray, dt: np.ndarray) -> np.ndarray:
    """dy/dt = -[1/tau + w f] y + A f, sums over the sources, by tiny explicit steps."""
    y, out = np.zeros(NEURONS), []
    for now, span in zip(x, dt, strict=True):
        parts = 4000
        for _ in range(parts):
            sources = np.concatenate([now, y])
            f = np.asarray(sigmoid(c["sigma"] * (sources[:, None] - c["mu"])))
            slope = -(1 / c["tau"] + (c["w"] * f).sum(0)) * y + (c["a"] * f).sum(0)
            y = y + span / parts * slope
        out.append(y)
    return np.array(out)


def ltc_network(unfolds: int) -> FloatNetwork:
    layer = Ltc.of_time_constants(**constants())
    layer = Ltc(**{**vars(layer), "unfolds": unfolds})
    return FloatNetwork((layer,), np.zeros(INPUTS), np.ones(INPUTS), dialect="ulnn")


def test_the_equation_of_the_ltc_paper_is_solved() -> None:
    rng = np.random.default_rng(0)
    x, dt = rng.uniform(-1, 1, (12, INPUTS)), rng.uniform(0.05, 0.4, 12)
    exact = integrated(constants(), x, dt)
    errors = [
        np.abs(ltc_network(unfolds).run(x[None], dt[None]).y[0] - exact).max()
        for unfolds in (6, 60, 600)
    ]
    # the semi-implicit step is of first order: ten times the unfolds, a tenth of the error
    assert errors[0] < 0.05
    assert errors[1] < errors[0] / 5
    assert errors[2] < errors[1] / 5


def test_the_equation_of_the_ltc_paper_runs_in_integers() -> None:
    network = ltc_network(6)
    one = Spec(inputs=INPUTS)
    seen = FloatRollout(network, data(one, 4, 100, 1))
    model = quantize.convert(seen, quantize.Options(bits=16))
    container.write(model)
    fresh = seen.on(data(one, 2, 300, 2))
    assert quantize.rollout_error(fresh, model).largest < 0.01


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_nothing_of_the_padding_reaches_a_network(value: float) -> None:
    for name in convert_cases.NAMES:
        net = convert_cases.network(name)
        seen = convert_cases.data(net.input_size, 3, 12)
        wild = seen.x.copy(), seen.dt.copy()
        for part in wild:
            part[~seen.mask] = value
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = net.run(*wild, seen.length)
        plain = net.run(seen.x, seen.dt, seen.length)
        np.testing.assert_array_equal(found.y[seen.mask], plain.y[seen.mask])
        for ours, theirs in zip(found.state, plain.state, strict=True):
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(a, b)


def test_arrays_are_walked_and_replaced_in_every_cell() -> None:
    for name, network in every_cell():
        before = dict(arrays(network.layers))
        assert before, name
        same = dict(arrays(replaced(network.layers, {})))
        assert all(same[key] is value for key, value in before.items())
        doubled = dict(arrays(mapped(network.layers, lambda _, value: 2 * value)))
        assert all(np.array_equal(doubled[key], 2 * value) for key, value in before.items())


def test_numpy_and_torch_compute_the_same() -> None:
    for name, network in every_cell():
        one = data(Spec(inputs=network.input_size), 3, 8, 1)
        expected = network.run(one.x, one.dt).y
        layers = mapped(network.layers, lambda _, value: torch.from_numpy(np.array(value)))
        x = torch.from_numpy((one.x.astype(np.float64) - network.mean) / network.std)
        ts = torch.from_numpy(one.dt.astype(np.float64) / network.time_scale)
        twin = FloatNetwork(layers, network.mean, network.std)
        states = twin.zero_state(x[:, 0])
        for t in range(8):
            y, states, _ = twin.step(x[:, t], states, ts[:, t, None])
            assert np.abs(y.numpy() - expected[:, t]).max() < 1e-12, name
