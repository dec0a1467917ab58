"""A small search for a network: short trainings of random sizes, accuracy against bytes.

Each trial changes the recipe's cell, size, wiring, time scale and learning rate; the first is the
recipe itself. The same recipe, data and seed give the same trials and scores on one machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..base.errors import UlnnError
from ..data import sets
from ..data.sequences import Sequences
from ..importers import checkpoint
from ..network import sizes
from ..train import train
from ..train.recipe import ModelRecipe, Recipe, WiringRecipe

SIZES = (8, 12, 16, 24, 32, 48)
BACKBONES = (0, 16, 32, 64)
UNITS = (12, 16, 19, 24, 32, 48)
SPARSITIES = (0.3, 0.5, 0.7)
TIME_SCALES = (0.5, 1.0, 2.0, 4.0)
RATES = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Trial:
    """A short training. recipe: as it was trained. score: of the epoch that was kept, on what was
    held out (`train.Kept`); nan where training failed. size: bytes of the int8 file, about;
    products: multiply-accumulates a step."""

    number: int
    recipe: Recipe
    score: float
    size: int = 0
    products: int = 0
    seconds: float = 0.0
    failure: str = ""

    @property
    def what(self) -> str:
        """The network in a few words."""
        model, wires = self.recipe.model, self.recipe.model.wiring
        if model.cell in ("wired", "ltc"):
            return f"{wires.units}/{wires.outputs}, sparsity {wires.sparsity:g}"
        if model.cell in ("lstm", "gru"):
            return f"{model.hidden}" + (", with dt" if model.dt_input else "")
        backbone = [str(model.backbone_units)] * model.backbone_layers
        return f"{model.hidden}, backbone {' + '.join(backbone) or 'none'}"

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
            "bytes": self.size,
            "products": self.products,
            "seconds": round(self.seconds, 2),
            "failure": self.failure,
        }


Report = Callable[[Trial, int], None]


def search(
    recipe: Recipe,
    trials: int = 20,
    seed: int = 0,
    epochs: int | None = None,
    minutes: float = 0.0,
    report: Report | None = None,
) -> list[Trial]:
    """Trials in their order. epochs: of each training, None: a fifth of the recipe's. minutes: no
    trial is begun that would probably end later; 0: no limit. report: called after each trial
    with it and the number of trials. Raises UlnnError."""
    limits = {"trials": (trials, 1), "epochs": (epochs, 1), "seed": (seed, 0)}
    for name, (value, low) in (limits | {"minutes": (minutes, 0)}).items():
        if value is not None and not low <= value < math.inf:
            raise UlnnError(f"{name} is {value}, expected {low} or more")
    started = time.perf_counter()
    base = with_validation(recipe, _source(recipe), seed)
    epochs = epochs or max(5, recipe.training.epochs // 5)
    patience = min(base.training.patience, epochs)
    base = replace(base, training=replace(base.training, epochs=epochs, patience=patience))
    done: list[Trial] = []
    for number, made in enumerate(candidates(base, trials, seed)):
        spent = (time.perf_counter() - started) / 60
        if minutes and done and spent * (1 + 1 / len(done)) > minutes:
            break
        done.append(_run(number, made))
        if report is not None:
            report(done[-1], trials)
    return done


def candidates(base: Recipe, count: int, seed: int) -> list[Recipe]:
    """The recipe itself and random changes of it, no two the same while there are others."""
    rng = np.random.default_rng(seed)
    tick = base.model.time_scale or _source(base).tick * base.data.stretch
    found = [base]
    for _ in range(50 * count):
        if len(found) >= count:
            break
        made = _changed(base, tick, rng)
        if made not in found:
            found.append(made)
    return found[:count]


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
    return replace(recipe, data=replace(source, valid_groups=tuple(held)))


def front(trials: Sequence[Trial]) -> list[Trial]:
    """Trials that no smaller or equal one beats (Pareto), from small to large."""
    best, kept = -math.inf, []
    for trial in sorted(good(trials), key=lambda t: (t.size, -t.score)):
        if trial.score > best:
            best = trial.score
            kept.append(trial)
    return kept


def pick(trials: Sequence[Trial], max_bytes: int | None = None) -> Trial:
    """The best score, of equal ones the smallest. Raises UlnnError when none is small enough."""
    fitting = [t for t in good(trials) if max_bytes is None or t.size <= max_bytes]
    if not fitting:
        raise UlnnError(
            f"none of {len(trials)} trials is a network of at most {max_bytes} bytes that trains: "
            "allow more bytes or trials"
        )
    return max(fitting, key=lambda t: (t.score, -t.size))


def final(trial: Trial, recipe: Recipe) -> Recipe:
    """The recipe with the trial's network, time scale and learning rate."""
    rate = trial.recipe.training.learning_rate
    training = replace(recipe.training, learning_rate=rate)
    return replace(recipe, model=trial.recipe.model, training=training)


def good(trials: Sequence[Trial]) -> list[Trial]:
    """Those whose training did not fail."""
    return [t for t in trials if not math.isnan(t.score)]


def _source(recipe: Recipe) -> Sequences:
    return sets.read_source(recipe.data.source)


def _changed(base: Recipe, tick: float, rng: np.random.Generator) -> Recipe:
    def one(values: Sequence[Any]) -> Any:
        return values[int(rng.integers(len(values)))]

    cell = base.model.cell
    if cell in ("cfc", "wired"):
        cell = one(("cfc", "wired"))
    readout, mode = base.model.readout, base.model.mode
    scale = float(f"{tick * one(TIME_SCALES):.6g}")
    model = ModelRecipe(cell=cell, readout=readout, mode=mode, time_scale=scale)
    if cell in ("wired", "ltc"):
        units = one(UNITS)
        wires = WiringRecipe(
            "auto_ncp", units, min(one((4, 6, 8)), units - 3), one(SPARSITIES),
            dialect=base.model.wiring.dialect,
        )  # fmt: skip
        model = replace(model, wiring=wires, unfolds=base.model.unfolds)
    elif cell in ("lstm", "gru"):
        model = replace(model, hidden=one(SIZES), dt_input=one((False, True)), mode="default")
    else:
        width = one(BACKBONES)
        model = replace(
            model,
            activation=base.model.activation,
            hidden=one(SIZES),
            backbone_units=width or base.model.backbone_units,
            backbone_layers=min(1, width),
        )
    rate = min(10.0, base.training.learning_rate * one(RATES))
    return replace(base, model=model, training=replace(base.training, learning_rate=rate))


def _run(number: int, made: Recipe) -> Trial:
    started = time.perf_counter()
    try:
        trained = train.train(made, quiet=True)
    except UlnnError as error:
        if "diverged" not in str(error):
            raise
        return Trial(number, made, math.nan, failure=str(error))
    weights = {key: value.double().numpy() for key, value in trained.state.items()}
    network = checkpoint.from_weights(weights, trained.hyper).network
    return Trial(
        number,
        made,
        float(trained.hyper["metrics"]["score"]),
        sizes.file_bytes(network),
        sizes.products(network),
        time.perf_counter() - started,
    )
