"""How small a share of a real fault is seen: the MFPT recordings, mixed into a healthy bearing's.

There is no run to failure in them, so shares take its place: a bearing is healthy, then a fault is
mixed in, a little more from recording to recording. Models learn from one healthy recording,
thresholds from another, and faults are mixed into the third, each of the three once. All detectors
are set such that none of the three gives a false alarm, with a margin: ten times fewer are
expected than with the setting at which all are silent, since 18 seconds say little.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import features, mfpt
from ..data.features import FeatureRecipe
from ..data.lives import DAY, Lives
from ..data.mfpt import Recording
from ..data.sequences import Sequences
from ..data.targets import next_sample
from ..train.recipe import Recipe
from . import detectors, lead
from .detectors import LINEAR, Detector, Looks, Pace
from .folds import Fold
from .intervals import Bootstrap, Interval, Tallies, Tally
from .trainings import Job, trained

Float = NDArray[np.float64]
SHARES = (
    0.05,
    0.07,
    0.1,
    0.13,
    0.17,
    0.2,
    0.26,
    0.3,
    0.34,
    0.39,
    0.45,
    0.51,
    0.58,
    0.67,
    0.76,
    0.87,
    1.0,
)
NEVER = 1.2  # in means: the share of a fault that is not seen at all
PART = 146484  # samples of a part: three seconds
LEARN, HEALTHY = 2, 4  # parts: to learn from, and all that are healthy
MARGIN = 10
# A part, which counts as a day, has 127 looks.
PACE = Pace(look=1, every=DAY, learn=1.9 * DAY, smooth=48, raise_after=24, clear_after=48)
WINDOW = 40  # steps of a sequence in training
CHANNEL = "acc"
Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Seen:
    """A detector. shares: (S, 3, F) by seed, by the healthy recording that the fault was mixed
    into, and by fault: the smallest share with an alarm, NEVER without one; mean: over all, its
    interval over faults and seeds. silent: whether no healthy recording gave an alarm."""

    name: str
    shares: Float
    mean: Interval
    silent: bool


@dataclass(frozen=True)
class Mixes:
    """faults: names of the recordings; entries: detectors."""

    faults: tuple[str, ...]
    entries: tuple[Seen, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the mean, and by fault that over seeds and healthy recordings."""
        return {
            entry.name: dataclasses.asdict(entry.mean)
            | {"silent": entry.silent}
            | {"by_fault": dict(zip(self.faults, entry.shares.mean((0, 1)).tolist(), strict=True))}
            for entry in self.entries
        }


def mixes(
    recipe: FeatureRecipe,
    recipes: Mapping[str, Recipe],
    seeds: int,
    cache: Path,
    report: Report,
    recordings: tuple[Recording, ...] | None = None,
) -> Mixes:
    """All detectors on all faults. recipe: of features; recipes: of networks that predict the next
    step; cache: folder of trainings; recordings: in place of the MFPT ones. Raises UlnnError."""
    known = mfpt.recordings() if recordings is None else recordings
    healthy = [r for r in known if r.kind == "healthy"]
    faults = [r for r in known if r.kind != "healthy"]
    found: dict[str, list[list[tuple[Lives, tuple[Looks, ...]]]]] = {}
    for k, into in enumerate(healthy):
        teacher, first = (healthy[(k + j) % len(healthy)] for j in (1, 2))
        lives = _lives(recipe, teacher, into, faults)
        fit = _features(recipe, _parts(first))
        for name, made in _detectors(fit, recipes, seeds, cache).items():
            rows = found.setdefault(name, [[] for _ in made])
            for row, detector in zip(rows, made, strict=True):
                row.append((lives, detector.looks(lives, PACE)))
        report(k + 1, len(healthy), into.name)
    bootstrap = Bootstrap(len(faults), seeds)
    entries = tuple(_seen(name, rows, seeds, bootstrap) for name, rows in found.items())
    return Mixes(tuple(r.name for r in faults), entries)


