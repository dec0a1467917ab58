"""The command `ulnn`: one file of this folder for each of its commands."""

from __future__ import annotations

from typing import Annotated

import typer

from ..base import console
from ..base.version import __version__
from .adapt import adapt
from .bench import bench
from .boards import boards
from .collect import collect
from .compare import compare
from .convert import convert
from .data import data
from .deploy import deploy
from .doctor import doctor
from .export import export
from .fleet import fleet
from .info import info
from .live import live
from .maintain import maintain
from .mask import mask, new_key
from .options import out
from .ports import ports
from .record import record
from .run import run
from .score import score
from .train import train
from .tune import tune
from .validate import validate

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train liquid networks, convert them to integers, run and prove them on boards. "
    "Errors are one line; --debug anywhere shows the traceback.",
)
for command in (
    record, data, mask, new_key, train, tune, compare, maintain, convert, score, adapt, export,
    info, run, deploy, live, validate, bench, ports, doctor, collect, fleet,
):  # fmt: skip
    app.command()(command)
app.add_typer(boards, name="boards")


def _version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """The options of `ulnn` itself."""


@app.command()
def version() -> None:
    """Print the version of ulnn.

    Example: ulnn version
    """
    out.print(__version__, highlight=False)


def main() -> None:
    """Entry point of the command `ulnn`."""
    console.run(app, "ulnn")
