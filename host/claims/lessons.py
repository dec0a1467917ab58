"""What labelled examples of one wearer give a network of everybody: by the centres that a board
moves, and by tuning the whole network on the PC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ulnn_host.data.sequences import Sequences
from ulnn_host.experiments.adapt import adapt
from ulnn_host.experiments.intervals import Bootstrap, Interval, Tallies, Tally
from ulnn_host.experiments.personal import scored, tuned
from ulnn_host.format import container
from ulnn_host.network.float_network import FloatNetwork

from .claim import Run
from .study import model
from .workers import spread

CENTRES, WHOLE = "centres, on the board", "whole network, on the PC"
WAYS = (CENTRES, WHOLE)
WEIGHT = 2  # examples that a centre of the calibration data counts as
CALIBRATED = 256  # windows
Float = NDArray[np.float64]


@dataclass(frozen=True)
class Lesson:
    """A network, the data that its integers are made of, and a wearer: labelled examples, and what
    is measured."""

    network: FloatNetwork
    calibration: Sequences
    examples: Sequences
    tests: tuple[Sequences, ...]


@dataclass(frozen=True)
class Learnt:
    """Decisions on a test: how often each class (true, decided) was decided, (seeds, wearers, 3,
    classes, classes), without the examples, and with them in each of WAYS."""

    counts: Float

    @property
    def accuracy(self) -> Float:
        """Balanced, percent, (seeds, wearers, 3)."""
        total = self.counts.sum(-1)
        recall = np.diagonal(self.counts, axis1=-2, axis2=-1) / np.maximum(total, 1)
        return np.asarray(100 * recall.sum(-1) / (total > 0).sum(-1))

    def taken(self, one: int, other: int) -> Learnt:
        """The same, where a decision for one class is taken for another."""
        counts = self.counts.copy()
        counts[..., other] += counts[..., one]
        counts[..., one] = 0
        return Learnt(counts)

    @property
    def before(self) -> Float:
        """Without the examples."""
        return self.accuracy[..., 0]

    def gained(self, way: str) -> Float:
        """Points by the examples."""
        return self.accuracy[..., 1 + WAYS.index(way)] - self.before


def calibration(data: Sequences) -> Sequences:
    """Some of the data, evenly."""
    count = min(len(data), CALIBRATED)
    return data.take(np.linspace(0, len(data) - 1, count).astype(int))


def learn(run: Run, title: str, lessons: Sequence[Sequence[Lesson]]) -> tuple[Learnt, ...]:
    """Of each test. lessons: of each wearer, those of each seed."""
    jobs = [(lesson,) for row in lessons for lesson in row]
    found = np.array(list(spread(run, title, "lessons", taught, jobs)))
    rows = found.reshape(len(lessons), -1, *found.shape[1:])
    return tuple(Learnt(rows[:, :, k].swapaxes(0, 1)) for k in range(rows.shape[2]))


def taught(lesson: Lesson) -> list[list[Float]]:
    """The decisions (true, decided) on each test: before, and after in each of WAYS. Both ways see
    the examples alone: the tests choose nothing."""
    file = container.write(model(lesson.network, lesson.calibration, WEIGHT))
    own = tuned(file, lesson.network, lesson.calibration, lesson.examples, quiet=True)
    rows = []
    for test in lesson.tests:
        moved = adapt(file, lesson.examples, test=test)
        assert moved.before is not None
        assert moved.after is not None
        scores = moved.before, moved.after, scored(own, test)
        rows.append([np.array(one.confusion, np.float64) for one in scores])
    return rows


def mean(values: Float) -> Interval:
    """Of values (seeds, wearers)."""
    tallies = [[Tally((float(v),), (1.0,)) for v in row] for row in values]
    return Bootstrap(values.shape[1], values.shape[0]).mean(Tallies("mean", tallies))
