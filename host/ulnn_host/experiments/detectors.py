"""What says that a machine is not as it was: a feature itself, or the error of a prediction.

Scores and looks are those of a board (`ulnn_rules.novelty`, `ulnn_rules.watch`), in its integers;
predictions are those of the integer model that it runs.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ulnn_rules.alarm import Alarm
from ulnn_rules.log2 import log2
from ulnn_rules.novelty import Prediction
from ulnn_rules.scaling import Scaling

from ..base.errors import UlnnError
from ..data.lives import Lives
from ..data.sequences import Sequences, Statistics
from ..data.targets import next_sample
from ..engines import registry
from ..engines.batch import quantise
from ..format import container
from ..format.model import Decision
from ..network.float_network import FloatNetwork
from ..network.layers import Dense, Linear
from ..quantize.options import Options
from ..quantize.rollouts import sample
from .measured import converted, cycles

Int = NDArray[np.int64]
RIDGE = 1e-3  # of the inputs' variance, in the linear predictor
SIMPLE = {"rms": " rms", "kurtosis": " kurtosis", "envelope": " envelope "}  # in features' names
LINEAR = "linear"


@dataclass(frozen=True)
class Pace:
    """look: steps of a look; every: seconds that a recording stands for; learn: seconds in which a
    machine teaches its threshold; smooth, raise_after, clear_after: looks, as of an `Alarm`."""

    look: int
    every: float
    learn: float
    smooth: int
    raise_after: int
    clear_after: int


@dataclass(frozen=True)
class Looks:
    """What the alarms of one machine look at, n times. scores: (n, C), a column for each alarm,
    any of which counts; ms: (n,) that each look stands for; recording: (n,), which one of the
    lives it is of; usual: how many first ones teach what errors are usual, and have no score."""

    scores: Int
    ms: Int
    recording: Int
    usual: int = 0


class Detector(Protocol):
    """name: of its kind; content: its model file; cycles: of a step of that on a Cortex-M7,
    modelled, 0 where no step matters; scores: of its alarms, side by side, as settings of an app
    name them."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def content(self) -> bytes: ...  # noqa: D102
    @property
    def cycles(self) -> int: ...  # noqa: D102
    @property
    def scores(self) -> tuple[str, ...]: ...  # noqa: D102

    def looks(self, lives: Lives, pace: Pace) -> tuple[Looks, ...]:
        """Of each machine, in the states in which it is judged."""
        ...


@dataclass(frozen=True)
class OfFeatures:
    """Features themselves, an alarm for each. scores: which, by name; content: a model file with
    these inputs, which has their recipe and their scales."""

    name: str
    scores: tuple[str, ...]
    content: bytes = field(repr=False)
    cycles: int = 0

    def looks(self, lives: Lives, pace: Pace) -> tuple[Looks, ...]:
        """Of each machine."""
        data = lives.data
        columns = [data.channels.index(name) for name in self.scores]
        counts = quantise(container.read(self.content), data).x[:, :, columns].astype(np.int64)
        found = []
        for rows in _judged(lives):
            places = _places(data.length[rows], 0, pace)
            scores = counts[rows[places[:, 0], None], places[:, 1:]].sum(1) // pace.look
            found.append(Looks(scores, _ms(places, pace), rows[places[:, 0]]))
        return tuple(found)


@dataclass(frozen=True)
class OfErrors:
    """How wrong a model is that predicts the next step's features. content: its file."""

    name: str
    content: bytes = field(repr=False)
    cycles: int = 0
    scores: tuple[str, ...] = ("prediction",)

    def looks(self, lives: Lives, pace: Pace) -> tuple[Looks, ...]:
        """Of each machine. Raises UlnnError where the data do not fit the model."""
        model, data = container.read(self.content), lives.data
        batch = quantise(model, data)
        y = registry.run(self.content, batch, registry.best(self.content)).y
        expected = model.quantise_input(model.dequantise_output(y[:, :-1])).astype(np.int64)
        errors = np.abs(batch.x[:, 1:].astype(np.int64) - expected)
        prediction = Prediction(Scaling(self.content))
        found = []
        for rows in _judged(lives):
            places = _places(data.length[rows], 1, pace)
            ms = _ms(places, pace)
            teach = _teaching(ms, pace)
            prediction.forget()
            for row, step in _until(places[teach - 1], data.length[rows]):
                x = batch.x[rows[row], step]
                prediction.learn(array("h", x), array("h", y[rows[row], step - 1]))
            prediction.settle()
            scores = _energies(errors[rows], prediction)
            means = scores[places[:, :1], places[:, 1:] - 1].sum(1) // pace.look
            found.append(Looks(means[:, None], ms, rows[places[:, 0]], teach))
        return tuple(found)


