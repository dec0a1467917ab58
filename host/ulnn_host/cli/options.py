"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..base.console import Terminal
from ..base.errors import UlnnError
from ..format.model import DIALECTS, MODES
from ..network.layers import ACTIVATIONS

out = Terminal()

ModelPath = Annotated[Path, typer.Argument(help="model file (.ulnn)")]
DATA = "data: a file (.npz, .csv, .parquet ...), a folder or a pattern"
DataPath = Annotated[Path, typer.Argument(help=DATA)]
CheckpointPath = Annotated[
    Path, typer.Argument(help="checkpoint (.safetensors, .pt, .npz, .keras or .weights.h5)")
]
ModeName = Annotated[str | None, typer.Option("--mode", help=", ".join(MODES))]
ActivationName = Annotated[
    str | None,
    typer.Option("--activation", help="of the backbone: " + ", ".join(ACTIVATIONS)),
]
OrderNames = Annotated[
    str | None,
    typer.Option(
        "--order",
        help="modules of the checkpoint from input to output, with the functions after them, "
        "such as rnn,relu,fc",
    ),
]
WeightsName = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help="which weights, where a checkpoint holds several, such as ema: their key, or the "
        "prefix of their names",
    ),
]
DialectName = Annotated[
    str | None,
    typer.Option(
        "--dialect",
        help=", ".join(DIALECTS.values()) + "; without it, the file or its names show it",
    ),
]


def notice(text: str) -> None:
    """Print a line about something that went on by itself."""
    out.print(text, style="yellow")


def names(text: str | None) -> list[str]:
    """The names in a list such as rnn,relu,fc."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def numbers(option: str, text: str) -> list[float]:
    """The numbers in a list such as 0,.3,.6. Raises UlnnError with the option's name."""
    try:
        return [float(word) for word in names(text)]
    except ValueError:
        raise UlnnError(f"{option} {text}: expected numbers, such as 0,.3,.6") from None


Baud = Annotated[int, typer.Option(help="baud rate of the port, where it has one")]
Wait = Annotated[float, typer.Option(help="seconds to wait for a board that was unplugged")]
Json = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]
Port = Annotated[
    str, typer.Option(help="serial port; auto; virtual:cortex-m7 or virtual:rv32, booted for this")
]
