"""Detectors of machines: the quick form of `make bench-machines`, on small lives."""

from __future__ import annotations

import numpy as np

import bench_machines
from support.lives import lives
from support.paths import ROOT
from ulnn_host.data import lives as room
from ulnn_host.experiments.intervals import Interval
from ulnn_host.experiments.mixes import Mixes, Seen


def test_the_page_has_all_detectors_on_all_data(tmp_path, monkeypatch):
    splits = []

    def small(split, recipe, state):
        splits.append((split, str(state)))
        return lives(machines=2, seed=len(splits), onset=7.0)

    monkeypatch.setattr(room, "generated", small)
    short = bench_machines.networks(hidden=4, epochs=1)
    assert {name: made.model.cell for name, made in short.items()} == {"cfc": "cfc", "gru": "gru"}
    monkeypatch.setattr(bench_machines, "networks", lambda **keys: short)
    found, final = bench_machines.on_lives(2, tmp_path)
    # the five are looked at once, when all is chosen
    assert [split for split, _ in splits] == ["development", "final"]
    names = ["rms", "kurtosis", "envelope", "linear", "cfc", "gru"]
    assert [entry.name for entry in final.entries] == names
    shares = np.full((1, 3, 2), 0.3)
    seen = [Seen(name, shares, Interval(0.3, 0.2, 0.4), True) for name in names]
    text = bench_machines.page(found, final, Mixes(("a", "b"), tuple(seen)), 2)
    assert "<" not in text.replace("<=", "")
    for name in names:
        assert text.count(f"\n| {name} | ") == 3
    assert f"**Chosen:** {found.chosen} warns" in text
    assert "2 seeds are too few for narrow intervals" in text


def test_the_document_is_of_five_seeds():
    text = (ROOT / bench_machines.TARGET).read_text()
    assert f"have 24 neurons and {bench_machines.SEEDS} seeds" in " ".join(text.split())
    assert (ROOT / bench_machines.TARGET).with_name(bench_machines.PICTURE).stat().st_size > 5000
