"""Runs a virtual board: QEMU with the board's UART on a pseudo-terminal."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from ...base.errors import UlnnError
from .build import build_firmware
from .kinds import PREFIX, board_kind, check_variant, parse_address

PROMPT = b">>> "
INTERRUPT_AFTER_S = 2.0
MIN_KIB = 16


class VirtualBoard:
    """A board that exists while the ``with`` block runs.

    with VirtualBoard("cortex-m7") as board:
        serial.Serial(board.port)
    """

    def __init__(
        self,
        name: str = "cortex-m7",
        *,
        variant: str = "",
        disk_kib: int | None = None,
        heap_kib: int | None = None,
        serial_number: int = 0,
        icount: int | None = None,
        skip_sleep: bool = False,
        qemu_args: Sequence[str] = (),
        elf: Path | None = None,
        boot_timeout_s: float = 20.0,
    ) -> None:
        """Describes the board; nothing runs before ``start()`` or ``with``.

        variant: "" or "frozen". disk_kib, heap_kib: KiB, None for the firmware's 1024 and 256.
        serial_number: makes machine.unique_id() differ between boards.
        icount: N for a deterministic clock, 2**N ns of virtual time per instruction.
        skip_sleep: the board's clock jumps over sleeps, so that a program that mostly sleeps
        runs much faster than its clock says.
        qemu_args: appended to QEMU's command line. elf: runs that file instead of building.
        boot_timeout_s: how long to wait for the REPL.
        """
        self.kind = board_kind(name)
        self.variant = check_variant(variant)
        for what, kib, most in (("disk", disk_kib, 16380), ("heap", heap_kib, 4000)):
            if kib is not None and not MIN_KIB <= kib <= most:
                raise UlnnError(f"a {what} of {kib} KiB: a virtual board has {MIN_KIB} to {most}")
        self.port = ""
        self._elf = elf
        # Word by word hw_config_t of boards/qemu/hw.h; a 0 is not sent.
        self._config = (disk_kib or 0, heap_kib or 0, serial_number, 0, int(skip_sleep))
        self._icount = icount
        self._qemu_args = tuple(qemu_args)
        self._boot_timeout_s = boot_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._fd = -1

    def __enter__(self) -> VirtualBoard:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether QEMU is up."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Builds the firmware if needed, boots it, returns when the REPL answers.

        Raises UlnnError, with QEMU's own words when it ended.
        """
        if self._process is not None:
            raise UlnnError(f"this virtual {self.kind.name} already runs on {self.port}")
        if not sys.platform.startswith("linux"):
            raise UlnnError(f"virtual boards need Linux, this is {sys.platform}")
        elf = self._elf or build_firmware(self.kind.name, self.variant).elf
        atexit.register(self.stop)
        try:
            self._launch(elf)
            self._wait_for_repl()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends QEMU; the disk's content goes with it. Does nothing when it is not running."""
        atexit.unregister(self.stop)
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None
        self.port = ""

    def hard_reset(self, *, wait: bool = True) -> None:
        """Resets the processor at once, as a power cut does that spares the disk.

        wait: return only when the REPL answers again.
        """
        self._tell_qemu("system_reset")
        if wait:
            self._wait_for_repl()

    def command(self, elf: Path) -> list[str]:
        """QEMU's command line for a firmware file, short of the UART's file descriptor."""
        settings = [
            f"loader,addr={self.kind.config_address + 4 * index:#x},data={value:#x},data-len=4"
            for index, value in enumerate(self._config)
            if value
        ]
        return [
            self.kind.qemu,
            *self.kind.machine_args,
            *("-nographic", "-monitor", "none", "-echr", "256"),
            *("-chardev", f"serial,id=uart,path=/dev/fdset/1,mux={self.kind.mux}"),
            *("-serial", "chardev:uart"),
            *("-qmp", f"unix:{self._scratch_path / 'qmp'},server=on,wait=off"),
            *(word for setting in settings for word in ("-device", setting)),
            *(() if self._icount is None else ("-icount", f"shift={self._icount}")),
            *self._qemu_args,
            *("-kernel", str(elf)),
        ]

    def _tell_qemu(self, command: str) -> None:
        with socket.socket(socket.AF_UNIX) as qmp:
            qmp.settimeout(5)
            qmp.connect(str(self._scratch_path / "qmp"))
            with qmp.makefile("rwb") as stream:
                stream.readline()
                for word in ("qmp_capabilities", command):
                    stream.write(json.dumps({"execute": word}).encode() + b"\n")
                    stream.flush()
                    while b'"return"' not in stream.readline():
                        pass

    @property
    def _scratch_path(self) -> Path:
        if self._scratch is None:
            raise UlnnError(f"this virtual {self.kind.name} is not running")
        return Path(self._scratch.name)

    @property
    def _words(self) -> str:
        return (self._scratch_path / "log").read_text(errors="replace").strip()

    def _launch(self, elf: Path) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="ulnn-board-")
        command = self.command(elf)
        if shutil.which(command[0]) is None:
            raise UlnnError(f"no {command[0]} on the PATH: install {self.kind.debian_packages}")
        # So that QEMU ends even when this process is killed outright. The signal follows the
        # thread that launched it, hence only the main one.
        main_thread = threading.current_thread() is threading.main_thread()
        if main_thread and shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        # QEMU's own pty chardev looks for a listener only once a second, so it gets the master
        # side of a pair made here. Held open, the slave side never reads as hung up.
        import tty  # not on Windows, which has no virtual boards

        master, self._fd = os.openpty()
        try:
            tty.setraw(self._fd)
            os.set_blocking(self._fd, False)
            with (self._scratch_path / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    [*command, "-add-fd", f"fd={master},set=1"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=[master],
                )
        finally:
            os.close(master)
        self.port = os.ttyname(self._fd)

    def _wait_for_repl(self) -> None:
        deadline = time.monotonic() + self._boot_timeout_s
        interrupt_at = time.monotonic() + INTERRUPT_AFTER_S
        received = b""
        # The banner ends in a prompt; where a main.py runs instead, stop it as any tool would.
        while not received.endswith(PROMPT):
            if time.monotonic() > interrupt_at:
                self._write(b"\x03")
            received += self._read_for(0.2, stop=PROMPT)
            self._check_alive(deadline, received)
        # QEMU asks whether the UART takes input only when its main loop turns, which right after
        # the boot can be a second away; any command turns it.
        received = b""
        self._write(b"\r")
        while not received.endswith(PROMPT):
            self._tell_qemu("query-status")
            received += self._read_for(0.05, stop=PROMPT)
            self._check_alive(deadline, received)
        while self._read_for(0.02):
            pass

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._fd, data)

    def _read_for(self, seconds: float, stop: bytes | None = None) -> bytes:
        deadline = time.monotonic() + seconds
        received = b""
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self._fd], [], [], left)[0]:
                break
            received += os.read(self._fd, 4096)
            if stop is not None and received.endswith(stop):
                break
        return received

    def _check_alive(self, deadline: float, received: bytes) -> None:
        process = self._process
        if process is not None and process.poll() is not None:
            raise UlnnError(
                f"{self.kind.qemu} ended with status {process.returncode} "
                f"({self._words or 'no output'}): check its version (7.2 works) and arguments"
            )
        if time.monotonic() > deadline:
            raise UlnnError(
                f"the REPL of the virtual {self.kind.name} did not answer in "
                f"{self._boot_timeout_s:g} s (it sent {received[-80:]!r}, "
                f"QEMU said {self._words!r}): see what its boot.py and main.py do, or rebuild it"
            )


@contextlib.contextmanager
def resolve_port(port: str) -> Iterator[str]:
    """Yields a serial port's path: of a board started for the purpose, or ``port`` as it is.

    port: "virtual:cortex-m7", "virtual:rv32+frozen", "virtual:rv32?disk=64k&heap=64k"
    (see BoardAddress), or anything else, such as "/dev/ttyACM0" or "COM3". Raises UlnnError.
    """
    if not port.startswith(PREFIX):
        yield port
        return
    with board_at(port) as board:
        yield board.port


def board_at(address: str, *, qemu_args: Sequence[str] = ()) -> VirtualBoard:
    """The board, not yet started, that an address describes; raises UlnnError."""
    wanted = parse_address(address)
    return VirtualBoard(
        wanted.name,
        variant=wanted.variant,
        disk_kib=wanted.disk_kib,
        heap_kib=wanted.heap_kib,
        serial_number=wanted.serial_number,
        icount=wanted.icount,
        skip_sleep=wanted.skip_sleep,
        qemu_args=qemu_args,
    )
