"""The app on both virtual boards: real recordings with samples missing and a sensor that fails,
and every decision as a PC makes it; then boot, Ctrl-C, and settings that do not work."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import serial
from numpy.typing import NDArray

from support import app_cases as cases
from support.board_tools import USUAL, port_fixture
from ulnn_host.base.errors import UlnnError
from ulnn_host.board.app import App, read_app
from ulnn_host.board.deploy import DeployReport, deploy
from ulnn_host.board.link import Board, BoardError
from ulnn_host.board.virtual import resolve_port

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


port = port_fixture(*USUAL)


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


def run_failing(link: Board, repeat: int, most: int = 2048) -> tuple[dict[str, object], float]:
    """The app over the recording, several times, with a sensor that fails; its figures."""
    source = {"file": "/walk.take", "pace": "fast", "drop": DROP, "seed": SEED, "repeat": repeat}
    settings = {"model": "/models/watch.ulnn", "print": "nothing", "source": source}
    text = RUN.format(fails=FAILS, lost=LOST, most=most, settings=settings)
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
    named = want.named(cases.model_bytes())
    assert sum(count > 0 for _, count in named) >= 3
    last, margin = want.decisions[-1]
    assert figures["decisions"] == named
    assert (figures["decision"], figures["margin"]) == (named[last][0], margin)
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
    first = next(k for k, held in enumerate(memory) if held == memory[-1])
    assert first < FAILS[1] // cases.WINDOW, memory
    assert set(memory[first:]) == {memory[-1]}
    assert max(memory) - min(memory) < 512
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
        check = run_failing(link, 1, 64)[0]
        assert check["state"] == "ended"
        free = link.whole("__import__('gc').collect() or __import__('gc').mem_free()")
        assert free > 8_500  # beside what this test holds


# ---- a person at the prompt ---------------------------------------------------------------------


class Prompt:
    """A board's friendly REPL."""

    def __init__(self, port: str) -> None:
        self.port = serial.Serial(port, 115200, timeout=0.1)
        self.read_all = ""

    def until(self, pattern: str, seconds: float = 30) -> str:
        """What came up to the end of a match; the rest is kept."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.read_all)):
            assert time.monotonic() < end, f"no {pattern!r} in {self.read_all!r}"
            self.read_all += self.port.read(4096).decode().replace("\r\n", "\n")
        text, self.read_all = self.read_all[: found.end()], self.read_all[found.end() :]
        return text

    def send(self, text: str) -> None:
        for k in range(0, len(text), 64):
            self.port.write(text[k : k + 64].encode())
            time.sleep(0.02)


@contextlib.contextmanager
def prompt(port: str) -> Iterator[Prompt]:
    there = Prompt(port)
    with there.port:
        there.send("\r\x03")
        there.until(">>> $")
        yield there


def test_a_person_can_always_stop_it(port: str, tmp_path: Path) -> None:
    """It starts with the board; Ctrl-C gives the prompt at any time, also before it has started,
    and what was counted is still there; a file `stop`, and settings that are broken, leave the
    prompt."""
    with Board.open(port) as link:
        put(link, tmp_path, 40, print="all")
        edit = "import json\ns = json.load(open('settings.json'))\n"
        edit += "s['source']['pace'] = 'real'\ns['source']['drop'] = 0\n"
        edit += "f = open('settings.json', 'w')\njson.dump(s, f)\nf.close()\n"
        link.exec(edit)
    with prompt(port) as there:
        there.send("\x04")  # as at power-on
        there.until("The app starts in a second; Ctrl-C gives the prompt\n")
        there.until(r"\d+ s \w+ margin \d+\n")
        there.send("\x03")
        stopped = there.until(r">>> $")
        (samples,) = re.findall(r"ulnn_app: stopped after (\d+) samples; status\(\)", stopped)
        assert 20 <= int(samples) < 300
        assert "Traceback" not in stopped
        there.send("ulnn_app.status()\r")
        said = there.until(r">>> $")
        assert re.search(
            r"model +watch.ulnn \(CfC, dense\), sha256 [0-9a-f]{12}, native engine", said
        )
        assert re.search(r"state +ended", said)
        assert re.search(r"sampling +25 Hz\n", said)
        assert re.search(rf"samples +{samples}, 0 lost before, 0 faults, 0 restarts", said)
        assert re.search(r"a step +p50 [\d.]+ [mu]s, p95 [\d.]+ [mu]s, max [\d.]+ m?[mu]?s", said)
        there.send("ulnn_app.log()\r")
        assert "no faults" in there.until(r">>> $")

        there.send("\x04")
        there.until("Ctrl-C gives the prompt\n")
        there.send("\x03")
        assert "KeyboardInterrupt" in there.until(r">>> $")

        there.send("open('stop', 'w').close()\r\x04")
        assert "there is a file stop" in there.until(r"stop\n(.|\n)*>>> $")
        there.send("import os; os.remove('stop'); f = open('settings.json', 'w')\r")
        there.send("_ = f.write('{\"model\": 3}'); f.close()\r\x04")
        broken = there.until(r"ulnn_app: (.|\n)*>>> $")
        assert "ulnn_app: settings.json.model: expected a text of length" in broken
        assert "Traceback" not in broken


def test_lines_over_the_port_of_the_prompt(port: str, tmp_path: Path) -> None:
    """A sender at the other end of the line gives samples; Ctrl-C still stops the app."""
    source = {
        "kind": "lines",
        "time": "ms",
        "channels": [
            {"name": n, "unit": u} for n, u in zip(cases.CHANNELS, cases.UNITS, strict=True)
        ],
    }
    with Board.open(port) as link:
        put(link, tmp_path, 4, source=source, print="all")
    data = cases.recording(4)
    with prompt(port) as there:
        there.send("import ulnn_app; ulnn_app.run()\r")
        there.until(r"run\(\)\n")
        time.sleep(1)
        there.send("rubbish\n")
        for k, row in enumerate(data.x[0][:61]):
            there.send(f"{40 * k}," + ",".join(f"{v:.3f}" for v in row) + "\n")
        there.until(r"(\d+ s \w+ margin \d+\n){1}(.|\n)*?(margin \d+\n)(.|\n)*?margin \d+\n")
        there.send("\x03")
        assert "stopped after 61 samples" in there.until(r">>> $")
        there.send("ulnn_app.status()\r")
        said = there.until(r">>> $")
        assert re.search(r"sampling +25 Hz\n", said)
        assert "61, 1 lost before, 0 faults" in said


# ---- what a deployment does ---------------------------------------------------------------------


def test_what_a_board_refuses_leaves_the_version_before(tmp_path: Path) -> None:
    with resolve_port("virtual:rv32") as port, Board.open(port) as link:
        put(link, tmp_path, 4)
        app, model = app_of(tmp_path, 4)
        # The PC cannot know what is there already.
        app.settings["source"]["file"] = "/none.take"
        app.recordings.clear()
        with pytest.raises(UlnnError, match=r"no file /none.take; the board is back with"):
            deploy(link, model, app=app)
        link.soft_reset()
        link.exec("import ulnn_app\nulnn_app.make('settings.json')")
        with pytest.raises(BoardError, match="no such file"):
            link.exec("ulnn_app.make('other.json')")
