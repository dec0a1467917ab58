"""`ulnn run`: a model over data, under any engine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..base.errors import one_line
from ..data.options import DataOptions
from .data_options import with_data_options
from .options import DataPath, Json, ModelPath, out


@with_data_options
def run(
    model: ModelPath,
    data: DataPath,
    output: Annotated[Path, typer.Option("-o", "--output", help="outputs (.npz)")],
    engine: Annotated[
        str, typer.Option(help="reference, native, pure, unix, cortex-m7 or rv32")
    ] = "reference",
    as_json: Json = False,
    data_options: DataOptions = DataOptions(),  # noqa: B008, it is frozen
) -> None:
    """Run a model over data; the state is reset before each sequence.

    Writes y_int (int16), y (float32) and state (int16, after each sequence's last step). Warns of
    elapsed times and inputs that the model does not know, and so were clamped.

    Example: ulnn run watch.ulnn test.npz -o out.npz --engine cortex-m7
    """
    import numpy as np

    from ..base import files
    from ..data.logs import read_data
    from ..engines import registry
    from ..engines.batch import quantise
    from ..engines.coverage import coverage
    from ..format import container

    content, parsed = container.read_file(model)
    files.check_output(output, model, data)
    sequences = read_data(data, data_options, parsed.readout)
    engines = registry.ENGINES
    if engine not in engines:
        from ..board.board_engine import ENGINES as engines  # these need a serial port's drivers

    result = registry.run(content, quantise(parsed, sequences), engine, engines)
    y_int, state = result.y, result.state
    y = np.where(sequences.mask[..., None], parsed.dequantise_output(y_int), 0).astype(np.float32)
    if sequences.flat:
        y_int, y, state = y_int[0], y[0], state[0]
    with files.replacing(output) as file:
        np.savez(file, y_int=y_int, y=y, state=state)
    found = coverage(parsed, sequences)
    for line in found.warnings:
        print(f"warning: {one_line(line)}", file=sys.stderr)
    if as_json:
        facts = {"outputs": str(output), "engine": engine, "coverage": found.to_dict()}
        print(json.dumps(facts, indent=2))
        return
    out.print(f"{output}: {found.steps} steps under {engine}; {found.sampling}", soft_wrap=True)
