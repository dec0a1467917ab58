"""What is plugged in, and which of it is a board with MicroPython."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from serial.tools import list_ports

from ..base.errors import UlnnError
from .line import BAUDRATE
from .link import Board

AUTO = "auto"
_ASK = "[__import__('sys').implementation.name, *__import__('sys').implementation.version[:3]]"
_MACHINE = "getattr(__import__('sys').implementation, '_machine', __import__('sys').platform)"


@dataclass(frozen=True)
class SerialPort:
    """A serial port of this PC. usb: vendor and product as in `2e8a:0005`, "" for other ports.

    answer: what its interpreter says it is, or None; problem: why there is no answer.
    """

    device: str
    description: str
    usb: str
    answer: str | None = None
    problem: str = ""

    @property
    def is_board(self) -> bool:
        """Whether MicroPython or CircuitPython answered."""
        return self.answer is not None


@contextlib.contextmanager
def opened(port: str, baudrate: int = BAUDRATE, **keys: Any) -> Iterator[Board]:
    """The board at a port, `auto` for the only one that is plugged in. keys: of `Board.open`.
    Raises UlnnError."""
    with Board.open(resolve(port), baudrate=baudrate, **keys) as board:
        yield board


def serial_ports(*, ask: bool = False) -> list[SerialPort]:
    """The serial ports of this PC, USB ones first. ask: interrupt what runs there, and ask it."""
    found = []
    for port in sorted(list_ports.comports(), key=lambda p: (p.vid is None, p.device)):
        usb = "" if port.vid is None else f"{port.vid:04x}:{port.pid:04x}"
        words = port.description if port.description not in (None, "n/a") else ""
        answer, problem = _asked(port.device) if ask else (None, "")
        found.append(SerialPort(port.device, words, usb, answer, problem))
    return found


def _asked(device: str) -> tuple[str | None, str]:
    try:
        with Board.open(device, soft_reset=False) as board:
            said = board.eval(_ASK)
            if not isinstance(said, list) or not said:
                raise board.odd(said, "its name")
            name, *version = said
            number = ".".join(map(str, version))
            return f"{board.eval(_MACHINE)}, {name} {number}", ""
    except UlnnError as error:
        return None, str(error).removeprefix(f"port {device}: ")


def resolve(port: str) -> str:
    """The port itself; for `auto` the one USB port, or the one USB port that a board answers on.

    Raises UlnnError where that is not exactly one.
    """
    if port != AUTO:
        return port
    candidates = [p for p in serial_ports() if p.usb]
    if len(candidates) > 1:
        candidates = [p for p in serial_ports(ask=True) if p.usb and p.is_board]
    if len(candidates) == 1:
        return candidates[0].device
    if not candidates:
        raise UlnnError(
            "--port auto: no USB serial port with a board here; plug one in, or name a port "
            "(ulnn ports lists them), or try --port virtual:cortex-m7"
        )
    names = ", ".join(p.device for p in candidates)
    raise UlnnError(f"--port auto: {len(candidates)} boards here ({names}): name one of them")
