#!/usr/bin/env python3
"""Deploy a model to a board over its serial port. The same as `ulnn deploy`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv" / "bin" / "python"

try:
    import typer

    from ulnn_host.base import console
    from ulnn_host.cli.deploy import deploy
except ImportError as error:
    # Started with another Python: the one that `make setup` made has all that is needed.
    if VENV.exists() and not os.environ.get("ULNN_IN_VENV"):
        os.environ["ULNN_IN_VENV"] = "1"
        os.execv(VENV, [str(VENV), *sys.argv])
    sys.exit(f"error: {error}; expected the packages of ulnn; run: make setup")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command()(deploy)

if __name__ == "__main__":
    console.run(app, "deploy.py")
