"""Rows of an app on a board: samples, outputs and decisions, each as on the PC."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ulnn_host as uh
from support import wave_source
from support.paths import FIRMWARE
from support.pty_board import PtyBoard
from support.random_models import Shape, random_model, with_golden
from support.unix import needs_micropython
from ulnn_host.base.errors import UlnnError
from ulnn_host.board.link import Board
from ulnn_host.board.live import Decision, Moment
from ulnn_host.engines.reference import Reference
from ulnn_host.format import container
from ulnn_host.format.model import Decision as Rule
from ulnn_host.format.model import Names
from ulnn_rules.counts import Counts
from ulnn_rules.decider import UNKNOWN, Decider
from ulnn_rules.meaning import Meaning
from ulnn_rules.scaling import Scaling
from ulnn_rules.unknown import numbers

pytestmark = needs_micropython

LABELS = ("rest", "walk", "run")
SETTINGS = {"model": "m.ulnn", "source": {"kind": "wave", "rate": 100}, "watchdog_ms": 5000}


def model_bytes(unknown: bytes = b"") -> bytes:
    """A model that decides every 20 samples. unknown: its section."""
    model = random_model(3, Shape(inputs=6, hidden=8, outputs=3))
    names = Names(wave_source.NAMES, wave_source.UNITS, LABELS)
    scale = np.array(wave_source.SCALE, np.float32) * 2  # some counts lie between two inputs
    model = replace(model, input_scale=scale, names=names)
    model = replace(model, decision=Rule("mean", window=20), unknown=unknown)
    return with_golden(model)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[PtyBoard]:
    """A board with a model, an app's settings, and a wave."""
    modules = wave_source.modules() | {"ulnn.py": (FIRMWARE / "ulnn.py").read_text()}
    with PtyBoard(tmp_path / "board", modules=modules, heap="8M") as running:
        (running.folder / "m.ulnn").write_bytes(model_bytes())
        (running.folder / "settings.json").write_text(json.dumps(SETTINGS))
        yield running


def test_rows_are_those_of_the_pc(app: PtyBoard) -> None:
    file, data = app.folder / "m.ulnn", model_bytes()
    rows = []
    with Board.open(app.port) as board, board.source("settings.json", app=True) as session:
        source = session.source
        deadline = time.monotonic() + 20
        while sum(len(r.raw) for r in rows) < 90 and time.monotonic() < deadline:
            rows.append(session.fetch())
            time.sleep(session.pause)
    raw, elapsed, y, decision, margin = (
        np.concatenate([getattr(r, key) for r in rows])
        for key in ("raw", "elapsed", "y", "decision", "margin")
    )
    assert (source.channels, source.units, source.labels) == (
        *(wave_source.NAMES, wave_source.UNITS, LABELS),
    )
    assert rows[-1].faults == rows[-1].dropped == 0
    assert raw[:, 0].tolist() == list(range(1, len(raw) + 1))
    engine = Reference(container.read(data))
    decider = Decider(Meaning(str(file)))
    scaling = Scaling(str(file))
    counts = Counts(scaling, source.scale, source.offset)
    x = array("h", [0] * 6)
    assert elapsed[0] == 0  # no time before the first sample, and so no step
    for k in range(1, len(raw)):
        counts.convert(raw[k].tolist(), x)
        ticks = scaling.ticks(int(elapsed[k]))
        out = engine.step(np.array(x, np.int16), ticks)
        assert y[k].tolist() == out.tolist()
        made = decider.update(out.tolist(), ticks)
        assert decision[k] == (-2 if made is None else made)
        if made is not None:
            assert margin[k] == decider.margin
    assert (decision != -2).sum() == (len(raw) - 1) // 20 >= 4


def test_live(app: PtyBoard) -> None:
    made: list[Decision] = []
    seen: list[Moment] = []
    moment = uh.live(app.port, seconds=1, on_decision=made.append, progress=seen.append)
    assert (moment.model, moment.samples, moment.ended) == ("m.ulnn", 101, "ended after 1 s")
    assert (moment.dropped, moment.faults, moment.gaps, moment.restarts) == (0, 0, 0, 0)
    assert len(made) == 5
    assert sum(moment.decisions.values()) == 5
    assert {d.label for d in made} <= {*LABELS, "unsure"}
    assert made[0].seconds == pytest.approx(0.2)
    assert moment.values.tolist() == pytest.approx(
        np.array([101 + 100 * k for k in range(6)]) * wave_source.SCALE + [0, 0, 0, 0, 0, 1]
    )
    assert seen[-1] == moment


def test_what_a_model_does_not_know_is_said(app: PtyBoard) -> None:
    # windows lie at the origin, the only centre elsewhere, and the threshold is 0
    values = [0] * 6 + [1] * 6 + [0] * 36
    values += [0] * (numbers(6, 1) - len(values) - 18) + [1000] * 18
    section = struct.pack(f"<HHI{len(values)}h", 1, 0, 0, *values)
    (app.folder / "m.ulnn").write_bytes(model_bytes(section))
    made: list[Decision] = []
    moment = uh.live(app.port, seconds=0.5, on_decision=made.append)
    assert moment.decisions == {"unknown": 2}
    assert [(d.label, d.number) for d in made] == [("unknown", UNKNOWN)] * 2


def test_faults_of_the_source_are_shown(app: PtyBoard) -> None:
    settings = SETTINGS | {"source": {"kind": "wave", "rate": 100, "fail": 20}}
    moment = uh.live(app.port, settings=settings, seconds=0.8)
    assert (moment.faults, moment.fault) == (1, "source: OSError: the wave broke")
    assert moment.gaps == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": "none.ulnn"}, "no file none.ulnn"),
        ({"modell": "m.ulnn"}, "'modell' is not a key of it"),
        ({"channels": ["ax", "heart"]}, "no channel heart|2 channels"),
        (
            {"source": {"kind": "wave", "refuse": True}},
            r"no sample came .*no wave at address 0x68",
        ),
    ],
)
def test_errors_are_one_line(
    app: PtyBoard, settings: dict[str, object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ulnn_host.board.tally.NOTHING_SECONDS", 0.5)
    with pytest.raises(UlnnError, match=said) as caught:
        uh.live(app.port, settings=SETTINGS | settings, seconds=0.3)
    assert "\n" not in str(caught.value)


def test_the_command(app: PtyBoard, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ulnn_host", "live", "--port", app.port, "--seconds", "0.5"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["seconds"] for line in lines] == pytest.approx([0.2, 0.4])
    assert lines[0].keys() == {"seconds", "label", "number", "margin"}
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert said[0].split()[:2] == ["0.20", "s"]
    assert "51 samples  100 Hz  0 gaps  0 lost" in said[2]
    assert said[3].startswith("decisions: ")
