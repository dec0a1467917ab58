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

FEWEST = cells.NCP[4]
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


def compared(run: Run, task: str) -> tuple[str, dict[str, Found]]:
    """(The wired network that counts, with a motor neuron for each class; wired networks, and
    dense ones of at most its bytes, and of at most its cycles)."""
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

    chosen = cells.NCP[7 if watch else 9]
    wired = found((chosen, FEWEST), "", "wired")
    size, cycles = wired.size(chosen), wired.cycles(chosen)
    return chosen, {
        "": wired,
        BYTES: found(DENSE, f"{size}B", BYTES),
        CYCLES: found(DENSE, f"{cycles}cycles", CYCLES),
    }


def gain(wired: Found, chosen: str, other: Found, name: str) -> Interval:
    """Points of accuracy that the wired network is better than another."""
    change = wired.against(chosen, other, name, wrist.COMPLETE)
    return Interval(100 * change.value, 100 * change.low, 100 * change.high)


def test(run: Run) -> Findings:
    """On the watch and on vowels."""
    tables, losses, dots, data = [], [], [], {}
    tasks = {task: compared(run, task) for task in ("watch", "vowels")}
    head = ("network", "size", "bytes", "cycles", "balanced accuracy", "wired less it, points")
    for task, (chosen, found) in tasks.items():
        wired, rows = found[""], []
        for limit, other in found.items():
            for name in (*other.trials, *(() if limit else other.others)):
                label, change = f"{name} {limit}".strip(), gain(wired, chosen, other, name)
                own = name == chosen
                score = other.cell(name, wrist.COMPLETE)
                rows.append((label, *other.shape(name), score, "" if own else signed(change)))
                if not own:
                    dots.append(Dot.of(f"{task}, less {label}", task, change))
                if change.high < 0:
                    losses.append(f"{task}: wired {-change.value:.1f} points worse than {label}")
        tables.append(Table(task.capitalize(), head, tuple(rows)))
        data[task] = wired.data
    chosen, found = tasks["watch"]
    return Findings(
        measured=gain(found[""], chosen, found[CYCLES], cells.CFC),
        seeds=run.plan.seeds,
        clusters=f"{len(found[''].clusters)} people (vowels: clusters of {CLUSTER} utterances), "
        "then seeds",
        tables=tuple(tables),
        chart=Chart("Wired, less others", "points of balanced accuracy", tuple(dots), 0.0),
        losses=tuple(losses),
        notes=("That 19 neurons beat a ResNet cannot be tested: the article names no data.",),
        data=data,
    )


CLAIM = Claim(
    name="neurons",
    title="Nineteen neurons",
    says="Nineteen neurons, wired as in a worm, suffice, and beat larger networks.",
    effect="balanced accuracy of a wired network of 19 neurons, less that of a dense CfC of at "
    "most its cycles",
    claimed=0.0,
    unit="points",
    how=f"""{wrist.WORDS} {wrist.HALVES}
The wired network has a motor neuron for each class, since a readout sees motor neurons alone; one
of four is beside it. It is compared with dense ones as large as fit into its bytes, or into its
cycles, as counted before training; the same for JapaneseVowels (nine speakers, its own test
set).""",
    sources=(wrist.SOURCE, VOWELS),
    test=test,
    modules=(linear, wrist),
)
