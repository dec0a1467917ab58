"""Small networks and data for the tests of conversion: quick to make, no framework but ncps and
torch."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from support.every_cell import scaled, torch_models
from ulnn_host.data.sequences import Sequences
from ulnn_host.format.model import ModelFile
from ulnn_host.importers import checkpoint
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.network.layers import CfC, Linear
from ulnn_host.quantize import quantize
from ulnn_host.quantize.calibration import FloatRollout

NAMES = tuple(torch_models())


@functools.cache
def network(name: str, gain: float = 0.7) -> FloatNetwork:
    """One of every_cell's networks of torch, weights times the gain."""
    model, hyper = torch_models()[name]
    weights = {k: v.double().numpy() for k, v in scaled(model.state_dict(), gain).items()}
    return checkpoint.from_weights(weights, hyper, name=name).network


def data(inputs: int, count: int = 4, steps: int = 80, seed: int = 1) -> Sequences:
    """Inputs in -1 .. 1, dt 0.1 .. 1 s; labels 0 and 1; the last sequence is shorter."""
    rng = np.random.default_rng(seed)
    length = np.full(count, steps)
    length[-1] = max(1, steps // 2)
    return Sequences(
        x=rng.uniform(-1, 1, (count, steps, inputs)).astype(np.float32),
        dt=rng.uniform(0.1, 1, (count, steps)).astype(np.float32),
        length=length,
        y=np.arange(count) % 2,
    )


@functools.cache
def model(name: str) -> ModelFile:
    """The network as int8, calibrated on `data`."""
    net = network(name)
    return quantize.convert(FloatRollout(net, data(net.input_size)), quantize.Options())


def chaotic() -> FloatNetwork:
    """A CfC with heads three times and a backbone twice as large as fresh ones."""
    net = network("cfc-no_gate", 1.0)
    layer = net.layers[0]
    assert isinstance(layer, CfC)

    def times(linear: Linear, gain: float) -> Linear:
        return Linear(linear.weight * gain, linear.bias * gain)

    layer = dataclasses.replace(
        layer,
        backbone=tuple(times(linear, 2) for linear in layer.backbone),
        heads={name: times(linear, 3) for name, linear in layer.heads.items()},
    )
    return dataclasses.replace(net, layers=(layer, *net.layers[1:]))
