"""`ulnn ports`: what is plugged in."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from .options import Json, out


def ports(
    ask: Annotated[
        bool, typer.Option("--ask/--no-ask", help="interrupt what runs there, and ask what it is")
    ] = True,
    as_json: Json = False,
) -> None:
    """List the serial ports of this PC, and what answers on them.

    Asking sends Ctrl-C to each USB port, which stops a program that runs on a board.

    Example: ulnn ports
    """
    from ..board.discover import serial_ports

    found = serial_ports(ask=ask)
    if as_json:
        print(json.dumps([asdict(port) for port in found], indent=2))
        return
    if not found:
        out.print("no serial port here; virtual boards need none: --port virtual:cortex-m7")
        return
    table = Table("port", "usb", "what it is", box=None, pad_edge=False)
    for port in found:
        what = port.answer or port.problem or port.description
        answer = Text(what, "green" if port.answer else "")
        table.add_row(port.device, port.usb, answer)
    out.print(table)
