"""`ulnn fleet`: what the events of a fleet say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..base.errors import UlnnError
from .options import Json, out


def fleet(
    folders: Annotated[list[str], typer.Argument(help="folders of events (ulnn collect)")],
    since: Annotated[str, typer.Option(help="first day, such as 2026-11-26")] = "",
    silent: Annotated[
        float, typer.Option(help="hours after which a device counts as silent")
    ] = 24.0,
    model: Annotated[
        Path | None, typer.Option(help="model file (.ulnn) of the devices, with --calib")
    ] = None,
    calib: Annotated[
        Path | None, typer.Option(help="data that it was calibrated with: drift is against them")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="page to write (.html)")] = None,
    as_json: Json = False,
) -> None:
    """Show the devices of a fleet: when they were last heard of, what they decided, what they
    missed, and how far their inputs have moved.

    Example: ulnn fleet events/ --html fleet.html
    """
    from ..base import files
    from ..base.extras import need
    from ..fleet.overview import overview

    need("pyarrow", "ulnn fleet")
    from ..data import events

    if (model is None) != (calib is None):
        raise UlnnError("--model and --calib belong together: say both")
    if html:
        need("matplotlib", "ulnn fleet --html")
        files.check_output(html)
    reference = None
    if model and calib:
        from ..report.fleet_reference import reference_of

        reference = reference_of(model, calib)
    made = overview(events.read(folders, since), reference, whole=not since)
    if html:
        from ..report.fleet_page import fleet_page

        fleet_page(made, folders, silent).write(html)
    if as_json:
        print(json.dumps(made.to_dict(), indent=2))
        return
    from ..report.fleet_text import show

    show(made, silent, out)
    if html:
        out.print(f"page: {html}", highlight=False)
