"""What a claim is, how long its test may take, and what the test gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from ulnn_host.experiments.intervals import Interval


@dataclass(frozen=True)
class Plan:
    """How much is done. seeds: trainings of each network on each fold; folds: that are held out,
    all or the first ones; epochs: of a training; rates: learning rates to choose from."""

    seeds: int
    folds: int
    epochs: int
    rates: tuple[float, ...]


FULL = Plan(seeds=5, folds=5, epochs=60, rates=(0.005, 0.01, 0.02))
QUICK = Plan(seeds=1, folds=1, epochs=5, rates=(0.01,))


@dataclass(frozen=True)
class Run:
    """One run. cache: folder of trainings that are done; report(what is being done); train: false
    where only what was trained before is measured again; workers: processes that train; kept:
    seconds of trainings that were done before."""

    plan: Plan
    cache: Path
    report: Callable[[str], None] = lambda note: None
    train: bool = True
    workers: int = 1
    kept: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """Where data come from, and their licence."""

    name: str
    licence: str


@dataclass(frozen=True)
class Table:
    """Rows of words."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Dot:
    """A number with its interval in a picture. group: what shares a colour."""

    label: str
    group: str
    value: float
    low: float
    high: float

    @staticmethod
    def of(label: str, group: str, number: Interval) -> Dot:
        """Of an interval."""
        return Dot(label, group, number.value, number.low, number.high)


@dataclass(frozen=True)
class Chart:
    """Numbers with their intervals, one below the other. line: a number to compare with."""

    title: str
    axis: str
    dots: tuple[Dot, ...]
    line: float | None = None


@dataclass(frozen=True)
class Findings:
    """What a test gave. measured: the effect, in the claim's unit; seeds: that it rests on;
    clusters: what was drawn in its interval, in words; losses: where CfC loses, a sentence each;
    notes: what else is to be known; data: hashes, by name."""

    measured: Interval
    seeds: int
    clusters: str
    tables: tuple[Table, ...]
    chart: Chart
    losses: tuple[str, ...]
    notes: tuple[str, ...] = ()
    data: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A claim, and its test.

    name: in commands and files; title: of its page. says: what the article says. effect: what is
    measured, and `claimed` in `unit`; nothing: the number that means no effect. how: the method.
    test: runs it. modules: whose source is the test's definition, besides the claim's own.
    """

    name: str
    title: str
    says: str
    effect: str
    claimed: float
    unit: str
    how: str
    sources: tuple[Source, ...]
    test: Callable[[Run], Findings]
    nothing: float = 0.0
    modules: tuple[ModuleType, ...] = ()


@dataclass(frozen=True)
class Untested:
    """A claim that cannot be tested, and why."""

    title: str
    says: str
    why: str
