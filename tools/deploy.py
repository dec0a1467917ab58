#!/usr/bin/env python3
"""Deploy a model to a board over its serial port. All of the work is in ulnn_host.board.deploy."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv" / "bin" / "python"

try:
    import typer

    from ulnn_host.base import console
    from ulnn_host.board import deploy
except ImportError as error:
    # Started with another Python: the one that `make setup` made has all that is needed.
    if VENV.exists() and not os.environ.get("ULNN_IN_VENV"):
        os.environ["ULNN_IN_VENV"] = "1"
        os.execv(VENV, [str(VENV), *sys.argv])
    sys.exit(f"error: {error}; expected the packages of ulnn; run: make setup")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    model: Annotated[Path, typer.Argument(help="model file (.ulnn)")],
    port: Annotated[str, typer.Option(help="serial port, or virtual:cortex-m7, virtual:rv32")],
    to: Annotated[
        str | None, typer.Option(help="path on the board; default: models/NAME.ulnn beside lib")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done")] = False,
    pure: Annotated[bool, typer.Option("--pure", help="use the engine in Python")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Put a model, the engine and the serial loop on a board, and run the model's self test there.

    Exit status: 0 done, 1 link or other error, 2 usage, 3 no filesystem, 4 no space, 5 does not
    work on the board. --debug shows tracebacks.

    Example: tools/deploy.py --port /dev/ttyACM0 watch.ulnn
    """
    report = deploy.deploy_command(port, model, to=to, dry_run=dry_run, pure=pure, as_json=as_json)
    if as_json:
        print(json.dumps(report.to_json(), indent=2))


if __name__ == "__main__":
    console.run(app, "deploy.py")
