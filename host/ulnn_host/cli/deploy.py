"""`ulnn deploy`: a model, the engine and the serial loop onto a board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..base.console import Terminal
from .options import Baud, Json


def deploy(
    port: Annotated[
        str, typer.Option(help="serial port, auto, virtual:cortex-m7 or virtual:rv32")
    ],
    model: Annotated[Path | None, typer.Argument(help="model file (.ulnn)")] = None,
    to: Annotated[
        str | None, typer.Option(help="path on the board; default: models/NAME.ulnn beside lib")
    ] = None,
    app: Annotated[
        Path | None,
        typer.Option(help="settings (JSON) of an app that starts with the board, with its source"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done")] = False,
    pure: Annotated[bool, typer.Option("--pure", help="use the engine in Python")] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="go back to the version before, without a model")
    ] = False,
    list_versions: Annotated[
        bool, typer.Option("--list", help="list the versions on the board, without a model")
    ] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="remove all that was deployed, without a model")
    ] = False,
    repl: Annotated[bool, typer.Option("--repl", help="open the board's REPL afterwards")] = False,
    tail: Annotated[
        bool, typer.Option("--tail", help="start main.py afterwards, show its output until Ctrl-C")
    ] = False,
    baud: Baud = 115200,
    as_json: Json = False,
) -> None:
    """Put a model, the engine and the serial loop on a board, and run the model's self test there.

    What the board runs stays whole beside it: a power cut leaves the old version or the new one,
    and when the self test fails the old one comes back by itself.

    Exit status: 0 done, 1 link or other error, 2 usage, 3 no filesystem to write to, 4 no space,
    5 does not work on the board. --debug shows tracebacks.

    Example: ulnn deploy watch.ulnn --port /dev/ttyACM0 --app settings.json --tail

    Example: ulnn deploy --rollback --port auto
    """
    from .. import api
    from ..report import board_show

    console = Terminal(quiet=as_json)
    wanted = {"--rollback": rollback, "--list": list_versions, "--remove": remove}
    chosen = [name for name, on in wanted.items() if on]
    if (model is not None) + len(chosen) != 1:
        raise typer.BadParameter(
            "expected a model file, or one of --rollback, --list and --remove"
        )
    if app is not None and model is None:
        raise typer.BadParameter("--app: expected a model file, too")
    if repl + tail + as_json + dry_run > 1 and (repl or tail):
        raise typer.BadParameter("--repl or --tail: one of them, without --json and --dry-run")
    if model is not None:
        report = api.deploy(
            api.load(model),
            port,
            to=to,
            app=app,
            dry_run=dry_run,
            pure=pure,
            baudrate=baud,
            quiet=as_json,
            planned=lambda plan: board_show.show_plan(plan, console),
            done=lambda done: board_show.show_deployment(done, console),
            then="repl" if repl else "tail" if tail else "",
        )
        content: Any = report.to_json()
    elif rollback:
        back = api.deployed(port, baudrate=baud).rollback()
        board_show.show_rollback(back, console)
        content = back.to_json()
    elif list_versions:
        found = api.deployed(port, baudrate=baud).versions()
        board_show.show_versions(found, console)
        content = [listed.to_json() for listed in found]
    else:
        content = api.deployed(port, baudrate=baud).remove()
        console.print(f"removed {len(content)} files")
    if as_json:
        print(json.dumps(content, indent=2))
