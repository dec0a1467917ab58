"""A board for tests: the unix MicroPython's REPL on a pty, with a line that can be disturbed."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shutil
import signal
import subprocess
import termios
import threading
import time
import tty
from collections.abc import Callable, Mapping
from pathlib import Path

from support.paths import FIRMWARE
from ulnn_host.engines.registry import unix_micropython

# Also when the tests are killed: without its pty the program would spin for ever.
ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()


class PtyBoard:
    """`port` is its serial port, `link` a name that leads to it after an unplug, too; `folder` its
    filesystem, with lib/ on its module path.

    to_board and to_host may change the bytes under way. Ctrl-C interrupts, as on a board.
    """

    def __init__(
        self, folder: Path, *, modules: dict[str, str] | None = None, heap: str = "2M"
    ) -> None:
        self.folder = folder
        self.lib = folder / "lib"
        self.lib.mkdir(parents=True, exist_ok=True)
        write_modules(self.lib, modules or {})
        self.heap = heap
        self.to_board: Callable[[bytes], bytes] = lambda data: data
        self.to_host: Callable[[bytes], bytes] = lambda data: data
        self.sent = bytearray()
        self._open = False
        self._back: threading.Thread | None = None
        self.link = folder / "port"

    def __enter__(self) -> PtyBoard:
        self._board_end, self._tty = pty.openpty()
        tty.setraw(self._tty)
        self._plug()
        self._start()
        self._run()
        return self

    def _plug(self) -> None:
        self._host_end, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(self.port)
        self._open = True

    def _run(self) -> None:
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def replug(self, seconds: float) -> None:
        """Unplug; after some seconds there is a new port, and `link` leads to it."""
        self.link.unlink()
        self.unplug()

        def later() -> None:
            self._thread.join()
            time.sleep(seconds)
            self._plug()
            self._run()

        self._back = threading.Thread(target=later, daemon=True)
        self._back.start()
        if not seconds:
            self._back.join()

    def __exit__(self, *_: object) -> None:
        if self._back:
            self._back.join()
        self.unplug()
        self._thread.join()
        self._process.kill()
        self._process.wait()
        os.close(self._board_end)
        os.close(self._tty)

    def type(self, data: bytes) -> None:
        """What a person at the board's own keyboard types."""
        os.write(self._board_end, data)

    def unplug(self) -> None:
        """The port vanishes under whoever has it open."""
        self._open = False

    def _start(self) -> None:
        # What was typed into an interpreter that has ended is not for the next one.
        termios.tcflush(self._tty, termios.TCIOFLUSH)
        self._process = subprocess.Popen(
            [*ENDS_WITH_US, unix_micropython(), "-X", f"heapsize={self.heap}"],
            stdin=self._tty,
            stdout=self._tty,
            stderr=self._tty,
            cwd=self.folder,
            env={**os.environ, "MICROPYPATH": f"{self.lib}:.frozen"},
            start_new_session=True,
        )

        answer = b""
        while b">>> " not in answer:
            answer += os.read(self._board_end, 4096)
        os.write(self._host_end, answer)

    def _interrupt(self, data: bytes) -> bytes:
        """Byte 3 is a signal while code runs, which is when SIGINT has a handler, else a byte.

        The terminal cannot do it: the unix port leaves it raw after code came in by raw paste.
        """
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        caught = int(status.split("SigCgt:")[1].split()[0], 16) >> (signal.SIGINT - 1) & 1
        if 3 not in data or not caught:
            return data
        self._process.send_signal(signal.SIGINT)
        return data[data.index(3) + 1 :].replace(b"\x03", b"")

    def _carry(self) -> None:
        while self._open:
            if self._process.poll() is not None:
                os.write(self._host_end, b"MPY: soft reboot\r\n")
                self._start()
            ready, _, _ = select.select([self._host_end, self._board_end], [], [], 0.05)
            for end in ready:
                data = os.read(end, 4096)
                if end == self._host_end:
                    self.sent += data
                    other, data = self._board_end, self._interrupt(self.to_board(data))
                else:
                    other, data = self._host_end, self.to_host(data)
                while data and self._open:
                    data = data[os.write(other, data) :]
        with contextlib.suppress(OSError):
            os.close(self._host_end)
            os.close(self._slave)


# An engine with the interface of SPEC.md section 5 and an arithmetic of one line. The "model" is
# input_size, output_size, state_size as decimal text.
FAKE_ULNN = """
__version__ = "0.0.0"
ENGINE = "fake"
import os, time
class Model:
    def __init__(self, sizes):
        self.sizes = sizes
        self.clamped = 0
        self.delay = 0
        self.trash = False
        self.reset()
    def reset(self):
        self.s = 0
        self.clamped = 0
    def step(self, x, y, dt):
        if dt < 1:
            raise ValueError("dt: expected 1 or more ticks, got %d" % dt)
        if dt > 1000000:
            dt = 1000000
            self.clamped += 1
        t = self.s + (dt & 0x3FFF)
        for v in x:
            t += v & 0xFFF
        t &= 0x3FFF
        self.s = t
        for k in range(len(y)):
            y[k] = t + k - 0x2000
        if self.delay:
            time.sleep_ms(self.delay)
        if self.trash:
            bytearray(20000)
    @property
    def state(self):
        n = self.sizes[2]
        return bytes([self.s & 255, self.s >> 8]) * n
    @state.setter
    def state(self, value):
        self.s = value[0] & 0x3FFF
    def info(self):
        i, o, s = self.sizes
        return {"engine": "fake", "kernel": "python", "sha256": "00" * 32, "input_size": i,
            "output_size": o, "state_size": s, "tick_ns": 1000, "dt_max": 1000000, "macs": 1}
    def self_test(self):
        return 0
def load(source):
    with open(source) as f:
        return Model([int(v) for v in f.read().split()])
"""
FAKE_MODULES = {"ulnn.py": FAKE_ULNN} | {
    name: (FIRMWARE / name).read_text()
    for name in ("ulnn_stream.py", "ulnn_rules/__init__.py", "ulnn_rules/ticks.py")
}


def write_modules(folder: Path, modules: Mapping[str, str]) -> None:
    """Write files by their paths in a folder."""
    for name, text in modules.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def fake_run(x: list[list[int]], dts: list[int], outputs: int) -> tuple[list[list[int]], int]:
    """What FAKE_ULNN's model answers, and its state word."""
    s, rows = 0, []
    for row, dt in zip(x, dts, strict=True):
        s = (s + (min(dt, 1000000) & 0x3FFF) + sum(v & 0xFFF for v in row)) & 0x3FFF
        rows.append([s + k - 0x2000 for k in range(outputs)])
    return rows, s
