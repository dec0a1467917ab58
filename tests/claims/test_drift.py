"""The claim about drift: pairs of detectors, and what is said of the MFPT mixes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bench_machines
from claims import cells, drift
from claims.claim import FULL, QUICK, Plan, Run
from ulnn_host.base.errors import UlnnError
from ulnn_host.experiments.intervals import Interval
from ulnn_host.experiments.mixes import NEVER, Mixes, Seen
from ulnn_host.train.recipe import Recipe

FAULTS, SEEDS = 12, 5


def mixed() -> Mixes:
    """GRU sees less of each fault than CfC, the level sees none, linear is as good by chance."""
    rng = np.random.default_rng(0)
    own = rng.uniform(0.2, 0.6, (SEEDS, 3, FAULTS))
    shares = {
        "rms": np.full((1, 3, FAULTS), NEVER),
        "linear": own[:1] + np.where(np.arange(FAULTS) % 2, 0.2, -0.2),
        cells.CFC: own,
        cells.GRU: own - 0.1,
    }
    mean = Interval(0.4, 0.3, 0.5)
    entries = tuple(Seen(name, rows, mean, name != "linear") for name, rows in shares.items())
    return Mixes(tuple(map(str, range(FAULTS))), entries)


def test_detectors_are_compared_in_pairs_on_each_fault() -> None:
    table, losses = drift.of_mixes(mixed())
    rows = {row[0]: row[2:] for row in table.rows}
    assert rows[cells.CFC] == ("0 %", "yes", "")
    # what differs from fault to fault for both does not count
    assert rows[cells.GRU] == ("0 %", "yes", "+0.10 (+0.10 to +0.10)")
    assert rows["rms"][0] == "100 %"
    assert rows["linear"][1] == "no"
    assert losses == [f"MFPT mixes: {cells.GRU} sees shares that are 0.10 smaller"]


def test_what_has_no_seed_is_the_same_for_all() -> None:
    values = np.arange(12.0).reshape(2, 6)
    assert drift.less(values, values[:1]).value == pytest.approx(3)
    same = drift.less(values[:1], values[:1])
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_both_networks_have_the_same_neurons() -> None:
    made = drift.networks(hidden=5, epochs=2)
    assert {name: recipe.model.cell for name, recipe in made.items()} == {
        cells.CFC: "cfc",
        cells.GRU: "gru",
    }
    assert {(r.model.hidden, r.training.epochs) for r in made.values()} == {(5, 2)}


def test_without_network_mixes_are_left_out_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def offline() -> None:
        raise UlnnError("no network")

    monkeypatch.setattr(drift.mfpt, "recordings", offline)
    made, note = drift.on_mixes(Run(QUICK, tmp_path))
    assert made is None
    assert note.endswith("a table is missing here. (no network)")


@pytest.mark.parametrize("plan", [QUICK, FULL])
def test_mixes_are_of_the_networks_of_the_bench(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[dict[str, Recipe]] = []

    def mixes(features: object, recipes: dict[str, Recipe], *rest: object) -> Mixes:
        seen.append(recipes)
        return mixed()

    monkeypatch.setattr(drift.mfpt, "recordings", lambda: ())
    monkeypatch.setattr(drift.mixing, "mixes", mixes)
    made, note = drift.on_mixes(Run(plan, tmp_path))
    assert made is not None
    assert note == ""
    found = {(r.model.hidden, r.training.epochs, r.training.batch) for r in seen[0].values()}
    bench = bench_machines.ON_MIXES
    epochs = QUICK.epochs if plan == QUICK else bench["epochs"]
    assert found == {(bench["hidden"], epochs, bench["batch"])}
