"""The claim that 19 neurons suffice, wired as in a worm."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ulnn_host.data import vowels
from ulnn_host.data.sequences import Sequences
from ulnn_host.experiments.intervals import Interval
from ulnn_host.experiments.measured import ACCURACY
from ulnn_host.quantize.rollouts import sample

from . import cells, linear, wrist
from .claim import Chart, Claim, Dot, Findings, Run, Source, Table
from .study import Found, Part, study
from .texts import signed

WIRED = "wired, AutoNCP(19, 4)"
BYTES, CYCLES = "of at most its bytes", "of at most its cycles"
DENSE = (cells.CFC, cells.GRU_DT)
CLUSTER = 10
VOWELS = Source(
    "JapaneseVowels, from sktime (UCR/UEA archive)", "BSD-3 of the package; terms of the archive"
)


@cache
def spoken() -> Part:
    """JapaneseVowels with its own test set; clusters of utterances."""
    fit, held = vowels.utterances("train"), vowels.utterances("test")
    groups = np.random.default_rng(0).permutation(len(held)) // CLUSTER
    fit = Sequences(
        fit.x, fit.dt, fit.y, fit.length, np.arange(len(fit)) // CLUSTER, labels=fit.labels
    )
    held = Sequences(held.x, held.dt, held.y, held.length, groups, labels=held.labels)
    return Part(fit, sample(fit), {wrist.COMPLETE: held})


def compared(run: Run, task: str) -> dict[str, Found]:
    """The wired network, and dense ones of at most its bytes, and of at most its cycles."""
    watch = task == "watch"
    content: dict[str, dict[str, Any]] = wrist.content(run) if watch else {
        "data": {"source": ""},
        "model": {"readout": "mean"},
        "training": {"epochs": run.plan.epochs, "batch": 32, "weight_decay": 0.05},
    }  # fmt: skip

    def found(names: tuple[str, ...], budget: str, title: str) -> Found:
        recipes = cells.recipes(names, content)
        if watch:
            return wrist.found(run, recipes, title, budget=budget, count=wrist.FEW)
        part = spoken()
        made = study(run, ACCURACY, [part], recipes, budget, f"vowels, {title}:")
        held = part.tests[wrist.COMPLETE]
        made.add(linear.RULE, {wrist.COMPLETE: linear.of_classes(part.fit, held, linear.all_of)})
        return made

    wired = found((cells.WIRED,), "", "wired")
    size, cycles = wired.size(cells.WIRED), wired.cycles(cells.WIRED)
    return {
        WIRED: wired,
        BYTES: found(DENSE, f"{size}B", BYTES),
        CYCLES: found(DENSE, f"{cycles}cycles", CYCLES),
    }


def gain(found: dict[str, Found], other: str, name: str) -> Interval:
    """Points of accuracy that the wired network is better than another."""
    change = found[WIRED].against(cells.WIRED, found[other], name, wrist.COMPLETE)
    return Interval(100 * change.value, 100 * change.low, 100 * change.high)


def test(run: Run) -> Findings:
    """On the watch and on vowels."""
    tables, losses, dots, data = [], [], [], {}
    tasks = {task: compared(run, task) for task in ("watch", "vowels")}
    head = ("network", "size", "bytes", "cycles", "balanced accuracy", "wired less it, points")
    for task, found in tasks.items():
        wired = found[WIRED]
        score = wired.cell(cells.WIRED, wrist.COMPLETE)
        rows = [(WIRED, *wired.shape(cells.WIRED), score, "")]
        for limit in (BYTES, CYCLES):
            for name in DENSE:
                change, label = gain(found, limit, name), f"{name} {limit}"
                score = found[limit].cell(name, wrist.COMPLETE)
                rows.append((label, *found[limit].shape(name), score, signed(change)))
                dots.append(Dot.of(f"{task}, less {label}", task, change))
                if change.high < 0:
                    worse = f"{-change.value:.1f} points worse than {label}"
                    losses.append(f"{task}: the wired net is {worse}")
        for rule in wired.others:
            rows.append((rule, "", "", "", wired.cell(rule, wrist.COMPLETE), ""))
        tables.append(Table(task.capitalize(), head, tuple(rows)))
        data[task] = wired.data
    people = tasks["watch"][WIRED].clusters
    return Findings(
        measured=gain(tasks["watch"], CYCLES, cells.CFC),
        seeds=run.plan.seeds,
        clusters=f"{len(people)} people (vowels: clusters of {CLUSTER} utterances), then seeds",
        tables=tuple(tables),
        chart=Chart("Wired, less dense ones", "points of balanced accuracy", tuple(dots), 0.0),
        losses=tuple(losses),
        notes=("That 19 neurons beat a ResNet cannot be tested: the article names no data.",),
        data=data,
    )


CLAIM = Claim(
    name="neurons",
    title="Nineteen neurons",
    says="Nineteen neurons, wired as in a worm, suffice, and beat larger networks.",
    effect="points by which AutoNCP(19, 4) is better than a dense CfC of at most its cycles",
    claimed=0.0,
    unit="points",
    how=f"""{wrist.WORDS} {wrist.HALVES}
The wired network is compared with dense ones as large as fit into its bytes, or into its cycles;
the same for JapaneseVowels (nine speakers, its own test set).""",
    sources=(wrist.SOURCE, VOWELS),
    test=test,
    modules=(linear, wrist),
)
