"""How a dense CfC should start: as in ncps (xavier), or as leaky integrators; with a backbone and
without one, at the same bytes, on four tasks. Writes host/docs/start.md. `make bench-start`, or:
python host/bench/bench_start.py --task tone --task vowels
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ulnn_host.base import console, files, toml_text
from ulnn_host.base.errors import UlnnError
from ulnn_host.base.paragraphs import wrapped
from ulnn_host.base.paths import project_root
from ulnn_host.base.progress import bar
from ulnn_host.data.npz import save_npz
from ulnn_host.data.sequences import Sequences
from ulnn_host.experiments import compare
from ulnn_host.experiments.compare import Comparison, Plan
from ulnn_host.experiments.folds import LeaveOut
from ulnn_host.train import recipe

TARGET = "host/docs/start.md"
SEEDS = 5
STARTS = ("xavier", "leaky")
SHAPES = {"with a backbone": {"backbone_layers": 1}, "without one": {"backbone_layers": 0}}


@dataclass(frozen=True)
class Task:
    """A task. keys: of the recipe; data: makes them, None: a set that the recipe names."""

    what: str
    budget: str
    keys: Mapping[str, Mapping[str, Any]]
    data: Callable[[], Sequences] | None = None
    leave_out: LeaveOut = "recipe"


def tone() -> Sequences:
    """A noisy tone at irregular times; the logarithm of its frequency is the target."""
    rng = np.random.default_rng(0)
    n, steps = 600, 60
    frequency = np.exp(rng.uniform(np.log(0.5), np.log(5.0), n))
    dt = rng.exponential(0.05, (n, steps)).astype(np.float32) + 1e-4
    phase = 2 * np.pi * frequency[:, None] * np.cumsum(dt, 1) + rng.uniform(0, 6.3, (n, 1))
    x = (np.sin(phase) + 0.2 * rng.normal(size=(n, steps)))[..., None].astype(np.float32)
    y = np.log(frequency)[:, None].astype(np.float32)
    return Sequences(x, dt.astype(np.float32), y=y, per="sequence")


def memory() -> Sequences:
    """A value, marked once early on, to be said after many more values that do not count."""
    rng = np.random.default_rng(1)
    n, steps = 600, 80
    x = rng.uniform(-1, 1, (n, steps, 2)).astype(np.float32)
    x[..., 1] = 0
    at = rng.integers(0, steps // 4, n)
    x[np.arange(n), at, 1] = 1
    y = x[np.arange(n), at, :1].copy()
    dt = rng.uniform(0.05, 0.15, (n, steps)).astype(np.float32)
    return Sequences(x, dt, y=y, per="sequence")


TRAINING = {"epochs": 30, "batch": 32, "learning_rate": 0.01}
MADE = {
    "data": {"source": "data.npz", "valid_fraction": 0.4},
    "model": {"readout": "last"},
    "training": TRAINING,
}
TASKS = {
    "tone": Task("the frequency of a noisy tone at irregular times", "5KB", MADE, tone),
    "memory": Task("a value to be kept for 60 to 80 steps", "5KB", MADE, memory),
    "vowels": Task(
        "JapaneseVowels: who of nine speaks, in 7 to 29 frames; its own test set",
        "6KB",
        {
            "data": {"source": "vowels", "valid": "vowels"},
            "model": {"readout": "mean"},
            "training": TRAINING | {"weight_decay": 0.05},
        },
    ),
    "watch": Task(
        "smartwatch: seven exercises, 30 % of the samples lost; seven people in two folds",
        "6KB",
        {
            "data": {"source": "watch", "window": 4.0, "windows_per_sequence": 3, "drop": 0.3},
            "model": {"readout": "mean"},
            "training": TRAINING | {"batch": 64, "average": 0.99, "label_smoothing": 0.1},
            "augment": {"mirror": [-1, 1, 1, 1, -1, -1], "rotate": 20.0, "noise": 0.05},
        },
        leave_out="group",
    ),
}
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def measure(name: str, shape: str, folder: Path, seeds: int, epochs: int | None) -> Comparison:
    """Compare both starts on a task, networks of a shape. What it writes into the folder, `ulnn
    compare` takes, too."""
    task = TASKS[name]
    content = {key: dict(value) for key, value in task.keys.items()}
    if task.data:
        save_npz(folder / "data.npz", task.data())
    content["model"] |= SHAPES[shape]
    if epochs:
        content["training"]["epochs"] = epochs
    recipes = {}
    for start in STARTS:
        content["model"]["start"] = start
        path = folder / f"{start}, {shape}.toml"
        files.write(path, toml_text.dumps(content))
        recipes[start] = recipe.read_recipe(path)
    plan = Plan(seeds, task.leave_out, 2, task.budget)
    with bar(f"{name}, {shape}", lines=True) as shown:
        return compare.compare(recipes, plan, folder / "compare.cache", shown.update)


def page(found: Mapping[tuple[str, str], Comparison], seeds: int) -> str:
    """The document."""
    rows = [_row(task, shape, done) for (task, shape), done in found.items()]
    names = ["task", "network", "neurons", "bytes", "measure", "xavier", "leaky"]
    names += ["leaky - xavier", "95 %", "verdict"]
    lines = [names, ["---"] * len(names), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    tasks = "\n".join(f"* {name}: {TASKS[name].what}" for name in TASKS)
    decisions = "\n".join(f"* {shape}: {decision(found, shape)}" for shape in SHAPES)
    return f"{HEAD}\n{tasks}\n\n{seeds} seeds, int8.\n\n{table}\n\n{RULE}\n\n{decisions}\n"


def decision(found: Mapping[tuple[str, str], Comparison], shape: str) -> str:
    """What the rule says about networks of a shape."""
    verdicts = [done.differences[0].verdict for (_, s), done in found.items() if s == shape]
    better, worse = (verdicts.count(v) for v in (compare.BETTER, compare.WORSE))
    start = "leaky" if better >= 2 and not worse else "xavier"
    return f"better on {better} of {len(verdicts)} tasks, worse on {worse}, so {start}"


def _row(task: str, shape: str, done: Comparison) -> list[str]:
    first, other = done.entries
    (change,) = done.differences
    seen = change.verdict in (compare.BETTER, compare.WORSE)
    return [
        task, shape, other.what, f"{other.size:,}", done.measure,
        f"{first.judged.value:.4g}", f"{other.judged.value:.4g}",
        f"{change.interval.value:+.4f}",
        f"{change.interval.low:+.4f} to {change.interval.high:+.4f}",
        f"leaky is {change.verdict}" if seen else change.verdict,
    ]  # fmt: skip


HEAD = """# How a dense CfC starts

