"""The smartwatch task: seven exercises, ten people, two of them left out in each of five folds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from ulnn_host.data import watch
from ulnn_host.experiments import folds
from ulnn_host.experiments.intervals import Tally
from ulnn_host.experiments.measured import ACCURACY
from ulnn_host.experiments.robustness import Condition
from ulnn_host.quantize.rollouts import sample
from ulnn_host.train.recipe import Recipe

from . import linear
from .claim import Run, Source
from .study import Found, Part, study

WINDOW = 4.0  # s, 100 samples
FOLDS = 5
BUDGET = "6KB"
COMPLETE = "complete"
CONDITIONS = {
    COMPLETE: Condition(),
    "skip 30 %": Condition(0.3),
    "skip 60 %": Condition(0.6),
    "bursts 30 %": Condition(0.3, pattern="bursts"),
    "bursts 60 %": Condition(0.6, pattern="bursts"),
    "hold 30 %": Condition(0.3, fill="hold"),
    "mean 30 %": Condition(0.3, fill="mean"),
    "mean 60 %": Condition(0.6, fill="mean"),
}
SOURCE = Source(
    "smartwatch recordings of 10 people, from seglearn 1.2.5 (arXiv 1802.01489)", "BSD"
)
FEW = 2  # folds where networks of many sizes are trained
WORDS = f"""Windows of {WINDOW:g} s at {watch.RATE:g} Hz from a smartwatch, six channels, seven
exercises; the measure is balanced accuracy."""
LEFT_OUT = "Two of ten people are left out in each of five folds."
HALVES = "Five of ten people are left out in each of two folds."


@cache
def parts(tests: tuple[str, ...], count: int = FOLDS) -> tuple[Part, ...]:
    """The folds, so many, with some of CONDITIONS."""
    data = watch.recordings("all")
    made = []
    for k, (fit, held) in enumerate(folds.dealt(data, count, 0)):
        windows = held.windows(WINDOW, WINDOW)
        found = {name: CONDITIONS[name].apply(windows, k) for name in tests}
        # so that the integers are ready for longer elapsed times
        seen = Condition(0.5).apply(fit.windows(WINDOW, WINDOW), k)
        made.append(Part(fit, sample(seen), found))
    return tuple(made)


def content(run: Run, drop: tuple[float, float] | None = None) -> dict[str, dict[str, Any]]:
    """A recipe without a cell. drop: share of the samples that is lost in training."""
    return {
        "data": {"source": "", "window": WINDOW, "windows_per_sequence": 3}
        | ({"drop": list(drop)} if drop else {}),
        "model": {"readout": "mean"},
        "training": {"epochs": run.plan.epochs, "batch": 64, "label_smoothing": 0.1},
        "augment": {"mirror": [-1, 1, 1, 1, -1, -1], "rotate": 20.0, "noise": 0.05},
    }


def found(
    run: Run,
    recipes: Mapping[str, Recipe],
    title: str,
    tests: tuple[str, ...] = (COMPLETE,),
    budget: str = BUDGET,
    rates: Mapping[str, float] | None = None,
    count: int = FOLDS,
) -> Found:
    """Networks on so many folds; budget: of each, empty: as they are; rates: as of `study`."""
    chosen = parts(tests, count)[: run.plan.folds]
    made = study(run, ACCURACY, chosen, recipes, budget, f"watch, {title}:", rates)
    made.add(linear.RULE, {name: _linear(chosen, name) for name in tests})
    return made


def _linear(chosen: tuple[Part, ...], test: str) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    for part in chosen:
        fit = part.fit.windows(WINDOW, WINDOW)
        tallies |= linear.of_classes(fit, part.tests[test], linear.all_of)
    return tallies
