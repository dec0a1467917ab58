"""`ulnn export`: a network as ONNX, or a model as C."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..base import files
from ..base.errors import UlnnError, one_line
from .options import (
    ActivationName,
    DialectName,
    Json,
    ModeName,
    OrderNames,
    WeightsName,
    names,
    out,
)

if TYPE_CHECKING:
    from ..importers.checkpoint import Loaded


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
    order: OrderNames = None,
    weights: WeightsName = None,
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
        files.check_output(onnx, source)
        from ..importers import checkpoint

        loaded = checkpoint.read_checkpoint(
            source, mode, activation, dialect, order=names(order), weights=weights
        )
        _export_onnx(loaded, onnx, as_json)


def _export_c(model: Path, folder: Path, as_json: bool) -> None:
    from ..engines.registry import native_memory
    from ..format import c_source, container

    content, parsed = container.read_file(model)
    made = c_source.c_source(content, parsed, model.stem, native_memory(content))
    header, code = folder / f"{made.name}.h", folder / f"{made.name}.c"
    for path in (header, code):
        if path.is_file() and not path.read_bytes().startswith(c_source.MADE.encode()):
            raise UlnnError(
                f"{path} was not made by ulnn export and would be overwritten: give the model "
                "file another name, or choose another folder"
            )
        files.check_output(path)
    files.write(header, made.header)
    files.write(code, made.source)
    if as_json:
        print(json.dumps({"header": str(header), "source": str(code), "name": made.name}))
        return
    out.print(f"{header}, {code}: {len(content)} bytes in flash, {made.memory} bytes of RAM")


def _export_onnx(loaded: Loaded, onnx: Path, as_json: bool) -> None:
    from ..network import export as exporter

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
