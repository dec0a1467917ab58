"""`ulnn export`: a network as ONNX, or a model as C."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..base import files
from ..base.errors import UlnnError
from .options import ActivationName, DialectName, Json, ModeName, out


def export(
    source: Annotated[
        Path, typer.Argument(help="checkpoint, for --onnx; model file (.ulnn), for --c")
    ],
    onnx: Annotated[Path | None, typer.Option(help="ONNX file to write (.onnx)")] = None,
    c: Annotated[
        Path | None, typer.Option("--c", help="folder for NAME.h and NAME.c, of a model file")
    ] = None,
    mode: ModeName = None,
    activation: ActivationName = None,
    dialect: DialectName = None,
    as_json: Json = False,
) -> None:
    """Write a network as float32 ONNX, or a model as C source for firmware without MicroPython.

    ONNX: one step of a checkpoint's network, states in and out. Inputs x (raw values), dt
    (seconds) and a state_... each; outputs y and next_state_...

    C: a header and a source with the model file, its scales, labels and sizes
    (native_module/examples shows how to use them).

    Example: ulnn export watch.safetensors --onnx watch.onnx; ulnn export watch.ulnn --c src/
    """
    if (onnx is None) == (c is None):
        raise UlnnError("expected one of --onnx FILE and --c FOLDER")
    if c is not None:
        _export_c(source, c, as_json)
    elif onnx is not None:
        _export_onnx(source, onnx, mode, activation, dialect, as_json)


def _export_c(model: Path, folder: Path, as_json: bool) -> None:
    from ..engines.registry import native_memory
    from ..format import c_source, container

    content, parsed = container.read_file(model)
    memory = native_memory(content)
    made = c_source.c_source(content, parsed, model.stem, memory)
    header, code = folder / f"{made.name}.h", folder / f"{made.name}.c"
    files.write(header, made.header)
    files.write(code, made.source)
    if as_json:
        print(json.dumps({"header": str(header), "source": str(code), "name": made.name}))
        return
    out.print(f"{header}, {code}: {len(content)} bytes in flash, {memory} bytes of RAM at most")


def _export_onnx(
    checkpoint: Path,
    onnx: Path,
    mode: str | None,
    activation: str | None,
    dialect: str | None,
    as_json: bool,
) -> None:
    from ..importers import checkpoint as checkpoints
    from ..network import export as exporter

    loaded = checkpoints.read_checkpoint(checkpoint, mode, activation, dialect)
    for line in loaded.assumed:
        print(f"assumed: {line}", file=sys.stderr)
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
