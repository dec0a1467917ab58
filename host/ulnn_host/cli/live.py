"""`ulnn live`: what an app on a board sees and decides."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Baud, Port, Wait, notice, out


def live(
    port: Port,
    settings: Annotated[
        Path | None,
        typer.Option(help="settings of the app (.json); else settings.json on the board"),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="how long; 0: until Ctrl-C, or the source ends", min=0)
    ] = 0,
    baud: Baud = 115200,
    wait: Wait = 10,
    as_json: Annotated[
        bool, typer.Option("--json", help="print a line of JSON for each decision")
    ] = False,
) -> None:
    """Follow an app on a board: its channels, the model's outputs and the decisions as they come.

    The model has to be on the board (`ulnn deploy`). Without a terminal, a line for each decision.

    Example: ulnn live --port /dev/ttyACM0
    """
    from .. import api
    from ..report.live_show import decision_line, show_live, watched

    with watched(out, quiet=as_json) as shown:

        def on_decision(decision: Any) -> None:
            if as_json:
                print(json.dumps(asdict(decision)), flush=True)
            elif not shown:
                print(decision_line(decision), flush=True)

        moment = api.live(
            port,
            settings=settings,
            seconds=seconds,
            baudrate=baud,
            wait=wait,
            on_decision=on_decision,
            progress=shown,
            notice=notice,
        )
    if not as_json:
        show_live(moment, out)
