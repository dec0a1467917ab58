"""`ulnn adapt`: what a wearer's examples teach a model, as a file beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..base.errors import UlnnError
from ..data.options import DataOptions
from .data_options import with_data_options
from .options import DataPath, Json, out

if TYPE_CHECKING:
    from ..data.sequences import Sequences

MODEL = ".ulnn"


@with_data_options
def adapt(
    network: Annotated[Path, typer.Argument(help="model (.ulnn), converted with --centres")],
    data: DataPath,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="to write: the wearer's file (.centres), or a model of his own (.ulnn)",
        ),
    ],
    start: Annotated[
        Path | None, typer.Option(help="the wearer's file of sessions before, to go on from")
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(help="recordings of another session of his: what it changed is measured"),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--from", help="for a .ulnn: the checkpoint that the model was made from"),
    ] = None,
    calib: Annotated[
        Path | None, typer.Option(help="for a .ulnn: the data that it was calibrated on")
    ] = None,
    as_json: Json = False,
    data_options: DataOptions = DataOptions(),  # noqa: B008, it is frozen
) -> None:
    """Adapt a model's decisions to one wearer (person, machine) by labelled examples of his.

    Two windows of each class are enough. The model itself is not changed: the file holds means of
    its outputs for each class, which the board and `ulnn score --centres` use. A part of the
    examples checks what the others teach; nothing is learnt where it would make decisions worse.

    With -o NEW.ulnn the whole network is fine-tuned in integers instead. --test has to be of
    another session: where the new model decides about it worse, the old one is written.

    Example: ulnn adapt watch.ulnn anna.npz --test anna_later.npz -o anna.centres
    """
    from ..base import files
    from ..data.logs import read_data
    from ..experiments.adapt import adapt as learn
    from ..format import container
    from ..report import scores_text

    files.check_output(output, network, data, test, checkpoint, calib)
    content, model = container.read_file(network)
    examples = read_data(data, data_options, model.readout)
    later = None if test is None else read_data(test, data_options, model.readout)
    if output.suffix == MODEL:
        if later is None or checkpoint is None or calib is None or start is not None:
            raise UlnnError(
                f"-o {output} is a model: expected --from, --calib and --test, recordings of "
                "another session, and no --start"
            )
        everybody = read_data(calib, data_options, model.readout)
        _fine_tune(content, checkpoint, everybody, examples, later, output, as_json)
        return
    if checkpoint is not None or calib is not None:
        raise UlnnError(f"-o {output}: --from and --calib are for a model, expected {MODEL}")
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


def _fine_tune(
    content: bytes,
    checkpoint: Path,
    calibration: Sequences,
    examples: Sequences,
    later: Sequences,
    output: Path,
    as_json: bool,
) -> None:
    from ..experiments.personal import personal
    from ..importers.checkpoint import read_checkpoint
    from ..report import scores_text

    network = read_checkpoint(checkpoint).network
    found = personal(content, network, calibration, examples, later, quiet=as_json)
    found.save(output)
    if as_json:
        print(json.dumps(found.to_dict() | {"file": str(output)}, indent=2))
        return
    scores_text.figures({"factory": found.before, "fine-tuned": found.after}).show(out)
    if found.kept:
        out.print("kept: these recordings chose it, so expect a little less on others")
    else:
        out.print("back to the start: the other session was decided worse")
    out.print(f"written: {output}", soft_wrap=True)
