"""The search: deterministic, within its limits, and what it writes."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from support.training import plan, waves
from ulnn_host.base.errors import UlnnError
from ulnn_host.cli.main import app
from ulnn_host.data import watch
from ulnn_host.data.sequences import save_npz
from ulnn_host.experiments import tune
from ulnn_host.experiments.tune import Trial
from ulnn_host.train import recipe


def test_search_is_deterministic(tmp_path):
    made = plan(tmp_path, waves(n=24, steps=8), training={"epochs": 5})
    seen: list[tuple[int, int]] = []
    first, second, other = (
        tune.search(made, 4, seed, 1, report=lambda t, n: seen.append((t.number, n)))
        for seed in (7, 7, 8)
    )
    assert [t.recipe for t in first] == [t.recipe for t in second]
    assert [t.score for t in first] == [t.score for t in second]
    assert [t.recipe for t in first[1:]] != [t.recipe for t in other[1:]]
    assert seen[:4] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert first[0].recipe.model == made.model
    assert all(0 <= t.score <= 1 and t.size > 2000 and t.products > 0 for t in first)


def test_candidates_differ_and_stay_within_the_cell(tmp_path):
    for model in ({}, {"cell": "ltc"}, {"cell": "gru"}, {"cell": "mixed"}, {"cell": "wired"}):
        content = {"data": {"source": "a.npz"}, "model": model}
        made = recipe.parse(content)
        save_npz(tmp_path / "a.npz", waves(n=8))
        made = replace(made, data=replace(made.data, source=str(tmp_path / "a.npz")))
        found = tune.candidates(made, 30, 0)
        assert len({str(r) for r in found}) == 30
        cells = {r.model.cell for r in found}
        cell = made.model.cell
        assert cells == ({"cfc", "wired"} if cell in ("cfc", "wired") else {cell})
        # what is written is read again
        for k, candidate in enumerate(found):
            path = tmp_path / f"{k}.toml"
            path.write_text(recipe.dump(candidate, tmp_path))
            assert recipe.read_recipe(path).model == candidate.model


def test_something_is_held_out(tmp_path):
    made = plan(tmp_path, waves())
    assert tune.with_validation(made, waves(), 0).data.valid_fraction == 0.2
    grouped = waves(group=np.arange(48) % 8)
    assert len(tune.with_validation(made, grouped, 0).data.valid_groups) == 2
    own = replace(made, data=replace(made.data, valid_fraction=0.5))
    assert tune.with_validation(own, grouped, 0) == own
    demo = recipe.read_recipe(recipe.RECIPES / "watch.toml")
    held = tune.with_validation(demo, watch.recordings("train"), 0).data.valid_groups
    assert len(held) == 2
    assert set(held) < set(watch.TRAIN_PEOPLE)


def trial(number: int, score: float, size: int) -> Trial:
    return Trial(number, recipe.Recipe(recipe.DataRecipe("a.npz")), score, size)


def test_front_and_choice():
    trials = [trial(0, 0.8, 5000), trial(1, 0.9, 9000), trial(2, 0.8, 4000)]
    trials += [trial(3, 0.7, 6000), trial(4, math.nan, 0), trial(5, 0.9, 8000)]
    assert [t.number for t in tune.front(trials)] == [2, 5]
    assert tune.pick(trials).number == 5
    assert tune.pick(trials, 7000).number == 2
    with pytest.raises(UlnnError, match="at most 100 bytes"):
        tune.pick(trials, 100)
    made = tune.final(trials[1], recipe.read_recipe(recipe.RECIPES / "watch.toml"))
    assert made.training.epochs == 200


def test_stops_in_time_and_goes_on_after_a_failure(tmp_path, monkeypatch):
    made = plan(tmp_path, waves(n=24, steps=8), training={"epochs": 5})
    assert len(tune.search(made, 50, 0, 1, minutes=1e-6)) == 1
    found = tune.train.train

    def diverges(made, *, quiet):
        if made.model.cell == "wired":
            raise UlnnError("training diverged in epoch 1: lower")
        return found(made, quiet=quiet)

    monkeypatch.setattr(tune.train, "train", diverges)
    trials = tune.search(made, 6, 0, 1)
    assert {math.isnan(t.score) for t in trials} == {True, False}
    assert not math.isnan(tune.pick(trials).score)
    assert trials[0].to_dict()["failure"] == ""
    with pytest.raises(UlnnError, match="trials is 0, expected 1 or more"):
        tune.search(made, 0)
    for key, value in (("epochs", 0), ("epochs", -1), ("seed", -1), ("minutes", math.nan)):
        with pytest.raises(UlnnError, match=f"{key} is "):
            tune.search(made, 1, **{key: value})


def test_command(tmp_path):
    save_npz(tmp_path / "a.npz", waves(n=24, steps=8))
    (tmp_path / "r.toml").write_text(
        "[data]\nsource = 'a.npz'\n[model]\nhidden = 4\n[training]\nepochs = 7"
    )
    options = ["tune", str(tmp_path / "r.toml"), "--trials", "3", "--epochs", "1"]
    for extra in ([], ["--json", "-o", str(tmp_path / "sub" / "best.toml")]):
        done = CliRunner().invoke(app, options + extra, catch_exceptions=False)
        assert done.exit_code == 0
    facts = json.loads(done.stdout)
    assert [t["trial"] for t in facts["trials"]] == [0, 1, 2]
    assert sum(t["chosen"] for t in facts["trials"]) == 1
    one, other = (
        recipe.read_recipe(tmp_path / "r_tuned.toml"),
        recipe.read_recipe(tmp_path / "sub" / "best.toml"),
    )
    assert one.model == other.model
    assert one.training.epochs == 7
    assert (tmp_path / one.data.source).resolve() == (tmp_path / other.data.source).resolve()
    assert (tmp_path / "sub" / "best.png").stat().st_size > 5000
