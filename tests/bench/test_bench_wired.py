"""Wired networks in both dialects on the demo's task: the quick form of `make bench-wired`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import bench_wired
from ulnn_host.data.npz import from_arrays
from ulnn_host.format import container, layout
from ulnn_host.importers import checkpoint
from ulnn_host.network import sizes
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.quantize import quantize
from ulnn_host.quantize.calibration import FloatRollout
from ulnn_host.train import networks
from ulnn_host.train.model_recipe import ModelRecipe, WiringRecipe


def of_recipe(model: ModelRecipe, inputs: int, outputs: int) -> FloatNetwork:
    torch.manual_seed(0)
    state = networks.build(model, inputs, outputs).state_dict()
    weights = {key: value.double().numpy() for key, value in state.items()}
    return checkpoint.from_weights(weights, networks.describe(model, inputs, outputs)).network


def test_ours_has_fewer_products_and_is_no_worse(full):
    epochs, seeds = (None, bench_wired.SEEDS) if full else (1, (1,))
    results = bench_wired.compare(seeds, epochs, quiet=True)
    by = {d: [r for r in results if r.dialect == d] for d in ("ulnn", "ncps")}
    assert {r.products for r in by["ulnn"]} == {392}
    assert {r.products for r in by["ncps"]} == {1088}
    ours, theirs = (np.mean([r.balanced for r in rows]) for rows in by.values())
    if full:
        assert ours >= theirs
    assert len(bench_wired.picture(results).axes[0].collections) == 2


@pytest.mark.parametrize(
    "model",
    [
        ModelRecipe(hidden=8, backbone_units=12),
        ModelRecipe(hidden=8, mode="pure", backbone_layers=0),
        ModelRecipe(cell="mixed", hidden=8, activation="gelu"),
        ModelRecipe(cell="lstm", hidden=8),
        ModelRecipe(cell="gru", hidden=8, dt_input=True),
        ModelRecipe(cell="ltc"),
        ModelRecipe(cell="wired"),
    ],
    ids=lambda model: f"{model.cell} {model.mode}",
)
def test_sizes_are_those_of_the_converted_model(model):
    network = of_recipe(model, 6, 2)
    rng = np.random.default_rng(0)
    x, dt = rng.normal(size=(2, 20, 6)), rng.uniform(0.5, 1.5, (2, 20))
    seen = FloatRollout(network, from_arrays({"x": x, "dt": dt}))
    for bits in (8, 16):
        converted = quantize.convert(seen, quantize.Options(bits=bits))
        assert sizes.products(network) == converted.macs
        content = container.write(converted)
        parts = container.section_sizes(content)
        rest = layout.filled(parts["GOLDEN"]) + layout.filled(parts["META"])
        assert sizes.file_bytes(network, bits) - sum(sizes.REST) == len(content) - rest
    assert 0 < sizes.weights(network) <= sizes.products(network)


def test_weights_are_those_that_are_not_0():
    assert sizes.weights(of_recipe(ModelRecipe(cell="wired"), 6, 7)) == 392
    wires = WiringRecipe(dialect="ncps")
    dense = ModelRecipe(cell="wired", wiring=wires)
    assert sizes.weights(of_recipe(dense, 6, 7)) == 958
