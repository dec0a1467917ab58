"""`ulnn deploy`: a model, the engine and the serial loop onto a board."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..base.console import Terminal
from .options import Json, ModelPath


def deploy(
    model: ModelPath,
    port: Annotated[
        str, typer.Option(help="serial port, auto, virtual:cortex-m7 or virtual:rv32")
    ],
    to: Annotated[
        str | None, typer.Option(help="path on the board; default: models/NAME.ulnn beside lib")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done")] = False,
    pure: Annotated[bool, typer.Option("--pure", help="use the engine in Python")] = False,
    as_json: Json = False,
) -> None:
    """Put a model, the engine and the serial loop on a board, and run the model's self test there.

    Exit status: 0 done, 1 link or other error, 2 usage, 3 no filesystem, 4 no space, 5 does not
    work on the board. --debug shows tracebacks.

    Example: ulnn deploy watch.ulnn --port /dev/ttyACM0
    """
    from .. import api
    from ..report import board_show

    console = Terminal(quiet=as_json)
    report = api.deploy(
        api.load(model),
        port,
        to=to,
        dry_run=dry_run,
        pure=pure,
        quiet=as_json,
        planned=lambda plan: board_show.show_plan(plan, console),
    )
    board_show.show_deployment(report, console)
    if as_json:
        print(json.dumps(report.to_json(), indent=2))
