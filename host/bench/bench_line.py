"""What damage costs on the serial line: shares of the clean rate at two baud rates, unplugs,
deployments. `make bench-line` writes host/docs/line.md, in about half an hour; `--quick` prints a
small part of it.

A proxy carries the bytes at the baud rate and damages them in both directions, byte 3 included.
Every output and every last state is compared. On a machine that does other things, run it with
`chrt -r 5`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.pty_board import FAKE_MODULES, PtyBoard, fake_run  # noqa: E402
from support.random_models import Shape, random_model, with_golden  # noqa: E402
from support.slow_line import slow_line  # noqa: E402
from ulnn_host.base import console, files  # noqa: E402
from ulnn_host.base.errors import UlnnError  # noqa: E402
from ulnn_host.board.deploy import deploy  # noqa: E402
from ulnn_host.board.faults import Faults  # noqa: E402
from ulnn_host.board.link import Board  # noqa: E402
from ulnn_host.board.stream import Answers, Session  # noqa: E402
from ulnn_host.board.virtual import resolve_port  # noqa: E402
from ulnn_host.engines import registry  # noqa: E402
from ulnn_host.engines.batch import Batch  # noqa: E402

DOCUMENT = ROOT / "host" / "docs" / "line.md"
BAUDS = (115200, 921600)
DAMAGE = ("1e-5", "1e-4", "1e-3", "1e-2", "1e-3:burst")
# Which share of the clean rate is asked for, at both baud rates.
WANTED = {
    "1e-5": (0.95, 0.90),
    "1e-4": (0.85, 0.60),
    "1e-3": (0.40, 0.15),
    "1e-2": (0.03, 0.0),
    "1e-3:burst": (0.10, 0.10),
}
# Of a clean run's samples; a run with restarts takes long enough for some of them.
LENGTH = {"1e-2": (0.8, 0.05), "1e-3:burst": (2.5, 0.75)}
INPUTS, OUTPUTS = 6, 7
DT = 20000
UNIX = "unix"
VIRTUAL = ("virtual:rv32", "virtual:cortex-m7")

_Reference = Callable[[NDArray[np.int64]], tuple[NDArray[np.int16], tuple[int, ...]]]


@dataclass(frozen=True)
class Running:
    """A board: its port, a model on it, and what that model makes of inputs."""

    port: str
    model: str
    reference: _Reference


@contextlib.contextmanager
def unix_board(folder: Path) -> Iterator[tuple[Running, PtyBoard]]:
    """The unix MicroPython with an engine of one line, so that the line is what is measured."""

    def reference(x: NDArray[np.int64]) -> tuple[NDArray[np.int16], tuple[int, ...]]:
        y, state = fake_run(x.tolist(), [DT] * len(x), OUTPUTS)
        return np.array(y, np.int16), (state,) * 8

    folder.mkdir(exist_ok=True)
    (folder / "m.ulnn").write_text(f"{INPUTS} {OUTPUTS} 8")
    with PtyBoard(folder, modules=FAKE_MODULES) as board:
        yield Running(board.port, "m.ulnn", reference), board


def model_file(folder: Path) -> Path:
    """A small model of random weights."""
    path = folder / "bench.ulnn"
    model = random_model(1, Shape(inputs=INPUTS, hidden=16, outputs=OUTPUTS))
    path.write_bytes(with_golden(model, steps=12))
    return path


@contextlib.contextmanager
def opened(name: str, folder: Path) -> Iterator[Running]:
    """A board by its name, ready for streaming."""
    if name == UNIX:
        with unix_board(folder / "unix") as (running, _):
            yield running
        return
    path = model_file(folder)
    content = path.read_bytes()

    def reference(x: NDArray[np.int64]) -> tuple[NDArray[np.int16], tuple[int, ...]]:
        batch = Batch(x[None].astype(np.int16), np.full((1, len(x)), DT), np.array([len(x)]))
        out = registry.run(content, batch, "native")
        return out.y[0], tuple(int(v) for v in out.state[0])

    with resolve_port(name) as port:
        with Board.open(str(port)) as board:
            done = deploy(board, path)
        yield Running(str(port), done.plan.model_path, reference)


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


def wrong_rows(running: Running, x: NDArray[np.int64], answers: Answers) -> int:
    """Rows that are not the reference's, missing ones and the last state included."""
    y, state = running.reference(x)
    if answers.y.shape != y.shape:
        return abs(len(answers.y) - len(y))
    return int((answers.y != y).any(axis=1).sum()) + (answers.end.state != state)


