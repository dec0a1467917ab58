"""The claim that a liquid network adapts to a patient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

import record_208
from ulnn_host.data import ecg, watch
from ulnn_host.data.sequences import Sequences
from ulnn_host.experiments import hashes
from ulnn_host.experiments.measured import ACCURACY
from ulnn_host.quantize.rollouts import sample

from . import cells, hearts, lessons, wrist
from .claim import Chart, Claim, Dot, Findings, Run, Table
from .lessons import CENTRES, WAYS, WHOLE, Learnt, Lesson, mean
from .study import Part, networks, study
from .texts import signed

HIDDEN = 16
EXAMPLES = 40  # beats
PATIENTS, SAME, OTHER = "patients, later beats", "watch, same recordings", "watch, other wrist"
TASKS = (PATIENTS, SAME, OTHER)
PERSON = "208"
RIVALS = (cells.CFC, cells.GRU_DT)
Found = dict[tuple[str, str], Learnt]  # by network and task


def of_hearts(run: Run) -> tuple[Found, str]:
    """Networks of the draws, which see the first beats of the patients that are left out, and of
    MIT-BIH 208; and the hash of the patients."""
    content: dict[str, dict[str, Any]] = {
        "data": {"source": ""},
        "model": {"readout": "mean", "hidden": HIDDEN},
        "training": {"epochs": max(1, run.plan.epochs // 3), "batch": 64},
    }
    draws = hearts.drawn()[: run.plan.folds]
    parts = []
    for fit, held in draws:
        data = hearts.together(fit)
        parts.append(Part(data, sample(data), {"": hearts.together(held)}))
    studied = study(run, ACCURACY, parts, cells.recipes(RIVALS, content), title="patients:")
    person, _ = hearts.person()
    found: Found = {}
    for name in RIVALS:
        patients, persons = [], []
        for (_, held), part in zip(draws, parts, strict=True):
            made, few = networks(run, studied, name, part), lessons.calibration(part.fit)
            for number in held:
                patients.append([_first(n, few, hearts.beats(number)) for n in made])
            if person is not None:
                persons.append([_first(n, few, person) for n in made])
        for task, given in ((PATIENTS, patients), (PERSON, persons)):
            if given:
                (found[name, task],) = lessons.learn(run, f"patient, {name}, {task}:", given)
    return found, studied.data


def _first(network: Any, few: Sequences, beats: Sequences) -> Lesson:
    first = np.arange(len(beats)) < EXAMPLES
    return Lesson(network, few, beats.take(first), (beats.take(~first),))


def of_people(run: Run) -> tuple[Found, str]:
    """Watch: examples of one wrist, measured later in the same recordings, and on the other; and
    the hash of the data."""
    content = wrist.content(run)
    content["model"] = {**content["model"], "hidden": HIDDEN}
    recipes = cells.recipes(RIVALS, content)
    studied = wrist.found(run, recipes, "people", budget="", count=wrist.FEW)
    parts = wrist.parts((wrist.COMPLETE,), wrist.FEW)[: run.plan.folds]
    found: Found = {}
    for name in RIVALS:
        given = []
        for part in parts:
            few = lessons.calibration(part.fit.windows(wrist.WINDOW, wrist.WINDOW))
            made = networks(run, studied, name, part)
            for person in np.unique(np.asarray(part.tests[wrist.COMPLETE].group)):
                examples, *tests = _wrists(person)
                given.append([Lesson(n, few, examples, tuple(tests)) for n in made])
        same, other = lessons.learn(run, f"watch, {name}:", given)
        found |= {(name, SAME): same, (name, OTHER): other}
    return found, studied.data


def _wrists(person: int) -> tuple[Sequences, Sequences, Sequences]:
    """A person's examples, what is later in the same recordings, and the other wrist's."""
    data, sides = watch.recordings("all"), watch.wrists("all")
    one, other = (
        data.take((data.group == person) & (sides == side)).windows(wrist.WINDOW, wrist.WINDOW)
        for side in (0, 1)
    )
    first = np.array([k < 2 for k in _rank(np.asarray(one.origin))])
    return one.take(first), one.take(~first), other


def _rank(origin: NDArray[Any]) -> list[int]:
    """Which window of its recording each is."""
    return [int((origin[:k] == one).sum()) for k, one in enumerate(origin)]


def test(run: Run) -> Findings:
    """Patients, people, and one person whose labels are clusters; both cells."""
    found, patients = of_hearts(run)
    watched, people = of_people(run)
    found |= watched
    person, said = hearts.person()
    data = {"patients": patients, "watch": people}
    tables = [_table(found)]
    if person is not None:
        tables.append(_clusters(found))
        data["MIT-BIH 208"] = hashes.of_data(person)
    dots = [
        Dot.of(task, f"{name}: {way}", mean(found[name, task].gained(way)))
        for task in TASKS
        for name in RIVALS
        for way in WAYS
    ]
    count = found[cells.CFC, PATIENTS].before.shape[1]
    return Findings(
        measured=mean(found[cells.CFC, PATIENTS].gained(CENTRES)),
        seeds=run.plan.seeds,
        clusters=f"{count} patients of {hearts.DRAWS} draws (watch: 10 people), then seeds",
        tables=tuple(tables),
        chart=Chart("What a patient's or a person's examples give", "points", tuple(dots), 0.0),
        losses=tuple(losses(found)),
        notes=(said,),
        data=data,
    )


def _table(found: Mapping[tuple[str, str], Learnt]) -> Table:
    rows = []
    for name in RIVALS:
        for task in TASKS:
            learnt = found[name, task]
            gained = {way: learnt.gained(way) for way in WAYS}
            words = [
                f"{signed(mean(points))}, worst {points.mean(0).min():+.1f}"
                for points in gained.values()
            ]
            more = signed(mean(gained[WHOLE] - gained[CENTRES]))
            rows.append((name, task, f"{learnt.before.mean():.1f} %", *words, more))
    head = ("network", "measured on", "before", *WAYS, "the PC's less the board's")
    title = (
        "Balanced accuracy before the examples, and points gained by them (95 %; worst: of one "
        "patient or person, mean of the seeds)"
    )
    return Table(title, head, tuple(rows))


def _clusters(found: Mapping[tuple[str, str], Learnt]) -> Table:
    """Of MIT-BIH 208, the mean of the draws."""
    rows = []
    for name in RIVALS:
        learnt = found[name, PERSON]
        readings = {
            "is wrong": learnt,
            "is normal": learnt.taken(ecg.ATRIAL, ecg.NORMAL),
        }
        for reading, one in readings.items():
            words = []
            for way in WAYS:
                seeds = one.gained(way).mean(1)
                words.append(f"{seeds.mean():+.1f} ({', '.join(f'{v:+.1f}' for v in seeds)})")
            rows.append((name, reading, f"{one.before.mean():.1f} %", *words))
    title = (
        "No verdict: later beats of MIT-BIH 208, one person whose labels are clusters, before the "
        "examples, and points gained by them (of each seed)"
    )
    return Table(title, ("network", 'a decision "atrial"', "before", *WAYS), tuple(rows))


def losses(found: Mapping[tuple[str, str], Learnt]) -> list[str]:
    """Where examples make CfC worse, or another network gains more: a sentence each."""
    said = []
    for task in TASKS:
        for way in WAYS:
            ours, theirs = (found[name, task].gained(way) for name in RIVALS)
            if (gained := mean(ours)).high < 0:
                said.append(
                    f"{task}, {way}: decisions are worse after the examples, {signed(gained)} "
                    "points"
                )
            if (more := mean(theirs - ours)).low > 0:
                said.append(f"{task}, {way}: {cells.GRU_DT} gains more, {signed(more)} points")
    return said


CLAIM = Claim(
    name="patient",
    title="Adapting to a patient",
    says="A liquid network adapts to a patient.",
    effect=f"points of balanced accuracy that {EXAMPLES} labelled beats of a generated patient "
    "give CfC",
    claimed=0.0,
    unit="points",
    how=f"""{ecg.PATIENTS} generated patients, {hearts.LEFT_OUT} of them left out in each of
{hearts.DRAWS} draws; a network of {HIDDEN} neurons sees a beat, {hearts.BEFORE + hearts.AFTER}
samples, with the time since the one before, and says whether it is normal, atrial or ventricular.
The board's way of learning ([adapt.md](docs/adapt.md)), which moves the centres of the classes,
gets the first {EXAMPLES} beats of a new patient, and all later ones are decided with and without;
it is what is measured above. Beside it the whole network is tuned in integers on the PC by the
same beats, as `ulnn adapt -o NEW.ulnn` does, but nothing chooses whether to keep it: where it
decides worse, it counts as worse. The same on the watch: two windows of each exercise of one
wrist, measured later in the same recordings, and on the other wrist's. {wrist.HALVES} Patients are
generated: that examples help them does not say that it helps people with their hearts.""",
    sources=(*hearts.SOURCES, wrist.SOURCE),
    test=test,
    modules=(hearts, lessons, wrist, record_208),
)
