"""Networks trained on every fold with every seed, and measured on several sets as the integers
that a board runs. Trainings and what was measured are kept, so a run that was cut off goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ulnn_host.base import files
from ulnn_host.base.errors import UlnnError
from ulnn_host.data.scores import Scores
from ulnn_host.data.sequences import Sequences
from ulnn_host.experiments import folds, hashes, trainings
from ulnn_host.experiments.budget import Budget, solved
from ulnn_host.experiments.folds import Fold
from ulnn_host.experiments.intervals import Bootstrap, Interval, Tallies, Tally
from ulnn_host.experiments.measured import ACCURACY, converted, cycles, estimated
from ulnn_host.experiments.robustness import FLOAT, robustness
from ulnn_host.experiments.trainings import Job
from ulnn_host.format import container
from ulnn_host.format.model import ModelFile
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.quantize.options import Options
from ulnn_host.train import train
from ulnn_host.train.cells import cell_of
from ulnn_host.train.recipe import Recipe
from ulnn_host.train.train import TrainedNetwork

from .claim import Run
from .workers import spread

Float = NDArray[np.float64]
Rows = dict[str, dict[str, Tally]]  # by test, by cluster
BITS = 8


@dataclass(frozen=True)
class Part:
    """A fold. fit: to train on; calibration: for the integers; tests: to measure on, by name,
    whose groups are the clusters."""

    fit: Sequences
    calibration: Sequences
    tests: Mapping[str, Sequences]

    @cached_property
    def hash(self) -> str:
        """Of all data."""
        return hashes.of_data(self.fit, self.calibration, *self.tests.values())

    @cached_property
    def fold(self) -> Fold:
        """What a training is given: what is tested comes afterwards."""
        return Fold(self.fit, self.calibration, self.calibration)


@dataclass(frozen=True)
class Trial:
    """What came of one training. floats, integers: tallies, the same of a cell without an integer
    engine. size: bytes of the file; cycles: of a step, modelled; products: multiply-accumulates of
    a step; seconds: of the training."""

    floats: Rows
    integers: Rows
    size: int
    cycles: int
    products: int
    seconds: float

    @staticmethod
    def read(path: Path) -> Trial | None:
        """Of a file; None where there is none."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        for kind in ("floats", "integers"):
            for tallies in content[kind].values():
                for name, tally in tallies.items():
                    tallies[name] = Tally(tuple(tally["parts"]), tuple(tally["counts"]))
        return Trial(**content)