Written by `make bench-start`; do not edit. `model.start` is `"xavier"`, the weights of ncps, or
`"leaky"`: gates have time constants from the usual elapsed time to half a sequence, and without a
backbone every neuron keeps its state as long. Both are compared by `ulnn compare` at the same
bytes, on data that are held out; 30 epochs, and a learning rate of 0.01 for both. `"auto"`, the
default, is what follows for a `cfc` of one layer. Stacks and `mixed`, which are not measured here,
start with xavier.

How the start of networks with a backbone is made was chosen on the task tone, of three ways with
three seeds: its figures there are a little too good.
"""
RULE = """A start becomes the default of networks of a shape where it is better on two tasks or
more, and worse on none:"""


@app.command()
def main(
    task: Annotated[list[str] | None, typer.Option(help="one of the tasks; else all")] = None,
    seeds: Annotated[int, typer.Option(help="trainings of each")] = SEEDS,
    epochs: Annotated[int | None, typer.Option(help="fewer, for a quick look")] = None,
    output: Annotated[Path | None, typer.Option(help="document to write")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, too")] = False,
) -> None:
    """Compare both starts on the tasks; some twenty minutes. What is done is kept in build/bench.

    Example: python host/bench/bench_start.py --task tone --seeds 2 --epochs 5 --output start.md
    """
    wanted = task or list(TASKS)
    for name in wanted:
        if name not in TASKS:
            raise UlnnError(f"--task {name}: expected one of {', '.join(TASKS)}")
    folder = project_root() / "build" / "bench" / "start"
    found = {}
    for name in wanted:
        for shape in SHAPES:
            found[name, shape] = measure(name, shape, folder / name, seeds, epochs)
            if found[name, shape].stopped:
                raise typer.Exit(130)
    target = output or project_root() / TARGET
    files.write(target, wrapped(page(found, seeds)))
    if as_json:
        print(json.dumps([done.to_dict() for done in found.values()], indent=2))
    typer.echo(f"wrote {target}", err=True)


if __name__ == "__main__":
    console.run(app, "bench_start")