def _lives(
    recipe: FeatureRecipe, teacher: Recording, into: Recording, faults: list[Recording]
) -> Lives:
    """A life for each fault: parts of healthy recordings, then shares of the fault."""
    calm = _features(recipe, _parts(teacher) + _parts(into))
    rows = [calm]
    for fault in faults:
        rows.append(_features(recipe, [fault.mixed(into, share)[:PART] for share in SHARES]))
    count, steps = len(SHARES), calm.x.shape[1]
    x = np.concatenate([part.x for part in rows])
    # the healthy parts are the same for all
    order = [
        np.r_[np.arange(HEALTHY), HEALTHY + count * k + np.arange(count)]
        for k in range(len(faults))
    ]
    which = np.concatenate(order)
    data = dataclasses.replace(
        calm,
        x=x[which],
        dt=np.full((len(which), steps), recipe.hop / recipe.rate),
        length=np.full(len(which), steps),
        group=np.repeat(np.arange(len(faults)), HEALTHY + count),
        groups=tuple(fault.name for fault in faults),
    )
    ends = np.ones(len(faults)) * DAY
    return Lives(
        data,
        at=np.tile(np.arange(HEALTHY + count) * DAY, len(faults)),
        onset=HEALTHY * ends,
        end=(HEALTHY + count) * ends,
        running=np.ones(len(which), bool),
    )


def _parts(recording: Recording) -> list[Float]:
    return [recording.x[k * PART : (k + 1) * PART] for k in range(LEARN)]


def _features(recipe: FeatureRecipe, parts: list[Float]) -> Sequences:
    x = np.stack(parts)[..., None].astype(np.float32)
    raw = Sequences(x, np.full(x.shape[:2], 1 / recipe.rate), channels=(CHANNEL,))
    return features.computed(raw, recipe)


def _detectors(
    healthy: Sequences, recipes: Mapping[str, Recipe], seeds: int, cache: Path
) -> dict[str, tuple[Detector, ...]]:
    linear = detectors.linear(healthy)
    found: dict[str, tuple[Detector, ...]] = {
        made.name: (made,) for made in detectors.simple(healthy.channels, linear.content)
    }
    found[LINEAR] = (linear,)
    window = WINDOW * float(np.median(healthy.dt))
    data = next_sample(healthy.windows(window, window))
    for name, recipe in recipes.items():
        jobs = [Job(replace(recipe, seed=s), Fold(data, data, data)) for s in range(1, seeds + 1)]
        networks = [trained(job, cache).float_network() for job in jobs]
        found[name] = tuple(detectors.predictor(name, n, healthy) for n in networks)
    return found


def _seen(
    name: str,
    rows: list[list[tuple[Lives, tuple[Looks, ...]]]],
    seeds: int,
    bootstrap: Bootstrap,
) -> Seen:
    shares, silent = [], True
    for row in rows:
        alarms = [lead.alarms(*pair, PACE, setting) for setting in [_setting(row)] for pair in row]
        silent &= not any(a.false.any() for a in alarms)
        ahead = np.stack([a.lead for a in alarms]).round().astype(int)
        shares.append(np.where(ahead > 0, np.array(SHARES)[-np.maximum(ahead, 1)], NEVER))
    found = np.stack(shares)
    means = np.repeat(found.mean(1), seeds // len(found), axis=0)
    tallies = Tallies("share", [[Tally((v,), (1.0,)) for v in row] for row in means.tolist()])
    return Seen(name, found, bootstrap.mean(tallies), bool(silent))


def _setting(row: list[tuple[Lives, tuple[Looks, ...]]]) -> int:
    """With which none of the healthy recordings gives an alarm. Lives of one into which faults are
    mixed all begin alike."""
    found = []
    for lives, looks in row:
        seen = looks[0]
        calm = seen.recording < HEALTHY
        short = Looks(seen.scores[calm], seen.ms[calm], seen.recording[calm], seen.usual)
        found.append(lead.equal(lives.of([0]), (short,), PACE, 0.0)[0])
    return max(1, min(found) // MARGIN)
