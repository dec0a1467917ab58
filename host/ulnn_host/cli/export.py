"""`ulnn export`: a network as ONNX."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..base.console import one_line
from .options import (
    ActivationName,
    CheckpointPath,
    DialectName,
    Json,
    ModeName,
    OrderNames,
    WeightsName,
    names,
    out,
)


def export(
    checkpoint: CheckpointPath,
    onnx: Annotated[Path, typer.Option(help="ONNX file to write (.onnx)")],
    mode: ModeName = None,
    activation: ActivationName = None,
    dialect: DialectName = None,
    order: OrderNames = None,
    weights: WeightsName = None,
    as_json: Json = False,
) -> None:
    """Write one step of a checkpoint's network as float32 ONNX, states in and out.

    Inputs x (raw values), dt (seconds) and a state_... each; outputs y and next_state_...

    Example: ulnn export watch.safetensors --onnx watch.onnx
    """
    from ..importers import checkpoint as checkpoints
    from ..network import export as exporter

    loaded = checkpoints.read_checkpoint(
        checkpoint, mode, activation, dialect, order=names(order), weights=weights
    )
    for line in loaded.assumed:
        print(f"assumed: {one_line(line)}", file=sys.stderr)
    done = exporter.write(loaded.network, onnx)
    if as_json:
        facts = {"model": str(onnx), "bytes": done.size, "inputs": done.inputs}
        facts |= {"outputs": done.outputs, "steps": exporter.STEPS}
        print(json.dumps(facts | {"max_error": done.difference}, indent=2))
        return
    out.print(f"{onnx}: {done.size} bytes, inputs {', '.join(done.inputs)}")
    if done.difference is None:
        out.print("not checked: onnxruntime is not installed (pip install onnxruntime)")
    else:
        out.print(
            f"against float64 over {exporter.STEPS} random steps: max error {done.difference:.2e}"
        )
