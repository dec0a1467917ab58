"""Wired networks in both dialects on the demo's task: the quick form of `make bench-wired`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ulnn_host import bench_wired, checkpoint, networks, recipe, sizes
from ulnn_host.network import FloatNetwork


def of_recipe(model: recipe.ModelRecipe, inputs: int, outputs: int) -> FloatNetwork:
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
    ("model", "products", "weights"),
    [
        (recipe.ModelRecipe(hidden=8, backbone_units=12), 12 * 14 + 32 * 12 + 2 * 8, None),
        (recipe.ModelRecipe(hidden=8, mode="pure", backbone_layers=0), 8 * 14 + 2 * 8, None),
        (recipe.ModelRecipe(cell="lstm", hidden=8), 32 * 14 + 2 * 8, None),
        (recipe.ModelRecipe(cell="gru", hidden=8), 16 * 14 + 8 * 6 + 8 * 8 + 2 * 8, None),
        (recipe.ModelRecipe(cell="ltc"), 3 * (26 + 6 * 47) + 2 * 4, 4 * 73 + 2 * 4),
    ],
)
def test_sizes(model, products, weights):
    network = of_recipe(model, 6, 2)
    assert sizes.products(network) == products
    assert sizes.weights(network) == (weights or products)
    assert 2000 + products < sizes.file_bytes(network) < 2 * (2500 + 12 * products)
    assert sizes.file_bytes(network, 16) >= sizes.file_bytes(network)