@dataclass(frozen=True)
class Found:
    """What was measured: the trials of each network, by seed and part. measure: as of `Tallies`;
    seconds: of all trainings; rates: the learning rate of each network."""

    measure: str
    trials: Mapping[str, Sequence[Sequence[Trial]]]
    recipes: Mapping[str, Recipe]
    rates: Mapping[str, float]
    data: str
    others: dict[str, Rows] = field(default_factory=dict)

    @property
    def seeds(self) -> int:
        """Trainings of each network on each part."""
        return len(next(iter(self.trials.values())))

    @cached_property
    def clusters(self) -> list[str]:
        """What was held out, in all parts together."""
        first = next(iter(self.trials.values()))[0]
        return [name for trial in first for name in next(iter(trial.integers.values()))]

    @cached_property
    def _bootstrap(self) -> Bootstrap:
        return Bootstrap(len(self.clusters), self.seeds)

    def add(self, name: str, rows: Rows) -> None:
        """Something without seeds, such as a rule: its tallies of all clusters, by test."""
        self.others[name] = rows

    def scores(self, name: str, test: str, kind: str = "integers") -> Tallies:
        """Of a network on a set. kind: "integers" or "floats"."""
        if name in self.others:
            row = [self.others[name][test][cluster] for cluster in self.clusters]
            return Tallies(self.measure, [row] * self.seeds)
        return Tallies(
            self.measure,
            [
                [tally for trial in row for tally in getattr(trial, kind)[test].values()]
                for row in self.trials[name]
            ],
        )

    def mean(self, name: str, test: str) -> Interval:
        """Of a network on a set, in integers."""
        return self._bootstrap.mean(self.scores(name, test))

    def drawn(self, name: str, test: str) -> tuple[float, Float]:
        """The mean, and that of each draw, the same draws for all networks and sets."""
        scores = self.scores(name, test)
        return scores.mean, self._bootstrap.drawn(scores)

    def difference(self, name: str, other: str, test: str) -> Interval:
        """name - other."""
        return self._bootstrap.difference(self.scores(name, test), self.scores(other, test))

    def against(self, name: str, other: Found, named: str, test: str) -> Interval:
        """`name` less a network of another study on the same clusters."""
        return self._bootstrap.difference(self.scores(name, test), other.scores(named, test))

    def size(self, name: str) -> int:
        """Bytes of the file, of the largest trained."""
        return max(trial.size for row in self.trials[name] for trial in row)

    def cycles(self, name: str) -> int:
        """Of a step on a Cortex-M7, modelled, of the largest trained."""
        return max(trial.cycles for row in self.trials[name] for trial in row)

    @property
    def seconds(self) -> float:
        """Of all trainings."""
        return sum(t.seconds for rows in self.trials.values() for row in rows for t in row)

    def losses(self, first: str, tests: Mapping[str, str]) -> list[str]:
        """Where another is better than `first`, by more than chance: a sentence each. tests: what
        each set is called."""
        found = []
        for test, words in tests.items():
            better = []
            for name in (*self.trials, *self.others):
                change = self.difference(name, first, test)
                good = change.low > 0 if self.measure == ACCURACY else change.high < 0
                if name != first and good:
                    better.append(f"{name} {self.words(self.scores(name, test).mean)}")
            if better:
                own = self.words(self.scores(first, test).mean)
                found.append(f"{words}: {first} {own}, better are {', '.join(better)}")
        return found

    def words(self, value: float) -> str:
        """A value of the measure."""
        return f"{100 * value:.1f} %" if self.measure == ACCURACY else f"{value:.4f}"

    def cell(self, name: str, test: str) -> str:
        """The mean of a network on a set, and its interval, for a table."""
        mean = self.mean(name, test)
        ends = [self.words(end).removesuffix(" %") for end in (mean.low, mean.high)]
        return f"{self.words(mean.value)} ({ends[0]} to {ends[1]})"

    def shape(self, name: str) -> tuple[str, str, str]:
        """Neurons, bytes and cycles of a network, for a table."""
        if name in self.others:
            return "", "", ""
        shape = self.recipes[name].model
        words = cell_of(shape.cell).words(shape)
        return words, f"{self.size(name):,}", f"{self.cycles(name):,}"


def study(
    run: Run,
    measure: str,
    parts: Sequence[Part],
    recipes: Mapping[str, Recipe],
    budget: str = "",
    title: str = "",
    rates: Mapping[str, float] | None = None,
) -> Found:
    """Train and measure networks. measure: ACCURACY, RMSE or MSE; budget: of each, empty: sizes
    as they are; rates: learning rates by name, None: of each the best on a part of what the first
    fold fits. Raises UlnnError."""
    if budget:
        most = Budget.parse(budget)
        recipes = {name: solved(r, most, parts[0].fit, BITS) for name, r in recipes.items()}
    if rates is None:
        rates = _rates(run, measure, parts[0], recipes, title)
    data = hashes.digest(*(part.hash.encode() for part in parts))
    seeds = range(1, run.plan.seeds + 1)
    jobs = [
        (_with(recipe, seed, rates[name]), part)
        for seed in seeds
        for name, recipe in recipes.items()
        for part in parts
    ]
    trials = iter(_trials(run, jobs, title))
    found: dict[str, list[list[Trial]]] = {name: [] for name in recipes}
    for _ in seeds:
        for rows in found.values():
            rows.append([next(trials) for _ in parts])
    return Found(measure, found, dict(recipes), dict(rates), data)


def _with(recipe: Recipe, seed: int, rate: float) -> Recipe:
    training = replace(recipe.training, learning_rate=rate)
    return replace(recipe, seed=seed, training=training)


def _rates(
    run: Run, measure: str, part: Part, recipes: Mapping[str, Recipe], title: str
) -> dict[str, float]:
    """The learning rate of each network that is best on a part of what is fitted."""
    rates = run.plan.rates
    if len(rates) == 1:
        return dict.fromkeys(recipes, rates[0])
    jobs = []
    for recipe in recipes.values():
        inside = folds.inner(part.fold, recipe.data, 0)
        inner = Part(inside.fit, inside.calibration, {"": inside.test})
        jobs += [(_with(recipe, 1, rate), inner) for rate in rates]
    trials = iter(_trials(run, jobs, f"{title} learning rates,"))
    best = np.argmax if measure == ACCURACY else np.argmin
    found = {}
    for name in recipes:
        rows = [list(next(trials).integers[""].values()) for _ in rates]
        found[name] = rates[int(best([Tallies(measure, [row]).mean for row in rows]))]
    return found


