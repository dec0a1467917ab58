"""How well beats of an ECG are found and named: generated patients that nothing was chosen by, and
five minutes of a person. Writes host/docs/ecg.md. `make bench-ecg`, or:
python host/bench/bench_ecg.py --patients 4 --output ecg.md
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

import record_208
from ulnn_host import api
from ulnn_host.base import console, files
from ulnn_host.base.paragraphs import wrapped
from ulnn_host.base.paths import project_root
from ulnn_host.base.progress import track
from ulnn_host.data import beats, ecg, features, mitbih
from ulnn_host.data.scores import ClassScores, score_classes
from ulnn_host.data.sequences import Sequences
from ulnn_host.train import recipe, train
from ulnn_host.train.recipe import Recipe
from ulnn_rules import beats as rules

TARGET = "host/docs/ecg.md"
RECIPES = project_root() / "host" / "examples" / "wrist_ecg"
SEED = 2  # of the patients: the detector was made with those of 1
RATES = (180, 250, 360)
PATIENTS, SECONDS = 20, 60.0
WITHIN = 0.15  # seconds
CLASS_SECONDS, UNSEEN, DRAWS = 120.0, 12, 3
TRAINED_S = 200  # of the person's five minutes
NOISES = {
    "none": (ecg.Noise(0, 0, 0), 0.0),
    "usual: 0.03 mV, wander 0.15, mains 0.05": (ecg.Noise(), 0.0),
    "usual, 10 % of the samples missing": (ecg.Noise(), 0.1),
    "0.1 mV, wander 0.3, mains 0.2": (ecg.Noise(0.1, 0.3, 0.2), 0.0),
    "0.2 mV, wander 0.5, mains 0.3": (ecg.Noise(0.2, 0.5, 0.3), 0.0),
    "usual, the lead is off twice a minute": (ecg.Noise(off=2), 0.0),
}
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Detection:
    """Beats of all patients at a rate. beats: those that had a reading, found of them; extra: what
    was found and is none; blind: of these, where the lead was off; reading: share of the time;
    all: beats with the lead on, reading or not."""

    rate: int
    noise: str
    beats: int
    found: int
    extra: int
    blind: int
    reading: float
    all: int

    @property
    def sensitivity(self) -> float:
        """Share of the beats with a reading that were found."""
        return self.found / max(1, self.beats)

    @property
    def predictive(self) -> float:
        """Share of what was found that is a beat."""
        return self.found / max(1, self.found + self.extra)


def matched(found: Int, true: Int, within: float) -> tuple[Int, Int]:
    """Pairs of two ascending series that are at most so far apart, each in one pair at most: the
    index in `found`, and that in `true`."""
    pairs = []
    i = j = 0
    while i < len(found) and j < len(true):
        apart = found[i] - true[j]
        if abs(apart) <= within:
            # the next one may fit better
            if j + 1 < len(true) and abs(found[i] - true[j + 1]) < abs(apart):
                j += 1
                continue
            pairs.append((i, j))
        i += apart <= within
        j += apart >= -within
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def find(x: NDArray[np.float32], rate: float, missing: float = 0.0, seed: int = 0) -> beats.Found:
    """The beats of a signal (mV), R in its samples. missing: share of the samples."""
    made = recipe_at(rate)
    kept = np.random.default_rng(seed).random(len(x)) >= missing
    us = np.diff(np.rint(np.flatnonzero(kept) * 1e6 / rate).astype(np.int64), prepend=0)
    counts = np.clip(np.rint(x[kept] / made.scale), -32768, 32767).astype(np.int16)
    known = rules.Recipe(made.content, len(made.names))
    found = beats.find(counts, us, known, features.native())
    at = np.flatnonzero(kept)
    problem = found.problem[np.maximum(0, np.cumsum(kept) - 1)]
    return replace(found, r=at[found.r] if len(found.r) else found.r, problem=problem)


def recipe_at(rate: float) -> beats.BeatRecipe:
    """The example's recipe at another rate."""
    return replace(beats.read_recipe(RECIPES / "beats.toml"), rate=float(rate))


