"""Fixtures for tests that run on the virtual boards; import them where they are needed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mpremote.transport_serial import SerialTransport

from ulnn_host.board.virtual import BOARDS, VirtualBoard
from ulnn_host.toolchain.bytecode import find_mpy_cross
from ulnn_host.toolchain.micropython_source import find_micropython, mpy_abi

NATMOD = Path(__file__).parent / "board_natmod"


def need_tools(name: str) -> None:
    """Skips the test when the board's compiler or QEMU is not installed."""
    kind = BOARDS[name]
    missing = [tool for tool in (kind.compiler, kind.qemu) if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {' and '.join(missing)}: install {kind.debian_packages}")


@pytest.fixture(scope="session", params=sorted(BOARDS))
def board_name(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    need_tools(name)
    return name


@pytest.fixture(scope="session")
def shared_board(board_name: str) -> Iterator[VirtualBoard]:
    with VirtualBoard(board_name) as board:
        yield board


@pytest.fixture
def board(shared_board: VirtualBoard) -> VirtualBoard:
    """A running board of each kind, with an empty disk and nothing imported."""
    with Repl(shared_board.port) as repl:
        repl.exec(
            "import os\n"
            "def clear(d):\n"
            " for e in list(os.ilistdir(d)):\n"
            "  p = d + '/' + e[0]\n"
            "  if e[1] == 0x4000: clear(p); os.rmdir(p)\n"
            "  else: os.remove(p)\n"
            "clear('')"
        )
    return shared_board


class Repl:
    """A board's raw REPL, after a soft reset unless told otherwise."""

    def __init__(self, port: str, *, soft_reset: bool = True) -> None:
        self.link = SerialTransport(port)
        self.link.enter_raw_repl(soft_reset=soft_reset)

    def __enter__(self) -> Repl:
        return self

    def __exit__(self, *_: object) -> None:
        self.link.exit_raw_repl()
        self.link.close()

    def exec(self, code: str) -> str:
        """What the code prints; raises mpremote's TransportError if it raises."""
        return bytes(self.link.exec(code)).decode().replace("\r\n", "\n")


def mpremote(port: str, *words: str) -> str:
    """Runs stock mpremote and returns its stdout."""
    command = [sys.executable, "-m", "mpremote", "connect", port, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def build_natmod(arch: str, folder: Path) -> Path:
    """The probe natmod for an architecture, built into a folder of its own."""
    shutil.copytree(NATMOD, folder, dirs_exist_ok=True)
    tree = find_micropython()
    command = [
        *("make", "-s", "-C", str(folder), f"ARCH={arch}", f"MPY_DIR={tree}"),
        *(f"PYTHON={sys.executable}", f"MPY_CROSS={find_mpy_cross(mpy_abi(tree))}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "probe.mpy"