def inputs(samples: int) -> NDArray[np.int64]:
    """Inputs of the whole range."""
    return np.random.default_rng(3).integers(-32768, 32768, (samples, INPUTS))


def measure(running: Running, baud: int, faults: str, samples: int) -> Measured:
    """Stream samples; the connection and the start are damaged as well."""
    x = inputs(samples)
    with (
        slow_line(running.port, baud, faults) as port,
        Board.open(port, baudrate=baud) as board,
        board.stream(running.model) as session,
    ):
        start = time.monotonic()
        session.reset()
        answers = session.run(x, np.full(samples, DT))
        seconds = time.monotonic() - start
        restarts, bound = session.restarts, line_bound(session, baud)
    return Measured(samples, seconds, bound, wrong_rows(running, x, answers), restarts)


def line_bound(session: Session, baud: int) -> float:
    """What the line carries back: whole answers of full frames, one after the other."""
    rows = session.batch()
    return baud / 10 / (10 / rows + 2 * (OUTPUTS + 1))


class Lines:
    """Lines of the document, printed as they come."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, line: str = "") -> None:
        """One line."""
        print(line, flush=True)
        self.text += line + "\n"

    def row(self, *cells: object) -> None:
        """A row of a table."""
        self.add("| " + " | ".join(str(cell) for cell in cells) + " |")


def rates(out: Lines, names: list[str], damages: list[str], seeds: int, seconds: float) -> None:
    """The table of damage."""
    out.row("board", "baud", "damage", "samples/s", "share", "worst", "asked", "wrong", "restarts")
    out.add("|---" * 9 + "|")
    for name in names:
        for way, baud in enumerate(BAUDS):
            with tempfile.TemporaryDirectory() as folder:
                clean_and_damaged(out, name, Path(folder), way, baud, damages, seeds, seconds)


def clean_and_damaged(
    out: Lines,
    name: str,
    folder: Path,
    way: int,
    baud: int,
    damages: list[str],
    seeds: int,
    seconds: float,
) -> None:
    """The rows of a board at a baud rate."""
    with opened(name, folder) as running:
        samples = int(baud / 10 / 17 * seconds)
        best = max((measure(running, baud, "0", samples) for _ in range(3)), key=lambda m: m.rate)
    share = f"{100 * best.rate / best.bound:.1f} % of the bound"
    asked = f"{(97, 90)[way]} %"
    out.row(name, baud, 0, f"{best.rate:.0f}", share, "", asked, best.wrong, best.restarts)
    for damage in damages:
        wanted = WANTED.get(damage, (0.0, 0.0))[way]
        length = LENGTH.get(damage, (max(wanted, 0.03),) * 2)[way]
        samples = max(1000, int(best.rate * seconds * length))
        found, failed = [], ""
        for seed in range(1, seeds + 1):
            faults = f"{damage}:{seed}" if ":" in damage else f"{damage}:mix:{seed}"
            try:
                with opened(name, folder) as running:
                    found.append(measure(running, baud, faults, samples))
            except UlnnError as error:
                failed += f"; seed {seed}: {error}"
        shares = [100 * run.rate / best.rate for run in found] or [0.0]
        mean = sum(shares) / len(shares)
        out.row(
            *(name, baud, damage, f"{mean * best.rate / 100:.0f}", f"{mean:.1f} %"),
            *(f"{min(shares):.1f} %", f"{100 * wanted:.0f} %", sum(m.wrong for m in found)),
            f"{sum(m.restarts for m in found)}{failed}",
        )


def long_run(out: Lines, samples: int) -> None:
    """One long run."""
    with tempfile.TemporaryDirectory() as folder, opened(UNIX, Path(folder)) as running:
        run = measure(running, BAUDS[1], "1e-3:mix:11", samples)
    out.add(
        f"* {samples:,} samples at 1e-3 and {BAUDS[1]:,} baud: {run.wrong} wrong, "
        f"{run.restarts} restarts, {run.rate:.0f} samples/s."
    )


def unplugs(out: Lines, count: int) -> None:
    """Runs that are unplugged somewhere."""
    rng, samples = np.random.default_rng(7), 3000
    resumed = wrong = 0
    for _ in range(count):
        at, seen, x = int(rng.integers(1, samples)), 0, inputs(samples)
        with (
            tempfile.TemporaryDirectory() as folder,
            unix_board(Path(folder)) as (running, pty),
            Board.open(str(pty.link), wait=10) as board,
            board.stream(running.model) as session,
        ):

            def progress(steps: int) -> None:
                nonlocal seen
                before, seen = seen, seen + steps
                if before < at <= seen:  # noqa: B023, called within the turn
                    pty.replug(0.3)

            session.reset()
            answers = session.run(x, np.full(samples, DT), progress)
            resumed += session.restarts == 1
        wrong += wrong_rows(running, x, answers)
    out.add(
        f"* {count} unplugs for 0.3 s at random samples: {resumed} resumed, {wrong} wrong rows."
    )


def deployments(out: Lines, rate: str, count: int) -> None:
    """Deployments of the pure engine, its modules and a model, over a line that does damage."""
    done, slowest, failed = 0, 0.0, ""
    for seed in range(1, count + 1):
        with tempfile.TemporaryDirectory() as folder, PtyBoard(Path(folder) / "board") as pty:
            path = model_file(Path(folder))
            start = time.monotonic()
            try:
                faults = Faults.parse(f"{rate}:mix:{seed}")
                with Board.open(pty.port, faults=faults) as board:
                    report = deploy(board, path)
                done += Path(report.plan.model_path).read_bytes() == path.read_bytes()
            except UlnnError as error:
                failed += f"; seed {seed}: {error}"
            slowest = max(slowest, time.monotonic() - start)
    out.add(f"* {count} deployments at {rate}: {done} done, {slowest:.0f} s at most{failed}.")


app = typer.Typer()


@app.command()
def main(
    quick: Annotated[bool, typer.Option(help="one seed, unix alone; writes nothing")] = False,
    board: Annotated[list[str] | None, typer.Option(help="unix, virtual:cortex-m7 ...")] = None,
    damage: Annotated[list[str] | None, typer.Option(help="RATE or RATE:KIND")] = None,
    seeds: Annotated[int, typer.Option(help="runs for each row")] = 5,
    seconds: Annotated[float, typer.Option(help="of a clean run")] = 8,
) -> None:
    """Measure, print, and write host/docs/line.md."""
    out = Lines()
    names = board or ([UNIX] if quick else [UNIX, *VIRTUAL])
    if quick:
        seeds, seconds = 1, min(seconds, 4)
    rates(out, names, damage or list(DAMAGE), seeds, seconds)
    out.add()
    long_run(out, 5000 if quick else 100_000)
    unplugs(out, 3 if quick else 20)
    deployments(out, "1e-4", 2 if quick else 30)
    deployments(out, "1e-3", 1 if quick else 10)
    if not (quick or board or damage):
        files.write(DOCUMENT, HEAD.format(seeds=seeds, cores=os.cpu_count()) + out.text)


HEAD = """# The serial line under damage

