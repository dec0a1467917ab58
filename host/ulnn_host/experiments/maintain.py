"""`ulnn maintain`: which detector warns longest before machines fail, at equal false alarms.

Everything learns from healthy machines alone. Machines are dealt into folds: what a model says of
a machine, it says without having seen it. Then each detector's threshold is set such that, over
all machines, false alarms are as rare as was asked for, and days of warning are compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulnn_rules.alarm import SIDE_BY_SIDE

from ..base.errors import UlnnError
from ..base.toml_tables import check, number
from ..data.features import read_recipe as read_features
from ..data.lives import DAY, Lives, State, generated, recorded
from ..data.logs import read_data
from ..data.options import DataOptions
from ..data.sequences import Sequences
from ..data.targets import next_sample
from ..train.recipe import RECIPES, Recipe, read_recipe
from . import detectors, lead
from .compare import BETTER, FEW, NO_VERDICT, NOT_SEEN, WORSE, Difference
from .detectors import LINEAR, SIMPLE, Detector, Pace
from .folds import Fold
from .intervals import Bootstrap, Interval, Tallies, Tally
from .lead import Alarms
from .trainings import Job, trained

MOST = 1000  # recordings that a network is trained on: healthy ones are much alike
Int = NDArray[np.int64]
Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Plan:
    """How detectors are judged.

    learn: days in which each machine teaches its threshold; false_alarms: a day, that all
    detectors have; every: seconds from one recording to the next; look: steps whose mean score is
    compared; smooth, raise_after, clear_after: looks, as of a board's alarm; seeds: trainings of
    each network; folds: parts of the machines, each of which is held out once; bits: of models'
    weights; seed: of the folds, and of the intervals. Raises UlnnError.
    """

    learn: float = number(1.5, 0.002)
    false_alarms: float = number(0.1, 0.0001)
    every: float = number(1800.0, 0.001)
    look: int = number(8, 1, 4096)
    smooth: int = number(16, 1, 1000)
    raise_after: int = number(8, 1, 1000)
    clear_after: int = number(16, 1, 1000)
    seeds: int = number(2, 1, 1000)
    folds: int = number(5, 2)
    bits: int = 8
    seed: int = number(0, 0, 2**31 - 1)

    def __post_init__(self) -> None:
        check(self)
        if self.bits not in (8, 16):
            raise UlnnError(f"bits: expected 8 or 16, got {self.bits}")

    @property
    def pace(self) -> Pace:
        """The same in seconds."""
        looks = self.smooth, self.raise_after, self.clear_after
        return Pace(self.look, self.every, self.learn * DAY, *looks)


@dataclass(frozen=True)
class Entry:
    """A detector. alarms: by seed, on the same machines; settings: by seed, false alarms in 1000
    days as a board takes them, with which `alarms` came about; warning: days from the first alarm
    to the failure, 0 for a machine without one; rate: false alarms a day. size: bytes of the
    model file; cycles: of a step of it, 0 where none matters; columns: alarms side by side."""

    name: str
    settings: tuple[int, ...]
    alarms: tuple[Alarms, ...]
    warning: Interval
    rate: Interval
    size: int
    cycles: int
    columns: int

    @property
    def found(self) -> float:
        """Share of the machines, mean over the seeds, with an alarm before they failed."""
        return float(np.mean([a.lead > 0 for a in self.alarms]))

    def to_dict(self, machines: Sequence[str]) -> dict[str, Any]:
        """For JSON."""
        by_machine = np.mean([a.lead for a in self.alarms], axis=0)
        return {
            "name": self.name,
            "days": dataclasses.asdict(self.warning),
            "false_alarms_a_day": dataclasses.asdict(self.rate),
            "found": self.found,
            "days_by_machine": dict(zip(machines, by_machine.tolist(), strict=True)),
            "settings": list(self.settings),
            "bytes": self.size,
            "cycles": self.cycles,
            "alarms": self.columns,
        }


@dataclass(frozen=True)
class Judged:
    """Detectors on machines. possible: days from the onset to the failure, the mean; differences:
    of the days of warning, each detector's less those of the best one that is no network."""

    plan: Plan
    machines: tuple[str, ...]
    possible: float
    entries: tuple[Entry, ...]
    differences: tuple[Difference, ...]

    def entry(self, name: str) -> Entry:
        """That of a detector."""
        return next(entry for entry in self.entries if entry.name == name)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "machines": list(self.machines),
            "possible_days": self.possible,
            "detectors": [entry.to_dict(self.machines) for entry in self.entries],
            "differences": [dataclasses.asdict(d) for d in self.differences],
        }


