"""`ulnn maintain`: which detector warns longest before machines fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..data.options import DataOptions
from .data_options import with_data_options
from .options import Json, out


@with_data_options
def maintain(
    source: Annotated[
        str,
        typer.Argument(
            help="recordings of machines until each failed, in the order of time: a file, a "
            "folder or a pattern; or machines, the generated set"
        ),
    ],
    data_options: DataOptions,
    recipe: Annotated[
        list[Path] | None,
        typer.Option(help="recipes (.toml) of networks that predict the next step; else a CfC"),
    ] = None,
    healthy: Annotated[
        float, typer.Option(help="share of each life, the first part, that is taken as healthy")
    ] = 0.4,
    state: Annotated[
        str,
        typer.Option(help="recordings that count: of a mean feature above a number, acc rms > 9"),
    ] = "",
    every: Annotated[
        float, typer.Option(help="seconds from one recording of a machine to the next")
    ] = 1800.0,
    learn: Annotated[
        float, typer.Option(help="days in which a machine teaches its threshold")
    ] = 1.5,
    false_alarms: Annotated[float, typer.Option(help="a day, the same for all")] = 0.1,
    seeds: Annotated[int, typer.Option(help="trainings of each network")] = 2,
    folds: Annotated[int, typer.Option(help="parts of the machines, each held out once")] = 5,
    look: Annotated[int, typer.Option(help="steps whose mean score is compared")] = 8,
    bits: Annotated[int, typer.Option(help="of the weights: 8 or 16")] = 8,
    seed: Annotated[int, typer.Option(help="of the folds, and of the intervals")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="folder to write: model.ulnn, and settings.json with the alarms of an app",
        ),
    ] = None,
    cache: Annotated[Path, typer.Option(help="folder of trainings that are done")] = Path(
        "maintain.cache"
    ),
    plot: Annotated[
        Path | None, typer.Option("--picture", help="picture to write (.png, .svg or .pdf)")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find what warns longest before machines fail, at equal false alarms, without labels.

    Level, kurtosis, fault frequencies, a linear predictor and networks learn from the healthy part
    of each life, and are judged on machines that they have not seen. A network is chosen only
    where it is better beyond chance. --features says how features are computed.

    Example: ulnn maintain machines --state "acc rms > 9" -o alarm --picture warning.png
    """  # fmt: skip
    from .. import api
    from ..base import files
    from ..report import maintain_text

    if plot:
        from ..report import maintain_picture, pictures

        pictures.check_picture(plot)
        files.check_output(plot)
    for name in ("model.ulnn", "settings.json"):
        if output:
            files.check_output(output / name)
    found = api.maintain(
        source, *(recipe or ()), options=data_options, healthy=healthy, state=state, cache=cache,
        every=every, learn=learn, false_alarms=false_alarms, seeds=seeds, folds=folds, look=look,
        bits=bits, seed=seed,
    )  # fmt: skip
    if output:
        files.write(output / "model.ulnn", found.model)
        files.write_json(output / "settings.json", {"alarm": found.alarm})
    if plot:
        pictures.save(maintain_picture.picture(found.judged), plot)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
        return
    maintain_text.show(found, out)
    if plot:
        out.print(f"picture: {plot}")
    if output:
        out.print(f"{output}: model.ulnn and settings.json, the alarms of an app")
