"""What tests on boards share: tools, the REPL, files to deploy."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mpremote.transport_serial import SerialTransport

from support.paths import SUPPORT
from support.random_models import Shape, random_model, with_golden
from ulnn_host.board.virtual import BOARDS, VirtualBoard, resolve_port
from ulnn_host.toolchain.bytecode import find_mpy_cross
from ulnn_host.toolchain.micropython_source import find_micropython, mpy_abi

NATMOD = SUPPORT / "board_natmod"

# What the loop, the engine in Python and a model without more sections take.
RULE_NAMES = [
    *("__init__", "bands", "decider", "filters", "float64", "log2", "meaning", "readout"),
    *("scaling", "sections", "ticks"),
]


def need_tools(name: str) -> None:
    """Skips the test when the board's compiler or QEMU is not installed."""
    kind = BOARDS[name]
    missing = [tool for tool in (kind.compiler, kind.qemu) if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {' and '.join(missing)}: install {kind.debian_packages}")


SMALL = ("virtual:rv32?heap=64k", "virtual:cortex-m7?heap=64k")
USUAL = ("virtual:rv32", "virtual:cortex-m7")


def port_fixture(*names: str) -> Any:
    """A fixture `port`: that of each of these boards; --port names one to take instead of a
    virtual Cortex-M7.
    """

    @pytest.fixture(params=names)
    def port(request: pytest.FixtureRequest) -> Iterator[str]:
        name = str(request.param)
        if name.startswith("virtual:cortex-m7"):
            name = request.config.getoption("--port") or name
        with resolve_port(name) as found:
            yield found

    return port


@contextlib.contextmanager
def jumping_board(name: str, **how: Any) -> Iterator[VirtualBoard]:
    """A board whose clock jumps over sleeps. how: of `VirtualBoard`."""
    need_tools(name)
    with VirtualBoard(name, skip_sleep=True, icount=3, **how) as running:
        yield running


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


def mpremote(port: str, *words: str | Path) -> str:
    """Runs stock mpremote and returns its stdout."""
    command = [sys.executable, "-m", "mpremote", "connect", port, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def run_mounted(port: str, folder: Path) -> str:
    """What a folder's run.py prints on a board that has the folder mounted."""
    out = mpremote(port, "mount", folder, "run", folder / "run.py")
    return out.partition("\n")[2]  # the first line is mpremote's


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


def model_file(folder: Path, seed: int = 1, name: str = "m.ulnn", *, dt_fixed: int = 0) -> Path:
    """A small random model with 12 golden steps."""
    model = random_model(seed, Shape(inputs=6, hidden=16, outputs=4, dt_fixed=dt_fixed))
    path = folder / name
    path.write_bytes(with_golden(model, steps=12))
    return path
