"""A serial line as slow as a real one, which does damage: a port before the port of a board.

A process of its own carries the bytes at a baud rate, ten bits a byte, each direction by itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator

from support.pty_board import ENDS_WITH_US
from ulnn_host.board.faults import Faults

TICK = 0.0005
RECEIVE = 4096


class Way:
    """One direction: bytes leave at the baud rate, damaged on the way."""

    def __init__(
        self, source: int, target: int, baud: int, damage: Callable[[bytes], bytes]
    ) -> None:
        self.source, self.target, self.damage = source, target, damage
        self.seconds_a_byte = 10 / baud
        self.queue: deque[bytes] = deque()
        self.free_at = 0.0

    def take(self, now: float) -> None:
        """Read what is there; it leaves one byte after the other."""
        if not self.queue:
            self.free_at = max(self.free_at, now)
        self.queue.append(os.read(self.source, RECEIVE))

    def give(self, now: float) -> None:
        """Send on what the line has carried by now."""
        while self.queue:
            data = self.queue[0]
            count = min(len(data), int((now - self.free_at) / self.seconds_a_byte))
            if count <= 0:
                return
            self.free_at += count * self.seconds_a_byte
            damaged = self.damage(data[:count])
            while damaged:
                damaged = damaged[os.write(self.target, damaged) :]
            if count < len(data):
                self.queue[0] = data[count:]
            else:
                self.queue.popleft()


def carry(board_port: str, baud: int, faults: Faults) -> None:
    """Print the name of a new port, and carry bytes between it and the board's for ever."""
    board = os.open(board_port, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(board)
    host, slave = os.openpty()
    tty.setraw(slave)
    ways = (Way(host, board, baud, faults.to_board), Way(board, host, baud, faults.to_host))
    print(os.ttyname(slave), flush=True)
    while True:
        waiting = any(way.queue for way in ways)
        ready = select.select([host, board], [], [], TICK if waiting else 0.5)[0]
        now = time.monotonic()
        for way in ways:
            if way.source in ready:
                way.take(now)
            way.give(now)


@contextlib.contextmanager
def slow_line(board_port: str, baud: int, faults: str = "0") -> Iterator[str]:
    """The port that leads to the board's. faults: as for `ulnn validate --inject-faults`."""
    command = [*ENDS_WITH_US, sys.executable, "-m", __name__, board_port, str(baud), faults]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


if __name__ == "__main__":
    carry(sys.argv[1], int(sys.argv[2]), Faults.parse(sys.argv[3]))
