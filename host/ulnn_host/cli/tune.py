"""`ulnn tune`: the search over recipes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..base.console import Terminal
from ..base.errors import UlnnError
from .options import Json, names, out


def tune(
    recipe: Annotated[Path, typer.Argument(help="recipe (.toml) to start from")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="best recipe (.toml); the picture beside it (.png)"),
    ] = None,
    trials: Annotated[
        int, typer.Option(help="short trainings of the study, those of other workers included")
    ] = 20,
    seed: Annotated[int, typer.Option(help="of the search; the same gives the same trials")] = 0,
    minutes: Annotated[float, typer.Option(help="begin no trial that ends later; 0: all")] = 0.0,
    epochs: Annotated[
        int | None, typer.Option(help="of each training; else a fifth of the recipe's")
    ] = None,
    max_bytes: Annotated[
        int | None, typer.Option(help="largest int8 model file that may be chosen")
    ] = None,
    max_cycles: Annotated[
        int | None, typer.Option(help="most cycles a step, modelled, that may be chosen")
    ] = None,
    cells: Annotated[
        str,
        typer.Option(
            help="to compare, such as cfc,gru; else all of boards that are quick to train"
        ),
    ] = "",
    storage: Annotated[
        str,
        typer.Option(
            help="where workers share the study, and a later one continues it: the URL of a "
            "database (sqlite:///study.db) or the path of a journal file"
        ),
    ] = "",
    study: Annotated[
        str, typer.Option(help="name of the study in --storage; else that of the recipe's file")
    ] = "",
    as_json: Json = False,
) -> None:
    """Search cells, sizes, wirings, time scales and learning rates: score, bytes and cycles.

    Writes the best recipe (RECIPE_tuned.toml) and a picture of all trials. The best is the one of
    the highest score (balanced accuracy; for values of the least RMSE) of the int8 model on what
    is held out, within --max-bytes and --max-cycles; of equal ones the smallest. With --storage
    the same command, started again or on other machines, works on the same study. Ctrl-C writes
    the best so far and ends with status 130.

    Example: ulnn tune recipe.toml --trials 40 --max-bytes 8000 --storage sqlite:///study.db
    """
    from ..base import files
    from ..base.progress import bar
    from ..experiments.tune import Found, Plan, final, search
    from ..report import pictures
    from ..report.tune_show import picture, score_name, table
    from ..train import recipe as recipes

    start = recipes.read_recipe(recipe)
    target = output or recipe.with_name(f"{recipe.stem}_tuned.toml")
    plot = target.with_suffix(".png")
    if plot == target:
        raise UlnnError(f"{target}: expected a recipe (.toml); the picture is put beside it")
    for path in (target, plot):
        files.check_output(path, recipe)
    plan = Plan(
        trials, minutes, epochs, seed, max_bytes, max_cycles, tuple(names(cells)), storage,
        study or recipe.stem,
    )  # fmt: skip
    with bar("trials", trials) as shown:

        def report(found: Found) -> None:
            best = next(iter(found.ranked), None)
            note = f"best {best.score:.3f}: {best.recipe.model.cell} {best.what}" if best else ""
            shown.update(len(found.trials), trials, note)

        found = search(start, plan, report)
    console = Terminal(stderr=True)
    if found.stopped and not found.trials:
        console.print("stopped in the first trial: nothing is written")
        raise typer.Exit(130)
    try:
        chosen = found.pick(max_bytes, max_cycles)
    except UlnnError:
        if found.good and not as_json:
            table(found, None).show(out)  # what was seen is not lost
        raise
    pictures.save(picture(found, chosen), plot)
    best = final(chosen, start)
    head = (
        f"# The best of {len(found.trials)} trials of ulnn tune, seed {seed}: "
        f"{score_name(found)} {chosen.score:.4g}, {chosen.size} bytes, {chosen.cycles} cycles.\n"
    )
    files.write(target, head + recipes.dump(best, target.parent))
    if as_json:
        rows = [
            t.to_dict() | {"front": t in found.front, "chosen": t is chosen} for t in found.trials
        ]
        facts = {"recipe": str(target), "picture": str(plot), "score": score_name(found)}
        print(json.dumps(facts | {"seed": seed, "trials": rows}, indent=2))
    else:
        print(score_name(found))
        table(found, chosen).show(out)
        print(f"{target}: trial {chosen.number}; picture: {plot}")
    if found.running:
        console.print(
            f"trials that other workers still run: {found.running}; the same command, started "
            "when they have ended, writes the best of all",
            soft_wrap=True,
        )
    if found.stopped:
        console.print(f"stopped after {len(found.trials)} of {trials} trials")
        raise typer.Exit(130)
