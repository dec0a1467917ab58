"""Wired networks on the demo's task: our sparse dialect beside that of ncps, some seeds each.

Both have the synapses of AutoNCP(19, 4) and a head for the 7 exercises, and the training of
recipes/wired.toml; they are scored on the people that no training sees. `make bench-wired`, or:
python host/bench/bench_wired.py --epochs 40
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
from ulnn_host.data import watch
from ulnn_host.data.scores import score_classes
from ulnn_host.network import sizes
from ulnn_host.network.wiring import DIALECTS
from ulnn_host.train import recipe, train
from ulnn_host.train.recipe import Recipe

SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Result:
    """One training, scored on the unseen people. products: multiply-accumulates a step on a
    board; weights: those that are not 0; size: bytes of the int8 file, about."""

    dialect: str
    seed: int
    accuracy: float
    balanced: float
    by_recording: float
    products: int
    weights: int
    size: int
    seconds: float


def plan(dialect: str, seed: int, epochs: int | None = None) -> Recipe:
    """The recipe of one training."""
    made = recipe.read_recipe(recipe.RECIPES / "wired.toml")
    model = replace(made.model, wiring=replace(made.model.wiring, dialect=dialect))
    training = replace(made.training, epochs=epochs or made.training.epochs)
    return replace(made, seed=seed, model=model, training=training)


def compare(
    seeds: Sequence[int] = SEEDS, epochs: int | None = None, *, quiet: bool = False
) -> list[Result]:
    """Train and score both dialects with each seed. epochs: fewer, for a quick look."""
    runs = [(dialect, seed) for seed in seeds for dialect in DIALECTS]
    shown = track(runs, "training", quiet=quiet)
    return [_run(plan(dialect, seed, epochs)) for dialect, seed in shown]


def _run(made: Recipe) -> Result:
    trained = train.train(made, quiet=True)
    unseen = watch.windows("unseen")
    found = score_classes(trained.outputs(unseen), unseen, made.model.readout)
    network = trained.float_network()
    return Result(
        made.model.wiring.dialect,
        made.seed,
        found.accuracy,
        found.balanced,
        found.by_recording or 0.0,
        sizes.products(network),
        sizes.weights(network),
        sizes.file_bytes(network),
        float(trained.hyper["training"]["seconds"]),
    )


def picture(results: Sequence[Result]) -> Figure:
    """Balanced accuracy of every training against its products."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for dialect, colour in zip(DIALECTS, ("#e07b39", "#1f77b4"), strict=True):
        rows = [r for r in results if r.dialect == dialect]
        at = [r.products for r in rows]
        values = [100 * r.balanced for r in rows]
        axes.scatter(at, values, color=colour, label=f"dialect {dialect}", zorder=3)
        axes.plot(at[:1], [np.mean(values)], "_", ms=28, color=colour)
    axes.set_xlim(0, 1.15 * max(r.products for r in results))
    axes.set_xlabel("products a step")
    axes.set_ylabel("balanced accuracy, %\nof people never seen")
    axes.set_title("AutoNCP(19, 4), seven exercises; dashes are means", fontsize=10)
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    return figure


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    epochs: Annotated[int | None, typer.Option(help="fewer, for a quick look")] = None,
    seeds: Annotated[int, typer.Option(help="trainings of each dialect")] = len(SEEDS),
    output: Annotated[Path | None, typer.Option(help="folder of the picture")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Train wired networks in both dialects, score them on unseen people; some minutes.

    Exit status 1 where ours is less accurate in the mean.

    Example: python host/bench/bench_wired.py --epochs 40 --seeds 1
    """
    results = compare(range(1, seeds + 1), epochs)
    ours, theirs = (
        float(np.mean([r.balanced for r in results if r.dialect == dialect]))
        for dialect in ("ulnn", "ncps")
    )
    folder = output or project_root() / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    picture(results).savefig(folder / "wired.png", dpi=150)
    if as_json:
        print(json.dumps([asdict(r) for r in results], indent=2))
    else:
        _show(results)
        print(f"balanced accuracy: ulnn {ours:.3f}, ncps {theirs:.3f}; {folder / 'wired.png'}")
    if ours < theirs:
        raise typer.Exit(1)


def _show(results: Sequence[Result]) -> None:
    table = Table(title="people never seen", title_justify="left")
    names = ("dialect", "seed", "accuracy", "balanced", "recordings", "products", "weights")
    for name in (*names, "int8 bytes", "s"):
        table.add_column(name, justify="left" if name == "dialect" else "right")
    for r in results:
        shares = (f"{100 * v:.1f} %" for v in (r.accuracy, r.balanced, r.by_recording))
        counts = (str(v) for v in (r.products, r.weights, r.size))
        table.add_row(r.dialect, str(r.seed), *shares, *counts, f"{r.seconds:.0f}")
    Console().print(table)


if __name__ == "__main__":
    console.run(app, "bench_wired")
