"""An open serial port: its bytes, its failures in one line each, and how it comes back."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import serial
from serial.tools import list_ports

from ..base.errors import UlnnError

# Short, so that whoever reads can look at a clock in between.
READ_SECONDS = 0.005
BAUDRATE = 115200
WRITE_SECONDS = 10
BITS_A_BYTE = 10
_SILICON_LABS = 0x10C4


class LineLost(UlnnError):
    """The port is gone: unplugged, or taken away by the operating system."""


class Line:
    """A serial port that is open. to_board, to_host: what happens to bytes on their way.

    heard: when the last bytes came (time.monotonic). Every failure of the port is a LineLost
    that names it.
    """

    def __init__(self, path: str, name: str, baudrate: int = BAUDRATE) -> None:
        """Open `path`; messages call it `name`. Raises UlnnError: why it cannot be opened."""
        self.path, self.name, self.baudrate = path, name, baudrate
        self.to_board: Callable[[bytes], bytes] = bytes
        self.to_host: Callable[[bytes], bytes] = bytes
        self.heard = 0.0
        self._identity = _usb_identity(path)
        self._port = _open(path, baudrate)

    def seconds(self, count: int) -> float:
        """How long bytes are on a line of this baud rate."""
        return count * BITS_A_BYTE / self.baudrate

    def read(self) -> bytes:
        """What has arrived; waits up to READ_SECONDS for the first byte."""
        try:
            data = self._port.read(self._port.in_waiting or 1)
            if len(data) == 1:
                data += self._port.read(self._port.in_waiting)
        except (OSError, TypeError) as error:  # TypeError: closed by another thread
            raise self._lost(error) from error
        if data:
            self.heard = time.monotonic()
        return self.to_host(bytes(data)) if data else b""

    def read_until(self, deadline: float, quiet: float = 0.0) -> bytes:
        """What arrives before the deadline (time.monotonic); with quiet: until a pause so long."""
        data = bytearray()
        heard = time.monotonic()
        while (now := time.monotonic()) < deadline:
            if new := self.read():
                data += new
                heard = time.monotonic()
            elif quiet and now - heard >= quiet:
                break
        return bytes(data)

    def write(self, data: bytes) -> None:
        """Send."""
        data = self.to_board(data)
        try:
            self._port.write(data)
        except OSError as error:
            raise self._lost(error) from error

    def close(self) -> None:
        """Close it, whatever state it is in."""
        # termios has an error of its own where the port is gone.
        with contextlib.suppress(Exception):
            self._port.close()

    def reopen(self, seconds: float) -> None:
        """Close it and open it again, waiting for the port to come back, under another name too.

        Raises LineLost when it does not come back.
        """
        self.close()
        deadline = time.monotonic() + seconds
        while True:
            path = _find(self._identity) or self.path
            try:
                self._port = _open(path, self.baudrate)
                return
            except UlnnError as error:
                if time.monotonic() >= deadline:
                    raise LineLost(f"{error} (waited {seconds:.0f} s for the board)") from error
            time.sleep(0.1)

    def _lost(self, error: Exception) -> LineLost:
        return LineLost(
            f"port {self.name}: the connection broke ({error}); is the board still plugged in?"
        )


def ports() -> list[str]:
    """The serial ports of this machine, USB ones first."""
    found = sorted(list_ports.comports(), key=lambda p: (p.vid is None, p.device))
    return [str(p.device) for p in found]


_Identity = tuple[int, int, str]


def _usb_identity(path: str) -> _Identity | None:
    """Vendor, product and serial number of the USB device behind a port."""
    real = str(Path(path).resolve()) if os.name == "posix" and "://" not in path else path
    for port in list_ports.comports():
        if port.device == real and port.vid is not None and port.serial_number:
            return port.vid, port.pid, port.serial_number
    return None


def _find(identity: _Identity | None) -> str | None:
    """Where a USB device is now."""
    if identity is None:
        return None
    for port in list_ports.comports():
        if (port.vid, port.pid, port.serial_number) == identity:
            return str(port.device)
    return None


def _open(path: str, baudrate: int) -> Any:
    if "://" not in path and os.name == "posix" and not Path(path).exists():
        others = ", ".join(ports()[:4]) or "none"
        raise UlnnError(f"port {path}: there is no such port; ports here: {others}")
    try:
        port = serial.serial_for_url(
            path,
            baudrate,
            timeout=READ_SECONDS,
            write_timeout=WRITE_SECONDS,
            exclusive=True,
            do_not_open=True,
        )
        # The Windows driver of this bridge sets them one after the other, which resets boards.
        careful = os.name == "nt" and (_usb_identity(path) or (0,))[0] == _SILICON_LABS
        if careful:
            port.dtr = port.rts = False
        port.open()
        if careful:
            port.dtr = port.rts = True
    except (OSError, ValueError) as error:
        raise UlnnError(f"port {path}: {reason(path, error)}") from error
    return port


def reason(path: str, error: Exception) -> str:
    """Why a port does not open, in words."""
    number = getattr(error, "errno", None)
    if number in (errno.EACCES, errno.EPERM):
        group = "dialout"
        with contextlib.suppress(ImportError, OSError, KeyError):
            import grp

            group = grp.getgrgid(Path(path).stat().st_gid).gr_name
        return f"not permitted; join its group (sudo usermod -aG {group} $USER), then log in again"
    if number in (errno.EBUSY, errno.EAGAIN) or "lock" in str(error):
        return "in use by another program; close it and try again"
    if number in (errno.ENOTTY, errno.EINVAL) or "Could not configure" in str(error):
        return "not a serial port"
    return f"cannot be opened ({error})"