def detection(rate: int, noise: str, patients: int = PATIENTS) -> Detection:
    """Find the beats of so many patients."""
    kind, missing = NOISES[noise]
    total, found, extra, blind, read, samples, every = 0, 0, 0, 0, 0, 0, 0
    for number in range(patients):
        one = ecg.patient(number, SECONDS, rate, kind, SEED)
        made = find(one.signal, rate, missing, number)
        reading = made.problem == 0
        # from before R to when the beat is noticed
        had = [reading[max(0, r - rate // 10) : r + round(0.35 * rate)].all() for r in one.r]
        seen = one.seen & np.array(had)
        i, j = matched(made.r, one.r, WITHIN * rate)
        extras = np.delete(made.r, i)
        off = np.zeros(len(one.signal), bool)
        for first, end in one.off:
            off[first:end] = True
        total += int(seen.sum())
        found += int(seen[j].sum())
        extra += len(extras)
        blind += int(off[extras].sum())
        read += int(reading.sum())
        samples += len(reading)
        every += int(one.seen.sum())
    return Detection(rate, noise, total, found, extra, blind, read / samples, every)


# ---- classes ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draw:
    """One draw of patients that training did not see: floats, and int8; size: bytes of it."""

    real: ClassScores
    whole: ClassScores
    size: int


def plan(epochs: int | None = None) -> Recipe:
    """The example's training."""
    made = recipe.read_recipe(RECIPES / "recipe.toml")
    return replace(made, training=replace(made.training, epochs=epochs or made.training.epochs))


def of_patients(count: int, seconds: float = CLASS_SECONDS) -> Sequences:
    """The beats of so many patients."""
    made = (ecg.patient(number, seconds, seed=SEED) for number in range(count))
    return beats.computed(ecg.sequences(made), recipe_at(ecg.RATE))


def fitted(data: Sequences, test: Sequences, made: Recipe) -> Draw:
    """Train, convert, score."""
    network = train.train(made, data, quiet=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the channels are taken from the data
        model = api.convert(network, data)
    whole = model.report(test)
    assert isinstance(whole, ClassScores)
    real = score_classes(network.outputs(test), test, "each")
    return Draw(real, whole, len(model.content))


def draws(data: Sequences, count: int = DRAWS, unseen: int = UNSEEN, epochs: int | None = None,
          shown: Callable[[range], Sequence[int]] | None = None) -> list[Draw]:  # fmt: skip
    """So many draws of the patients that are not trained on."""
    found = []
    for k in shown(range(count)) if shown else range(count):
        order = np.random.default_rng((SEED, k)).permutation(len(data))
        test, rest = np.sort(order[:unseen]), np.sort(order[unseen:])
        made = replace(plan(epochs), seed=k + 1)
        found.append(fitted(data.take(rest), data.take(test), made))
    return found


# ---- a person -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Person:
    """rates: of detection; agreed, ours, reference: beats of both, of ours, of the reference, at
    each. accuracy: of classes by clustering, majority: of the more frequent one, test: beats."""

    rates: tuple[int, ...]
    agreed: tuple[int, ...]
    ours: tuple[int, ...]
    reference: tuple[int, ...]
    accuracy: float
    majority: float
    test: int


def person(epochs: int | None = None) -> Person:
    """Detection beside the reference, and classes within the one person."""
    agreed, ours, theirs = [], [], []
    for rate in RATES:
        x = record_208.signal(rate)
        start = 3 * rate  # the detector learns
        mine = find(x.astype(np.float32), rate).r
        other = record_208.reference(x, rate)
        mine, other = mine[mine >= start], other[other >= start]
        agreed.append(len(matched(mine, other, WITHIN * rate)[0]))
        ours.append(len(mine))
        theirs.append(len(other))

    rate = RATES[1]
    again = record_208.signal(rate).astype(np.float32)
    one = Sequences(again[:, None], np.full(len(again), 1 / rate, np.float32), channels=("ecg",))
    data = beats.computed(one, recipe_at(rate))
    shape = data.x[0, :, : len(data.channels) - 4].astype(np.float64)
    kind = record_208.kinds(shape)
    data = replace(data, y=kind[None], labels=record_208.KINDS, per="step")
    at = np.cumsum(data.dt[0].astype(np.float64))
    cut = int(np.searchsorted(at, TRAINED_S))
    early = data.cut(np.array([0]), np.array([0]), cut)
    late = data.cut(np.array([0]), np.array([cut]), len(at) - cut)
    found = fitted(early, late, plan(epochs))
    share = float(kind[cut:].mean())
    return Person(
        RATES, tuple(agreed), tuple(ours), tuple(theirs),
        found.whole.accuracy, max(share, 1 - share), len(at) - cut,
    )  # fmt: skip


# ---- the document -------------------------------------------------------------------------------

HEAD = """# Beats of an ECG

Written by `make bench-ecg`; do not edit.

**This is no medical device.** Nothing here was tried on patients by anybody who may judge it, and
no figure on this page says how well it works on people: all labels are those of a generator, whose
beats follow textbooks, and the one recording of a person has no annotations.
"""

RECIPE = """A recipe finds beats in the samples of one lead, and makes one step of the network
of each: the shape around R, the time since the beat before as `dt`, and what it is beside the
others. It travels in the model file, and board and PC compute the same bits
([SPEC.md](../../native_module/SPEC.md) 2.14 and 3.12).

```toml
{toml}```

Other keys: `offset`, `before` (0.24) and `after` (0.16), seconds of the shape; `step`, seconds
of a value (a turn of the mains); `filters`, of what beats are looked for in (high-pass 5 Hz,
low-pass 15 Hz, and the notch); `extras`: "rhythm" (log2 of the milliseconds since the beat
before), "to mean", "to last" (that less the mean, or the one before), "size". Data are read
with it:

```
ulnn data wrist.csv --beats beats.toml
ulnn convert net.safetensors --calib wrist.csv --beats beats.toml -o wrist.ulnn
```

In a training recipe it is `beats = "beats.toml"` in `[data]`, in Python `uh.read("wrist.csv",
beats="beats.toml")`. A label of each sample becomes that of the beat whose R it is. Samples
may be missing: up to 60 ms of them are drawn as a line, and after a longer gap the detector
learns again. `host/examples/wrist_ecg` goes from generated patients to a board in some
minutes.

**No reading.** A board decides nothing while the lead is off (the signal does not move, or
lies at the amplifier's end), while beats are less than `noisy` octaves above the rest, and for
the 2.5 s in which the detector learns; `ulnn_app` makes the event `no reading` of it. A pause
of the heart of 3 s or more is one, too.
"""

METHOD = """Patients are generated (`ulnn_host.data.ecg`): Gaussian waves as in ECGSYN
(McSharry and others, 2003), with waves, rates, premature beats of their own for each; about
every fifth fibrillates. Noise is white (standard deviation), with a wandering baseline and
mains of 50 Hz (amplitudes); R is 0.5 to 1.8 mV. The detector was made with the patients of
another seed. *Beats* are those with a reading from 0.1 s before R to 0.35 s behind it, *found* is
within {within:.0f} ms; *of all* counts every beat with the lead on, the first seconds as well,
in which the detector learns."""

CLASSES = """{count} patients of {seconds:g} s, of whom {unseen} are not trained on, {draws}
draws; a CfC of 16 neurons (`host/examples/wrist_ecg/recipe.toml`), {size:,} bytes as int8.
*Atrial* are premature atrial beats and all of those who fibrillate. Only beats that were found
have a class; of each the table has sensitivity and predictive value. The generator's
ventricular beats are wide, so they are easy. What goes wrong is one patient at a time: whose P
waves or fibrillation are like none that was trained on has most beats of that kind wrong."""

PERSON = """Record 208 of the MIT-BIH Arrhythmia Database, 19:35 to 24:35, resampled from 360
Hz, beside a detector in floats that sees the whole recording at once (`reference` in
`host/bench/record_208.py`); the first 3 s are left out. Neither is the truth."""

WITHIN_ONE = """Within this person a network learnt from the first {trained} s two kinds of
beats that clustering their shapes gave, and named {accuracy:.1f} % of the {test} beats behind
them as the clusters do (the larger cluster: {majority:.1f} %). **Labels by clustering give no
verdict**: what agrees with them has learnt the clusters, and whether these are kinds of
heartbeats nobody has looked at."""


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [list(names), ["---"] * len(names), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def detection_table(found: Sequence[Detection]) -> str:
    """Of all rates and noises."""
    names = ["noise", "rate, Hz", "reading", "beats", "sensitivity", "predictive value", "of all"]
    rows = [
        [
            d.noise, f"{d.rate}", f"{100 * d.reading:.1f} %", f"{d.beats:,}",
            f"{100 * d.sensitivity:.2f} %", f"{100 * d.predictive:.2f} %",
            f"{100 * d.found / max(1, d.all):.1f} %",
        ]
        for d in found
    ]  # fmt: skip
    return table(names, rows)


def class_table(found: Sequence[Draw]) -> str:
    """Of all draws, float and int8."""
    names = ["draw", "numbers", *(f"{c}" for c in ecg.CLASSES), "balanced",
             "worst patient"]  # fmt: skip
    rows = []
    for k, draw in enumerate(found, 1):
        for kind, scores in (("float", draw.real), ("int8", draw.whole)):
            each = [
                f"{100 * recall:.1f} %, {100 * precision:.1f} %"
                for recall, precision in zip(scores.recall, scores.precision, strict=True)
            ]
            worst = min(group.balanced for group in scores.by_group.values())
            last = [f"{100 * scores.balanced:.1f} %", f"{100 * worst:.1f} %"]
            rows.append([f"{k}", kind, *each, *last])
    return table(names, rows)


def person_table(found: Person) -> str:
    """Agreement at each rate."""
    names = [
        "rate, Hz",
        "beats here",
        "of the reference",
        "of both",
        "of the reference's",
        "of ours",
    ]
    rows = [
        [f"{rate}", f"{ours}", f"{other}", f"{both}", f"{100 * both / other:.1f} %",
         f"{100 * both / ours:.1f} %"]
        for rate, ours, other, both in zip(
            found.rates, found.ours, found.reference, found.agreed, strict=True
        )
    ]  # fmt: skip
    return table(names, rows)


def page(found: Sequence[Detection], named: Sequence[Draw], one: Person, patients: int) -> str:
    """The document. patients: of the classes."""
    toml = (RECIPES / "beats.toml").read_text(encoding="utf-8")
    blind = sum(d.blind for d in found)
    parts = [
        HEAD, RECIPE.format(toml=toml), "## Finding beats",
        METHOD.format(within=1000 * WITHIN), detection_table(found),
        f"Where the lead was off, {blind} beats were reported.",
        "## Naming them",
        CLASSES.format(count=patients, seconds=CLASS_SECONDS, unseen=UNSEEN, draws=len(named),
                       size=max(draw.size for draw in named)),
        class_table(named), "## A person", PERSON, person_table(one),
        WITHIN_ONE.format(trained=TRAINED_S, accuracy=100 * one.accuracy, test=one.test,
                          majority=100 * one.majority),
    ]  # fmt: skip
    return "\n\n".join(map(_flowing, parts)) + "\n"


def _flowing(part: str) -> str:
    """Prose as one line, which is wrapped later."""
    part = part.strip()
    return part if "\n\n" in part or part.startswith("|") else " ".join(part.split())


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    patients: Annotated[int, typer.Option(min=1, help="for detection")] = PATIENTS,
    epochs: Annotated[int | None, typer.Option(help="fewer, for a quick look")] = None,
    output: Annotated[Path | None, typer.Option(help="document to write")] = None,
) -> None:
    """Find and name beats; about three minutes. Needs the network once, for MIT-BIH 208."""
    target = output or project_root() / TARGET
    files.check_output(target)
    mitbih.excerpt()  # before all the work
    runs = [(rate, noise) for noise in NOISES for rate in RATES]
    found = [detection(rate, noise, patients) for rate, noise in track(runs, "detection")]
    named = draws(of_patients(ecg.PATIENTS), epochs=epochs)
    files.write(target, wrapped(page(found, named, person(epochs), ecg.PATIENTS)))
    typer.echo(f"wrote {target}", err=True)


if __name__ == "__main__":
    console.run(app, "bench_ecg")
