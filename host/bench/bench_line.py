"""What damage costs on the serial line: shares of the clean rate at two baud rates.

    python host/bench/bench_line.py [--seconds 8] [--seeds 5] [--board unix virtual:cortex-m7]

A proxy in a process of its own carries the bytes at the baud rate, ten bits a byte, and damages
them in both directions, byte 3 included. Every output is compared. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import subprocess
import sys
import tempfile
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.paths import FIRMWARE  # noqa: E402
from support.pty_board import FAKE_ULNN, PtyBoard, fake_run  # noqa: E402
from ulnn_host.base.errors import UlnnError  # noqa: E402
from ulnn_host.board.faults import Faults  # noqa: E402
from ulnn_host.board.link import Board  # noqa: E402
from ulnn_host.board.stream import Session  # noqa: E402
from ulnn_host.board.virtual import resolve_port  # noqa: E402

BAUDS = (115200, 921600)
DAMAGE = ("1e-5", "1e-4", "1e-3", "1e-2", "1e-3:burst")
INPUTS, OUTPUTS = 6, 7
MODEL = "m.ulnn"
TICK = 0.0005
# A worse line has fewer samples, so that a run takes about as long.
EXPECTED_SHARE = {1e-5: 1.0, 1e-4: 0.8, 1e-3: 0.3, 1e-2: 0.05}


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
        self.queue.append(os.read(self.source, 4096))

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


def proxy(board_port: str, baud: int, faults: Faults) -> None:
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
def line(board_port: str, baud: int, faults: str) -> Iterator[str]:
    """The port of a proxy in a process of its own."""
    command = [sys.executable, __file__, "--proxy", board_port, str(baud), faults]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextlib.contextmanager
def opened(board: str) -> Iterator[tuple[str, str]]:
    """(port, path of the model) of a board by its name: unix, or a virtual one."""
    stream = (FIRMWARE / "ulnn_stream.py").read_text()
    sizes = f"{INPUTS} {OUTPUTS} 8"
    if board == "unix":
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / MODEL).write_text(sizes)
            modules = {"ulnn.py": FAKE_ULNN, "ulnn_stream.py": stream}
            with PtyBoard(Path(folder), modules=modules) as running:
                yield running.port, MODEL
        return
    files = {"/lib/ulnn.py": FAKE_ULNN, "/lib/ulnn_stream.py": stream, f"/{MODEL}": sizes}
    with resolve_port(board) as port:
        with Board.open(port) as link:
            for name, text in files.items():
                link.make_folders(name)
                link.write_file(name, text.encode())
        yield port, f"/{MODEL}"


@dataclass(frozen=True)
class Measured:
    """One run. bound: samples/s that the bytes of the answers allow. wrong: rows that differ."""

    samples: int
    seconds: float
    bound: float
    wrong: int
    restarts: int

    @property
    def rate(self) -> float:
        """Samples a second."""
        return self.samples / self.seconds


def measure(board: str, baud: int, faults: str, samples: int) -> Measured:
    """Stream samples through a line; the connection and the start are damaged as well."""
    rng = np.random.default_rng(3)
    x = rng.integers(-32768, 32768, (samples, INPUTS))
    dt = np.full(samples, 20000)
    with (
        opened(board) as (port, model),
        line(port, baud, faults) as name,
        Board.open(name, baudrate=baud) as link,
        link.stream(model) as session,
    ):
        start = time.monotonic()
        session.reset()
        answers = session.run(x, dt)
        seconds = time.monotonic() - start
        restarts, bound = session.restarts, _bound(session, baud)
    y, state = fake_run(x.tolist(), dt.tolist(), OUTPUTS)
    wrong = int((answers.y != np.array(y)).any(axis=1).sum()) + (answers.end.state != (state,) * 8)
    return Measured(samples, seconds, bound, wrong, restarts)


def _bound(session: Session, baud: int) -> float:
    """What the line carries back: whole answers, one after the other."""
    rows = session.batch()
    return baud / 10 / ((10 + rows * 2 * (OUTPUTS + 1)) / rows)


def _row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def report(board: str, seconds: float, seeds: int, damages: list[str]) -> None:
    """Print the rows of one board."""
    for baud in BAUDS:
        samples = int(baud / 10 / 17 * seconds)
        best = max((measure(board, baud, "0", samples) for _ in range(2)), key=lambda m: m.rate)
        share = f"{100 * best.rate / best.bound:.1f} % of the bound"
        _row(board, baud, 0, f"{best.rate:.0f}", share, "", best.wrong, best.restarts, samples)
        for damage in damages:
            rate = float(damage.split(":")[0])
            samples = max(1000, int(best.rate * seconds * EXPECTED_SHARE.get(rate, 0.2)))
            runs, failed = [], ""
            for seed in range(1, seeds + 1):
                kind = damage if ":" in damage else f"{damage}:mix"
                try:
                    runs.append(measure(board, baud, f"{kind}:{seed}", samples))
                except UlnnError as error:
                    failed += f"; seed {seed}: {error}"
            shares = [100 * run.rate / best.rate for run in runs] or [0.0]
            mean, worst = sum(shares) / len(shares), min(shares)
            slowest = max((run.seconds for run in runs), default=0.0)
            _row(
                *(board, baud, damage, f"{mean * best.rate / 100:.0f}"),
                *(f"{mean:.1f} %", f"{worst:.1f} %", sum(run.wrong for run in runs)),
                sum(run.restarts for run in runs),
                f"{samples}, {slowest:.0f} s at most{failed}",
            )


def main() -> None:
    """Measure, or be the proxy."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--board", nargs="+", default=["unix", "virtual:cortex-m7"])
    parser.add_argument("--damage", nargs="+", default=list(DAMAGE))
    parser.add_argument("--proxy", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.proxy:
        port, baud, faults = given.proxy
        proxy(port, int(baud), Faults.parse(faults))
    _row("board", "baud", "damage", "samples/s", "share, mean", "worst", "wrong", "restarts", "runs")
    print("|---" * 9 + "|")
    for board in given.board:
        report(board, given.seconds, given.seeds, given.damage)


if __name__ == "__main__":
    main()
