"""The search: what it tries, how it judges, when it ends, and studies that processes share."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from support.training import plan, waves
from ulnn_host.base.errors import UlnnError
from ulnn_host.data import watch
from ulnn_host.experiments import study, tune
from ulnn_host.experiments.measured import CMSIS_NN
from ulnn_host.experiments.space import Space, cells_of
from ulnn_host.experiments.tune import ACCURACY, RMSE, Found, Plan, Trial
from ulnn_host.train import recipe, train
from ulnn_host.train.cells import CELLS
from ulnn_host.train.recipe import Recipe


@pytest.fixture
def made(tmp_path: Path) -> Recipe:
    """A task whose trainings take a twentieth of a second."""
    return plan(tmp_path, waves(n=24, steps=8), training={"epochs": 5})


def quick(**changes) -> Plan:
    return replace(Plan(trials=3, epochs=1, cells=("cfc", "gru")), **changes)


def outcomes(found: Found) -> list[tuple[object, ...]]:
    return [(t.number, t.recipe.model, t.score, t.size, t.cycles) for t in found.trials]


# ---- what is tried -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        {}, {"cell": "ltc"}, {"cell": "gru", "hidden": 70}, {"cell": "mixed"}, {"cell": "wired"},
        {"backbone_layers": 3, "layers": 2, "use_dt": False, "time_scale": 0.7},
        {"cell": "wired", "wiring": {"kind": "full", "units": 5, "outputs": 5}},
        {"cell": "ltc", "wiring": {"kind": "random", "units": 50, "sparsity": 1 / 3}},
    ],
    ids=str,
)  # fmt: skip
def test_own_parameters_give_the_recipe_and_drawn_ones_recipes_that_train(tmp_path, model):
    base = recipe.parse({"data": {"source": "a.npz"}, "model": model})
    cells = cells_of(base, () if model else tuple(CELLS))
    space = Space(base, 0.1, cells)
    assert space.recipe(optuna.trial.FixedTrial(space.own)) == base
    sampler = optuna.samplers.RandomSampler(seed=0)
    drawing = optuna.create_study(sampler=sampler)
    found = [space.recipe(drawing.ask()) for _ in range(10 * len(cells))]
    assert {r.model.cell for r in found} == set(cells)
    assert len({str(r) for r in found}) > 8 * len(cells)
    for candidate in found:
        train.networks.build(candidate.model, 3, 2)
        if not base.model.use_dt:
            assert not candidate.model.dt_input
        # what is written is read again
        path = tmp_path / "r.toml"
        path.write_text(recipe.dump(candidate, tmp_path))
        assert recipe.read_recipe(path).model == candidate.model


def test_cells_are_those_wanted_and_the_recipe_s_own():
    cfc = recipe.parse({"data": {"source": "a.npz"}})
    quick = ("cfc", "gru", "lstm", "mixed", "wired")
    assert cells_of(cfc, ()) == quick
    assert cells_of(cfc, ("ltc", "gru")) == ("cfc", "gru", "ltc")
    ltc = replace(cfc, model=replace(cfc.model, cell="ltc"))
    assert cells_of(ltc, ()) == ("cfc", "gru", "lstm", "ltc", "mixed", "wired")
    with pytest.raises(UlnnError, match="cell is 'rnn', expected one of"):
        cells_of(cfc, ("rnn",))
    with pytest.raises(UlnnError, match="use_dt = false is not for cell 'ltc'"):
        cells_of(replace(cfc, model=replace(cfc.model, use_dt=False)), ("ltc",))


def test_something_is_held_out(tmp_path):
    made = plan(tmp_path, waves())
    assert tune.with_validation(made, waves(), 0).data.valid_fraction == 0.2
    grouped = waves(group=np.arange(48) % 8)
    assert len(tune.with_validation(made, grouped, 0).data.valid_groups) == 2
    named = waves(group=np.arange(48) % 8, groups=tuple("abcdefgh"))
    held = tune.with_validation(made, named, 0)
    assert [len(part) for part in train.split(held, named)] == [36, 12]
    own = replace(made, data=replace(made.data, valid_fraction=0.5))
    assert tune.with_validation(own, grouped, 0) == own
    demo = recipe.read_recipe(recipe.RECIPES / "watch.toml")
    held = tune.with_validation(demo, watch.recordings("train"), 0).data.valid_groups
    assert len(held) == 2
    assert set(held) < set(watch.TRAIN_PEOPLE)


# ---- the search --------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_trials_and_another_one_others(made):
    seen = []
    first, second, other = (
        tune.search(made, quick(trials=n, seed=seed), lambda found: seen.append(found.trials))
        for n, seed in ((12, 7), (12, 7), (2, 8))
    )
    assert outcomes(first) == outcomes(second)
    assert outcomes(first)[1] != outcomes(other)[1]
    assert [len(trials) for trials in seen[:13]] == list(range(13))
    assert first.trials[0].recipe.model == made.model
    assert first.measure == ACCURACY
    assert {t.recipe.model.cell for t in first.trials} == {"cfc", "gru"}
    for t in first.trials:
        assert 0 <= t.score <= 1
        assert t.size > 2000
        assert t.cycles > t.products > 0


def test_a_cell_without_integers_is_tried_where_it_is_wanted(made):
    found = tune.search(made, quick(trials=12, cells=("liquid",)))
    rivals = [t for t in found.good if t.recipe.model.cell == "liquid"]
    assert rivals
    for t in rivals:
        assert t.score == t.in_float
        assert t.cycles == round(CMSIS_NN * t.products)


def test_values_are_judged_by_their_error(tmp_path):
    data = waves(n=24, steps=8)
    made = plan(tmp_path, replace(data, y=data.x.sum(axis=(1, 2))[:, None] * 100))
    found = tune.search(made, quick(trials=2))
    assert found.measure == RMSE
    assert found.ranked[0].score == min(t.score for t in found.trials) > 1


def trial(number: int, score: float, size: int, cycles: int, failure: str = "") -> Trial:
    made = recipe.Recipe(recipe.DataRecipe("a.npz"))
    return Trial(number, made, score, size, cycles, failure=failure)


def test_front_and_choice():
    trials = (
        trial(0, 0.8, 5000, 900), trial(1, 0.9, 9000, 2000), trial(2, 0.8, 4000, 1000),
        trial(3, 0.7, 6000, 1500), trial(4, math.nan, 0, 0, "diverged"),
        trial(5, 0.9, 8000, 2000), trial(6, 0.6, 7000, 500),
    )  # fmt: skip
    found = Found(ACCURACY, trials)
    assert [t.number for t in found.front] == [2, 0, 6, 5]
    assert [t.number for t in Found(RMSE, trials).front] == [2, 0, 3, 6]
    assert [t.number for t in found.ranked] == [5, 1, 2, 0, 3, 6]
    assert found.pick().number == 5
    assert found.pick(max_bytes=7000).number == 2
    assert found.pick(max_cycles=900).number == 0
    assert found.pick(7000, 800).number == 6
    with pytest.raises(UlnnError, match=r"at most 100 bytes \(seen: from 4000 bytes and from 500"):
        found.pick(100)
    with pytest.raises(UlnnError, match="at most 5000 bytes and 600 cycles"):
        found.pick(5000, 600)
    with pytest.raises(UlnnError, match="all 1 trials failed, the first: diverged"):
        Found(ACCURACY, trials[4:5]).pick()
    final = tune.final(trials[1], recipe.read_recipe(recipe.RECIPES / "watch.toml"))
    assert final.training.epochs == 200


def test_limits_lead_the_search_to_small_networks(made):
    plans = (quick(trials=20, cells=("cfc",), max_cycles=most) for most in (None, 1300))
    free, led = (
        sum(t.cycles <= 1300 for t in tune.search(made, p).trials[study.STARTUP :]) for p in plans
    )
    assert led > free


def test_ends_in_time_and_refuses_what_cannot_be_meant(made):
    assert len(tune.search(made, quick(trials=50, minutes=1e-6)).trials) == 1
    for key, value in {"trials": 0, "epochs": 0, "seed": -1, "minutes": math.nan}.items():
        with pytest.raises(UlnnError, match=f"{key} is {value}, expected"):
            quick(**{key: value})


def test_a_training_that_fails_is_a_trial_without_a_score(made, monkeypatch):
    found = train.train

    def diverges(made, *rest, **options):
        if made.model.cell == "gru":
            raise train.Diverged("training diverged in epoch 1: lower")
        return found(made, *rest, **options)

    monkeypatch.setattr(train, "train", diverges)
    done = tune.search(made, quick(trials=8))
    assert {t.recipe.model.cell: t.failure for t in done.trials} == {
        "cfc": "", "gru": "training diverged in epoch 1: lower",
    }  # fmt: skip
    assert {t.recipe.model.cell for t in done.good} == {"cfc"}
    assert done.trials[0].to_dict()["failure"] == ""


# ---- studies -----------------------------------------------------------------------------------

WORKER = """
import sys
from pathlib import Path
from ulnn_host.experiments import tune
from ulnn_host.train import recipe
made = recipe.read_recipe(Path(sys.argv[1]))
plan = tune.Plan(trials=int(sys.argv[3]), epochs=1, cells=("cfc", "gru"), storage=sys.argv[2])
seen = []
tune.search(made, plan, lambda found: seen.append(found))
print(len(seen) - 1)
"""


def worker(made: Recipe, storage: str, trials: int) -> subprocess.Popen[str]:
    """Another process, which works on the same study; its recipe is a file elsewhere."""
    path = Path(made.data.source).parent / "elsewhere" / "r.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(recipe.dump(made, path.parent))
    command = [sys.executable, "-c", WORKER, str(path), storage, str(trials)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_second_process_goes_on_as_if_the_first_had_not_ended(made, tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    first = worker(made, storage, 3)
    whole = tune.search(made, quick(trials=12))
    assert first.communicate()[0] == "3\n"
    continued = tune.search(made, quick(trials=12, storage=storage))
    assert outcomes(continued) == outcomes(whole)
    assert outcomes(tune.search(made, quick(storage=storage))) == outcomes(whole)


def test_two_processes_share_a_study(made, tmp_path):
    storage, mine = tmp_path / "study.journal", []
    other = worker(made, str(storage), 20)
    measured = b'"products"'
    while other.poll() is None and not (storage.exists() and measured in storage.read_bytes()):
        time.sleep(0.01)
    plan = quick(trials=20, storage=str(storage))
    tune.search(made, plan, lambda found: mine.append(found))
    its = int(other.communicate()[0])
    found = tune.search(made, plan)
    assert found.running == 0
    assert len(found.trials) == its + len(mine) - 1
    # one that ran already when the second began may have come on top
    assert 20 <= len(found.trials) <= 21
    assert its > 0 < len(mine) - 1
    assert len({str(t.recipe) for t in found.trials}) == len(found.trials)


def test_ctrl_c_keeps_what_is_done_and_the_study_goes_on(made, tmp_path, monkeypatch):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    plan, found = quick(trials=4, storage=storage), train.train
    calls = []

    def interrupted(*rest, **options):
        calls.append(rest)
        if len(calls) in (1, 4):
            raise KeyboardInterrupt
        return found(*rest, **options)

    monkeypatch.setattr(train, "train", interrupted)
    nothing = tune.search(made, plan)
    assert nothing.stopped
    assert nothing.trials == ()
    some = tune.search(made, plan)
    assert some.stopped
    assert len(some.trials) == 2
    assert some.trials[0].recipe.model == made.model, "the recipe is tried in spite of Ctrl-C"
    rest = tune.search(made, plan)
    assert not rest.stopped
    assert outcomes(rest)[:2] == outcomes(some)
    assert [t.number for t in rest.trials] == [1, 2, 4, 5]


def test_a_study_of_other_data_or_settings_is_refused(made, tmp_path):
    storage = str(tmp_path / "study.journal")
    tune.search(made, quick(trials=1, storage=storage))
    slower = replace(made, training=replace(made.training, learning_rate=0.001))
    for other, changes, what in (
        (made, {"seed": 1}, r"seed \(0, here 1\)"),
        (made, {"epochs": 2}, r"epochs \(1, here 2\)"),
        (made, {"cells": ("cfc",)}, r"cells"),
        (slower, {}, "recipe: give the same"),
    ):
        with pytest.raises(UlnnError, match=f"study 'ulnn' in .* differs in {what}"):
            tune.search(other, quick(storage=storage, **changes))
    plan(tmp_path, waves(n=24, steps=8, seed=1))
    with pytest.raises(UlnnError, match="differs in data: give the same, or another --study"):
        tune.search(made, quick(storage=storage))
    assert len(tune.search(made, quick(trials=1, storage=storage, name="other")).trials) == 1


def test_workers_that_start_at_once_make_one_study(tmp_path):
    code = (
        "import sys, time; from ulnn_host.experiments import study\n"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()))\n"
        "study.open_study(sys.argv[1], 's', ['minimize'], {'seed': 3})"
    )
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    command = [sys.executable, "-c", code, storage, str(time.time() + 3)]
    at_once = [subprocess.Popen(command) for _ in range(3)]
    assert [one.wait() for one in at_once] == [0, 0, 0]
    assert study.open_study(storage, "s", ["minimize"], {}).user_attrs == {"seed": 3}


def test_a_storage_that_cannot_be_opened_is_one_line_without_a_password(tmp_path):
    text = tmp_path / "r.toml"
    text.write_text("[data]\n")
    cut, changed = tmp_path / "cut.journal", tmp_path / "changed.journal"
    study.open_study(str(cut), "s", ["minimize"], {})
    whole = cut.read_text()
    cut.write_text(whole[:60])
    changed.write_text(whole.replace('"directions"', '"directiens"'))
    for storage, wanted in (
        (str(cut), "cut.journal is damaged, expected whole lines"),
        (str(changed), "changed.journal is damaged"),
        (str(text), "it is no journal file"),
        (f"sqlite:///{text}", "file is not a database"),
        (f"sqlite:///{tmp_path}/no/study.db", "unable to open"),
        (f"{tmp_path}/no/study.journal", "No such file"),
        ("nonsense://me:secret@there/db", r"//me:\*\*\*@there/db cannot be opened"),
    ):
        with pytest.raises(UlnnError, match=wanted) as caught:
            study.open_study(storage, "s", ["minimize"], {})
        assert "\n" not in str(caught.value)
        assert "secret" not in str(caught.value)
    assert text.read_text() == "[data]\n"
    assert cut.read_text() == whole[:60]
