"""`ulnn convert`: from a checkpoint to a model file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from ..base.errors import UlnnError
from ..data.options import DataOptions
from .data_options import with_data_options
from .options import (
    DATA,
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


@with_data_options
def convert(
    checkpoint: CheckpointPath,
    calib: Annotated[Path, typer.Option(help=f"to calibrate on; {DATA}")],
    output: Annotated[Path, typer.Option("-o", "--output", help="model file (.ulnn)")],
    bits: Annotated[int | None, typer.Option(help="weight width, 8 or 16 (8)")] = None,
    max_bytes: Annotated[
        int | None,
        typer.Option(help="largest file: chooses 8 or 16 bits for each matrix by rollout error"),
    ] = None,
    calibration: Annotated[
        str,
        typer.Option(help="ranges from max, percentile or mse; search tries all, with margins"),
    ] = "max",
    mode: ModeName = None,
    activation: ActivationName = None,
    dialect: DialectName = None,
    order: OrderNames = None,
    weights: WeightsName = None,
    check: Annotated[
        Path | None,
        typer.Option(help="outputs of the original model to prove the import (.npz: x, dt, y)"),
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help=f"to measure on what calibration does not see; {DATA}")
    ] = None,
    tick_ns: Annotated[int, typer.Option(help="length of a tick of dt, ns")] = 1000,
    fixed_dt: Annotated[
        float | None,
        typer.Option(help="promise that all samples are this many seconds apart: a faster model"),
    ] = None,
    longest_gap: Annotated[
        float | None,
        typer.Option(
            help="seconds between samples to make room for; else little more than the calibration "
            "has (longer ones are shortened)"
        ),
    ] = None,
    sparse: Annotated[
        str,
        typer.Option(
            help="store only real synapses: auto (where that is faster), always or never"
        ),
    ] = "auto",
    finetune: Annotated[
        int,
        typer.Option(help="epochs of quantisation-aware training on the calibration data"),
    ] = 0,
    towards: Annotated[
        str, typer.Option(help="what --finetune aims at: the outputs in float, or the labels y")
    ] = "float",
    learning_rate: Annotated[float, typer.Option(help="of --finetune")] = 1e-4,
    votes: Annotated[
        int, typer.Option(help="the last N decisions vote: fewer errors, and later ones")
    ] = 1,
    unsure: Annotated[
        float,
        typer.Option(
            help="share of the calibration's decisions, those with the smallest margins, that are "
            'to be "unsure"'
        ),
    ] = 0.0,
    least: Annotated[
        float, typer.Option(help="seconds that a new decision must hold before it counts")
    ] = 0.0,
    centres: Annotated[
        int,
        typer.Option(
            help="let the board adapt to a wearer: how many of his examples the calibration's "
            "centre of a class counts as, 2 with the check of a session, 4 without; 0: no centres"
        ),
    ] = 0,
    unknown: Annotated[
        float,
        typer.Option(
            help='say "unknown" of what is nothing of the calibration data, by the inputs: the '
            "share of windows of groups (people, machines) left out that may become it, 0.05; "
            "0: never"
        ),
    ] = 0.0,
    model_version: Annotated[
        int, typer.Option(help="number in the file, which counts the releases of one model")
    ] = 1,
    report: Annotated[Path | None, typer.Option(help="picture to write (.png or .svg)")] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="int8 and int16 side by side")
    ] = False,
    as_json: Json = False,
    data_options: DataOptions = DataOptions(),  # noqa: B008, it is frozen
) -> None:
    """Convert a checkpoint to an integer model, calibrated on data.

    A .pt file is a torch state_dict: of ncps.torch (CfC, wired CfC, LTC) or of nn.LSTM, nn.GRU.
    Prints how far the integer model is from the float network over whole sequences, what
    saturates, what a step costs, and where the data have targets how good the decisions are; warns
    of layers in which errors grow along the rollout.

    Example: ulnn convert watch.safetensors --calib train.npz --test unseen.npz -o watch.ulnn
    """
    from .. import api
    from ..base import files
    from ..report import convert_text

    if report:
        from ..report import convert_picture, pictures

        pictures.check_picture(report)
    if test and test.exists() and calib.exists() and test.samefile(calib):
        raise UlnnError(f"--test {test} is the calibration data: expected others, or no --test")
    for target in (output, report) if report else (output,):
        files.check_output(target, checkpoint, calib, check, test)
    model = api.convert(
        checkpoint,
        calib,
        test=test,
        bits=bits,
        max_bytes=max_bytes,
        calibration=calibration,
        fixed_dt=fixed_dt,
        longest_gap=longest_gap,
        tick_ns=tick_ns,
        sparse=sparse,
        votes=votes,
        centres=centres,
        unknown=unknown,
        unsure=unsure,
        least=least,
        model_version=model_version,
        finetune=finetune,
        towards=towards,
        learning_rate=learning_rate,
        compare=compare,
        mode=mode,
        activation=activation,
        dialect=dialect,
        order=names(order),
        weights=weights,
        check=check,
        options=data_options,
    )
    model.save(output)
    done, proof = model.conversion, model.original
    assert done is not None
    if report:
        pictures.save(convert_picture.figure(done), report)
    if as_json:
        proven = dataclasses.asdict(proof) if proof else None
        facts = {"model": str(output), "assumed": model.assumed, "original": proven}
        print(json.dumps(facts | done.to_dict(), indent=2))
        return
    if proof:
        out.print(str(proof), soft_wrap=True)
    made = done.model
    out.print(f"{output}: {made.file_bytes} bytes, {made.name} weights, {made.macs} MACs a step")
    out.print(
        f"against float over {made.steps} calibration steps: "
        f"max error {made.max_error:.5f}, rms {made.rms_error:.6f}"
    )
    if done.native_self_test is not None:
        out.print(f"the C engine on this computer repeats {done.native_self_test} golden steps")
    convert_text.show(done, out)
    if report:
        out.print(f"picture: {report}")
