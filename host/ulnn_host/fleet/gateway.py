"""Collecting from a board's serial port, where the sink "serial" prints events."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from ulnn_rules.events import answer, is_sound

from .store import Ack, Store

LONGEST = 4096  # bytes of a line; a longer one is none


class Port(Protocol):
    """What is needed of a serial port that is open."""

    def read(self) -> bytes:
        """What has arrived, after a short wait."""

    def write(self, data: bytes) -> None:
        """Send."""


class Gateway:
    """Takes the lines that are events; other text of the board goes to `other`.

    damaged: lines that look like an event whose check is wrong; the board sends them again.
    """

    def __init__(self, port: Port, store: Store) -> None:
        self.port, self.store = port, store
        self.damaged = 0
        self.other: list[str] = []
        self._rest = b""

    def run(self, stop: threading.Event, roll: float = 300.0) -> None:
        """Collect until `stop` is set. Raises UlnnError where the port or the disk fails."""
        rolled = time.monotonic()
        while not stop.is_set():
            self.feed(self.port.read())
            if time.monotonic() - rolled > roll:
                rolled = time.monotonic()
                self.store.compact(self.store.close_journal())

    def feed(self, data: bytes) -> None:
        """What arrived: events are stored, and answered when they are safe."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-LONGEST:]
        acks = [ack for line in lines if (ack := self._line(line))]
        self.store.commit()
        for ack in acks:
            self.port.write(f"\n{answer(ack.log, ack.boot, ack.seq)}\n".encode())  # after noise

    def _line(self, line: bytes) -> Ack | None:
        """Take a line; the acknowledgement that its event gets when it is safe."""
        at = line.find(b'{"device"')
        if at < 0:
            text = line.decode(errors="replace").strip()
            self.other = [*self.other[-20:], text] if text else self.other
            return None
        text = line[at:].decode(errors="replace").strip()
        if not is_sound(text):
            self.damaged += 1
            return None
        return self.store.take(text.encode())
