"""`ulnn tune`: the search over recipes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .options import Json, out


def tune(
    recipe: Annotated[Path, typer.Argument(help="recipe (.toml) to start from")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="best recipe (.toml); the picture beside it (.png)"),
    ] = None,
    trials: Annotated[int, typer.Option(help="short trainings")] = 20,
    seed: Annotated[int, typer.Option(help="of the search; the same gives the same trials")] = 0,
    minutes: Annotated[float, typer.Option(help="begin no trial that ends later; 0: all")] = 0.0,
    epochs: Annotated[
        int | None, typer.Option(help="of each training; else a fifth of the recipe's")
    ] = None,
    max_bytes: Annotated[
        int | None, typer.Option(help="largest int8 model file that may be chosen")
    ] = None,
    as_json: Json = False,
) -> None:
    """Search sizes, wirings, time scales and learning rates: accuracy against bytes.

    Writes the best recipe (RECIPE_tuned.toml) and a picture of all trials.

    Example: ulnn tune recipe.toml --trials 30 --minutes 10 -o best.toml
    """
    from ..base import files
    from ..base.progress import bar
    from ..experiments.tune import Trial, final, front, good, pick, search
    from ..report import pictures
    from ..report.tune_show import picture, score_name, table
    from ..train import recipe as recipes

    start = recipes.read_recipe(recipe)
    target = output or recipe.with_name(f"{recipe.stem}_tuned.toml")
    with bar("trials", trials) as shown:
        so_far: list[Trial] = []

        def report(trial: Trial, total: int) -> None:
            so_far.append(trial)
            best = max(good(so_far), key=lambda t: t.score, default=trial)
            note = f"best {best.score:.3f}: {best.recipe.model.cell} {best.what}"
            shown.update(len(so_far), total, note)

        done = search(start, trials, seed, epochs, minutes, report)
    chosen = pick(done, max_bytes)
    plot = target.with_suffix(".png")
    pictures.save(picture(done, chosen), plot)
    best = final(chosen, start)
    head = (
        f"# The best of {len(done)} trials of ulnn tune, seed {seed}: "
        f"{score_name(done)} {chosen.score:.4f}, about {chosen.size} bytes.\n"
    )
    files.write(target, head + recipes.dump(best, target.parent))
    if as_json:
        rows = [t.to_dict() | {"front": t in front(done), "chosen": t is chosen} for t in done]
        facts = {"recipe": str(target), "picture": str(plot), "score": score_name(done)}
        print(json.dumps(facts | {"seed": seed, "trials": rows}, indent=2))
        return
    out.print(table(done, chosen))
    print(f"{target}: trial {chosen.number}; picture: {plot}")
