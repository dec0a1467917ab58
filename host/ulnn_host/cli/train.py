"""`ulnn train`: a network as a recipe says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..base.console import Terminal
from .options import DATA


def train(
    recipe: Annotated[Path, typer.Argument(help=f"recipe (.toml), or data; {DATA}")],
    output: Annotated[Path, typer.Option("-o", "--output", help="checkpoint (.safetensors)")],
    keys: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE in place of the recipe's, such as epochs=50"),
    ] = None,
) -> None:
    """Train a network (CfC, wired CfC, LTC, LSTM, GRU, mixed memory) as a recipe says.

    Without a recipe, on data: --set says what is not to be as it is by default.

    Example: ulnn train recipe.toml -o watch.safetensors --set epochs=50
    """
    from .. import api
    from ..base import files, toml_text

    files.check_output(output, recipe)
    checkpoint = api.train(recipe, **toml_text.values(keys or ()))
    checkpoint.save(output)
    facts = checkpoint.hyper["training"]
    line = f"{output}: {facts['epochs_run']} epochs in {facts['seconds']:.0f} s"
    line += f" on {facts['sampling']}"
    for key, value in checkpoint.hyper["metrics"].items():
        if isinstance(value, float):
            line += f", {key.replace('_', ' ')} {value:.4f}"
    Terminal(stderr=True).print(line, highlight=False, soft_wrap=True)
