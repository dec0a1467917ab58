"""`ulnn doctor`: what works here, and the line that mends what does not."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from .options import Json, out


def doctor(
    port: Annotated[
        str | None, typer.Option(help="also try the board at this port (auto, virtual:...)")
    ] = None,
    as_json: Json = False,
) -> None:
    """Try each thing that the commands need on this PC, and on a board.

    Nothing is installed or changed. A thing that is missing concerns the commands beside it alone.
    Exit status 1 when the board does not work.

    Example: ulnn doctor --port auto
    """
    from ..board.doctor import examine

    found = []
    for finding in examine(port):
        found.append(finding)
        if as_json:
            continue
        mark = "[green]works[/]  " if finding.good else "[red]missing[/]"
        text = finding.result if finding.good else finding.problem
        out.print(
            f"{mark} {finding.thing:21} {escape(text)}  [dim]({escape(finding.needed_for)})[/]",
            highlight=False,
        )
        if not finding.good:
            out.print(f"        {escape(finding.mend)}", style="yellow", highlight=False)
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], indent=2))
    if any(finding.thing == "board" and not finding.good for finding in found):
        raise typer.Exit(1)
