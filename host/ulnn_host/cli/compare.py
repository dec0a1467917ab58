"""`ulnn compare`: recipes against each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..base.console import Terminal
from .options import Json, numbers, out


def compare(
    recipes: Annotated[
        list[Path], typer.Argument(help="recipes (.toml); the others are compared with the first")
    ],
    seeds: Annotated[int, typer.Option(help="trainings of each on each fold")] = 5,
    leave_out: Annotated[
        str,
        typer.Option(
            help="what is held out: group (a person, a machine), recording, or recipe (what the "
            "first recipe holds out itself)"
        ),
    ] = "group",
    folds: Annotated[int, typer.Option(help="parts, each of which is held out once")] = 5,
    budget: Annotated[
        str,
        typer.Option(
            help="what each network is to have at most: bytes of its file (12KB) or cycles of a "
            "step (5000cycles); else sizes are those of the recipes"
        ),
    ] = "",
    rates: Annotated[
        str,
        typer.Option(help="learning rates to choose from, for each recipe and fold: .005,.01,.02"),
    ] = "",
    bits: Annotated[int, typer.Option(help="of the weights: 8 or 16")] = 8,
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline",
            help="compare a linear baseline, too: on means, spreads and the last samples",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="of the folds, and of the intervals")] = 0,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="folder of trainings that are done; else compare.cache beside the first"
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--picture", help="picture to write (.png, .svg or .pdf)")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare recipes on data held out, in float and in integers, with 95 % intervals.

    Every recipe is trained with every seed on every fold. Trainings are kept: after Ctrl-C, or
    with more seeds, the same command goes on, and several at once share the work. Ctrl-C shows
    the seeds that all recipes have done, and ends with status 130.

    Example: ulnn compare cfc.toml gru.toml --budget 8KB --rates .005,.01,.02 --picture c.png
    """
    from .. import api
    from ..base import files
    from ..report import compare_text

    if plot:
        from ..report import compare_picture, pictures

        pictures.check_picture(plot)
        files.check_output(plot, *recipes)
    found = api.compare(
        *recipes, seeds=seeds, leave_out=leave_out, folds=folds, budget=budget,
        rates=tuple(numbers("--rates", rates)), bits=bits, baseline=baseline, seed=seed,
        cache=cache,
    )  # fmt: skip
    if found.entries and plot:
        pictures.save(compare_picture.picture(found), plot)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
    elif found.entries:
        compare_text.show(found, out)
        if plot:
            out.print(f"picture: {plot}")
    if found.stopped:
        Terminal(stderr=True).print(
            f"stopped after {found.done} of {found.planned} trainings; the same command goes on",
            soft_wrap=True,
        )
        raise typer.Exit(130)
