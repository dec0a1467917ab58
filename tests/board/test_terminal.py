"""What can follow a deployment: the board's output, or its REPL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from support.board_tools import need_tools
from support.pty_board import PtyBoard
from support.unix import needs_micropython
from ulnn_host.base.errors import UlnnError
from ulnn_host.board import terminal
from ulnn_host.board.link import Board

MAIN = "import time\nprint('main', 'begins')\nwhile True:\n time.sleep(0.05)\n print('tick')\n"


@pytest.mark.board
def test_tail_shows_what_main_prints_and_leaves_it_running() -> None:
    need_tools("rv32")
    with Board.open("virtual:rv32") as link:
        link.exec(f"with open('/main.py', 'w') as f:\n f.write({MAIN!r})")
        shown: list[str] = []

        def show(text: str) -> None:
            shown.append(text)
            if "".join(shown).count("tick") > 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            terminal.tail(link, show)
        assert "main begins\ntick\n" in "".join(shown)
        link.let_go()  # what closing does; nothing is typed into the program
        while b"tick" not in link.line.read():
            pass


def test_ends_of_lines_that_come_in_two_parts_are_one() -> None:
    parts = [b"main\r", b"\ntick\r\n50 %\r", b"60 %\r\n\xc3", b"\xbc\r\n"]

    def read() -> bytes:
        if not parts:
            raise KeyboardInterrupt
        return parts.pop(0)

    line = SimpleNamespace(read=read, write=lambda data: None)
    shown: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        terminal.tail(cast(Board, SimpleNamespace(let_go=lambda: None, line=line)), shown.append)
    assert "".join(shown) == "main\ntick\n50 %\r60 %\n\u00fc\n"


@needs_micropython
def test_repl_hands_the_port_to_mpremote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def run(command: list[str], **_: Any) -> None:
        started.append(command)
        with Board.open(command[4]):  # the port is free
            pass

    with PtyBoard(tmp_path / "board") as pty:
        with Board.open(pty.port) as link, pytest.raises(UlnnError, match="this is no terminal"):
            terminal.follow(link, "repl")
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        monkeypatch.setattr(subprocess, "run", run)
        with Board.open(pty.port) as link:
            terminal.follow(link, "repl")
        assert started == [
            [sys.executable, "-m", "mpremote", "connect", pty.port, "resume", "repl"]
        ]
