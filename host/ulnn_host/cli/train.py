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

    Example: ulnn train recipe.toml -o watch.safetensors
    """
    from ..base import files
    from ..train.recipe import read_recipe
    from ..train.train import train as fit

    for target in (output, output.with_suffix(".toml")):
        files.check_output(target, recipe)
    checkpoint = fit(read_recipe(recipe))
    checkpoint.save(output)
    facts = checkpoint.hyper["training"]
    line = f"{output}: {facts['epochs_run']} epochs in {facts['seconds']:.0f} s"
    line += f" on {facts['sampling']}"
    for key, value in checkpoint.hyper["metrics"].items():
        if isinstance(value, float):
            line += f", {key.replace('_', ' ')} {value:.4f}"
    Console(stderr=True).print(line, highlight=False, soft_wrap=True)
