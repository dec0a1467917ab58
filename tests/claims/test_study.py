"""A study end to end, tiny: trained, measured, kept, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from claims import bearings, cells, joules, timing, tone
from claims.claim import QUICK, Run
from claims.study import Found, Part, study, tallied
from ulnn_host.base.errors import UlnnError
from ulnn_host.experiments import trainings
from ulnn_host.experiments.intervals import Tally
from ulnn_host.experiments.measured import ACCURACY, MSE

CONTENT = {
    "data": {"source": ""},
    "model": {"readout": "last", "hidden": 6},
    "training": {"epochs": 1, "batch": 16},
}


def made(run: Run) -> Found:
    part = Part(
        tone.tones(tone.RANDOM, 32, 1),
        tone.tones(tone.RANDOM, 16, 3),
        {name: tone.tones(name, 40, 2) for name in (tone.REGULAR, tone.MISSING, tone.RANDOM)},
    )
    return study(run, MSE, [part], cells.recipes((cells.CFC, cells.MIN_GRU), CONTENT))


def test_a_study_is_trained_once_and_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(QUICK, seeds=2, rates=(0.005, 0.02))
    with pytest.raises(UlnnError, match="not all trainings are kept"):
        made(Run(plan, tmp_path, train=False))
    found = made(Run(plan, tmp_path))
    assert found.seeds == 2
    assert len(found.clusters) == 8
    assert set(found.rates.values()) <= {0.005, 0.02}
    assert found.size(cells.CFC) > 2000
    assert found.cycles(cells.CFC) > 500
    # a cell without integers is measured in float
    assert np.array_equal(
        found.scores(cells.MIN_GRU, tone.REGULAR).parts,
        found.scores(cells.MIN_GRU, tone.REGULAR, "floats").parts,
    )
    assert not np.array_equal(
        found.scores(cells.CFC, tone.REGULAR).parts,
        found.scores(cells.CFC, tone.REGULAR, "floats").parts,
    )

    def refuse(*args: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(trainings.train, "train", refuse)
    again = made(Run(plan, tmp_path, train=False))
    assert again.trials == found.trials
    perfect = {name: tone.periodogram(tone.tones(name, 40, 2)) for name in tone.PATTERNS}
    found.add(tone.RULE, perfect)
    (loss,) = found.losses(cells.CFC, {tone.RANDOM: "at random"})
    assert loss.startswith("at random: CfC 0.")
    assert f"better are {tone.RULE} 0.0" in loss
    kept = timing.kept(found, tone.RULE)
    assert kept.value == pytest.approx(100, abs=1)


def test_the_periodogram_hears_tones_at_irregular_times() -> None:
    for name in tone.PATTERNS:
        tallies = tone.periodogram(tone.tones(name, 60, 5))
        error = sum(t.parts[0] for t in tallies.values()) / 60
        assert error < 0.002


def test_cycles_at_the_same_quality() -> None:
    """CfC reaches with 1000 cycles what GRU reaches between 1000 and 4000."""
    data = tone.tones(tone.REGULAR, 20, 1)
    qualities = {"CfC 4": 0.5, "CfC 8": 0.9, "GRU + dt 4": 0.5, "GRU + dt 8": 0.9}
    costs = {"CfC 4": 500, "CfC 8": 1000, "GRU + dt 4": 1000, "GRU + dt 8": 4000}
    rows = {
        name: tallied(data, np.full((20, 1), q), np.ones((20, 1))) for name, q in qualities.items()
    }

    class Made(Found):
        def cycles(self, name: str) -> int:
            return costs[name]

    class Row:
        def __init__(self, tallies: dict[str, Tally]) -> None:
            self.integers = {"t": tallies}

    trials = {name: [[Row(tallies)]] * 2 for name, tallies in rows.items()}
    found = Made(ACCURACY, trials, {}, {}, "")  # type: ignore[arg-type]
    ratio = joules.ratio(found, "t")
    goal = 0.98 * 0.9
    share = (goal - 0.5) / 0.4
    expected = np.exp(np.log(1000) + share * np.log(4)) / np.exp(np.log(500) + share * np.log(2))
    assert ratio.value == pytest.approx(expected)
    assert (ratio.low, ratio.high) == pytest.approx((expected, expected))


def test_without_network_bearings_are_generated_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def offline() -> None:
        raise UlnnError("no network")

    bearings.recordings.cache_clear()
    bearings.parts.cache_clear()
    monkeypatch.setattr(bearings.mfpt, "recordings", offline)
    try:
        made, note = bearings.recordings()
        assert "not those of the page" in note
        assert {recording.kind for recording in made} == set(bearings.KINDS)
        parts = bearings.parts(0.3)
        held = [set(part.tests[bearings.TEST].groups) for part in parts]
        assert sum(map(len, held)) == len(made) == len(set().union(*held))
        assert all(set(np.asarray(part.fit.y)) == {0, 1, 2} for part in parts)
    finally:
        bearings.recordings.cache_clear()
        bearings.parts.cache_clear()
