"""ulnn_host.board.link against good boards, bad ports, busy programs and pulled plugs."""

from __future__ import annotations

import ast
import contextlib
import errno
import os
import pty
import time
import tty
from pathlib import Path

import numpy as np
import pytest
import serial

from support.pty_board import FAKE_MODULES, FAKE_ULNN, PtyBoard
from support.unix import needs_micropython
from ulnn_host.base.errors import UlnnError
from ulnn_host.board import exchange, repl, stream
from ulnn_host.board.diagnosis import unknown_port
from ulnn_host.board.faults import Faults
from ulnn_host.board.line import reason
from ulnn_host.board.link import Board, BoardError


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repl, "INTERRUPT_SECONDS", 0.3)
    monkeypatch.setattr(repl, "PROMPT_SECONDS", 0.5)


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
    assert "sudo usermod -aG" in reason("/dev/null", error)


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
        link.repl.start(program)
        link.line.read_until(time.monotonic() + 0.5)
        link.repl.leave = lambda: None  # type: ignore[method-assign]


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
    assert "gives no REPL (last seen: 'busy 7')" in text
    assert "a program that ignores Ctrl-C; reset the board, or remove its main.py" in text


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


PAIRS = b"".join(bytes((a, b)) for a in range(256) for b in b"\x00\x05\n'\\07A\xff")


def test_bytes_as_the_source_of_a_program() -> None:
    """8 bits a byte, and no byte that ends a line or that the REPL acts on."""
    source = repl.literal(PAIRS)
    assert not set(source) & {0, 1, 2, 3, 4, 5, 10, 13}
    text = ast.literal_eval(source[1:].decode("latin1"))
    assert text.encode("latin1") == PAIRS
    assert len(repl.literal(bytes(range(6, 256)))) == 250 + 4 + 3


@needs_micropython
def test_a_file_of_every_byte_before_every_other(board: PtyBoard) -> None:
    with Board.open(board.port) as link:
        link.write_file("every", PAIRS)
        assert link.read_file("every") == PAIRS


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


