"""What integers cost in accuracy: float, int16, int8 after training, int8 trained for.

On the demo's task (people never seen) and on JapaneseVowels (its test set), some seeds each.
`make bench-qat`, or: python host/bench/bench_qat.py --seeds 1
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from ulnn_host.base import console
from ulnn_host.base.paths import project_root
from ulnn_host.base.progress import track
from ulnn_host.data import vowels, watch
from ulnn_host.data.scores import score_classes
from ulnn_host.data.sequences import Sequences, Statistics
from ulnn_host.engines import decided
from ulnn_host.engines.batch import quantise
from ulnn_host.engines.reference import Reference
from ulnn_host.format.model import ModelFile
from ulnn_host.quantize import finetune, quantize
from ulnn_host.quantize.calibration import FloatRollout
from ulnn_host.quantize.options import Options
from ulnn_host.train import augment, recipe, train
from ulnn_host.train.recipe import Recipe

SEEDS = (1, 2, 3)
TASKS = ("watch", "vowels")
WAYS = ("float", "int16", "int8, to nearest", "int8", "int8, fine-tuned")
PLANS = {
    "watch": finetune.Plan(epochs=6, batch=64, learning_rate=3e-4),
    "vowels": finetune.Plan(epochs=6, batch=32, learning_rate=3e-4),
}


@dataclass(frozen=True)
class Result:
    """Accuracies (0 to 1) of one training, by way, and rms errors of the outputs against float."""

    task: str
    seed: int
    accuracy: dict[str, float]
    rms: dict[str, float]
    decisions: int

    def loss(self, way: str) -> float:
        """Points of accuracy below float."""
        return 100 * (self.accuracy["float"] - self.accuracy[way])


def measure(
    tasks: Sequence[str] = TASKS,
    seeds: Sequence[int] = SEEDS,
    epochs: int | None = None,
    *,
    quiet: bool = False,
) -> list[Result]:
    """Train, convert and score. epochs: of the float training; fewer, for a quick look."""
    runs = [(task, seed) for task in tasks for seed in seeds]
    shown = track(runs, "training", quiet=quiet)
    return [_run(task, seed, epochs) for task, seed in shown]


def _run(task: str, seed: int, epochs: int | None) -> Result:
    made = replace(recipe.read_recipe(recipe.RECIPES / f"{task}.toml"), seed=seed)
    made = replace(made, training=replace(made.training, epochs=epochs or made.training.epochs))
    seen, unseen = (
        (watch.windows("train"), watch.windows("unseen"))
        if task == "watch"
        else (vowels.utterances("train"), vowels.utterances("test"))
    )
    trained = train.train(made, quiet=True)
    network = trained.float_network()
    plan = replace(PLANS[task], seed=seed)
    floats, floats_unseen = FloatRollout(network, seen), FloatRollout(network, unseen)
    models = {
        "int16": quantize.convert(floats, Options(bits=16)),
        "int8, to nearest": quantize.convert(floats, Options(bits=8, compensate=False)),
        "int8": quantize.convert(floats, Options(bits=8)),
        "int8, fine-tuned": _tuned(floats, made, plan),
    }
    readout = trained.hyper["readout"]
    accuracy = {"float": score_classes(trained.outputs(unseen), unseen, readout).accuracy}
    accuracy |= {way: _accuracy(model, unseen) for way, model in models.items()}
    rms = {way: quantize.rollout_error(floats_unseen, m).rms for way, m in models.items()}
    return Result(task, seed, accuracy, rms, len(unseen))


def _tuned(rollout: FloatRollout, made: Recipe, plan: finetune.Plan) -> ModelFile:
    """Fine-tuned on the recipe's own epochs where it cuts and changes sequences."""
    loss = finetune.task_loss(rollout.data, made.model.readout, made.training.label_smoothing)
    epoch = None
    if made.data.source == "watch":
        whole = watch.recordings("train")
        rng = np.random.default_rng(plan.seed)

        def epoch() -> Sequences:
            return augment.epoch(whole, made.data, made.augment, Statistics.of(whole), rng)

    return finetune.finetune(rollout, Options(bits=8), plan, loss=loss, epoch=epoch, quiet=True)[1]


def _accuracy(model: ModelFile, data: Sequences) -> float:
    batch = quantise(model, data)
    y = Reference(model, lanes=len(data)).run(batch.x, batch.dt)
    return decided.score_classes(model, y, data).accuracy


def picture(results: Sequence[Result]) -> Figure:
    """Points of accuracy lost by each way; dots are seeds, bars are means."""
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    tasks = sorted({r.task for r in results}, reverse=True)
    for axes, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        rows = [r for r in results if r.task == task]
        for k, way in enumerate(WAYS[1:]):
            values = [r.loss(way) for r in rows]
            axes.bar(k, np.mean(values), color="#1f77b4", alpha=0.5, width=0.6)
            axes.plot([k] * len(values), values, "o", color="#1f77b4", ms=4)
        axes.axhline(0.5, color="#b22222", lw=0.8, ls="--")
        axes.axhline(0, color="black", lw=0.8)
        axes.set_xticks(range(len(WAYS) - 1), [way.replace(", ", "\n") for way in WAYS[1:]])
        axes.set_title(task, fontsize=10)
        axes.set_ylabel("points of accuracy below float")
    return figure


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    seeds: Annotated[int, typer.Option(help="trainings of each task")] = len(SEEDS),
    epochs: Annotated[int | None, typer.Option(help="fewer, for a quick look")] = None,
    task: Annotated[str | None, typer.Option(help="watch or vowels; both when left out")] = None,
    output: Annotated[Path | None, typer.Option(help="folder of the picture")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Measure what integers cost in accuracy; some minutes.

    Exit status 1 where fine-tuned int8 loses more than half a point in the mean.

    Example: python host/bench/bench_qat.py --task vowels --seeds 1
    """
    tasks = TASKS if task is None else (task,)
    results = measure(tasks, range(1, seeds + 1), epochs)
    folder = output or project_root() / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    picture(results).savefig(folder / "qat.png", dpi=150)
    (folder / "qat.json").write_text(json.dumps([asdict(r) for r in results], indent=2))
    if as_json:
        print(json.dumps([asdict(r) for r in results], indent=2))
    else:
        table = Table("task", "seed", *WAYS, title="accuracy, %", title_justify="left")
        for r in results:
            table.add_row(r.task, str(r.seed), *(f"{100 * r.accuracy[way]:.2f}" for way in WAYS))
        Console().print(table)
    means = [np.mean([r.loss(WAYS[-1]) for r in results if r.task == t]) for t in tasks]
    if max(means) > 0.5:
        raise typer.Exit(1)


if __name__ == "__main__":
    console.run(app, "bench_qat")
