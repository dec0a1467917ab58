"""What a wearer's examples change, and what "unknown" finds: the watch's ten people, each left out
in turn. Writes host/docs/adapt_figures.md. `make bench-adapt`, or:
python host/bench/bench_adapt.py --person 2 --epochs 20
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from strangers import KINDS, strangers
from ulnn_host.base import console, files
from ulnn_host.base.paragraphs import wrapped
from ulnn_host.base.paths import project_root
from ulnn_host.base.progress import bar
from ulnn_host.data import degrade, watch
from ulnn_host.data.sequences import Sequences, Statistics
from ulnn_host.engines import decided
from ulnn_host.engines import registry as engines
from ulnn_host.engines.batch import quantise
from ulnn_host.experiments import adapt
from ulnn_host.experiments.folds import fold
from ulnn_host.experiments.trainings import Job, trained
from ulnn_host.format import container
from ulnn_host.format.model import ModelFile
from ulnn_host.quantize import quantize
from ulnn_host.quantize.calibration import FloatRollout
from ulnn_host.quantize.options import Options
from ulnn_host.train import recipe, train
from ulnn_host.train.recipe import RECIPES
from ulnn_rules.centres import Centres
from ulnn_rules.session import Session
from ulnn_rules.unknown import Unknown

TARGET = "host/docs/adapt_figures.md"
PEOPLE = tuple(range(1, 11))
DRAWS = 5  # of the samples that are lost
GIVEN, GAP, EVERY = (
    8.6,
    1.0,
    1.0,
)  # seconds: of an exercise's examples, after them, between windows
VOTES = 3
SHARE = 0.05  # of windows that may become unknown
SPLITS = {
    "same": "rest of the same recordings",
    "cross": "the other wrist's recordings",
    "mirrored": "the same, mirrored to this wrist",
}
METHODS = ("centres", "vote", "both")
UNKNOWN_EPOCHS = 60
UNSEEN = (8, 9, 10)  # people of the trainings without an exercise
LIMITS = {"same": 2, "cross": 3, "mirrored": 3}

Float = NDArray[np.float64]
Int = NDArray[np.int64]
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@dataclass(frozen=True)
class Setting:
    """What all trainings share. plan: the recipe; folder: of what is kept."""

    plan: recipe.Recipe
    folder: Path

    def model(self, fit: Sequences, test: Sequences, epochs: int) -> bytes:
        """The int8 model of a training, with centres and unknown."""
        training = dataclasses.replace(self.plan.training, epochs=epochs)
        plan = dataclasses.replace(self.plan, training=training)
        part = fold(fit, test, plan.data, plan.seed)
        network = trained(Job(plan, part), self.folder).float_network()
        rng = np.random.default_rng(plan.seed)
        seen = train.as_validated(fit, plan.data, Statistics.of(fit), rng)
        options = Options(centres=2, unknown=SHARE)
        return container.write(quantize.convert(FloatRollout(network, seen), options))


@dataclass(frozen=True)
class Windows:
    """Windows of recordings, dense. y: results of each (N, O), integers; truth, recording and
    place in it (N,)."""

    y: Int
    truth: Int
    recording: Int
    place: Int

    @staticmethod
    def of(content: bytes, data: Sequences, rng: np.random.Generator) -> Windows:
        """The model's results on windows that begin every second, of which samples are lost."""
        cut = data.windows(watch.WINDOW, EVERY)
        assert cut.y is not None
        assert cut.origin is not None
        first = np.searchsorted(cut.origin, cut.origin)
        kept = degrade.drop(cut, watch.DROP, rng)
        model = container.read(content)
        y = engines.run(content, quantise(model, kept), engines.best(content)).y.astype(np.int64)
        total = np.where(kept.mask[..., None], y, 0).sum(axis=1)
        count = kept.length[:, None]
        results = (total + count // 2) // count
        return Windows(results, cut.y, cut.origin, np.arange(len(cut)) - first)

    def decided(self, centres: Centres | None) -> Int:
        """The class of each window."""
        if centres is None or not centres.active:
            return np.asarray(self.y.argmax(axis=1))
        return np.array([centres.decide_values(row) for row in self.y.tolist()])

    def voted(self, one: Int) -> Int:
        """The same when each votes with those that ended before it began."""
        apart = round(watch.WINDOW / EVERY)
        found = one.copy()
        for n, place in enumerate(self.place.tolist()):
            back = range(0, min(VOTES * apart, place + 1), apart)
            votes = [int(one[n - k]) for k in back]
            found[n] = max(votes, key=lambda c: (votes.count(c), -votes.index(c)))
        return found

    def right(self, found: Int) -> float:
        """Balanced accuracy, percent."""
        shares = [(found[self.truth == c] == c).mean() for c in np.unique(self.truth)]
        return 100 * float(np.mean(shares))


def taught(content: bytes, model: ModelFile, examples: Sequences) -> tuple[Centres, bool]:
    """What an app learns from these recordings as one session, and whether its check kept it."""
    centres = Centres(content)
    decider = decided.decider(model, centres)
    assert decider is not None
    data = decided.windows(model.decision, model.tick_ns, examples)
    assert data.y is not None
    session = Session(centres, decider, 16 * len(data))
    y = engines.run(content, quantise(model, data), engines.best(content)).y
    return centres, adapt.teach(session, decider, model, data, y)


def part(data: Sequences, start: float, end: float | None) -> Sequences:
    """From one second to another of each recording."""
    first = round(start * watch.RATE)
    last = data.length if end is None else np.full(len(data), round(end * watch.RATE))
    return data.cut(np.arange(len(data)), np.full(len(data), first), last - first)


def mirrored(data: Sequences, signs: Sequence[float]) -> Sequences:
    """As if the watch were on the other wrist."""
    return dataclasses.replace(data, x=data.x * np.array(signs, np.float32))


def person(setting: Setting, who: int, epochs: int) -> dict[str, Any]:
    """All figures of one person who is left out."""
    everybody, wrist = watch.recordings("all"), watch.wrists("all")
    assert everybody.group is not None
    his = everybody.group == who
    content = setting.model(everybody.take(~his), everybody.take(his), epochs)
    model = container.read(content)
    gains: dict[str, list[dict[str, float]]] = {name: [] for name in SPLITS}
    kept = []
    for side in (0, 1):
        here, there = (everybody.take(his & (wrist == w)) for w in (side, 1 - side))
        rest = part(here, GIVEN + GAP, None)
        tests = {
            "same": rest, "cross": there,
            "mirrored": mirrored(there, setting.plan.augment.mirror),
        }  # fmt: skip
        for draw in range(DRAWS):
            rng = np.random.default_rng(100 * draw + side)
            examples = degrade.drop(part(here, 0, GIVEN), watch.DROP, rng)
            centres, learnt = taught(content, model, examples)
            kept.append(learnt)
            for name, data in tests.items():
                seen = Windows.of(content, data, rng)
                plain, moved = seen.decided(None), seen.decided(centres)
                gains[name].append(
                    {
                        "factory": seen.right(plain), "centres": seen.right(moved),
                        "vote": seen.right(seen.voted(plain)),
                        "both": seen.right(seen.voted(moved)),
                    }
                )  # fmt: skip
    return {
        "person": who,
        "splits": {
            name: {key: float(np.mean([g[key] for g in rows])) for key in rows[0]}
            for name, rows in gains.items()
        },
        "unknown": _unknown_of(content, everybody.take(his)),
        "bytes": len(content),
        "kept": float(np.mean(kept)),
    }


# ---- unknown ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """Of some windows: distances, and how small the margins are (N,); other: by how much the last
    output wins; unknown: which ones are."""

    distance: Float
    narrow: Float
    other: Float
    unknown: NDArray[np.bool_]

    @staticmethod
    def of(content: bytes, data: Sequences, seed: int) -> Judged:
        """Windows of the data without overlap, of which samples are lost."""
        rng = np.random.default_rng(seed)
        cut = degrade.drop(data.windows(watch.WINDOW, watch.WINDOW), watch.DROP, rng)
        model = container.read(content)
        batch = quantise(model, cut)
        y = engines.run(content, batch, engines.best(content)).y.astype(np.float64)
        mean = np.where(cut.mask[..., None], y, 0).sum(axis=1) / cut.length[:, None]
        ordered = np.sort(mean, axis=1)
        rule = Unknown(model.unknown, model.input_size)
        found = np.empty(len(cut))
        for n, length in enumerate(cut.length.tolist()):
            rule.start()
            for row in batch.x[n, :length].tolist():
                rule.add(row)
            found[n] = rule.distance()
        last = mean[:, -1] - mean[:, :-1].max(axis=1)
        return Judged(found, ordered[:, -2] - ordered[:, -1], last, found > rule.threshold)


def auroc(known: Float, strange: Float) -> float:
    """How often a stranger's score is the larger one; half of those that are equal."""
    apart = strange[:, None] - known[None]
    return float(((apart > 0) + 0.5 * (apart == 0)).mean())


@cache
def _strangers(kind: str, seed: int) -> Sequences:
    return strangers(kind, 200, watch.WINDOW, np.random.default_rng(seed))


def _unknown_of(content: bytes, data: Sequences) -> dict[str, float]:
    known = Judged.of(content, data, 1)
    found = {"false": 100 * float(known.unknown.mean())}
    for kind in KINDS:
        strange = Judged.of(content, _strangers(kind, 2), 3)
        found |= {
            f"{kind} distance": auroc(known.distance, strange.distance),
            f"{kind} margin": auroc(known.narrow, strange.narrow),
            f"{kind} found": 100 * float(strange.unknown.mean()),
        }
    return found


def left_out(setting: Setting, exercise: int, epochs: int) -> dict[str, float]:
    """A training without an exercise: does distance, margin, or a class "other" find it?"""
    everybody = watch.recordings("all")
    assert everybody.y is not None
    assert everybody.group is not None
    unseen = np.isin(everybody.group, UNSEEN)
    there = everybody.y != exercise
    fit = _renamed(everybody.take(~unseen & there), exercise)
    test = _renamed(everybody.take(unseen & there), exercise)
    strange = everybody.take(unseen & ~there)
    content = setting.model(fit, test, epochs)
    rival = setting.model(_with_other(fit), _with_other(test), epochs)
    known, new = Judged.of(content, test, 1), Judged.of(content, strange, 1)
    rival_known, rival_new = Judged.of(rival, test, 1), Judged.of(rival, strange, 1)
    found = {
        "distance": auroc(known.distance, new.distance),
        "margin": auroc(known.narrow, new.narrow),
        "other": auroc(rival_known.other, rival_new.other),
        "found": 100 * float(new.unknown.mean()),
        "false": 100 * float(known.unknown.mean()),
        "other found": 100 * float((rival_new.other > 0).mean()),
        "other false": 100 * float((rival_known.other > 0).mean()),
    }
    for kind in KINDS:
        one = Judged.of(rival, _strangers(kind, 2), 3)
        found[f"{kind} other"] = auroc(rival_known.other, one.other)
    return found


def _renamed(data: Sequences, without: int) -> Sequences:
    """Classes counted without one."""
    assert data.y is not None
    labels = tuple(name for k, name in enumerate(data.labels) if k != without)
    return dataclasses.replace(data, y=data.y - (data.y > without), labels=labels)


def _with_other(data: Sequences) -> Sequences:
    """With a class "other", of as many recordings as each exercise has of each person."""
    assert data.y is not None
    assert data.group is not None
    rng = np.random.default_rng(int(data.group.min()))
    seconds = data.x.shape[1] / watch.RATE
    groups = [int(g) for g in np.unique(data.group) for _ in KINDS]
    parts = [strangers(kind, len(groups) // len(KINDS), seconds, rng) for kind in KINDS]
    x = np.concatenate([part.x for part in parts])[:, : data.x.shape[1]]
    return dataclasses.replace(
        data,
        x=np.concatenate([data.x, x]),
        dt=np.concatenate([data.dt, np.full(x.shape[:2], data.tick, np.float32)]),
        length=np.concatenate([data.length, np.full(len(x), x.shape[1])]),
        y=np.concatenate([data.y, np.full(len(x), len(data.labels))]),
        group=np.concatenate([data.group, sorted(groups)]),
        origin=None,
        labels=(*data.labels, "other"),
    )


# ---- the document -------------------------------------------------------------------------------


@dataclass
class Found:
    """Of people who were left out, and of exercises."""

    people: list[dict[str, Any]] = field(default_factory=list)
    exercises: dict[str, dict[str, float]] = field(default_factory=dict)


def _interval(values: Sequence[float]) -> str:
    """The mean, and 95 % of what it is over people drawn again."""
    rng = np.random.default_rng(0)
    drawn = rng.choice(np.array(values), (4000, len(values))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{np.mean(values):+.1f} [{low:.1f}, {high:.1f}]"


def page(found: Found, epochs: int) -> str:
    """The document."""
    rows = []
    others = {
        key: [(p["splits"]["cross"][key] + p["splits"]["mirrored"][key]) / 2 for p in found.people]
        for key in ("factory", *METHODS)
    }
    for name, what in (*SPLITS.items(), ("others", "mean of the two, by person")):
        scores = (
            others
            if name == "others"
            else {
                key: [p["splits"][name][key] for p in found.people]
                for key in ("factory", *METHODS)
            }
        )
        limit = LIMITS.get(name, 3)
        for method in METHODS:
            gain = np.array(scores[method]) - np.array(scores["factory"])
            errors = 100 - np.mean(scores["factory"])
            rows.append(
                f"| {what} | {method} | {np.mean(scores['factory']):.1f} % "
                f"| {_interval(gain.tolist())} | {100 * gain.mean() / errors:.0f} % "
                f"| {gain.min():+.1f} | {(gain < -limit).sum()} of {len(gain)} ({limit}) |"
            )
    table = "\n".join(rows)
    text = HEAD.format(
        epochs=epochs, people=len(found.people), draws=DRAWS, given=GIVEN, table=table,
        bytes=max(p["bytes"] for p in found.people),
        kept=100 * float(np.mean([p["kept"] for p in found.people])),
    )  # fmt: skip
    return text + _unknown_page(found)


def _unknown_page(found: Found) -> str:
    each = [p["unknown"] for p in found.people]
    rows = []
    for kind in KINDS:
        d, m, share = (
            np.mean([u[f"{kind} {key}"] for u in each]) for key in ("distance", "margin", "found")
        )
        rival = [e[f"{kind} other"] for e in found.exercises.values()]
        other = f"{np.mean(rival):.2f}" if rival else "-"
        rows.append(f"| {kind} | {d:.2f} | {m:.2f} | {other} | {share:.0f} % |")
    for name, e in found.exercises.items():
        rows.append(
            f"| {name} left out | {e['distance']:.2f} | {e['margin']:.2f} | {e['other']:.2f} "
            f"| {e['found']:.0f} % |"
        )
    if found.exercises:
        means = {
            key: np.mean([e[key] for e in found.exercises.values()])
            for key in ("distance", "margin", "other", "found", "other found", "other false")
        }
        rows.append(
            f"| mean of these | {means['distance']:.2f} | {means['margin']:.2f} "
            f"| {means['other']:.2f} | {means['found']:.0f} % |"
        )
    false = [u["false"] for u in each]
    text = UNKNOWN.format(
        table="\n".join(rows), false=np.mean(false), most=max(false), share=100 * SHARE,
        epochs=UNKNOWN_EPOCHS,
    )  # fmt: skip
    if found.exercises:
        text += OTHER.format(found=means["other found"], false=means["other false"])
    return text + MIRROR


HEAD = """# What a wearer's examples change

Written by `make bench-adapt`; do not edit. Smartwatch, seven exercises, {people} people,
each left out in turn; recipe `watch`, {epochs} epochs, int8, {bytes:,} bytes at most. A
session is the first {given} s of the seven recordings of one wrist, 60 s: two windows of 4
s of each exercise. Tests are windows every second, 30 % of the samples lost, {draws} draws,
both wrists in turn. The set has one recording of each exercise, person and wrist, so that
"other recordings" change the wrist, too. Points of balanced accuracy over the person's own
model without examples, and 95 % of a bootstrap over people.

"centres": `ulnn_rules.centres` with a session's check, which kept {kept:.0f} % of the
sessions. "vote": the last three windows vote (12 s), without any example. "both": centres, then
the vote.

| tested on | what | before | gain | errors removed | worst | worse by more than |
|---|---|---|---|---|---|---|
{table}

"""
UNKNOWN = """## Unknown

AUROC: how often a window of what the model does not know scores higher than one of an
exercise that it knows, of a person it has not seen; 0.5 is chance. "distance": UNKNOWN of
the file (SPEC.md 2.15), from the inputs alone. "margin": the smaller the difference of the
two largest outputs. "other": a class trained from still, walking and shaking, of the
generator that they are tested with. "found": windows beyond the threshold, which was chosen
for {share:.0f} % of false alarms on people left out; on the unseen person it makes
{false:.1f} %, {most:.1f} % for the worst. Left-out exercises: trained without on people 1
to 7 ({epochs} epochs), tested on 8 to 10. Still, walking and shaking are synthetic.

| what | distance | margin | other | found |
|---|---|---|---|---|
{table}

"""
OTHER = """The class "other" takes {found:.0f} % of the windows of left-out exercises, and
{false:.1f} % of those of known ones.

"""
MIRROR = """**What stays undetected.** IR and ER are each other's mirror in time: means, spreads
and steps are alike, so an exercise that is another one's mirror in time is not found. Neither
is one that differs only in its order.
"""


@app.command()
def main(
    person_: Annotated[
        list[int] | None, typer.Option("--person", help="one of the people, 1 to 10; else all")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="fewer, for a quick look")] = None,
    exercises: Annotated[bool, typer.Option(help="trainings without an exercise, too")] = True,
    output: Annotated[Path | None, typer.Option(help="document to write")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, too")] = False,
) -> None:
    """Measure adaptation and "unknown"; some twenty minutes. Trainings are kept in build/adapt.

    Example: python host/bench/bench_adapt.py --person 2 --epochs 20 --no-exercises --output a.md
    """
    target = output or project_root() / TARGET
    files.check_output(target)
    setting = Setting(
        recipe.read_recipe(RECIPES / "watch.toml"), project_root() / "build" / "adapt"
    )
    full = setting.plan.training.epochs if epochs is None else epochs
    found = Found()
    people = person_ or list(PEOPLE)
    names = watch.recordings("all").labels if exercises else ()
    with bar("people and exercises", len(people) + len(names), lines=True) as shown:
        for done, who in enumerate(people, 1):
            found.people.append(person(setting, who, full))
            shown.update(done)
        for k, name in enumerate(names):
            fewer = min(full, UNKNOWN_EPOCHS)
            found.exercises[name] = left_out(setting, k, fewer)
            shown.update(len(people) + k + 1)
    files.write(target, wrapped(page(found, full)))
    if as_json:
        print(json.dumps(dataclasses.asdict(found), indent=2))
    typer.echo(f"wrote {target}", err=True)


if __name__ == "__main__":
    console.run(app, "bench_adapt")
