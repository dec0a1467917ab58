import numpy as np

from ulnn_host.data.features import read_recipe
from ulnn_host.data.mfpt import RATE, Recording
from ulnn_host.experiments import mixes
from ulnn_host.experiments.mixes import NEVER, SHARES
from ulnn_host.train.recipe import RECIPES


def _recordings():
    """Three healthy ones of noise; a fault that knocks, and one that is noise, too."""
    rng = np.random.default_rng(0)
    count = 2 * mixes.PART
    found = [
        Recording(f"baseline_{k}", "healthy", 270, 0.9 * rng.standard_normal(count))
        for k in range(3)
    ]
    knocks = 0.9 * rng.standard_normal(mixes.PART)
    at = np.arange(0, mixes.PART - 80, round(RATE / 81.125))
    ring = 15 * np.exp(-np.arange(80) / 20) * np.sin(np.arange(80))
    for k in at:
        knocks[k : k + 80] += ring
    calm = 0.9 * rng.standard_normal(mixes.PART)
    return (*found, Recording("a", "outer", 270, knocks), Recording("b", "inner", 270, calm))


def test_a_fault_that_knocks_is_seen_and_none_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(mixes, "SHARES", SHARES[1::3])  # fewer, to be quick
    recipe = read_recipe(RECIPES / "mfpt_features.toml")
    ticks = []
    found = mixes.mixes(recipe, {}, 2, tmp_path, lambda *tick: ticks.append(tick), _recordings())
    assert [tick[2] for tick in ticks] == ["baseline_0", "baseline_1", "baseline_2"]
    assert found.faults == ("a", "b")
    entries = {entry.name: entry for entry in found.entries}
    assert sorted(entries) == ["envelope", "kurtosis", "linear", "rms"]
    for name in ("kurtosis", "envelope"):
        entry = entries[name]
        assert entry.silent
        assert entry.shares.shape == (1, 3, 2)
        assert entry.shares[..., 0].max() < 0.6
        # what is noise, too, at most whole and by chance
        assert entry.shares[..., 1].min() >= 1
        assert (entry.shares[..., 1] == NEVER).sum() >= 2
    by_fault = found.to_dict()["kurtosis"]["by_fault"]
    assert by_fault["a"] < 0.6 < by_fault["b"]
