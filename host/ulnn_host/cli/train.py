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
    """Train a network as a recipe says: CfC, LTC, LSTM, GRU, or a rival that is float only.

    Keeps the best epoch of what is validated: by balanced accuracy and then by loss, for values by
    loss. Ctrl-C writes the best so far and ends with status 130. Without a recipe, on data: --set
    says what is not to be as it is by default.

    Example: ulnn train recipe.toml -o watch.safetensors --set epochs=50
    """
    from .. import api
    from ..base import files, toml_text
    from ..report.scores_text import show

    files.check_output(output, recipe)
    console, stopped = Terminal(stderr=True), False
    try:
        network = api.train(recipe, **toml_text.values(keys or ()))
    except KeyboardInterrupt as early:
        kept = getattr(early, "network", None)
        if kept is None:
            console.print("stopped in the first epoch: nothing is written")
            raise typer.Exit(130) from None
        network, stopped = kept, True
    network.save(output)
    facts, metrics = network.hyper["training"], network.hyper["metrics"]
    why = f", the best by {metrics['kept_by']}" if "kept_by" in metrics else ", the last"
    line = (
        f"{output}: {facts['epochs_run']} epochs in {facts['seconds']:.0f} s on "
        f"{facts['sampling']}, kept epoch {metrics['kept_epoch']}{why} "
        f"(loss {metrics['loss']:.4f})"
    )
    if stopped:
        planned = network.hyper["recipe"]["training"]["epochs"]
        line = f"stopped after {facts['epochs_run']} of {planned} epochs; {line}"
    console.print(line, highlight=False, soft_wrap=True)
    if network.validation:
        title = f"on validation data, readout {network.hyper['readout']}"
        show({"float": network.validation}, title, console)
    if stopped:
        raise typer.Exit(130)