@dataclass(frozen=True)
class Maintained:
    """What was found on machines that nothing was trained on. chosen: the name of a detector, why:
    in a sentence. detectors: by name, for each seed, trained on all machines; look_seconds: that a
    look stands for; state: in which machines are judged."""

    judged: Judged
    chosen: str
    why: str
    detectors: Mapping[str, tuple[Detector, ...]]
    look_seconds: float
    state: State | None = None

    @property
    def model(self) -> bytes:
        """The model file of the chosen one, of the first seed; where that is a feature, of the
        linear predictor, whose file has the recipe of features."""
        return self.detectors[self.chosen][0].content

    @property
    def setting(self) -> int:
        """False alarms in 1000 days that a board is to be told with it."""
        return self.judged.entry(self.chosen).settings[0]

    @property
    def alarm(self) -> list[dict[str, Any]]:
        """What an app on a board is to be told of its alarms (`alarm` of its settings)."""
        plan, state = self.judged.plan, self.state
        when = [] if state is None else [{"channel": state.channel, "above": state.least}]
        each = {
            "learn_s": round(plan.learn * DAY),
            "false_alarms_a_day": self.setting / 1000,
            "rule": "ewma",
            "smooth": plan.smooth,
            "raise_after": plan.raise_after,
            "clear_after": plan.clear_after,
            "look": plan.look,
            "every_s": round(self.look_seconds),
            "when": when,
        }
        return [{"score": score} | each for score in self.detectors[self.chosen][0].scores]

    @property
    def notes(self) -> list[str]:
        """What to keep in mind."""
        plan, count = self.judged.plan, len(self.judged.machines)
        found = []
        if count < FEW:
            found.append(f"{count} machines: intervals are too narrow")
        if plan.seeds == 1 and not all(map(is_plain, self.detectors)):
            found.append("one seed gives no verdict about networks: --seeds 5")
        for entry in self.judged.entries:
            if entry.rate.value > plan.false_alarms:
                rate = f"{entry.rate.value:.3g} false alarms a day"
                found.append(f"{entry.name} has {rate} with any threshold")
        return found

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        facts = {"chosen": self.chosen, "why": self.why, "setting": self.setting}
        return (
            dataclasses.asdict(self.judged.plan)
            | self.judged.to_dict()
            | facts
            | {"alarm": self.alarm, "notes": self.notes}
        )


def maintain(
    lives: Lives, recipes: Mapping[str, Recipe], plan: Plan, cache: Path, report: Report
) -> Maintained:
    """Judge all detectors on machines held out, choose one, and train it on all. recipes: of
    networks that predict the next step, by name; cache: folder of trainings that are done;
    report(trainings done, planned, what is done). Raises UlnnError."""
    work = _Work(lives, recipes, plan, cache, report)
    held: dict[str, list[tuple[int, Alarms]]] = {}
    for name, looks in work.held_out().items():
        held[name] = [lead.equal(lives, seen, plan.pace, plan.false_alarms) for seen in looks]
    made = work.detectors(np.arange(len(lives)))
    judged = _judged(lives, plan, held, made)
    chosen, why = choice(judged)
    first = made[chosen][0].looks(lives.of([0]), plan.pace)[0]
    return Maintained(judged, chosen, why, made, float(first.ms[0]) / 1000, lives.state)


