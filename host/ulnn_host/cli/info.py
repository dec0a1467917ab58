"""`ulnn info`: what is in a model file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..base.errors import one_line
from .options import Json, ModelPath, out


def info(
    model: ModelPath,
    as_json: Json = False,
    graph: Annotated[
        Path | None, typer.Option(help="draw neurons and synapses (.svg, .png or .pdf)")
    ] = None,
) -> None:
    """Say what is in a model file.

    Example: ulnn info watch.ulnn --graph watch.svg
    """
    from .. import api

    loaded = api.load(model)
    content = loaded.facts()
    if graph is not None:
        from ..base import files
        from ..report import graph as graphs
        from ..report import pictures

        pictures.check_picture(graph)
        files.check_output(graph, model)
        drawn = graphs.draw(graphs.of_model(loaded.file), model.stem)
        pictures.save(drawn, graph)
    if as_json:
        print(json.dumps(content, indent=2))
        return
    for title, rows in content.items():
        if not rows:
            continue
        table = Table(title=title, show_header=False, title_justify="left", title_style="bold")
        for key, value in rows.items():
            cells = (Text(one_line(str(cell)), overflow="fold") for cell in (key, value))
            table.add_row(*cells)
        out.print(table)
