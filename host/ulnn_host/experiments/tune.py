"""The search for a network: short trainings, judged as the board will run them.

Optuna's multi-objective TPE proposes recipes (`space`). Each is trained shortly in float and
converted to int8; what counts are the score of the integers on what was held out, the bytes of
the file, and the modelled cycles of a step. The same recipe, data and seed give the same trials
on one machine, as long as one process works on the study.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from ..base.errors import UlnnError
from ..base.toml_tables import check, number
from ..data import sets
from ..data.scores import Scores
from ..data.sequences import Sequences, Statistics
from ..quantize.rollouts import sample
from ..train import train
from ..train.cells import cell_of
from ..train.networks import words
from ..train.recipe import Recipe
from ..train.target import target_of
from . import hashes
from . import study as studies
from .measured import ACCURACY, RMSE, Measured, NotConverted, measure
from .space import Space, cells_of

DIRECTIONS: dict[str, studies.Direction] = {ACCURACY: "maximize", RMSE: "minimize"}


@dataclass(frozen=True)
class Plan:
    """What to search, and how long.

    trials: of the study, those of other workers included. minutes: of this process; no trial is
    begun that would probably end later; 0: no limit. epochs: of each training, None: a fifth of
    the recipe's. seed: of the search, and of what it holds out. max_bytes, max_cycles: what the
    network is to have at most; the search heads for that. cells: to compare, empty: all that are
    quick to train. storage: where workers share the study (`study.open_study`); name: of it there.
    Raises UlnnError for a number that cannot be meant.
    """

    trials: int = number(20, 1)
    minutes: float = number(0.0, 0.0)
    epochs: int | None = number(None, 1)
    seed: int = number(0, 0, 2**32 - 1)
    max_bytes: int | None = number(None, 1)
    max_cycles: int | None = number(None, 1)
    cells: tuple[str, ...] = ()
    storage: str = ""
    name: str = "ulnn"

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Trial:
    """A short training. recipe: as it was trained. score: of the int8 model on what was held out
    (of a cell without an integer engine of the float network, its bytes and cycles estimated), nan
    where training or conversion failed; in_float: the same of the float network. size: bytes
    of the int8 file; cycles: of a step on a Cortex-M7, modelled; products: multiply-accumulates
    of a step; seconds: it took."""

    number: int
    recipe: Recipe
    score: float
    size: int = 0
    cycles: int = 0
    products: int = 0
    in_float: float = math.nan
    seconds: float = 0.0
    failure: str = ""

    @property
    def what(self) -> str:
        """The network in a few words."""
        return words(self.recipe.model)

    @property
    def float_only(self) -> bool:
        """Whether there is no integer engine for its cell."""
        return not cell_of(self.recipe.model.cell).integers

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        model = self.recipe.model
        return {
            "trial": self.number,
            "cell": model.cell,
            "what": self.what,
            "time_scale": model.time_scale,
            "learning_rate": self.recipe.training.learning_rate,
            "score": None if math.isnan(self.score) else self.score,
            "score_float": None if math.isnan(self.in_float) else self.in_float,
            "bytes": self.size,
            "cycles": self.cycles,
            "products": self.products,
            "estimated": self.float_only,
            "seconds": round(self.seconds, 2),
            "failure": self.failure,
        }


@dataclass(frozen=True)
class Found:
    """All trials of a study that are done, by number; the first is the recipe itself. measure:
    what scores are, ACCURACY (the larger the better) or RMSE. running: trials that other
    workers have not ended. stopped: by Ctrl-C."""

    measure: str
    trials: tuple[Trial, ...]
    running: int = 0
    stopped: bool = False

    @property
    def good(self) -> list[Trial]:
        """Those that did not fail."""
        return [t for t in self.trials if not math.isnan(t.score)]

    @property
    def front(self) -> list[Trial]:
        """Those that no other one beats in score, bytes and cycles together (Pareto), from small
        to large."""
        costs = {t.number: (self._loss(t), t.size, t.cycles) for t in self.good}
        kept = [
            t for t in self.good
            if not any(_dominates(other, costs[t.number]) for other in costs.values())
        ]  # fmt: skip
        return sorted(kept, key=lambda t: (t.size, t.cycles, t.number))

    @property
    def ranked(self) -> list[Trial]:
        """The good ones, the best score first; of equal ones that of fewest bytes, then cycles."""
        return sorted(self.good, key=lambda t: (self._loss(t), t.size, t.cycles, t.number))

    def pick(self, max_bytes: int | None = None, max_cycles: int | None = None) -> Trial:
        """The first of `ranked` within the limits; it is on the front. Raises UlnnError where
        there is none."""
        for trial in self.ranked:
            if trial.size <= (max_bytes or math.inf) and trial.cycles <= (max_cycles or math.inf):
                return trial
        failed = next((t.failure for t in self.trials if t.failure), "")
        if failed and not self.good:
            raise UlnnError(f"all {len(self.trials)} trials failed, the first: {failed}")
        limits = {"bytes": max_bytes, "cycles": max_cycles}
        wanted = " and ".join(f"{value} {name}" for name, value in limits.items() if value)
        smallest = min((t.size for t in self.good), default=0)
        fewest = min((t.cycles for t in self.good), default=0)
        raise UlnnError(
            f"none of {len(self.trials)} trials is a network of at most {wanted} (seen: from "
            f"{smallest} bytes and from {fewest} cycles): allow more, or more trials"
        )

    def _loss(self, trial: Trial) -> float:
        return trial.score if self.measure == RMSE else -trial.score


Report = Callable[[Found], None]


def search(recipe: Recipe, plan: Plan, report: Report = lambda found: None) -> Found:
    """Run trials until the study has as many as planned, or time is up; Ctrl-C ends it, too, and
    keeps what is done. report: called after each trial. Raises UlnnError."""
    started = time.perf_counter()
    made = _Search(recipe, plan)
    lengths: list[float] = []
    found = made.found()
    report(found)
    try:
        while len(found.trials) + found.running < plan.trials:
            spent = time.perf_counter() - started
            usual = sum(lengths) / max(1, len(lengths))
            if plan.minutes and lengths and spent + usual > plan.minutes * 60:
                break
            if not made.run():
                break
            lengths.append(time.perf_counter() - started - spent)
            found = made.found()
            report(found)
    except KeyboardInterrupt:
        return replace(found, stopped=True)
    return found


def with_validation(recipe: Recipe, data: Sequences, seed: int) -> Recipe:
    """The recipe with something held out: a quarter of the groups where there are four or more,
    else a fifth of the sequences; unless it says itself what."""
    source = recipe.data
    if source.valid or source.valid_groups or source.valid_fraction:
        return recipe
    groups = np.unique(data.group) if data.group is not None else np.array([], np.int64)
    if len(groups) < 4:
        return replace(recipe, data=replace(source, valid_fraction=0.2))
    rng = np.random.default_rng(seed)
    held = sorted(int(g) for g in rng.permutation(groups)[: max(1, round(len(groups) / 4))])
    names = tuple(data.groups[g] if data.groups else g for g in held)
    return replace(recipe, data=replace(source, valid_groups=names))


def final(trial: Trial, recipe: Recipe) -> Recipe:
    """The recipe with the trial's network, time scale and learning rate."""
    rate = trial.recipe.training.learning_rate
    training = replace(recipe.training, learning_rate=rate)
    return replace(recipe, model=trial.recipe.model, training=training)


