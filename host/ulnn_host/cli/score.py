"""`ulnn score`: how good a network is, in float and in integers, also on degraded data."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Annotated

import typer

from ..base.errors import UlnnAssumption, UlnnError
from ..data.options import DataOptions
from .data_options import with_data_options
from .options import DataPath, Json, numbers, out

MODEL = ".ulnn"


@with_data_options
def score(
    network: Annotated[
        Path, typer.Argument(help="model file (.ulnn), or a checkpoint (.safetensors, .pt ...)")
    ],
    data: DataPath,
    beside: Annotated[
        Path | None, typer.Option("--float", help="checkpoint, beside a model: both are measured")
    ] = None,
    drop: Annotated[
        str, typer.Option(help="shares of the samples that are lost, one after the other: 0,.3,.6")
    ] = "",
    bursts: Annotated[
        bool, typer.Option("--bursts", help="they are lost in bursts of about 10, else one by one")
    ] = False,
    fill: Annotated[
        str,
        typer.Option(
            help="what takes their place: skip (nothing, dt grows), hold (the value before) or "
            "mean (that of the channel)"
        ),
    ] = "skip",
    noise: Annotated[
        str, typer.Option(help="noise, in standard deviations of each channel: 0,.1")
    ] = "",
    seed: Annotated[int, typer.Option(help="of what is lost, and of the noise", min=0)] = 0,
    as_json: Json = False,
    plot: Annotated[
        Path | None, typer.Option("--picture", help="picture to write (.png, .svg or .pdf)")
    ] = None,
    data_options: DataOptions = DataOptions(),  # noqa: B008, it is frozen
) -> None:
    """Measure a network on data with targets: as they are, with samples lost, and with noise.

    A checkpoint is measured in float, a model in integers; a model with --float gives both side by
    side. The same seed degrades the data in the same way.

    Example: ulnn score watch.ulnn test.npz --float watch.safetensors --drop 0,.3,.6 --noise 0,.1
    """
    from ..base import files
    from ..base.progress import bar
    from ..data.degrade import FILLS
    from ..data.logs import read_data
    from ..experiments.robustness import conditions, robustness
    from ..format import container
    from ..report import robustness_text, scores_text
    from ..train.reading import read_network

    chosen = next((way for way in FILLS if way == fill), None)
    if chosen is None:
        raise UlnnError(f"--fill {fill}: expected {', '.join(FILLS)}")
    tried = conditions(
        numbers("--drop", drop), numbers("--noise", noise),
        "bursts" if bursts else "samples", chosen,
    )  # fmt: skip
    if plot:
        from ..report import pictures, robustness_picture

        pictures.check_picture(plot)
        if len(tried) == 1:
            raise UlnnError("--picture shows what --drop or --noise changes: give one of them")
        files.check_output(plot, network, data, beside)
    if network.suffix != MODEL and beside:
        raise UlnnError(f"--float is for a model ({MODEL}); {network} is a checkpoint itself")
    real = network if network.suffix != MODEL else beside
    content, file = container.read_file(network) if network.suffix == MODEL else (None, None)
    floats, assumed = read_network(real) if real else (None, ())
    for line in assumed:
        warnings.warn(line, UlnnAssumption, stacklevel=1)
    readout = floats.readout if floats else ""
    if file and not readout:
        readout = file.readout
    recordings = read_data(data, data_options, readout or "last")
    with bar("conditions", len(tried)) as shown:
        found = robustness(
            recordings,
            network=floats,
            model=content,
            tried=tried,
            seed=seed,
            progress=shown.update,
        )
    if plot:
        pictures.save(robustness_picture.picture(found), plot)
    if as_json:
        facts = {"network": str(network), "data": str(data), "float": str(real) if real else None}
        print(json.dumps(facts | found.to_dict(), indent=2))
        return
    scores_text.show(
        found.results[0].scores, f"on {data}, readout {found.readout}", out, named=True
    )
    if len(tried) > 1:
        robustness_text.table(found).show(out)
    if plot:
        out.print(f"picture: {plot}")
