"""ulnn_host.board.link against good boards, bad ports, busy programs and pulled plugs."""

from __future__ import annotations

import contextlib
import errno
import os
import pty
import tty
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import serial

from support.paths import FIRMWARE
from support.pty_board import FAKE_ULNN, PtyBoard
from support.unix import needs_micropython
from ulnn_host.base.errors import UlnnError
from ulnn_host.board import link as link_module
from ulnn_host.board.link import Board, BoardError
from ulnn_host.board.stream import Session

MODULES = {"ulnn.py": FAKE_ULNN, "ulnn_stream.py": (FIRMWARE / "ulnn_stream.py").read_text()}


@pytest.fixture
def board(tmp_path: Path) -> Iterator[PtyBoard]:
    (tmp_path / "m.ulnn").write_text("6 7 8")
    with PtyBoard(tmp_path, modules=MODULES) as running:
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "INTERRUPT_SECONDS", 0.3)
    monkeypatch.setattr(link_module, "PROMPT_SECONDS", 0.5)


def refused(port: str) -> str:
    with pytest.raises(UlnnError) as caught, Board.open(port):
        pass
    text = str(caught.value)
    assert "\n" not in text
    assert port in text
    return text


# ---- ports --------------------------------------------------------------------------------------


def test_port_that_is_not_there() -> None:
    assert "there is no such port; ports here:" in refused("/dev/ttyNONE7")


def test_file_that_is_no_port(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    assert "not a serial port" in refused(str(path))


def test_port_that_is_not_permitted() -> None:
    error = OSError(errno.EACCES, "Permission denied")
    assert "sudo usermod -aG" in link_module._reason("/dev/null", error)


def test_port_in_use(board: PtyBoard) -> None:
    with serial.Serial(board.port, exclusive=True):
        assert "in use by another program" in refused(board.port)


def test_port_with_nobody_behind_it(impatient: None) -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    assert "no answer at all" in refused(os.ttyname(slave))
    os.close(master)
    os.close(slave)


# ---- the REPL -----------------------------------------------------------------------------------


@needs_micropython
def test_code_and_values(board: PtyBoard) -> None:
    with Board.open(board.port) as link:
        assert link.exec("print('a')\nprint('b')") == "a\nb\n"
        assert link.eval("{'x': (1, None, b'\\x03')}") == {"x": (1, None, b"\x03")}
        with pytest.raises(BoardError, match="the board says: ValueError: no") as caught:
            link.exec("raise ValueError('no')")
        assert caught.value.kind == "ValueError"
        assert "Traceback" in caught.value.remote
        with pytest.raises(UlnnError, match=r"the board printed .*class 'int'.* for int"):
            link.eval("int")
        assert link.eval("1") == 1


def start(board: PtyBoard, program: str) -> None:
    with Board.open(board.port) as link:
        link._transport.exec_raw_no_follow(program)
        link._close = lambda: link._transport.close()  # type: ignore[method-assign]


@needs_micropython
def test_program_that_needs_several_interrupts(board: PtyBoard) -> None:
    start(
        board,
        "import time\nfor _ in range(4):\n try:\n  time.sleep(9)\n"
        " except KeyboardInterrupt:\n  print('no')\n",
    )
    with Board.open(board.port) as link:
        assert link.eval("1 + 1") == 2


@needs_micropython
def test_program_that_cannot_be_interrupted(board: PtyBoard, impatient: None) -> None:
    start(
        board,
        "import micropython, time\nmicropython.kbd_intr(-1)\n"
        "while True:\n print('busy', 7)\n time.sleep_ms(50)\n",
    )
    text = refused(board.port)
    assert "keeps the REPL busy and ignores Ctrl-C (last seen: 'busy 7')" in text


@needs_micropython
def test_raw_repl_left_behind_by_another_tool(board: PtyBoard) -> None:
    with serial.Serial(board.port, timeout=1) as port:
        port.write(b"\r\x01")
        port.read_until(b"CTRL-B to exit\r\n>")
        port.write(b"half a line")
    with Board.open(board.port) as link:
        assert link.eval("1 + 1") == 2


# ---- files --------------------------------------------------------------------------------------


@needs_micropython
def test_files(board: PtyBoard) -> None:
    data = bytes(range(256)) * 9 + b"end"
    sent: list[int] = []
    with Board.open(board.port) as link:
        link.make_folders("a/b/c.bin")
        link.write_file("a/b/c.bin", b"old")
        link.write_file("a/b/c.bin", data, sent.append)
        assert link.read_file("a/b/c.bin") == data
        assert link.sha256("missing") is None
        with pytest.raises(BoardError, match="OSError"):
            link.write_file("nowhere/x", b"1")
    assert sum(sent) == len(data)
    assert sorted(p.name for p in (board.folder / "a/b").iterdir()) == ["c.bin"]


@needs_micropython
def test_file_that_arrives_changed_is_not_kept(
    board: PtyBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    (board.folder / "x").write_bytes(b"old")
    monkeypatch.setattr(Board, "sha256", lambda self, path: "0" * 64)
    with (
        Board.open(board.port) as link,
        pytest.raises(UlnnError, match=r"x\.tmp differs from what was sent"),
    ):
        link.write_file("x", b"new")
    assert (board.folder / "x").read_bytes() == b"old"
    assert not (board.folder / "x.tmp").exists()


# ---- pulled plugs -------------------------------------------------------------------------------


@needs_micropython
def test_unplugged_while_streaming(board: PtyBoard) -> None:
    def pull(_: int) -> None:
        board.unplug()

    with (
        pytest.raises(UlnnError, match="is the board still plugged in"),
        Board.open(board.port) as link,
        link.stream("m.ulnn") as session,
    ):
        session.run(np.zeros((100000, 6)), np.ones(100000), pull)


@needs_micropython
def test_unplugged_while_writing(board: PtyBoard) -> None:
    with pytest.raises(UlnnError) as caught, Board.open(board.port) as link:
        link.write_file("big", bytes(50000), lambda _: board.unplug())
    assert "plugged in" in str(caught.value)
    assert not (board.folder / "big").exists()


@needs_micropython
def test_board_that_falls_silent(
    board: PtyBoard, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "_patience", lambda self, n: 0.05)
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.raises(UlnnError, match="the board stopped answering"))
        link = stack.enter_context(Board.open(board.port))
        session = stack.enter_context(link.stream("m.ulnn"))
        board.to_host = lambda data: b""
        session.run(np.zeros((50, 6)), np.ones(50))


@needs_micropython
def test_loop_that_cannot_start(board: PtyBoard) -> None:
    with Board.open(board.port) as link:
        with (
            pytest.raises(UlnnError, match="the loop on the board ended: OSError"),
            link.stream("missing.ulnn"),
        ):
            pass
        (board.lib / "ulnn_stream.py").unlink()
        link.exec("import sys\nsys.modules.pop('ulnn_stream', None)")
        with (
            pytest.raises(UlnnError, match="ended: ImportError: no module named 'ulnn_stream'"),
            link.stream("m.ulnn"),
        ):
            pass
        assert link.eval("1 + 1") == 2
