"""`ulnn run`: a model over data, under any engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..data.options import DataOptions
from .data_options import with_data_options
from .options import DataPath, Json, ModelPath, out


@with_data_options
def run(
    model: ModelPath,
    data: DataPath,
    output: Annotated[Path, typer.Option("-o", "--output", help="outputs (.npz or .csv)")],
    engine: Annotated[
        str, typer.Option(help="reference, native, pure, unix, cortex-m7 or rv32")
    ] = "reference",
    as_json: Json = False,
    data_options: DataOptions = DataOptions(),  # noqa: B008, it is frozen
) -> None:
    """Run a model over data; the state is reset before each sequence.

    A .npz file holds y_int (int16), y (float32) and state (int16, after each sequence's last
    step); a .csv file the time in seconds, outputs by their labels, and decisions. Warns of
    elapsed times and inputs that the model does not know, and so were clamped.

    Example: ulnn run watch.ulnn test.npz -o out.npz --engine cortex-m7
    """
    import numpy as np

    from .. import api
    from ..base import files
    from ..base.errors import UlnnError
    from ..report.outputs_csv import write_csv

    if output.suffix not in (".npz", ".csv"):
        raise UlnnError(f"{output}: expected a name that ends in .npz or .csv")
    loaded = api.load(model)
    files.check_output(output, model, data)
    sequences = loaded.read(data, options=data_options)
    made = loaded.outputs(sequences, engine)
    if output.suffix == ".csv":
        write_csv(output, loaded.file, sequences, made.y_int)
    else:
        with files.replacing(output) as file:
            np.savez(file, y_int=made.y_int, y=made.y, state=made.state)
    found = made.coverage
    if as_json:
        facts = {"outputs": str(output), "engine": engine, "coverage": found.to_dict()}
        print(json.dumps(facts, indent=2))
        return
    out.print(f"{output}: {found.steps} steps under {engine}; {found.sampling}", soft_wrap=True)
