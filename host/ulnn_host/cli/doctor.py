"""`ulnn doctor`: what works here, and the line that mends what does not."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

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
        mark = ("works  ", "green") if finding.good else ("missing", "red")
        text = finding.result if finding.good else finding.problem
        needed = (f"({finding.needed_for})", "dim")
        out.print(Text.assemble(mark, f" {finding.thing:21} {text}  ", needed))
        if not finding.good:
            out.print(f"        {finding.mend}", style="yellow", highlight=False)
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], indent=2))
    if any(finding.thing == "board" and not finding.good for finding in found):
        raise typer.Exit(1)