def networks(run: Run, found: Found, name: str, part: Part) -> list[FloatNetwork]:
    """The networks of a study on a part, one a seed."""
    recipe, rate = found.recipes[name], found.rates[name]
    jobs = [_job(_with(recipe, k, rate), part) for k in range(1, found.seeds + 1)]
    return [_trained(run, job).float_network() for job in jobs]


def model(network: FloatNetwork, calibration: Sequences, centres: int = 0) -> ModelFile:
    """The integer model of a network. centres: as of `Options`, of data with labels."""
    return converted(network, calibration, Options(bits=BITS, centres=centres))


def _job(recipe: Recipe, part: Part) -> Job:
    return Job(recipe, part.fold, BITS)


def _trials(run: Run, jobs: Sequence[tuple[Recipe, Part]], title: str) -> list[Trial]:
    """All jobs, measured: from the folder if they are there, the others by the run's workers."""
    made = [Trial.read(_path(run, *job)) for job in jobs]
    waiting = [k for k, trial in enumerate(made) if trial is None]
    trained = [_job(*job).checkpoint(run.cache).exists() for job in jobs]
    alone = replace(run, report=Run.report)  # what a worker is given
    given = [(alone, *jobs[k]) for k in waiting]
    for k, trial in zip(waiting, spread(run, title, "trainings", _trial, given), strict=True):
        made[k] = trial
    trials = [trial for trial in made if trial is not None]
    before = [trial.seconds for trial, kept in zip(trials, trained, strict=True) if kept]
    run.kept.append(sum(before) / run.workers)
    return trials


def _path(run: Run, recipe: Recipe, part: Part) -> Path:
    code = hashes.of_code(trainings.MEASURING_CODE)
    facts = (_job(recipe, part).training_key, part.hash, *part.tests, str(BITS), code)
    return run.cache / f"{hashes.digest(*(fact.encode() for fact in facts))}.json"


def _trial(run: Run, recipe: Recipe, part: Part) -> Trial:
    """One training, measured and kept."""
    trained = _trained(run, _job(recipe, part))
    if not cell_of(recipe.model.cell).integers:
        guess = estimated(trained.network(), BITS)
        rows = {name: _tallies(train.evaluate(trained, data)) for name, data in part.tests.items()}
        costs = guess.size, guess.cycles, guess.products
        trial = Trial(rows, rows, *costs, _seconds(trained))
    else:
        network = trained.float_network()
        made = model(network, part.calibration)
        file = container.write(made)
        floats, integers = Rows(), Rows()
        for name, data in part.tests.items():
            scores = robustness(data, network=network, model=file).results[0].scores
            for kind, found in scores.items():
                (floats if kind == FLOAT else integers)[name] = _tallies(found)
        costs = len(file), cycles(made), made.macs
        trial = Trial(floats, integers, *costs, _seconds(trained))
    files.write_json(_path(run, recipe, part), asdict(trial))
    return trial


def _tallies(scores: Scores) -> dict[str, Tally]:
    return {key: Tally.of(value) for key, value in scores.by_group.items()}


def _seconds(trained: TrainedNetwork) -> float:
    return float(trained.hyper["training"]["seconds"])


def _trained(run: Run, job: Job) -> TrainedNetwork:
    if not run.train and not job.checkpoint(run.cache).exists():
        raise UlnnError("not all trainings are kept: run make claims CLAIM=... FULL=1 first")
    return trainings.trained(job, run.cache)


def tallied(data: Sequences, parts: Float, counts: Float) -> dict[str, Tally]:
    """The tallies of each cluster. parts, counts: (N, K) of each sequence."""
    assert data.group is not None
    return {
        data.groups[k] if data.groups else str(k): Tally(
            tuple(parts[data.group == k].sum(0).tolist()),
            tuple(counts[data.group == k].sum(0).tolist()),
        )
        for k in np.unique(data.group)
    }
