"""A small search for a network: short trainings of random sizes, accuracy against bytes.

Each trial changes the recipe's cell, size, wiring, time scale and learning rate; the first is the
recipe itself. The same recipe, data and seed give the same trials and scores on one machine.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..base.errors import UlnnError
from ..data import sets
from ..data.sequences import Sequences
from ..importers import checkpoint
from ..network import sizes
from ..train import recipe as recipes
from ..train import train
from ..train.recipe import ModelRecipe, Recipe, WiringRecipe

SIZES = (8, 12, 16, 24, 32, 48)
BACKBONES = (0, 16, 32, 64)
UNITS = (12, 16, 19, 24, 32, 48)
SPARSITIES = (0.3, 0.5, 0.7)
TIME_SCALES = (0.5, 1.0, 2.0, 4.0)
RATES = (0.5, 1.0, 2.0)
COLOURS = {
    "cfc": "#1f77b4",
    "wired": "#e07b39",
    "ltc": "#2a9d5c",
    "lstm": "#7b5ea7",
    "gru": "#8c564b",
    "mixed": "#5b6875",
}


@dataclass(frozen=True)
class Trial:
    """A short training. recipe: as it was trained. score: balanced accuracy, or minus the mean
    squared error, on what was held out; nan where training failed. size: bytes of the int8 file,
    about; products: multiply-accumulates a step."""

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
    if trials < 1:
        raise UlnnError(f"{trials} trials, expected 1 or more")
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
    tick = base.model.time_scale or _source(base).tick / (1 - base.data.drop)
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
    for trial in sorted(_good(trials), key=lambda t: (t.size, -t.score)):
        if trial.score > best:
            best = trial.score
            kept.append(trial)
    return kept


def pick(trials: Sequence[Trial], max_bytes: int | None = None) -> Trial:
    """The best score, of equal ones the smallest. Raises UlnnError when none is small enough."""
    fitting = [t for t in _good(trials) if max_bytes is None or t.size <= max_bytes]
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


def _good(trials: Sequence[Trial]) -> list[Trial]:
    return [t for t in trials if not math.isnan(t.score)]


def _source(recipe: Recipe) -> Sequences:
    return sets.load(recipe.data.source)


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
    metrics = trained.hyper["metrics"]
    score = next(float(v) for k, v in metrics.items() if k.startswith("valid_"))
    return Trial(
        number,
        made,
        score,
        sizes.file_bytes(network),
        sizes.products(network),
        time.perf_counter() - started,
    )


# ---- for people ---------------------------------------------------------------------------------


def picture(trials: Sequence[Trial], chosen: Trial) -> Figure:
    """Score against bytes, with the Pareto front."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.subplots()
    good = _good(trials)
    for cell in dict.fromkeys(t.recipe.model.cell for t in good):
        rows = [t for t in good if t.recipe.model.cell == cell]
        at = [t.size / 1024 for t in rows], [t.score for t in rows]
        axes.scatter(*at, color=COLOURS[cell], label=cell, zorder=3, s=30)
    line = front(trials)
    axes.plot(
        [t.size / 1024 for t in line], [t.score for t in line],
        color="#1c2733", lw=1.2, drawstyle="steps-post", label="best for its size", zorder=2,
    )  # fmt: skip
    axes.scatter(
        [chosen.size / 1024], [chosen.score], s=150, fc="none", ec="#c8382c", lw=1.6, zorder=4,
        label=f"chosen: {chosen.recipe.model.cell} {chosen.what}",
    )  # fmt: skip
    first = next((t for t in good if t.number == 0), None)
    if first is not None:
        axes.annotate(
            "recipe", (first.size / 1024, first.score), textcoords="offset points",
            xytext=(6, -11), fontsize=8, color="#5b6875",
        )  # fmt: skip
    axes.set_xlabel("int8 file, KiB (about)")
    axes.set_ylabel(_score_name(trials))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _score_name(trials: Sequence[Trial]) -> str:
    regression = all(t.score <= 0 for t in _good(trials))
    return "minus squared error, held out" if regression else "balanced accuracy, held out"


def table(trials: Sequence[Trial], chosen: Trial) -> Table:
    """All trials, the best first."""
    shown = Table(title=_score_name(trials), title_justify="left", box=box.SIMPLE_HEAD)
    shown.caption, shown.caption_justify = "* best for its size, ** chosen", "left"
    for name in ("", "cell", "network", "unit s", "rate", "score", "bytes", "macs"):
        justify: Literal["left", "right"] = "left" if name in ("cell", "network") else "right"
        shown.add_column(name, justify=justify, no_wrap=True)
    shown.add_column("")
    line = front(trials)
    failed = [t for t in trials if math.isnan(t.score)]
    for t in [*sorted(_good(trials), key=lambda t: (-t.score, t.size)), *failed]:
        model, rate = t.recipe.model, t.recipe.training.learning_rate
        scale = f"{model.time_scale:.3g}" if model.time_scale else "auto"
        score = t.failure.partition(":")[0] if t.failure else f"{t.score:.3f}"
        note = "**" if t is chosen else "*" if t in line else ""
        shown.add_row(
            str(t.number), model.cell, t.what, scale, f"{rate:g}", score, str(t.size),
            str(t.products), note, style="bold" if t is chosen else None,
        )  # fmt: skip
    return shown


def tune_command(
    path: Path,
    output: Path | None,
    trials: int,
    seed: int,
    minutes: float,
    epochs: int | None,
    max_bytes: int | None,
    as_json: bool,
) -> None:
    """`ulnn tune`: search, show, write the best recipe and the picture beside it."""
    recipe = recipes.load(path)
    target = output or path.with_name(f"{path.stem}_tuned.toml")
    console = Console(stderr=True)
    columns = (TextColumn("trials"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, TextColumn("{task.fields[note]}"), console=console,
        disable=not console.is_terminal, transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task("trials", total=trials, note="")
        so_far: list[Trial] = []

        def report(trial: Trial, total: int) -> None:
            so_far.append(trial)
            best = max(_good(so_far), key=lambda t: t.score, default=trial)
            note = f"best {best.score:.3f}: {best.recipe.model.cell} {best.what}"
            bar.update(task, advance=1, total=total, note=note)

        done = search(recipe, trials, seed, epochs, minutes, report)
    chosen = pick(done, max_bytes)
    target.parent.mkdir(parents=True, exist_ok=True)
    plot = target.with_suffix(".png")
    picture(done, chosen).savefig(plot, dpi=150)
    best = final(chosen, recipe)
    head = (
        f"# The best of {len(done)} trials of ulnn tune, seed {seed}: "
        f"{_score_name(done)} {chosen.score:.4f}, about {chosen.size} bytes.\n"
    )
    target.write_text(head + recipes.dump(best, target.parent), encoding="utf-8")
    if as_json:
        rows = [t.to_dict() | {"front": t in front(done), "chosen": t is chosen} for t in done]
        facts = {"recipe": str(target), "picture": str(plot), "score": _score_name(done)}
        print(json.dumps(facts | {"seed": seed, "trials": rows}, indent=2))
        return
    out = Console()
    out.print(table(done, chosen))
    print(f"{target}: trial {chosen.number}; picture: {plot}")
