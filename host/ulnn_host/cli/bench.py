"""`ulnn bench`: how long steps take on a board."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import out


def bench(
    port: Annotated[
        str, typer.Option(help="serial port, auto, virtual:cortex-m7 or virtual:rv32")
    ],
) -> None:
    """Time the steps of networks of several sizes on a board, in microseconds.

    A board that has a cycle counter (DWT, CCOUNT) gives CPU cycles, too.

    Example: ulnn bench --port /dev/ttyACM0
    """
    from ..board.bench import board_table
    from ..board.discover import resolve

    out.print(board_table(resolve(port)), highlight=False)