class _Search:
    """One worker's view of a study."""

    def __init__(self, recipe: Recipe, plan: Plan) -> None:
        self.plan = plan
        source, readout = recipe.data, recipe.model.readout
        self.data = sets.read_source(source.source, source, readout)
        base = with_validation(recipe, self.data, plan.seed)
        epochs = plan.epochs or max(5, recipe.training.epochs // 5)
        patience = min(base.training.patience, epochs)
        base = replace(base, training=replace(base.training, epochs=epochs, patience=patience))
        fit, valid = train.split(base, self.data)
        assert valid is not None, "with_validation holds something out"
        self.valid = valid
        rng = np.random.default_rng(base.seed)
        self.calibration = sample(train.as_validated(fit, base.data, Statistics.of(fit), rng))
        self.measure = ACCURACY if target_of(fit, readout).classes else RMSE
        tick = base.model.time_scale or fit.tick * source.stretch
        self.space = Space(base, tick, cells_of(base, plan.cells))
        facts = {
            "data": hashes.of_data(fit, valid),
            "seed": plan.seed,
            "cells": list(self.space.cells),
            "epochs": epochs,
            "recipe": hashes.digest(hashes.of_recipe(base)),
        }
        wanted: list[studies.Direction] = [DIRECTIONS[self.measure], "minimize", "minimize"]
        self.study = studies.open_study(plan.storage, plan.name, wanted, facts)
        # begun by workers that may be gone
        self.abandoned = self._running()

    def found(self) -> Found:
        """What the study has."""
        with studies.reachable(self.plan.storage):
            trials = studies.finished(self.study)
        running = len(self._running() - self.abandoned)
        return Found(self.measure, tuple(self._trial(frozen) for frozen in trials), running)

    def run(self) -> bool:
        """One trial, for the study. False where other workers began the last ones meanwhile."""
        started = time.perf_counter()
        with studies.reachable(self.plan.storage):
            trial = studies.ask(self.study, self.plan.seed, self.space.own)
            with studies.told(self.study, trial):
                if studies.before(self.study, trial, self.abandoned) >= self.plan.trials:
                    self.study.tell(trial, state=TrialState.FAIL)
                    return False
                made = self.space.recipe(trial)
                try:
                    measured = self._measure(made)
                except (train.Diverged, NotConverted) as error:
                    trial.set_user_attr("failure", str(error))
                    trial.set_user_attr("seconds", time.perf_counter() - started)
                    self.study.tell(trial, state=TrialState.PRUNED)
                    return True
                score = self._score(measured.judged)
                trial.set_user_attr("products", measured.products)
                trial.set_user_attr("in_float", self._score(measured.in_float))
                trial.set_user_attr("seconds", time.perf_counter() - started)
                for name, limit, value in (
                    ("bytes", self.plan.max_bytes, measured.size),
                    ("cycles", self.plan.max_cycles, measured.cycles),
                ):
                    if limit:
                        trial.set_constraint(name, value / limit - 1)
                self.study.tell(trial, (score, measured.size, measured.cycles))
        return True

    def _running(self) -> set[int]:
        with studies.reachable(self.plan.storage):
            return studies.running(self.study)

    def _measure(self, made: Recipe) -> Measured:
        trained = train.train(made, self.data, quiet=True)
        return measure(trained, self.calibration, self.valid)

    def _score(self, scores: Scores) -> float:
        return scores.figures()[self.measure]

    def _trial(self, frozen: FrozenTrial) -> Trial:
        made = self.space.recipe(FixedTrial(frozen.params))
        seconds = float(frozen.user_attrs.get("seconds", 0.0))
        if frozen.values is None:
            failure = str(frozen.user_attrs.get("failure", "pruned"))
            return Trial(frozen.number, made, math.nan, seconds=seconds, failure=failure)
        score, size, cycles = frozen.values
        return Trial(
            frozen.number, made, score, int(size), int(cycles),
            int(frozen.user_attrs["products"]), float(frozen.user_attrs["in_float"]), seconds,
        )  # fmt: skip


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
