"""The app with a sensor's own driver on both virtual boards: a watch's recordings come from a
simulated MPU-6050, samples are missing, the sensor goes away, its bus is stuck, its power dips."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from support import app_cases as cases
from support import traced
from support.board_tools import jumping_board
from ulnn_host.board.link import Board
from ulnn_host.board.virtual import BOARDS, VirtualBoard

pytestmark = pytest.mark.board

DROP, SEED = 0.3, 7
PERIOD_US = 40_600  # the chip is 1.5 % slow
RANGE_G, RANGE_DPS = 16, 2000  # the widest, so that the chip's counts are the recording's
SETTINGS = {
    "source": {
        "kind": "mpu", "rate": 25, "range_g": RANGE_G, "range_dps": RANGE_DPS, "scl": 1, "sda": 0,
    },
    "channels": ["ax", "ay", "az", "gx", "gy", "gz"],
    "units": "convert",
    "poll_ms": 10,  # samples wait in the chip
    "print": "nothing",
    "watchdog_ms": 60_000,
}  # fmt: skip

# What happens to the sensor, at which second.
FAULTS = """
_simulation.imu(_input, {period_us}, 15000)
_second = 0
def _faults(t):
    global _second
    _second += 1
    if _second == {away}:
        _simulation.fault("nak")
    elif _second == {back}:
        _simulation.fault("")
    elif _second == {stuck}:
        _simulation.fault("stuck")
    elif _second == {dip}:
        machine.I2C(0).writeto_mem(0x68, 0x6b, b"\\x40")
_timer = machine.Timer(period=1000, callback=_faults)
"""

# main.py: of the driver's samples some never reach the app.
MAIN = """
import json
import ulnn_app
from ulnn_sources.mpu import Sensor

class Lossy(Sensor):
    random, given, firsts = {seed}, 0, []

    def start(self):
        super().start()
        self.gap = 0
        self.first = True
        self.firsts.append(self.given)

    def take(self):
        if self.given > {steps}:
            raise StopIteration
        while super().take():
            if self.first:
                self.first = False
                break
            self.gap += self.elapsed
            self.random = (self.random * 1101 + 12345) & 0x7FFFF
            if self.random >> 4 >= {drop}:
                self.elapsed = self.gap
                self.gap = 0
                break
            self.dropped += 1
        else:
            return False
        self.given += 1
        return True

with open("settings.json") as f:
    settings = json.load(f)
source = settings.pop("source")
del source["kind"]
source = Lossy(source)
ulnn_app.run(settings, source=source)
print(repr([ulnn_app.figures(), ulnn_app.faults(), source.firsts]))
ulnn_app.status()
"""


@dataclass(frozen=True)
class Plan:
    """steps of the model; seconds at which the sensor is away, back, stuck, without power; seconds
    of the recording, over and over; how often in a row the app finds the sensor away."""

    steps: int
    away: int
    back: int
    stuck: int
    dip: int
    recording: int
    silent: int


# The app looks again 0.1 s after a fault, then 0.2 s, 0.4 s ... 10 s: 0.1, 0.3, 0.7, 1.5, 3.1 ...
QUICK = Plan(700, away=10, back=12, stuck=20, dip=30, recording=60, silent=5)
FULL = Plan(10_200, away=100, back=130, stuck=300, dip=450, recording=120, silent=9)


@pytest.fixture(params=sorted(BOARDS))
def board(request: pytest.FixtureRequest) -> Any:
    with jumping_board(str(request.param), heap_kib=2048) as running:
        yield running


def chip_counts(seconds: float) -> NDArray[np.int16]:
    """The watch's recordings as an MPU-6050 would measure them, (rows, 6)."""
    values = cases.recording(seconds).x[0].astype(np.float64)
    values[:, :3] *= 32768 / RANGE_G
    values[:, 3:] *= np.degrees(1) * 32768 / RANGE_DPS
    return np.rint(np.clip(values, -32768, 32767)).astype(np.int16)


def rows_of(raw: NDArray[np.int32], data: NDArray[np.int16]) -> NDArray[np.int64]:
    """Which row of the data, repeated without end, each sample is."""
    known: dict[tuple[int, ...], list[int]] = {}
    for k, row in enumerate(data.tolist()):
        known.setdefault(tuple(row), []).append(k)
    found, last = [], 0
    for sample in raw.tolist():
        last += 1 + min((row - last - 1) % len(data) for row in known[tuple(sample)])
        found.append(last)
    return np.array(found)


