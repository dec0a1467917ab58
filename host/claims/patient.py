"""The claim that a liquid network adapts to a patient."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulnn_host.data import ecg, watch
from ulnn_host.data.sequences import Sequences
from ulnn_host.experiments import adapt as adapting
from ulnn_host.experiments.intervals import Bootstrap, Interval, Tallies, Tally
from ulnn_host.experiments.measured import ACCURACY
from ulnn_host.format import container
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.quantize.rollouts import sample

from . import cells, wrist
from .claim import Chart, Claim, Dot, Findings, Run, Source, Table
from .study import Found, Part, model, networks, study

RATE, SECONDS = 100.0, 90.0
BEFORE, AFTER = 25, 40  # samples around R
DRAWS, LEFT_OUT = 3, 12
HIDDEN = 16
EXAMPLES = 40  # beats
CALIBRATED = 256  # windows or beats
WEIGHT = 2  # examples that a centre of the calibration data counts as
PATIENTS, SAME, OTHER = "patients, later beats", "watch, same recordings", "watch, other wrist"
RIVALS = (cells.CFC, cells.GRU_DT)
SOURCE = Source("patients with an ECG, generated", "none needed")
Gains = list[list[tuple[float, float]]]  # by seed and cluster: before, after


@cache
def beats(number: int) -> Sequences:
    """A patient's beats: 0.7 s around R, and the time since the R before."""
    one = ecg.patient(number, SECONDS, RATE)
    chosen = np.flatnonzero(one.seen)[1:]
    at = one.r[chosen]
    shape = one.signal[at[:, None] + np.arange(-BEFORE, AFTER)]
    shape = shape - shape.mean(1, keepdims=True)
    since = np.diff(one.r)[chosen - 1] / RATE
    usual = np.median(since)
    rr = np.repeat((since / usual)[:, None], BEFORE + AFTER, 1)
    x = np.stack([shape / (np.abs(shape).max(1).mean() + 1e-6), rr], -1).astype(np.float32)
    return Sequences(
        x, np.full(x.shape[:2], 1 / RATE, np.float32), one.classes[chosen], labels=ecg.CLASSES
    )


def together(numbers: Sequence[int]) -> Sequences:
    """The beats of some patients; group: the patient."""
    parts = [beats(k) for k in numbers]
    return Sequences(
        np.concatenate([p.x for p in parts]),
        np.concatenate([p.dt for p in parts]),
        np.concatenate([np.asarray(p.y) for p in parts]),
        group=np.repeat(np.arange(len(parts)), [len(p) for p in parts]),
        groups=tuple(f"patient {k}" for k in numbers),
        labels=ecg.CLASSES,
    )


def drawn() -> list[tuple[list[int], list[int]]]:
    """(Patients to train on, others), a few times."""
    orders = [np.random.default_rng(k).permutation(ecg.PATIENTS).tolist() for k in range(DRAWS)]
    return [(sorted(o[LEFT_OUT:]), sorted(o[:LEFT_OUT])) for o in orders]


