"""A small task and recipe for the tests of training: learnt within a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ulnn_host.data.npz import from_arrays, save_npz
from ulnn_host.data.sequences import Sequences
from ulnn_host.train import recipe

SMALL = {
    "data": {"source": "a.npz"},
    "model": {"hidden": 6, "backbone_units": 6, "activation": "silu", "readout": "mean"},
    "training": {"epochs": 12, "batch": 16, "learning_rate": 0.03},
}


def waves(n=48, steps=20, seed=0, **changes) -> Sequences:
    """Slow and fast waves: the elapsed time decides, samples alone do not."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    dt = rng.uniform(0.05, 0.15, (n, steps)).astype(np.float32)
    phase = np.cumsum(dt, 1) * np.where(y, 9.0, 3.0)[:, None] + rng.uniform(0, 6, (n, 1))
    x = np.stack([np.sin(phase), np.cos(phase)], -1).astype(np.float32)
    return replace(from_arrays({"x": x, "dt": dt, "y": y}), **changes)


def plan(path: Path, sequences: Sequences, **sections) -> recipe.Recipe:
    """The small recipe with changes, its data in `path`."""
    save_npz(path / "a.npz", sequences)
    content = {key: dict(value) for key, value in SMALL.items()}
    for section, keys in sections.items():
        content[section] = content.get(section, {}) | keys if isinstance(keys, dict) else keys
    found = recipe.parse(content)
    return replace(found, data=replace(found.data, source=str(path / "a.npz")))
