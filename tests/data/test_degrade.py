"""Samples that are lost, alone or in bursts, what takes their place, and noise."""

from __future__ import annotations

import numpy as np
import pytest

from ulnn_host.base.errors import UlnnError
from ulnn_host.data import degrade
from ulnn_host.data.sequences import Sequences, Statistics


def make(n=6, steps=100, **changes) -> Sequences:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, steps, 2)).astype(np.float32) * (1, 50) + (0, 9)
    dt = rng.uniform(0.01, 0.1, (n, steps)).astype(np.float32)
    return Sequences(x, dt, **changes)


def gone(before: Sequences, after: Sequences) -> np.ndarray:
    """Which steps do not hold the value they had."""
    return (before.x != after.x).any(-1)


@pytest.mark.parametrize("pattern", degrade.PATTERNS)
@pytest.mark.parametrize("fill", degrade.FILLS)
def test_the_share_is_kept_and_the_seed_decides(pattern, fill):
    length = np.array([100, 100, 50, 7, 1, 100])
    data = make(length=length)
    made = [
        degrade.drop(data, 0.3, np.random.default_rng(seed), pattern=pattern, fill=fill)
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(made[0].x, made[1].x)
    assert not np.array_equal(made[0].x, made[2].x)
    kept = np.maximum(1, np.rint(length * 0.7)).astype(int)
    if fill == "skip":
        assert made[0].length.tolist() == kept.tolist()
        # the time between the samples that are left is what has passed
        for n in range(6):
            end = np.isin(data.x[n], made[0].x[n, kept[n] - 1]).any(-1).nonzero()[0][-1]
            seconds = made[0].dt[n, : kept[n]].sum(dtype=float)
            assert seconds == pytest.approx(data.dt[n, : end + 1].sum(dtype=float), rel=1e-5)
    else:
        assert np.array_equal(made[0].dt, data.dt)
        assert np.array_equal(made[0].length, length)
        assert (gone(data, made[0]) & data.mask).sum(1).tolist() == (length - kept).tolist()


def test_what_takes_the_place():
    data = make()
    rng = np.random.default_rng
    mean = degrade.drop(data, 0.4, rng(3), fill="mean")
    lost = gone(data, mean)
    assert np.allclose(mean.x[lost], Statistics.of(data).mean, rtol=1e-6)
    given = degrade.drop(data, 0.4, rng(3), fill="mean", mean=np.array([7, 8], np.float32))
    assert np.unique(given.x[lost], axis=0).tolist() == [[7, 8]]
    held = degrade.drop(data, 0.4, rng(3), fill="hold", mean=np.array([7, 8], np.float32))
    for n, t in np.argwhere(lost):
        before = [k for k in range(t) if not lost[n, k]]
        assert held.x[n, t].tolist() == (data.x[n, before[-1]].tolist() if before else [7, 8])
    skipped = degrade.drop(data, 0.4, rng(3))
    assert np.array_equal(skipped.x[0], data.x[0][~lost[0]])


def runs(lost: np.ndarray) -> np.ndarray:
    """Lengths of the runs of lost samples in a row."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lost.astype(int), [0]])))
    return edges[1::2] - edges[::2]


def test_bursts_are_long():
    data = make(n=4, steps=20_000)
    mean = {}
    for pattern in degrade.PATTERNS:
        done = degrade.drop(data, 0.2, np.random.default_rng(0), pattern=pattern, fill="mean")
        lost = gone(data, done)
        assert lost.mean() == pytest.approx(0.2)
        mean[pattern] = np.mean(np.concatenate([runs(row) for row in lost]))
    # blocks of BURST samples, one in five lost: a run holds BURST / (1 - 0.2) of them
    assert mean["bursts"] == pytest.approx(degrade.BURST / 0.8, rel=0.1)
    assert mean["samples"] == pytest.approx(1 / 0.8, rel=0.05)


def test_a_share_for_each_sequence():
    data = make(n=400)
    less = degrade.drop(data, (0.1, 0.6), np.random.default_rng(0))
    share = 1 - less.length / 100
    assert (share.min(), share.max()) == (
        pytest.approx(0.1, abs=0.02),
        pytest.approx(0.6, abs=0.02),
    )
    assert share.mean() == pytest.approx(0.35, abs=0.03)
    for bad in (-0.1, 1.0, (0.5, 0.2), (0.0, 1.0), float("nan")):
        with pytest.raises(UlnnError, match="expected 0 up to below 1"):
            degrade.drop(data, bad, np.random.default_rng(0))


def test_labels_of_steps_follow_their_samples():
    y = np.arange(600).reshape(6, 100)
    data = make(y=y)
    less = degrade.drop(data, 0.5, np.random.default_rng(0), pattern="bursts")
    assert np.array_equal(data.x.reshape(600, 2)[less.y], less.x)
    held = degrade.drop(data, 0.5, np.random.default_rng(0), fill="hold")
    assert np.array_equal(held.y, y)


def test_noise_is_in_standard_deviations():
    data = make(n=40, length=np.full(40, 90))
    moved = degrade.noisy(data, 0.1, np.random.default_rng(0)).x - data.x
    assert not moved[:, 90:].any()
    share = moved[:, :90].std((0, 1)) / Statistics.of(data).std
    assert np.allclose(share, 0.1, rtol=0.05)
    with pytest.raises(UlnnError, match="noise is -1, expected 0 standard deviations or more"):
        degrade.noisy(data, -1, np.random.default_rng(0))
