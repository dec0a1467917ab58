"""The integers of LTC layers keep the bounds of SPEC.md 2.5.2, whatever rounding does to them."""

from __future__ import annotations

import numpy as np
import pytest

from support.convert_cases import data
from ulnn_host.format import container
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.network.layers import Ltc, Synapses
from ulnn_host.quantize import quantize
from ulnn_host.quantize.calibration import FloatRollout


@pytest.mark.parametrize("neurons", [1, 9, 40])
@pytest.mark.parametrize("seed", range(3))
def test_many_synapses_fit(neurons: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = 4

    def synapses(count: int) -> Synapses:
        shape = (count, neurons)
        return Synapses(
            w=rng.uniform(0.01, 1, shape),
            sigma=rng.uniform(3, 8, shape),
            mu=rng.uniform(0.3, 0.8, shape),
            erev=rng.choice([-1.0, 1.0], shape),
        )

    layer = Ltc(
        *(synapses(inputs), synapses(neurons)),
        *(rng.uniform(0.001, 1, neurons), rng.uniform(-0.2, 0.2, neurons)),
        *(rng.uniform(0.4, 0.6, neurons), np.ones(inputs), np.zeros(inputs)),
        *(np.ones(1), np.zeros(1)),
    )
    net = FloatNetwork((layer,), np.zeros(inputs), np.ones(inputs))
    seen = FloatRollout(net, data(inputs, count=2, steps=10))
    model = quantize.convert(seen, quantize.Options())
    container.read(container.write(model))
    assert quantize.rollout_error(seen, model).largest < 0.005
