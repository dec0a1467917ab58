"""Real values to integers, by the scales of a model file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.random_models import Shape, random_model
from ulnn_host.data.npz import from_arrays
from ulnn_host.engines.batch import quantise

MODEL = random_model(1, Shape(inputs=2))


def test_ticks_are_the_nearest() -> None:
    slow, fast = replace(MODEL, tick_ns=1_000_000), replace(MODEL, tick_ns=1000)
    seconds = [0.0006, 0.0014, 0.0016, 0.0499999, 0.9996, 1.0]
    assert slow.ticks(seconds).tolist() == [1, 1, 2, 50, 1000, 1000]
    # Data files have float32 seconds: every second one is a little less than it was meant.
    meant = np.arange(1, 1000)
    seconds32 = (meant / 1000).astype(np.float32)
    assert (seconds32.astype(np.float64) < meant / 1000).sum() > 300
    assert fast.ticks(seconds32).tolist() == (1000 * meant).tolist()


def test_ticks_have_bounds() -> None:
    model = replace(MODEL, tick_ns=1000)
    assert model.ticks([1e-12, 1e-6, 1e9]).tolist() == [1, 1, 2**31 - 1]
    for wrong in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="dt: expected seconds above 0, got"):
            model.ticks([1.0, wrong])


def test_a_batch_has_ticks_of_the_valid_steps() -> None:
    """What comes after a sequence has any dt, also none."""
    dt = np.array([[0.0026, 0.0024, 0.0], [0.0016, 0.0, 0.0]])
    data = from_arrays({"x": np.zeros((2, 3, 2)), "dt": dt, "length": np.array([2, 1])})
    batch = quantise(replace(MODEL, tick_ns=1_000_000), data)
    assert batch.dt.tolist() == [[3, 2, 1], [2, 1, 1]]
