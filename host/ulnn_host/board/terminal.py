"""After a deployment: the board's output, or its REPL, for a person to look at."""

from __future__ import annotations

import codecs
import contextlib
import subprocess
import sys
from collections.abc import Callable

from ..base.errors import UlnnError
from .link import Board

THEN = ("", "tail", "repl")


def follow(board: Board, then: str) -> None:
    """Do one of THEN. Raises UlnnError."""
    if then == "tail":
        with contextlib.suppress(KeyboardInterrupt):
            tail(board)
    elif then == "repl":
        terminal(board)


def tail(board: Board, show: Callable[[str], object] = sys.stdout.write) -> None:
    """Start main.py as after a reset, and show what the board prints; it goes on afterwards.

    Ends with KeyboardInterrupt, or LineLost when the port goes away.
    """
    board.let_go()
    board.line.write(b"\x04")
    decoder, held = codecs.getincrementaldecoder("utf-8")("replace"), ""
    while True:
        if data := board.line.read():
            text = held + decoder.decode(data)
            held = "\r" if text.endswith("\r") else ""  # a line feed may come next
            show(text.removesuffix(held).replace("\r\n", "\n"))
            sys.stdout.flush()


def terminal(board: Board) -> None:
    """Hand the port to the terminal of mpremote, until the person leaves it with Ctrl-]."""
    if not sys.stdin.isatty():
        raise UlnnError("--repl: this is no terminal; run it in one, or take --tail")
    board.let_go()
    board.line.close()
    subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", board.line.path, "resume", "repl"],
        check=False,
    )
