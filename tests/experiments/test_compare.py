"""Comparisons: what is held out, sizes for a budget, intervals, and trainings that are kept."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from support.training import plan, waves
from ulnn_host.base.errors import UlnnError
from ulnn_host.data.scores import score
from ulnn_host.data.sequences import Sequences
from ulnn_host.experiments import compare, folds, hashes, trainings
from ulnn_host.experiments.budget import Budget, solved
from ulnn_host.experiments.compare import Comparison, Plan
from ulnn_host.experiments.intervals import Bootstrap, Tallies, Tally
from ulnn_host.experiments.measured import ACCURACY, CMSIS_NN, RMSE, measure
from ulnn_host.report import compare_picture, compare_text
from ulnn_host.train import recipe, train
from ulnn_host.train.cells import cell_of
from ulnn_host.train.model_recipe import ModelRecipe
from ulnn_host.train.recipe import Recipe

QUICK = Plan(seeds=2, folds=2)


def people(**changes) -> Sequences:
    """Of six people."""
    return waves(n=24, steps=8, group=np.arange(24) // 4, **changes)


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Recipe]:
    """Two recipes whose trainings take a twentieth of a second."""
    first = plan(tmp_path, people(), training={"epochs": 2})
    return {"cfc": first, "gru": replace(first, model=replace(first.model, cell="gru"))}


def numbers(found: Comparison) -> dict[str, object]:
    """All but times."""
    content = found.to_dict()
    for row in content["networks"]:
        del row["seconds"]
    return content


def counted(monkeypatch: pytest.MonkeyPatch, stop_at: int = -1) -> list[tuple[Recipe, Sequences]]:
    """What is trained from now on; Ctrl-C comes in that training."""
    real, calls = train.train, []

    def counting(made: Recipe, data: Sequences, **options: object) -> train.TrainedNetwork:
        calls.append((made, data))
        if len(calls) == stop_at:
            raise KeyboardInterrupt
        return real(made, data, quiet=True)

    monkeypatch.setattr(train, "train", counting)
    return calls


# ---- what is held out --------------------------------------------------------------------------


@pytest.mark.parametrize("leave_out", ["group", "recording"])
def test_every_cluster_is_held_out_once_and_not_fitted_then(leave_out: folds.LeaveOut) -> None:
    data = folds.clustered(people(), leave_out)
    dealt = folds.dealt(data, 4, 0)
    held = [set(part.group.tolist()) for _, part in dealt]
    assert sum(map(len, held)) == len(set.union(*held)) == (6 if leave_out == "group" else 24)
    for fit, part in dealt:
        assert not set(fit.group.tolist()) & set(part.group.tolist())
        assert len(fit) + len(part) == len(data)
    if leave_out == "recording":
        assert all(np.bincount(part.y).tolist() == [3, 3] for _, part in dealt)
    others = [set(part.group.tolist()) for _, part in folds.dealt(data, 4, 1)]
    assert others != held


def test_what_cannot_be_left_out_is_refused() -> None:
    with pytest.raises(UlnnError, match="no groups to leave out: name them"):
        folds.clustered(waves(), "group")
    one = folds.clustered(waves(group=np.zeros(48, np.int64), groups=("anna",)), "group")
    with pytest.raises(UlnnError, match=r"one group or recording only \(anna\)"):
        folds.dealt(one, 5, 0)
    assert len(folds.dealt(folds.clustered(people(), "group"), 50, 0)) == 6


def test_no_training_sees_what_it_is_measured_on(made, tmp_path, monkeypatch) -> None:
    calls = counted(monkeypatch)
    rated = replace(QUICK, seeds=1, rates=(0.01, 0.03))
    found = compare.compare(made, rated, tmp_path / "c")
    data = folds.clustered(people(), "group")
    parts = [set(part.group.tolist()) for _, part in folds.dealt(data, 2, 0)]
    seen = [set(fit.group.tolist()) for _, fit in calls]
    inner, outer = seen[:8], seen[8:]
    assert found.planned == found.done == len(calls) == 12
    assert outer[:4] == [parts[1], parts[1], parts[0], parts[0]]
    # rates are chosen on a part of what the fold fits
    assert all(any(groups < part for part in parts) for groups in inner)
    for entry in found.entries:
        assert set(entry.rates) <= {0.01, 0.03}
    rates = [made.training.learning_rate for made, _ in calls[8:]]
    assert rates == [e.rates[k] for k in (0, 1) for e in found.entries]


def test_held_out_data_have_the_windows_and_losses_of_the_first_recipe(tmp_path) -> None:
    made = plan(
        tmp_path,
        people(),
        training={"epochs": 1},
        data={"source": "a", "drop": 0.5, "window": 0.6},
    )
    sets = compare._folds(made, people(), QUICK)
    assert {int(n) for f in sets for n in f.test.length} == {3}
    assert sets[0].fit.length.tolist() == [8] * 12
    again = compare._folds(made, people(), QUICK)
    assert [f.test_hash for f in sets] == [f.test_hash for f in again]


# ---- sizes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ({}, "6KB"), ({"cell": "gru", "dt_input": True}, "3000cycles"), ({"cell": "ltc"}, "9KiB"),
        ({"cell": "wired"}, "5600B"), ({"cell": "mixed", "backbone_layers": 0}, "7.5KB"),
        ({"cell": "wired", "wiring": {"kind": "full", "units": 5, "outputs": 5}}, "6KB"),
    ],
    ids=str,
)  # fmt: skip
def test_the_largest_network_within_a_budget(tmp_path, model, text) -> None:
    made = recipe.parse({"data": {"source": "a"}, "model": {"readout": "mean"} | model})
    budget, data = Budget.parse(text), people()

    def cost(made: Recipe) -> int:
        got = measure(train.untrained(made, data), data, data)
        return got.size if budget.unit == "bytes" else got.cycles

    best = solved(made, budget, data)
    assert 0.85 * budget.most < cost(best) <= 1.01 * budget.most
    wires, model = best.model.wiring, best.model
    larger = replace(model, hidden=model.hidden + 4, backbone_units=model.backbone_units + 4)
    if "wiring" in cell_of(model.cell).keys:
        grown = 5 if wires.outputs == wires.units else 0
        larger = replace(
            model, wiring=replace(wires, units=wires.units + 5, outputs=wires.outputs + grown)
        )
        assert (wires.outputs == wires.units) == (wires.kind == "full")
    assert cost(replace(best, model=larger)) > budget.most


def test_budgets_that_cannot_be_meant_or_met() -> None:
    assert Budget.parse("12KB") == Budget(12_000, "bytes")
    assert Budget.parse("1.5KiB") == Budget(1536, "bytes")
    assert str(Budget.parse("5000 cycles")) == "5,000 cycles"
    for text in ("", "12", "12 kb", "-3KB", "0B", "cycles"):
        with pytest.raises(UlnnError, match="expected bytes of the file, such as 12KB, or cycles"):
            Budget.parse(text)
    made = recipe.parse({"data": {"source": "a"}})
    with pytest.raises(
        UlnnError, match=r"the smallest cfc has [\d,]+ bytes, more than the budget"
    ):
        solved(made, Budget(2000, "bytes"), people())


# ---- intervals ---------------------------------------------------------------------------------


def tallies(values: np.ndarray, count: int = 1000) -> list[list[Tally]]:
    """Of accuracies (S, C) of one class."""
    return [[Tally((count * v,), (count,)) for v in row] for row in values]


def test_tallies_of_parts_add_up_to_the_measure_of_all() -> None:
    rng = np.random.default_rng(0)
    data = folds.clustered(people(), "group")
    y = rng.normal(size=(24, 8, 2))
    whole = score(y, data, "mean")
    parts = [Tally.of(part) for part in whole.by_group.values()]
    assert Tallies(ACCURACY, [parts]).mean == pytest.approx(whole.figures()[ACCURACY], abs=1e-12)
    values = replace(data, y=rng.normal(size=(24, 2)).astype(np.float32), labels=())
    whole = score(y, values, "mean")
    parts = [Tally.of(part) for part in whole.by_group.values()]
    assert Tallies(RMSE, [parts]).mean == pytest.approx(whole.figures()[RMSE], rel=1e-12)


def test_an_interval_is_as_wide_as_clusters_and_seeds_differ() -> None:
    rng = np.random.default_rng(1)
    between_clusters, between_seeds = rng.normal(0, 0.05, 40), rng.normal(0, 0.03, 20)
    for clusters, seeds in (
        (between_clusters, 0 * between_seeds),
        (0 * between_clusters, between_seeds),
    ):
        values = 0.6 + clusters[None, :] + seeds[:, None]
        found = Bootstrap(40, 20).mean(Tallies(ACCURACY, tallies(values)))
        error = np.hypot(clusters.std() / np.sqrt(39), seeds.std() / np.sqrt(19))
        assert found.value == pytest.approx(values.mean())
        assert (found.high - found.low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.1)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng, held, rounds = np.random.default_rng(3), 0, 300
    for seed in range(rounds):
        parts = (rng.normal(0, 0.03, (1, 8)), rng.normal(0, 0.02, (5, 1)))
        values = 0.5 + sum(parts) + rng.normal(0, 0.02, (5, 8))
        found = Bootstrap(8, 5, seed, 300).mean(Tallies(ACCURACY, tallies(values)))
        held += found.low <= 0.5 <= found.high
    assert 0.88 < held / rounds < 0.985


def test_what_is_hard_for_both_does_not_widen_a_difference() -> None:
    rng = np.random.default_rng(2)
    hard = 0.6 + rng.normal(0, 0.1, (1, 30)) + rng.normal(0, 0.05, (5, 1))
    better = hard + 0.02 + rng.normal(0, 0.005, (5, 30))
    first, other = (Tallies(ACCURACY, tallies(v)) for v in (hard, better))
    draws = Bootstrap(30, 5)
    found = draws.difference(other, first)
    assert found.value == pytest.approx(0.02, abs=0.002)
    assert 0.015 < found.low < found.high < 0.025
    assert found.without_zero
    alone = draws.mean(first)
    assert alone.high - alone.low > 0.05
    none = draws.difference(first, first)
    assert (none.value, none.low, none.high) == (0, 0, 0)
    assert not none.without_zero


def test_classes_that_a_draw_does_not_have_do_not_count() -> None:
    rows = [[Tally((10.0, 0.0), (10.0, 0.0)), Tally((0.0, 5.0), (0.0, 10.0))]]
    scores = Tallies(ACCURACY, rows)
    drawn = scores.drawn(np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), np.ones((3, 1)))
    assert drawn.tolist() == [1.0, 0.5, 0.75]


# ---- comparisons -------------------------------------------------------------------------------


def test_networks_of_one_budget_are_compared_and_kept(made, tmp_path, monkeypatch) -> None:
    calls, seen = counted(monkeypatch), []
    wished = replace(QUICK, budget="5KB")
    found = compare.compare(made, wished, tmp_path / "c", lambda *now: seen.append(now))
    assert [now[:2] for now in seen] == [(k, 8) for k in range(1, 9)]
    assert len(calls) == 8
    assert [made.seed for made, _ in calls] == [1] * 4 + [2] * 4
    first, other = found.entries
    assert (found.clusters, found.seeds, found.measure) == (6, 2, ACCURACY)
    assert 4500 < first.size <= 5000
    assert 4500 < other.size <= 5000
    assert list(first.by_cluster) == list(other.by_cluster)
    assert sorted(first.by_cluster) == [str(k) for k in range(6)]
    (change,) = found.differences
    assert change.interval.value == other.judged.value - first.judged.value
    assert change.interval.low <= change.interval.value <= change.interval.high
    assert found.notes == ["2 seeds: intervals are too narrow"]
    # the same again trains nothing; more seeds train what is new
    assert numbers(compare.compare(made, wished, tmp_path / "c")) == numbers(found)
    assert len(calls) == 8
    compare.compare(made, replace(wished, seeds=3), tmp_path / "c")
    assert len(calls) == 12
    # a change of the converter measures again, and does not train again
    real = hashes.of_code
    monkeypatch.setattr(hashes, "of_code", lambda rooms: real(rooms) + "x" * ("quantize" in rooms))
    assert numbers(compare.compare(made, wished, tmp_path / "c")) == numbers(found)
    assert len(calls) == 12
    monkeypatch.setattr(hashes, "of_code", lambda rooms: real(rooms) + "x")
    compare.compare(made, replace(wished, seeds=1), tmp_path / "c")
    assert len(calls) == 16


def test_a_cell_without_integers_is_compared_in_float(made, tmp_path) -> None:
    first, gru = made.values()
    rival = replace(first, model=ModelRecipe(cell="min_gru", readout="mean", layers=2))
    rival = solved(rival, Budget.parse("6KB"), people())
    wished = replace(QUICK, baseline=True)
    found = compare.compare({"cfc": first, "rival": rival, "gru": gru}, wished, tmp_path / "c")
    cfc, other, integers, linear = found.entries
    assert [e.float_only for e in found.entries] == [False, True, False, True]
    assert (linear.name, linear.recipe.model.readout) == ("linear", "last")
    assert other.integers is None
    assert 5000 < other.size <= 6000
    units = other.recipe.model.hidden
    assert other.products == 2 * units * (2 + units + units + units) + 2 * units
    assert other.cycles == round(CMSIS_NN * other.products)
    changes = {change.name: change for change in found.differences}
    assert changes["rival"].interval.value == other.floats.value - cfc.floats.value
    assert changes["gru"].interval.value == integers.judged.value - cfc.judged.value
    assert [c.in_float for c in found.differences] == [True, False, True]
    (note,) = [note for note in found.notes if "float only" in note]
    assert note.startswith("float only: rival, linear: no board runs it")
    row = found.to_dict()["networks"][1]
    assert (row["integers"], row["estimated"]) == (None, True)
    alone = compare.compare({"cfc": first}, wished, tmp_path / "c")
    assert [e.name for e in alone.entries] == ["cfc", "linear"]
    # against a first one without integers all differences are in float
    turned = compare.compare({"rival": rival, "cfc": first}, QUICK, tmp_path / "c")
    assert turned.differences[0].in_float
    shown = StringIO()
    compare_text.show(found, Console(file=shown, width=200))
    assert re.search(r"^rival +min_gru +\d+ x 2 +~5,\d+ +~", shown.getvalue(), re.MULTILINE)
    assert re.search(r"^rival - cfc +float +[+-]", shown.getvalue(), re.MULTILINE)
    assert len(compare_picture.picture(found).axes) == 2


def test_ctrl_c_shows_complete_seeds_and_it_goes_on(made, tmp_path, monkeypatch) -> None:
    whole = compare.compare(made, QUICK, tmp_path / "whole")
    calls = counted(monkeypatch, stop_at=7)
    some = compare.compare(made, QUICK, tmp_path / "c")
    assert some.stopped
    assert (some.seeds, some.done, some.planned) == (1, 6, 8)
    assert some.differences[0].verdict == compare.NO_VERDICT
    assert some.notes == ["one seed gives no verdict: --seeds 5"]
    assert some.entries[0].by_seed == whole.entries[0].by_seed[:1]
    # a file that was damaged meanwhile is made again
    damaged = sorted((tmp_path / "c").glob("*.json"))[0]
    damaged.write_text("{}")
    again = compare.compare(made, QUICK, tmp_path / "c")
    assert numbers(again) == numbers(whole)
    assert len(calls) == 7 + 2
    counted(monkeypatch, stop_at=1)
    nothing = compare.compare(made, QUICK, tmp_path / "new")
    assert nothing.stopped
    assert nothing.entries == ()


WORKER = """
import sys
from pathlib import Path
from ulnn_host.experiments.compare import Plan, compare_files
from ulnn_host.train import train
real, made = train.train, []
train.train = lambda *a, **k: (made.append(1), real(*a, **k))[1]
compare_files([Path(p) for p in sys.argv[2:]], Plan(seeds=3, folds=2), sys.argv[1])
print(len(made))
"""


def test_two_processes_share_the_trainings(made, tmp_path) -> None:
    paths = []
    for name, one in made.items():
        paths.append(tmp_path / f"{name}.toml")
        paths[-1].write_text(recipe.dump(one, tmp_path))
    command = [sys.executable, "-c", WORKER, str(tmp_path / "c"), *map(str, paths)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    counts = [int(one.communicate()[0]) for one in both]
    assert sum(counts) == 12
    assert len(list((tmp_path / "c").glob("*.json"))) == 12
    assert not list((tmp_path / "c").glob("*.lock"))


def test_what_a_recipe_holds_out_itself(made, tmp_path, monkeypatch) -> None:
    calls = counted(monkeypatch)
    held = {k: replace(r, data=replace(r.data, valid_groups=(2, 4))) for k, r in made.items()}
    found = compare.compare(held, replace(QUICK, leave_out="recipe", seeds=1), tmp_path / "c")
    assert sorted(found.entries[0].by_cluster) == ["2", "4"]
    for used, fit in calls:
        assert {fit.groups[k] for k in fit.group} == {"0", "1", "3", "5"}
        assert (used.data.valid_groups, used.training.patience) == ((), 0)
    with pytest.raises(UlnnError, match="it holds nothing out, give data"):
        compare.compare(made, replace(QUICK, leave_out="recipe"), tmp_path / "c")


def test_values_and_next_samples_are_compared_by_their_error(made, tmp_path) -> None:
    each = {
        name: replace(
            one, data=replace(one.data, target="next"), model=replace(one.model, readout="each")
        )
        for name, one in made.items()
    }
    found = compare.compare(each, replace(QUICK, folds=2, bits=16), tmp_path / "c")
    assert found.measure == RMSE
    first, other = found.entries
    (change,) = found.differences
    assert 0.1 < other.judged.value < 2
    assert change.interval.value == pytest.approx(other.judged.value - first.judged.value)
    if change.interval.without_zero:
        assert change.verdict == (compare.WORSE if change.interval.value > 0 else compare.BETTER)


def test_a_training_that_fails_ends_it_and_a_rate_that_fails_is_not_chosen(
    made, tmp_path, monkeypatch
) -> None:
    real = train.train

    def diverges(made: Recipe, *rest: object, **options: object) -> train.TrainedNetwork:
        if made.training.learning_rate > 1:
            raise train.Diverged("training diverged in epoch 1")
        return real(made, *rest, **options)

    monkeypatch.setattr(train, "train", diverges)
    found = compare.compare(made, replace(QUICK, seeds=1, rates=(5.0, 0.01)), tmp_path / "c")
    assert {rate for entry in found.entries for rate in entry.rates} == {0.01}
    with pytest.raises(UlnnError, match="cfc, seed 1, fold 1 of 2: training diverged"):
        compare.compare(made, replace(QUICK, rates=(5.0,)), tmp_path / "c")
    with pytest.raises(UlnnError, match="cfc cannot be trained with any of the learning rates"):
        compare.compare(made, replace(QUICK, rates=(5.0, 6.0)), tmp_path / "c")


def test_what_cannot_be_compared_is_refused_before_it_trains(made, tmp_path) -> None:
    one = made["cfc"]
    other = replace(one, data=replace(one.data, label="what"))
    each = replace(one, model=replace(one.model, readout="each"))
    for recipes, text in (
        ({"a": one}, "expected two different recipes or more"),
        (
            {"a": one, "b": other},
            r"b and a differ in data.label \('what', ''\): .* read the same data",
        ),
        ({"a": one, "b": each}, 'b and a differ in model.readout: "each" is compared with'),
    ):
        with pytest.raises(UlnnError, match=text):
            compare.compare(recipes, QUICK, tmp_path / "c")
    for key, value in {"seeds": 0, "folds": 1, "bits": 4, "leave_out": "x", "budget": "9"}.items():
        with pytest.raises(UlnnError, match=key):
            replace(QUICK, **{key: value})
    path = tmp_path / "r.toml"
    path.write_text(recipe.dump(one, tmp_path))
    for paths in ([path, path], []):
        with pytest.raises(UlnnError, match="expected two different recipes or more"):
            compare.compare_files(paths, QUICK)
    assert not (tmp_path / "c").exists()


def test_one_file_by_two_paths_is_the_same_data(made, tmp_path) -> None:
    around = tmp_path / "elsewhere" / ".." / Path(made["gru"].data.source).name
    (tmp_path / "elsewhere").mkdir()
    compare._check_alike(
        made | {"gru": replace(made["gru"], data=replace(made["gru"].data, source=str(around)))},
        whole=True,
    )


def test_what_goes_wrong_names_the_recipe_the_fold_or_the_folder(made, tmp_path) -> None:
    long = replace(made["gru"], data=replace(made["gru"].data, window=900.0))
    with pytest.raises(UlnnError, match="long, seed 1, fold 1 of 2: no sequence has"):
        compare.compare({"cfc": made["cfc"], "long": long}, QUICK, tmp_path / "c")
    assert not list((tmp_path / "c").glob("*.lock"))
    with pytest.raises(UlnnError, match=r"fold 1 of 2, held out [0-9, ]+: no sequence has"):
        compare.compare({"long": long, "cfc": made["cfc"]}, QUICK, tmp_path / "c")
    (tmp_path / "file").touch()
    with pytest.raises(UlnnError, match="file cannot be written: file exists"):
        compare.compare(made, QUICK, tmp_path / "file")


def test_a_baseline_takes_part_beside_a_network_of_its_name(made) -> None:
    named = compare.with_baseline({"linear": made["gru"], "cfc": made["cfc"]})
    assert [r.model.cell for r in named.values()] == ["gru", "cfc", "linear"]
    assert compare.with_baseline(named) == named


def test_the_key_of_a_training_is_what_decides_about_it(made) -> None:
    one = made["cfc"]
    sets = compare._folds(one, people(), QUICK)
    job = trainings.Job(one, sets[0])
    elsewhere = replace(one, data=replace(one.data, source="other/place.npz"))
    assert trainings.Job(elsewhere, sets[0]).key == job.key
    faster = replace(one, training=replace(one.training, learning_rate=0.5))
    others = [
        trainings.Job(faster, sets[0]), trainings.Job(one, sets[1]),
        trainings.Job(replace(one, seed=9), sets[0]),
    ]  # fmt: skip
    assert len({job.training_key, *(other.training_key for other in others)}) == 4
    wide = replace(job, bits=16)
    assert wide.training_key == job.training_key
    assert wide.key != job.key


def test_json_has_it_all(made, tmp_path) -> None:
    content = json.loads(json.dumps(compare.compare(made, QUICK, tmp_path / "c").to_dict()))
    assert {"measure", "clusters", "seeds", "notes", "networks", "differences"} <= set(content)
    row = content["networks"][0]
    assert {"bytes", "cycles", "products", "float", "integers", "by_seed"} <= set(row)
    assert sum(row["by_cluster"].values()) > 0
    assert {"value", "low", "high"} == set(content["differences"][0]["interval"])
