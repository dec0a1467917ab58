"""`ulnn boards`: build, boot and list the virtual boards."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from ..base.errors import UlnnError

boards = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Virtual MicroPython boards in QEMU, for tests and for trying things out.",
)


@boards.command("list")
def list_boards() -> None:
    """Lists the boards.

    Example: ulnn boards list
    """
    from ..board.virtual import BOARDS

    for kind in BOARDS.values():
        machine = " ".join(kind.machine_args)
        print(f"{kind.name:10} natmods {kind.natmod_arch:10} like {kind.like:9} {machine}")


@boards.command()
def build(
    name: Annotated[str, typer.Argument(help="cortex-m7 or rv32")],
    variant: Annotated[str, typer.Option(help="'frozen': the C module compiled in")] = "",
    jobs: Annotated[int, typer.Option(help="compilers at once")] = 2,
) -> None:
    """Builds a board's firmware if anything changed, and prints the path of the ELF file.

    Example: ulnn boards build cortex-m7 --variant frozen
    """
    from ..board.virtual import build_firmware

    firmware = build_firmware(name, variant, jobs=jobs)
    print(firmware.elf)


@boards.command()
def run(
    address: Annotated[
        str, typer.Argument(help="cortex-m7, rv32+frozen, 'rv32?disk=64k&heap=64k', ...")
    ],
    qemu_arg: Annotated[
        list[str] | None, typer.Option(help="one more word for QEMU's command line")
    ] = None,
) -> None:
    """Boots a board, prints its port, and stays until Ctrl-C.

    Options after a question mark: disk and heap (sizes such as 64k, 1m), icount (N: 2**N ns of
    virtual time per instruction, deterministic), serial (a number for machine.unique_id()).

    Example: ulnn boards run "cortex-m7?disk=64k"
    """
    from ..board.virtual import board_at

    with board_at(address, qemu_args=tuple(qemu_arg or ())) as board:
        print(board.port, flush=True)
        try:
            while board.running:
                time.sleep(0.5)
        except KeyboardInterrupt:
            return
    raise UlnnError("QEMU ended by itself")