def run(board: VirtualBoard, folder: Path, plan: Plan) -> traced.Trace:
    settings = folder / "settings.json"
    settings.write_text(json.dumps(SETTINGS))
    main = MAIN.format(seed=SEED, drop=int(DROP * 32768), steps=plan.steps)
    faults = FAULTS.format(period_us=PERIOD_US, **vars(plan))
    how = {"typecode": "h", "simulate": faults, "steps": plan.steps}
    data = chip_counts(plan.recording).tobytes()
    with Board.open(board.port) as link:
        traced.put(link, settings, cases.model_bytes(), main, data=data, **how)
    said, wall = traced.run(board.port, timeout_s=120)
    with Board.open(board.port) as link:
        return traced.read(link, said, wall)


def test_minutes_with_faults(board: VirtualBoard, tmp_path: Path, full: bool) -> None:
    """Samples, times, figures and decisions are right, and memory is flat. With --full ten
    simulated minutes in less than one, else 45 s."""
    plan = FULL if full else QUICK
    trace = run(board, tmp_path, plan)
    figures, faults, firsts = ast.literal_eval(
        re.findall(r"^\[.*\]$", trace.said, re.MULTILINE)[0]
    )
    assert trace.wall < 60
    assert trace.us.sum() > (600e6 if full else 45e6)

    # Every sample is the row that the chip measured then, and its time is right.
    rows = rows_of(trace.raw, chip_counts(plan.recording))
    true_us = np.diff(rows) * PERIOD_US
    restarted = np.array(firsts[1:]) - 1  # the first sample of all is no step
    assert len(restarted) == 3
    plain = np.delete(np.arange(len(rows)), restarted)
    off = trace.us[1:] - true_us
    assert abs(off[restarted - 1]).max() < 2 * PERIOD_US
    for part in np.split(off, restarted - 1):  # from start to start it does not add up
        assert abs(part[1:]).max() < PERIOD_US
        assert abs(np.cumsum(part[1:])).max() < 2 * PERIOD_US
    # Which ones are missing, a PC knows.
    kept = cases.kept(len(plain) + figures["dropped"], DROP, SEED)
    assert (figures["samples"], figures["dropped"]) == (plan.steps + 1, (~kept).sum())
    at = np.zeros(len(rows), np.int64)
    at[plain] = np.flatnonzero(kept)
    together = np.setdiff1d(plain, [*restarted + 1, 0])
    assert (rows[together] - rows[together - 1] == at[together] - at[together - 1]).all()

    # Faults.
    assert [times for _, times, _ in faults] == [plan.silent, 1, 1]
    said = ("no answer on I2C(0)", "I2C(0) timed out, a line is held low", "gives no samples")
    assert all(part in text for part, (_, _, text) in zip(said, faults, strict=True))
    when = np.array([seconds for seconds, _, _ in faults])
    assert when - when[0] == pytest.approx(
        np.array([0, plan.stuck, plan.dip]) - [0, plan.away, plan.away], abs=2
    )
    assert figures["faults"] == figures["restarts"] == plan.silent + 2

    # Decisions, by the reference engine and the host's own conversions. Scales are float32.
    values = trace.raw.astype(np.float64)
    values[:, :3] *= RANGE_G / 32768
    values[:, 3:] *= np.float32(RANGE_DPS / 32768 * float(np.float32(np.pi / 180)))
    want = cases.decide(cases.model_bytes(), values.astype(np.float32), trace.us.astype(np.int64))
    every = np.arange(cases.WINDOW - 1, plan.steps, cases.WINDOW)
    made = zip(trace.decisions[every].tolist(), trace.margins[every].tolist(), strict=True)
    assert list(made) == want.decisions
    named = want.named(cases.model_bytes())
    assert sum(count > 0 for _, count in named) >= 3
    assert figures["decisions"] == named
    assert figures["clamped"] == want.clamped >= 1
    assert (figures["shortest_us"], figures["longest_us"]) == (trace.us.min(), trace.us.max())
    assert figures["near"] + figures["others"] == plan.steps
    assert figures["period_us"] == pytest.approx(PERIOD_US, rel=0.01)
    assert (
        f"{plan.steps + 1}, {figures['dropped']} lost before, {figures['faults']} faults"
        in trace.said
    )

    # Memory is flat from fault to fault, and a fault takes none for long. It is noted every 50
    # samples.
    memory = trace.memory
    assert memory[50:].max() - memory[50:].min() < 512
    for begin, end in zip([0, *restarted], [*restarted, plan.steps], strict=True):
        assert len(set(memory[begin + 50 : end])) <= 1
