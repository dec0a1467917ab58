"""`ulnn record`: a sensor on a board to a recording for training."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .options import Baud, Json, Port, Wait, notice, out


def record(
    port: Port,
    label: Annotated[str, typer.Option(help="what is recorded: the class, such as walking")] = "",
    group: Annotated[str, typer.Option(help="who or what it is of: a person, a machine")] = "",
    output: Annotated[
        Path, typer.Option("-o", "--output", help="folder of the takes; each gets a new number")
    ] = Path("takes"),
    source: Annotated[
        Path | None,
        typer.Option(help="settings of the source (.json); else those of the app on the board"),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="how long; 0: until Ctrl-C, or the source ends", min=0)
    ] = 0,
    kind: Annotated[str, typer.Option("--format", help="csv or parquet")] = "csv",
    baud: Baud = 115200,
    wait: Wait = 10,
    inject_faults: Annotated[
        str | None, typer.Option(help="damage the line on purpose: RATE or RATE:KIND")
    ] = None,
    as_json: Json = False,
) -> None:
    """Record what a sensor on a board gives: every sample with its time, in physical units.

    No model is needed; what the board lacks is put there. Beside each take a session file says
    what it is of, so that `ulnn data takes/` needs no options. Ctrl-C ends a take.

    Example: ulnn record --port auto --label walking --group p01 -o takes/ --seconds 60
    """
    from .. import api
    from ..base.progress import status
    from ..report.take_show import line, show_take

    with status() as shown:
        take = api.record(
            port,
            label=label,
            group=group,
            folder=output,
            source=source,
            seconds=seconds,
            kind=kind,
            baudrate=baud,
            wait=wait,
            faults=inject_faults,
            progress=lambda take: shown(line(take)),
            notice=notice,
        )
    if as_json:
        print(json.dumps({"take": str(take.path)} | asdict(take.session), indent=2))
        return
    show_take(take, out)
