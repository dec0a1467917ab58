"""The app on both virtual boards: real recordings with samples missing and a sensor that fails,
and every decision as a PC makes it; then boot, Ctrl-C, and settings that do not work."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from support import app_cases as cases
from support.board_tools import chosen_port
from ulnn_host.board.app import App, read_app
from ulnn_host.board.deploy import DeployReport, deploy
from ulnn_host.board.link import Board
from ulnn_host.board.virtual import resolve_port
from ulnn_host.format import container

pytestmark = pytest.mark.board

DROP, SEED, REPEAT = 0.3, 7, 5
SETTINGS = {
    "source": {"kind": "replay", "file": "walk.take", "pace": "fast", "drop": DROP, "seed": SEED},
    "print": "nothing",
}

# A sensor that stops answering twice, for some time, and at once after it was started again.
RUN = """
import gc
from array import array
import ulnn_app
from ulnn_sources.replay import Sensor

FAILS, LOST = {fails}, {lost}

class Failing(Sensor):
    taken = gap = 0
    def take(self):
        if self.taken in FAILS:
            for k in range(LOST):
                super().take()
                self.gap += self.elapsed
            self.taken += 1
            raise OSError(110, "ETIMEDOUT")
        self.taken += 1
        if not super().take():
            return False
        self.elapsed += self.gap
        self.gap = 0
        return True

made, memory = array("h", bytes(2 * {most})), array("i", bytes(4 * {most}))
count = 0
def note(app):
    global count
    made[2 * count] = app.decider.decision
    made[2 * count + 1] = app.decider.margin
    memory[count] = gc.mem_alloc()
    count += 1

settings = {settings}
source = Failing(settings.pop("source"))
ulnn_app.run(settings, source, note)
"""


@pytest.fixture(params=["virtual:rv32", "virtual:cortex-m7"])
def port(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from chosen_port(request)


def app_of(folder: Path, seconds: float, **changes: object) -> tuple[App, Path]:
    """An app that replays a recording, and its model's file."""
    cases.take_file(folder / "walk.take", seconds)
    model = folder / "watch.ulnn"
    model.write_bytes(cases.model_bytes())
    (folder / "settings.json").write_text(json.dumps(SETTINGS | changes))
    return read_app(folder / "settings.json", model.read_bytes()), model


def put(board: Board, folder: Path, seconds: float, **changes: object) -> DeployReport:
    app, model = app_of(folder, seconds, **changes)
    return deploy(board, model, app=app)


def samples(
    path: Path, repeat: int, fails: list[int], lost: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    """Values and elapsed times of the samples that the app gets, and how many were left out."""
    values, us = cases.rows(path)
    values, us = np.tile(values, (repeat, 1)), np.tile(us, repeat)
    left = cases.kept(len(us), DROP, SEED)
    values, at = values[left], np.cumsum(us)[left]
    answered, taken, row = [], 0, 0
    while row < len(values):
        if taken in fails:
            row += lost
        else:
            answered.append(row)
            row += 1
        taken += 1
    chosen = np.array([k for k in answered if k < len(values)])
    return values[chosen], np.diff(at[chosen], prepend=0), int((~left).sum())


def run_failing(link: Board, repeat: int) -> tuple[dict[str, object], float]:
    """The app over the recording, several times, with a sensor that fails; its figures."""
    source = {"file": "/walk.take", "pace": "fast", "drop": DROP, "seed": SEED, "repeat": repeat}
    settings = {"model": "/models/watch.ulnn", "print": "nothing", "source": source}
    text = RUN.format(fails=FAILS, lost=LOST, most=4096, settings=settings)
    link.soft_reset()
    start = time.monotonic()
    link.exec(text, timeout=120)
    return dict(link.eval("ulnn_app.figures()")), time.monotonic() - start


FAILS, LOST = [150, 400, 401, 402, 403], 60


def check_run(link: Board, folder: Path, repeat: int) -> float:
    figures, took = run_failing(link, repeat)
    x, us, dropped = samples(folder / "walk.take", repeat, FAILS, LOST)
    want = cases.decide(cases.model_bytes(), x, us)
    count = link.whole("count")
    made = link.eval(f"list(made[:{2 * count}])")
    assert list(zip(made[::2], made[1::2], strict=True)) == want.decisions
    tally = Counter(decision for decision, _ in want.decisions)
    assert len(tally) >= 3

    labels = container.read(cases.model_bytes()).labels
    named = [(name, tally[k]) for k, name in enumerate(labels)] + [("unsure", tally[-1])]
    last, margin = want.decisions[-1]
    assert figures["decisions"] == named
    assert (figures["decision"], figures["margin"]) == ([*labels, "unsure"][last], margin)
    assert (figures["samples"], figures["dropped"]) == (len(x), dropped)
    assert (figures["faults"], figures["restarts"]) == (5, 5)
    assert figures["clamped"] == want.clamped >= 2
    assert figures["longest_us"] == us.max() > 60 * 40_000
    assert figures["period_us"] == pytest.approx(40_000, rel=0.01)
    assert figures["state"] == "ended"
    ((_, times, text),) = link.eval("ulnn_app.faults()")
    assert times == 5
    assert "source: OSError" in text
    assert "ETIMEDOUT" in text

    # Flat once the app runs: a fault uses memory for a while, and gives it back.
    memory = link.eval(f"list(memory[:{count}])")
    assert len(set(memory[-count // 2 :])) == 1
    assert max(memory[2:]) == memory[2]
    return took


def test_decisions_are_those_of_a_pc(port: str, tmp_path: Path, full: bool) -> None:
    """With --full, ten simulated minutes in less than one."""
    seconds, repeat = (120, 5) if full else (60, 1)
    with Board.open(port) as link:
        report = put(link, tmp_path, seconds)
        assert report.plan.version.app == "/settings.json"
        took = check_run(link, tmp_path, repeat)
    assert took < 60


def test_in_64_kb(tmp_path: Path) -> None:
    """With the engine in the firmware, and the app as bytecode on the disk."""
    with resolve_port("virtual:rv32+frozen?heap=64k") as port, Board.open(port) as link:
        put(link, tmp_path, 30)
        check = run_failing(link, 1)[0]
        assert check["state"] == "ended"
        free = link.whole("__import__('gc').collect() or __import__('gc').mem_free()")
        assert free > 16_000
