"""Both starts of a dense CfC: the quick form of `make bench-start`."""

from __future__ import annotations

import re
from dataclasses import replace

import bench_start
from support.paths import ROOT
from ulnn_host.experiments import compare
from ulnn_host.train.cells import cfc
from ulnn_host.train.model_recipe import ModelRecipe


def test_a_task_is_compared_and_the_rule_decides(tmp_path, full):
    tasks = list(bench_start.TASKS) if full else ["tone"]
    seeds, epochs = (bench_start.SEEDS, None) if full else (1, 1)
    found = {
        (name, shape): bench_start.measure(name, shape, tmp_path / name, seeds, epochs)
        for name in tasks
        for shape in bench_start.SHAPES
    }
    for done in found.values():
        xavier, leaky = done.entries
        assert (xavier.size, xavier.what) == (leaky.size, leaky.what)
        assert (xavier.recipe.model.start, leaky.recipe.model.start) == ("xavier", "leaky")
        assert done.clusters >= 7
    text = bench_start.page(found, seeds)
    assert text.count("\n| ") == 2 + len(found)
    assert "better on " in text


def test_the_rule():
    def decided(*verdicts: str) -> str:
        change = compare.Difference("leaky", "xavier", None, "")  # type: ignore[arg-type]
        plan = compare.Plan()
        found = {
            (str(k), "s"): compare.Comparison(
                plan, "RMSE", 5, 1, 1, differences=(replace(change, verdict=verdict),)
            )
            for k, verdict in enumerate(verdicts)
        }
        return bench_start.decision(found, "s").rpartition(" ")[2]

    better, worse, same = compare.BETTER, compare.WORSE, compare.NOT_SEEN
    assert decided(better, better, same, same) == "leaky"
    assert decided(better, same, same, same) == "xavier"
    assert decided(better, better, better, worse) == "xavier"


def test_the_default_is_what_the_document_decided():
    text = (ROOT / bench_start.TARGET).read_text()
    for shape, keys in bench_start.SHAPES.items():
        (start,) = re.findall(rf"^\* {shape}: better on .*, so (\w+)$", text, re.MULTILINE)
        assert cfc.CELL.leaky(ModelRecipe(**keys)) == (start == "leaky")
