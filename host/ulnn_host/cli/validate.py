"""`ulnn validate`: the proof over the serial line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..data.options import DataOptions
from .data_options import with_data_options
from .options import Baud, DataPath, ModelPath, Wait, notice, out


@with_data_options
def validate(
    model: ModelPath,
    data: DataPath,
    port: Annotated[
        str, typer.Option(help="serial port, auto, virtual:cortex-m7 or virtual:rv32")
    ],
    json_path: Annotated[Path | None, typer.Option("--json", help="write a JSON report")] = None,
    html_path: Annotated[Path | None, typer.Option("--html", help="write an HTML report")] = None,
    to: Annotated[str | None, typer.Option(help="path of the model on the board")] = None,
    no_deploy: Annotated[
        bool, typer.Option("--no-deploy", help="fail when the model is not on the board")
    ] = False,
    window: Annotated[
        int, typer.Option(help="bytes the board's port can hold; 0: what the board offers")
    ] = 0,
    baud: Baud = 115200,
    wait: Wait = 10,
    inject_faults: Annotated[
        str | None,
        typer.Option(
            help="damage the line on purpose: RATE or RATE:KIND, such as 1e-3:flip (drop, "
            "duplicate, insert, swap, burst, mix)"
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="JSON report of a run that broke off, to go on with")
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="seconds for loading the model on the board", min=1)
    ] = 60,
    data_options: DataOptions = DataOptions(),  # noqa: B008, it is frozen
) -> None:
    """Stream data through the model on a board; compare every output with the reference.

    Deploys what is missing first. Exit status 0 only when every output is equal bit for bit. When
    the board goes away and does not come back, the JSON report (without --json: NAME.broken.json)
    holds what came, and --resume goes on with it.

    Example: ulnn validate watch.ulnn test.npz --port /dev/ttyACM0 --html report.html
    """
    from .. import api
    from ..base import files
    from ..base.errors import BrokenOff, UlnnError
    from ..report import board_show

    if html_path:
        from ..report.page import validation_page
    for path in filter(None, (json_path, html_path)):
        files.check_output(path, model, data)
    broken: BrokenOff | None = None
    try:
        report = api.validate(
            model,
            data,
            port,
            options=data_options,
            to=to,
            may_deploy=not no_deploy,
            window=window,
            baudrate=baud,
            wait=wait,
            faults=inject_faults,
            resume=resume,
            timeout=timeout,
            notice=notice,
            deployed=lambda done: board_show.show_deployment(done, out),
        )
    except BrokenOff as error:
        report, broken = error.report, error
        json_path = json_path or Path(f"{model.stem}.broken.json")
    board_show.show_validation(report, out)
    if json_path:
        files.write_json(json_path, report.to_json())
    if html_path:
        validation_page(report).write(html_path)
    if broken:
        raise UlnnError(f"{broken}; go on with --resume {json_path}")
    if not report.equal:
        raise typer.Exit(1)