def of_patients(run: Run, name: str) -> tuple[Gains, Found]:
    """Networks of the draws, which see the first beats of the patients that are left out."""
    content: dict[str, dict[str, Any]] = {
        "data": {"source": ""},
        "model": {"readout": "mean", "hidden": HIDDEN},
        "training": {"epochs": max(1, run.plan.epochs // 3), "batch": 64},
    }
    draws = drawn()[: run.plan.folds]
    parts = []
    for fit, held in draws:
        data = together(fit)
        parts.append(Part(data, sample(data), {"": together(held)}))
    found = study(run, ACCURACY, parts, cells.recipes((name,), content), title="patients:")
    gains: Gains = [[] for _ in range(found.seeds)]
    for (_, held), part in zip(draws, parts, strict=True):
        for seed, network in enumerate(networks(run, found, name, part)):
            file = _with_centres(network, part.fit)
            for number in held:
                data = beats(number)
                first = np.arange(len(data)) < EXAMPLES
                gains[seed].append(_gain(file, data.take(first), data.take(~first)))
    return gains, found


def of_people(run: Run, name: str) -> tuple[Gains, Gains, Found]:
    """Watch: examples of one wrist, measured later in the same recordings, and on the other."""
    content = wrist.content(run)
    content["model"] = {**content["model"], "hidden": HIDDEN}
    recipes = cells.recipes((name,), content)
    found = wrist.found(run, recipes, "people", budget="", count=wrist.FEW)
    data, sides = watch.recordings("all"), watch.wrists("all")
    parts = wrist.parts((wrist.COMPLETE,), wrist.FEW)[: run.plan.folds]
    same: Gains = [[] for _ in range(found.seeds)]
    other: Gains = [[] for _ in range(found.seeds)]
    assert data.group is not None
    for part in parts:
        test = part.tests[wrist.COMPLETE]
        assert test.group is not None
        for seed, network in enumerate(networks(run, found, name, part)):
            file = _with_centres(network, part.fit.windows(wrist.WINDOW, wrist.WINDOW))
            for person in np.unique(test.group):
                windows = [
                    data.take((data.group == person) & (sides == side)).windows(
                        wrist.WINDOW, wrist.WINDOW
                    )
                    for side in (0, 1)
                ]
                origin = np.asarray(windows[0].origin)
                first = np.array([k < 2 for k in _rank(origin)])
                examples = windows[0].take(first)
                same[seed].append(_gain(file, examples, windows[0].take(~first)))
                other[seed].append(_gain(file, examples, windows[1]))
    return same, other, found


def _rank(origin: NDArray[Any]) -> list[int]:
    """Which window of its recording each is."""
    return [int((origin[:k] == one).sum()) for k, one in enumerate(origin)]


def _with_centres(network: FloatNetwork, data: Sequences) -> bytes:
    few = data.take(np.linspace(0, len(data) - 1, min(len(data), CALIBRATED)).astype(int))
    return container.write(model(network, few, WEIGHT))


def _gain(file: bytes, examples: Sequences, test: Sequences) -> tuple[float, float]:
    """Balanced accuracy before and after."""
    found = adapting.adapt(file, examples, test=test)
    assert found.before is not None
    assert found.after is not None
    return found.before.balanced, found.after.balanced


def points(gains: Gains) -> tuple[Interval, Interval]:
    """(Accuracy before, points gained), percent."""
    rows = np.array(gains) * 100
    bootstrap = Bootstrap(rows.shape[1], rows.shape[0])
    made = []
    for values in (rows[..., 0], rows[..., 1] - rows[..., 0]):
        tallies = [[Tally((float(v),), (1.0,)) for v in row] for row in values]
        made.append(bootstrap.mean(Tallies("mean", tallies)))
    return made[0], made[1]


def test(run: Run) -> Findings:
    """Patients and people, both cells."""
    rows, dots, losses = [], [], []
    data: dict[str, str] = {}
    measured: dict[tuple[str, str], Interval] = {}
    people = 0
    for name in RIVALS:
        patients, found = of_patients(run, name)
        same, other, watched = of_people(run, name)
        data |= {"patients": found.data, "watch": watched.data}
        people = len(patients[0])
        for task, gains in ((PATIENTS, patients), (SAME, same), (OTHER, other)):
            before, gained = points(gains)
            worst = min(100 * np.mean([s[k][1] - s[k][0] for s in gains]) for k in _each(gains))
            measured[name, task] = gained
            words = f"{gained.value:+.1f} ({gained.low:+.1f} to {gained.high:+.1f})"
            rows.append((name, task, f"{before.value:.1f} %", words, f"{worst:+.1f}"))
            dots.append(Dot(task, name, gained.value, gained.low, gained.high))
            if name == cells.CFC and gained.high < 0:
                losses.append(f"{task}: decisions are worse after the examples, {words} points")
    for task in (PATIENTS, SAME, OTHER):
        ours, theirs = (measured[name, task] for name in RIVALS)
        if theirs.low > ours.high:
            losses.append(f"{task}: {cells.GRU_DT} gains more")
    head = ("network", "measured on", "before", "gained, points (95 %)", "worst, mean of seeds")
    return Findings(
        measured=measured[cells.CFC, PATIENTS],
        seeds=run.plan.seeds,
        clusters=f"{people} patients of {DRAWS} draws (watch: 10 people), then seeds",
        tables=(Table("Balanced accuracy before and after the examples", head, tuple(rows)),),
        chart=Chart("What a patient's or a person's examples give", "points", tuple(dots), 0.0),
        losses=tuple(losses),
        notes=(
            "MIT-BIH 208 as it can be had in a package has no labels by cardiologists; labels by "
            "clustering would give no verdict. Tuning the whole network on the PC is not "
            "measured here.",
        ),
        data=data,
    )


def _each(gains: Gains) -> range:
    return range(len(gains[0]))


CLAIM = Claim(
    name="patient",
    title="Adapting to a patient",
    says="A liquid network adapts to a patient.",
    effect=f"points of balanced accuracy that {EXAMPLES} labelled beats of a patient give CfC",
    claimed=0.0,
    unit="points",
    how=f"""{ecg.PATIENTS} generated patients, {LEFT_OUT} of them left out in each of {DRAWS}
draws; a network of {HIDDEN} neurons sees a beat, {BEFORE + AFTER} samples, with the time since the
one before, and says whether it is normal, atrial or ventricular. The board's way of learning
([adapt.md](docs/adapt.md)) gets the first {EXAMPLES} beats of a new patient, and all later ones
are decided with and without. The same on the watch: two windows of each exercise of one wrist,
measured later in the same recordings, and on the other wrist's. {wrist.HALVES}""",
    sources=(SOURCE, wrist.SOURCE),
    test=test,
    modules=(wrist,),
)