Written by `make bench-line`; do not edit. [PROTOCOL.md](../../PROTOCOL.md) says how it works.

* A proxy in a process of its own carries the bytes at the baud rate, ten bits a byte, and damages
  them in both directions: it flips a bit, drops, doubles, inserts a byte or swaps two, each as
  often, byte 3 included. The connection and the start of the loop go through it too. `burst`: 20
  bytes become random at once.
* {seeds} seeds a row; `share` is the mean of the rates divided by the clean rate (the best of 3
  runs), `worst` the lowest. A row's `asked` is the least that the share is to be. Rows with
  restarts (1e-2 and bursts) run for some 40 s a seed, the others for 8 s.
* The bound is what the bytes of the answers allow: {outputs} outputs and a time of a word each, in
  full frames.
* `unix` is the unix MicroPython with an engine of one line; the virtual boards run a model on the
  native engine. Every output and every last state was compared; `wrong` counts what differed.
* QEMU takes some 11 us for each byte that it brings into the virtual Cortex-M7, whose UART has no
  FIFO: as long as a byte takes at 921,600 baud. That is the limit there; the RV32 has a FIFO.
* {cores} cores, shared with other work, carried host, proxy and board. What the scheduler delays
  is part of each round trip, so that the fast rows need a quiet machine, or `chrt -r 5` before the
  command, as here.
* The board reads byte by byte, since it waits at most 20 ms for the next one. On a chip that time
  counts where the line is faster than the loop; no chip was at hand.

""".replace("{outputs}", str(OUTPUTS))


if __name__ == "__main__":
    console.run(app)
