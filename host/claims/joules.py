"""The claim that CfC needs a twelfth of a GRU's energy, at the same quality."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulnn_host.experiments.intervals import Interval, interval
from ulnn_host.train.recipe import Recipe

from . import bearings, cells, linear, wrist
from .claim import Chart, Claim, Dot, Findings, Run, Table
from .study import Found
from .texts import words

SIZES = (4, 8, 16)
RIVALS = (cells.CFC, cells.GRU_DT)
HARD = 0.3  # share of the fault that counts
SAME = 0.98  # share of the better quality that both reach which counts as the same
FRONT_END = 53_900  # instructions of a frame of 256 samples (firmware/docs, features)
Float = NDArray[np.float64]


def ladder(content: dict[str, dict[str, Any]]) -> dict[str, Recipe]:
    """Both cells in all sizes."""
    made = {}
    for size in SIZES:
        sized = content | {"model": content["model"] | {"hidden": size}}
        for name, recipe in cells.recipes(RIVALS, sized).items():
            made[f"{name} {size}"] = recipe
    return made


def ratio(found: Found, test: str) -> Interval:
    """Cycles of GRU by those of CfC, at the same quality."""
    drawn = {name: found.drawn(name, test) for name in found.trials}
    values = np.concatenate([[drawn[k][0] for k in drawn]]).reshape(-1, 1)
    draws = np.stack([drawn[k][1] for k in drawn])
    whole = _ratios(found, list(drawn), np.concatenate([values, draws], 1))
    return interval(float(whole[0]), whole[1:])


def _ratios(found: Found, names: list[str], quality: Float) -> Float:
    """quality: (names, draws)."""
    best = {
        cell: np.max([q for n, q in zip(names, quality, strict=True) if _cell(n) == cell], axis=0)
        for cell in RIVALS
    }
    goal = SAME * np.minimum(*best.values())
    cycles = {cell: _cheapest(found, names, quality, cell, goal) for cell in RIVALS}
    return cycles[cells.GRU_DT] / cycles[cells.CFC]


def _cheapest(found: Found, names: list[str], quality: Float, cell: str, goal: Float) -> Float:
    """The cycles at which a cell reaches a goal, between two sizes in proportion."""
    chosen = [k for k, name in enumerate(names) if _cell(name) == cell]
    chosen.sort(key=lambda k: found.cycles(names[k]))
    cost = np.array([found.cycles(names[k]) for k in chosen], np.float64)
    reached = np.maximum.accumulate(quality[chosen], 0)
    return np.array(
        [np.exp(np.interp(g, r, np.log(cost))) for g, r in zip(goal, reached.T, strict=True)]
    )


def _cell(name: str) -> str:
    return name.rpartition(" ")[0]


def test(run: Run) -> Findings:
    """Cycles at the same quality, on bearings and on the watch."""
    tables, losses, dots, data = [], [], [], {}
    content: dict[str, dict[str, Any]] = {
        "data": {"source": ""},
        "model": {"readout": "mean"},
        "training": {"epochs": run.plan.epochs, "batch": 32},
    }
    tasks = {
        f"bearings, fault of {100 * share:.0f} %": (
            bearings.found(run, ladder(content), share), bearings.TEST
        )
        for share in bearings.SHARES
    }  # fmt: skip
    sizes = ladder(wrist.content(run))
    watch = wrist.found(run, sizes, "ladder", budget="", count=wrist.FEW)
    tasks["watch"] = watch, wrist.COMPLETE
    ratios = {}
    for task, (found, test) in tasks.items():
        rows = [
            (name, *found.shape(name)[1:], found.cell(name, test))
            for name in (*found.trials, *found.others)
        ]
        head = ("network", "bytes", "cycles", "balanced accuracy")
        ratios[task] = ratio(found, test)
        tables.append(Table(f"{task.capitalize()}", head, tuple(rows)))
        dots.append(Dot.of(task, "", ratios[task]))
        if ratios[task].high < 1:
            losses.append(f"{task}: GRU needs fewer cycles at the same quality")
        losses += found.losses(f"{cells.CFC} {SIZES[-1]}", {test: task})
        data[task] = found.data
    found_ratios = tuple((task, words(ratio_of, "times")) for task, ratio_of in ratios.items())
    title = "Cycles of GRU + dt by those of CfC, same quality"
    tables.append(Table(title, ("task", "ratio (95 %)"), found_ratios))
    hard = f"bearings, fault of {100 * HARD:.0f} %"
    found = tasks[hard][0]
    mean = max(found.cycles(name) for name in found.trials if _cell(name) == cells.CFC)
    return Findings(
        measured=ratios[hard],
        seeds=found.seeds,
        clusters=f"{len(found.clusters)} recordings (watch: {len(watch.clusters)} people), "
        "then seeds",
        tables=tuple(tables),
        chart=Chart(title, "times", tuple(dots), 1.0),
        losses=tuple(losses),
        notes=(
            f"The bands of a frame cost about {FRONT_END:,} instructions, the largest CfC here "
            f"{mean:,} cycles: whoever counts the whole device sees little of any network.",
            *filter(None, [bearings.recordings()[1]]),
        ),
        data=data,
    )


CLAIM = Claim(
    name="joules",
    title="Energy beside a GRU",
    says="On vibration, a liquid network needs a twelfth of a GRU's energy.",
    effect="cycles of GRU by those of CfC at the same quality, bearings with a fault of 30 %",
    claimed=12.0,
    unit="times",
    nothing=1.0,
    how=f"""{bearings.WORDS} {wrist.WORDS} {wrist.HALVES}
Networks of {", ".join(map(str, SIZES))} neurons. The same quality is {100 * SAME:.0f} % of the
lower one of the two cells' best accuracies, and cycles between two sizes are interpolated. What
counts is the fault of {100 * HARD:.0f} %, the middle one. Energy is cycles times a number of the
chip, which a ratio does not need.""",
    sources=(bearings.SOURCE, wrist.SOURCE),
    test=test,
    modules=(bearings, linear, wrist),
)