def maintain_files(
    source: str,
    recipes: Sequence[Path],
    options: DataOptions,
    healthy: float,
    state: str,
    plan: Plan,
    cache: Path,
    report: Report,
) -> Maintained:
    """As `maintain`, of the set "machines" or of files. recipes: a CfC's where there is none;
    healthy: share of each life; state: as `State.parse` takes it. Raises UlnnError."""
    if not 0 < healthy < 1:
        raise UlnnError(f"healthy is {healthy:g}, expected a share of each life, such as 0.4")
    when = State.parse(state)
    read = {path.stem: read_recipe(path) for path in recipes or [RECIPES / "machines.toml"]}
    if source == "machines":
        features = read_features(options.features or RECIPES / "machines_features.toml")
        lives = generated("development", features, when)
    else:
        lives = recorded(read_data(source, options), plan.every, healthy, when)
    return maintain(lives, read, plan, cache, report)


def judge(found: Maintained, lives: Lives) -> Judged:
    """What was found, on machines that had no say in it: detectors and settings stay as they are.
    `.entries` have the days of warning of each machine (`alarms[seed].lead`). Raises UlnnError."""
    plan = found.judged.plan
    held = {}
    for name, made in found.detectors.items():
        settings = found.judged.entry(name).settings
        held[name] = [
            (setting, lead.alarms(lives, detector.looks(lives, plan.pace), plan.pace, setting))
            for setting, detector in zip(settings, made, strict=True)
        ]
    return _judged(lives, plan, held, found.detectors)


def choice(judged: Judged) -> tuple[str, str]:
    """(name, why). A network is chosen only where it is better beyond chance than the best of the
    others, which cost less."""
    plain = [
        entry for entry in judged.entries if is_plain(entry.name) and entry.columns <= SIDE_BY_SIDE
    ]
    best = max(plain, key=lambda entry: entry.warning.value)
    networks = [entry for entry in judged.entries if not is_plain(entry.name)]
    why = (
        f"{best.name} warns {best.warning.value:.2f} days before the failure, the longest of the "
        "detectors without a network"
    )
    if best.columns > 1:
        why += f", with {best.columns} alarms side by side"
    for entry in judged.entries:
        if entry.columns > SIDE_BY_SIDE and entry.warning.value > best.warning.value:
            why += (
                f" ({entry.name}: {entry.warning.value:.2f} days, with {entry.columns} alarms "
                f"side by side, and an app has {SIDE_BY_SIDE} at most)"
            )
    if not networks:
        return best.name, f"{why}."
    rival = max(networks, key=lambda entry: entry.warning.value)
    change = next(d for d in judged.differences if d.name == rival.name)
    text = (
        f"the network {rival.name}: {rival.warning.value:.2f} days, "
        f"{change.interval.value:+.2f} to {change.first}, 95 % between "
        f"{change.interval.low:+.2f} and {change.interval.high:+.2f}"
    )
    if change.verdict == BETTER:
        return rival.name, f"{why}; {text}: better beyond chance, so it is chosen."
    return best.name, f"{why}; {text}: not better beyond chance."


def is_plain(name: str) -> bool:
    """Whether a detector is none of a network."""
    return name in SIMPLE or name == LINEAR


