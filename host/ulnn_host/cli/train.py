"""`ulnn train`: a network as a recipe says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def train(
    recipe: Annotated[Path, typer.Argument(help="recipe (.toml)")],
    output: Annotated[Path, typer.Option("-o", "--output", help="checkpoint (.safetensors)")],
) -> None:
    """Train a network (CfC, wired CfC, LTC, LSTM, GRU, mixed memory) as a recipe says.

    Keeps the best epoch of what is validated: by balanced accuracy and then by loss, for values by
    loss. Ctrl-C writes the best so far and ends with status 130.

    Example: ulnn train recipe.toml -o watch.safetensors
    """
    from ..base import files
    from ..report.scores_text import show
    from ..train.recipe import read_recipe
    from ..train.train import Stopped
    from ..train.train import train as fit

    for target in (output, output.with_suffix(".toml")):
        files.check_output(target, recipe)
    plan, console, stopped = read_recipe(recipe), Console(stderr=True), False
    try:
        network = fit(plan)
    except Stopped as early:
        network, stopped = early.network, True
    except KeyboardInterrupt:
        console.print("stopped in the first epoch: nothing is written")
        raise typer.Exit(130) from None
    network.save(output)
    facts, metrics = network.hyper["training"], network.hyper["metrics"]
    why = f", the best by {metrics['kept_by']}" if "kept_by" in metrics else ", the last"
    line = (
        f"{output}: {facts['epochs_run']} epochs in {facts['seconds']:.0f} s, kept epoch "
        f"{metrics['kept_epoch']}{why} (loss {metrics['loss']:.4f})"
    )
    if stopped:
        line = f"stopped after {facts['epochs_run']} of {plan.training.epochs} epochs; {line}"
    console.print(line, highlight=False, markup=False, soft_wrap=True)
    if network.validation:
        title = f"on validation data, readout {plan.model.readout}"
        show({"float": network.validation}, title, console)
    if stopped:
        raise typer.Exit(130)
