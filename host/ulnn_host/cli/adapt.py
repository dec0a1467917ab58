"""`ulnn adapt`: what a wearer's examples teach a model, as a file beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..data.options import DataOptions
from .data_options import with_data_options
from .options import DataPath, Json, out


@with_data_options
def adapt(
    network: Annotated[Path, typer.Argument(help="model (.ulnn), converted with --centres")],
    data: DataPath,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="the wearer's file to write (.centres)")
    ],
    start: Annotated[
        Path | None, typer.Option(help="the wearer's file of sessions before, to go on from")
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(help="recordings of another session of his: what it changed is measured"),
    ] = None,
    as_json: Json = False,
    data_options: DataOptions = DataOptions(),  # noqa: B008, it is frozen
) -> None:
    """Adapt a model's decisions to one wearer (person, machine) by labelled examples of his.

    Two windows of each class are enough. The model itself is not changed: the file holds means of
    its outputs for each class, which the board and `ulnn score --centres` use. A part of the
    examples checks what the others teach; nothing is learnt where it would make decisions worse.

    Example: ulnn adapt watch.ulnn anna.npz --test anna_later.npz -o anna.centres
    """
    from ..base import files
    from ..data.logs import read_data
    from ..experiments.adapt import adapt as learn
    from ..format import container
    from ..report import scores_text

    files.check_output(output, network, data, test)
    content, model = container.read_file(network)
    examples = read_data(data, data_options, model.readout)
    later = None if test is None else read_data(test, data_options, model.readout)
    found = learn(content, examples, start=start, test=later)
    found.save(output)
    if as_json:
        print(json.dumps(found.to_dict() | {"file": str(output)}, indent=2))
        return
    learnt = ", ".join(f"{name} {count}" for name, count in found.examples.items())
    if found.kept:
        out.print(f"examples learnt: {learnt}", soft_wrap=True)
    else:
        out.print("nothing learnt: the examples made decisions about each other worse")
    if found.before and found.after:
        scores_text.figures({"factory": found.before, "adapted": found.after}).show(out)
    out.print(f"written: {output}", soft_wrap=True)