class _Work:
    """Detectors of folds and of all machines."""

    def __init__(
        self,
        lives: Lives,
        recipes: Mapping[str, Recipe],
        plan: Plan,
        cache: Path,
        report: Report,
    ) -> None:
        self.lives, self.recipes, self.plan = lives, recipes, plan
        self.cache, self.report = cache, report
        taken = next((name for name in recipes if is_plain(name)), None)
        if taken:
            raise UlnnError(f"a recipe is called {taken}, as a detector is: choose another name")
        if len(lives) < 2:
            raise UlnnError("expected two machines or more, so that one can be held out")
        self.done = 0
        self.folds = min(plan.folds, len(lives))
        self.planned = (self.folds + 1) * (1 + len(recipes) * plan.seeds)

    def held_out(self) -> dict[str, list[tuple[detectors.Looks, ...]]]:
        """By name and seed the looks at each machine, by models that have not seen it."""
        order = np.random.default_rng(self.plan.seed).permutation(len(self.lives))
        found: dict[str, list[dict[int, detectors.Looks]]] = {}
        for k in range(self.folds):
            held = np.sort(order[k :: self.folds])
            part = self.lives.of(held)
            rows = np.concatenate([np.flatnonzero(self.lives.machine == m) for m in held])
            for name, made in self.detectors(np.setdiff1d(order, held)).items():
                seeds = found.setdefault(name, [{} for _ in made])
                for seed, detector in zip(seeds, made, strict=True):
                    looks = detector.looks(part, self.plan.pace)
                    for machine, seen in zip(held.tolist(), looks, strict=True):
                        seed[machine] = replace(seen, recording=rows[seen.recording])
        return {
            name: [tuple(seed[m] for m in range(len(self.lives))) for seed in seeds]
            for name, seeds in found.items()
        }

    def detectors(self, machines: Int) -> dict[str, tuple[Detector, ...]]:
        """Of the healthy time of some machines, for each seed."""
        healthy = self._healthy(machines)
        linear = detectors.linear(healthy, self.plan.bits)
        found: dict[str, tuple[Detector, ...]] = {
            made.name: (made,) for made in detectors.simple(healthy.channels, linear.content)
        }
        found[LINEAR] = (linear,)
        self._tick(LINEAR)
        for name, recipe in self.recipes.items():
            found[name] = tuple(
                self._network(name, replace(recipe, seed=seed), healthy)
                for seed in range(1, self.plan.seeds + 1)
            )
        return found

    def _healthy(self, machines: Int) -> Sequences:
        chosen = np.isin(self.lives.machine, machines)
        return self.lives.data.take(chosen & self.lives.healthy() & self.lives.running)

    def _network(self, name: str, recipe: Recipe, healthy: Sequences) -> Detector:
        data = next_sample(healthy)
        if len(data) > MOST:
            data = data.take(np.linspace(0, len(data) - 1, MOST).round().astype(np.int64))
        network = trained(Job(recipe, Fold(data, data, data), self.plan.bits), self.cache)
        self._tick(name)
        return detectors.predictor(name, network.float_network(), healthy, self.plan.bits)

    def _tick(self, note: str) -> None:
        self.done += 1
        self.report(self.done, self.planned, note)


def _judged(
    lives: Lives,
    plan: Plan,
    held: Mapping[str, Sequence[tuple[int, Alarms]]],
    made: Mapping[str, Sequence[Detector]],
) -> Judged:
    seeds = max(len(found) for found in held.values())
    bootstrap = Bootstrap(len(lives), seeds, plan.seed)
    entries, warnings = [], {}
    for name, found in held.items():
        alarms = tuple(a for _, a in found)
        full = alarms * (seeds // len(alarms))  # what has no seed is the same for all
        warnings[name] = _tallies([(a.lead, np.ones(len(lives))) for a in full])
        entries.append(
            Entry(
                name=name,
                settings=tuple(setting for setting, _ in found),
                alarms=alarms,
                warning=bootstrap.mean(warnings[name]),
                rate=bootstrap.mean(_tallies([(a.false, a.days) for a in full])),
                size=max(len(detector.content) for detector in made[name]),
                cycles=max(detector.cycles for detector in made[name]),
                columns=len(made[name][0].scores),
            )
        )
    plain = [entry for entry in entries if is_plain(entry.name)]
    best = max(plain, key=lambda entry: entry.warning.value).name
    differences = tuple(
        _difference(name, best, bootstrap.difference(tallies, warnings[best]), len(held[name]))
        for name, tallies in warnings.items()
        if name != best
    )
    possible = float((lives.end - lives.onset).mean()) / DAY
    return Judged(plan, lives.names, possible, tuple(entries), differences)


def _tallies(rows: Sequence[tuple[lead.Float, lead.Float]]) -> Tallies:
    return Tallies(
        "days",
        [[Tally((p,), (c,)) for p, c in zip(*map(list, row), strict=True)] for row in rows],
    )


def _difference(name: str, best: str, interval: Interval, seeds: int) -> Difference:
    if not is_plain(name) and seeds < 2:
        return Difference(name, best, interval, NO_VERDICT)
    if not interval.without_zero:
        return Difference(name, best, interval, NOT_SEEN)
    return Difference(name, best, interval, BETTER if interval.value > 0 else WORSE)