@needs_micropython
def test_a_helper_that_is_gone_before_a_file_is_closed(
    board: PtyBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What noise typed started the interpreter again: the file is written once more."""
    with Board.open(board.port) as link:
        write, seen = link.repl.write, []

        def write_and_forget(offset: int, data: bytes) -> int | None:
            count = write(offset, data)
            seen.append(offset)
            link.repl._helper = len(seen) != 2
            return count

        monkeypatch.setattr(link.repl, "write", write_and_forget)
        link.write_file("x.bin", b"a" * 2000)
    assert (board.folder / "x.bin").read_bytes() == b"a" * 2000
    assert seen == [0, 1024, 0, 1024]


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
    monkeypatch.setattr(exchange, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(stream, "RESTART_SECONDS", 0.5)
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.raises(UlnnError, match="no answer at all"))
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
            pytest.raises(UlnnError, match="says: ImportError: no module named 'ulnn_stream'"),
            link.stream("m.ulnn"),
        ):
            pass
        assert link.eval("1 + 1") == 2


@needs_micropython
def test_loop_without_memory(tmp_path: Path) -> None:
    (tmp_path / "m.ulnn").write_text("6 7 8")
    short = FAKE_ULNN.replace("self.reset()", "self.reset(); self.hold = bytearray(90000)", 1)
    with (
        PtyBoard(tmp_path, modules={**FAKE_MODULES, "ulnn.py": short}, heap="128k") as board,
        Board.open(board.port) as link,
        pytest.raises(
            UlnnError, match=r"MemoryError: .*90\d\d\d.*for the model; \d+ bytes are free"
        ),
        link.stream("m.ulnn"),
    ):
        pass


@needs_micropython
def test_an_old_board_is_told_to_deploy_again(board: PtyBoard) -> None:
    (board.lib / "ulnn_stream.py").write_text("MAJOR = 1\nMINOR = 0\n")
    with (
        Board.open(board.port) as link,
        pytest.raises(UlnnError, match=r"speaks version 1\.0 of the protocol, .* deploy again"),
        link.stream("m.ulnn"),
    ):
        pass


# ---- lines that do damage -----------------------------------------------------------------------


@needs_micropython
@pytest.mark.parametrize(("rate", "kind"), [(1e-3, "mix"), (5e-3, "mix"), (1e-3, "burst")])
def test_commands_and_files_over_a_bad_line(board: PtyBoard, rate: float, kind: str) -> None:
    data = bytes(range(256)) * 12
    faults = Faults(rate, kind, seed=3)
    code = "n = 0\ndef add(k):\n global n\n n += k\n return n\n" + "# a long one\n" * 20
    with Board.open(board.port, faults=faults) as link:
        for k in range(3):
            assert link.eval("add(7)", setup=code) == 7, k
        link.write_file("x.bin", data)
        assert link.read_file("x.bin") == data
        with pytest.raises(BoardError, match="ZeroDivisionError"):
            link.exec("1 / 0")
    assert (board.folder / "x.bin").read_bytes() == data
    assert faults.count > 3


@needs_micropython
@pytest.mark.parametrize("name", ["print", "_u"])
def test_a_name_that_damage_made_another_thing(board: PtyBoard, name: str) -> None:
    """`print(0, x)` that arrives as `print=(0, x)` hides the function for all later commands."""
    changed: list[bytes] = []
    call = name.encode() + b"("

    def change(data: bytes) -> bytes:
        if call in data and not changed:
            changed.append(data)
            return data.replace(call, name.encode() + b"=(", 1)
        return data

    board.to_board = change
    with Board.open(board.port) as link:
        assert link.eval("1 + 1") == 2
    assert changed


@needs_micropython
def test_a_command_is_carried_out_once(board: PtyBoard) -> None:
    """Its answer is lost, and it is sent again; the kept answer comes, nothing is done twice."""
    lost: list[bytes] = []

    def lose(data: bytes) -> bytes:
        if b"~" in data and b"'3" in data and len(lost) < 2:
            lost.append(data)
            return b""
        return data

    with Board.open(board.port) as link:
        link.exec("count = 2")
        board.to_host = lose
        assert link.exec("count += 1\nprint(count)") == "3\n"
        board.to_host = bytes
        assert link.eval("count") == 3
    assert len(lost) == 2
    assert link.repl.repeats >= 2


@needs_micropython
def test_damaged_programs_are_not_run(board: PtyBoard) -> None:
    """A byte of a file's name is changed on the way: no other file is touched."""
    (board.folder / "keep1").write_text("1")
    changed: list[bytes] = []

    def change(data: bytes) -> bytes:
        if b"keep2" in data and not changed:
            changed.append(data)
            return data.replace(b"keep2", b"keep1")
        return data

    board.to_board = change
    with Board.open(board.port) as link:
        link.exec("import os\nopen('keep2', 'w').close()\nos.remove('keep2')")
    assert changed
    assert (board.folder / "keep1").exists()


@needs_micropython
def test_nothing_is_left_in_the_interpreter(board: PtyBoard) -> None:
    with Board.open(board.port) as link:
        link.exec("left = 1\nimport sys")
    with serial.Serial(board.port, timeout=2) as port:
        port.write(b"\r\x01print(sorted(n for n in dir() if n[:2] != '__'))\x04")
        assert b"OK[]" in port.read_until(b"\x04\x04>")


def test_what_is_at_a_port() -> None:
    for heard, words in (
        (b"", "no answer at all"),
        (b"$GPGGA,123519,4807.038,N*47\r\n$GPRMC,1,A*6A\r\n", "a GPS receiver"),
        (b"\r\nnuc login: ^C^C\r\nnuc login: ", "asks for a login"),
        (b"\r\x03\x03\r\x02\r\x01\r\x02\r\x01", "sends back what it gets"),
        (b"t=21.4 h=40\r\nt=21.4 h=40\r\n" * 9, "other firmware than MicroPython (an Arduino?)"),
        (b"no\r\nTraceback (most recent call last):\r\nbusy\r\n", "ignores Ctrl-C"),
        (bytes(range(128, 255)), "baud rate may be wrong (--baud)"),
    ):
        assert words in unknown_port(heard)