def _judged(lives: Lives) -> list[Int]:
    return [np.flatnonzero((lives.machine == k) & lives.running) for k in range(len(lives))]


def _places(length: Int, first: int, pace: Pace) -> Int:
    """(n, 1 + look): of each look the row, and its steps; whole ones alone, from `first` on."""
    found = [
        [row, *range(start, start + pace.look)]
        for row, steps in enumerate(length.tolist())
        for start in range(first, steps - pace.look + 1, pace.look)
    ]
    if not found:
        raise UlnnError(
            f"no recording has the {pace.look + first} steps of a look: choose shorter looks"
        )
    return np.array(found, np.int64)


def _ms(places: Int, pace: Pace) -> Int:
    """(n,): looks share the time that their recording stands for."""
    count = np.bincount(places[:, 0])
    return np.rint(1000 * pace.every / count[places[:, 0]]).astype(np.int64)


def _teaching(ms: Int, pace: Pace) -> int:
    """How many looks teach what is usual."""
    alarm = Alarm(int(pace.learn), 1, True)
    for count, each in enumerate(ms.tolist()):
        if alarm.threshold.state != "usual":
            return count
        alarm.look(0, each)
    return len(ms)


def _until(last: Int, length: Int) -> Iterator[tuple[int, int]]:
    """(row, step) of all predicted steps up to the end of a look."""
    for row in range(int(last[0]) + 1):
        end = int(last[-1]) + 1 if row == last[0] else int(length[row])
        yield from ((row, step) for step in range(1, end))


def _energies(errors: Int, prediction: Prediction) -> Int:
    """(N, T) scores of the errors (N, T, I): `Prediction.of`, for many."""
    n = errors.shape[-1]
    squares = np.minimum(errors * 256 // np.array(prediction.usual, np.int64), 32767) ** 2
    high, low = ((a.sum(-1)).ravel().tolist() for a in (squares >> 15, squares & 32767))
    base = 16 * 256 + log2(0, n)
    found = [log2(h, v) - base for h, v in zip(high, low, strict=True)]
    return np.array(found, np.int64).reshape(errors.shape[:2])


def simple(channels: Sequence[str], content: bytes) -> tuple[OfFeatures, ...]:
    """The detectors that the names of features allow: level, kurtosis, fault frequencies.
    content: a model file with these inputs."""
    found = {
        name: tuple(c for c in channels if c.endswith(word) or (word.endswith(" ") and word in c))
        for name, word in SIMPLE.items()
    }
    return tuple(OfFeatures(n, columns, content) for n, columns in found.items() if columns)


def linear(healthy: Sequences, bits: int = 8) -> OfErrors:
    """The next step as a linear function of this one, by ridge regression in closed form."""
    data, statistics = next_sample(healthy), Statistics.of(healthy)
    assert data.y is not None
    mask = data.mask
    inputs = (data.x[mask].astype(np.float64) - statistics.mean) / statistics.std
    a = np.concatenate([inputs, np.ones((len(inputs), 1))], 1)
    ridge = RIDGE * len(a) * np.eye(a.shape[1])
    ridge[-1, -1] = 0
    w = np.linalg.solve(a.T @ a + ridge, a.T @ data.y[mask].astype(np.float64))
    layer = Dense(Linear(w[:-1].T.copy(), w[-1].copy()))
    mean, std = (np.asarray(v, np.float64) for v in (statistics.mean, statistics.std))
    meta = {"channels": list(data.channels), "readout": "each"}
    return predictor(LINEAR, FloatNetwork((layer,), mean, std, meta=meta), healthy, bits)


def predictor(name: str, network: FloatNetwork, healthy: Sequences, bits: int = 8) -> OfErrors:
    """The detector of a network that predicts the next step. Raises NotConverted."""
    seen = replace(
        sample(next_sample(healthy)), channels=healthy.channels, features=healthy.features
    )
    # A sample has no targets to see it by.
    rule = Decision("each", values=True)
    model = replace(converted(network, seen, Options(bits=bits)), decision=rule)
    return OfErrors(name, container.write(model), cycles(model))
