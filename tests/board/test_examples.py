"""firmware/examples on both virtual boards, as they are: simulated sensors, the app, decisions."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from support import traced
from support.board_tools import jumping_board
from support.paths import FIRMWARE
from support.random_models import Shape, random_model
from ulnn_host.board.link import Board
from ulnn_host.board.virtual import BOARDS, VirtualBoard
from ulnn_host.format import container
from ulnn_host.format.model import Decision, Names

pytestmark = pytest.mark.board

EXAMPLES = FIRMWARE / "examples"
WINDOW = 5
LABELS = ("rest", "left", "right")
LINE = {
    "gesture": r"(rest|left|right) \(margin \d+\)",
    "vibration": "rest|left|right|unsure",
    "ecg": r"\d+ rest, \d+ left, \d+ right, \d+ unsure",
    "replay": r"\d+ s (rest|left|right|unsure) margin \d+",
}


@pytest.fixture(scope="module", params=sorted(BOARDS))
def board(request: pytest.FixtureRequest) -> Iterator[VirtualBoard]:
    with jumping_board(str(request.param), heap_kib=1024) as running:
        yield running


def model_of(channels: tuple[str, ...], units: tuple[str, ...], scale: float, seed: int) -> bytes:
    """A model without biases: it decides differently in the course of inputs around 0."""
    model = random_model(seed, Shape(inputs=len(channels), hidden=8, outputs=len(LABELS)))
    layers = []
    for layer in model.layers:
        plain = tuple(replace(m, bias=np.zeros_like(m.bias)) for m in layer.matrices)
        layers.append(replace(layer, matrices=plain))
    return container.write(
        replace(
            model,
            layers=tuple(layers),
            input_scale=np.full(len(channels), scale, np.float32),
            names=Names(channels, units, LABELS),
            decision=Decision(readout="mean", window=WINDOW),
        )
    )


def gesture_model() -> bytes:
    channels = ("ax", "ay", "az", "wx", "wy", "wz")
    return model_of(channels, ("g",) * 3 + ("rad/s",) * 3, 1e-4, 2)


def motion(rows: int) -> NDArray[np.int16]:
    """Something that moves, in counts of the simulated chip."""
    rng = np.random.default_rng(5)
    t = np.arange(rows)[:, None] / 25
    speed = rng.uniform(0.05, 0.8, (1, 6))
    wave = np.sin(2 * np.pi * speed * t + rng.uniform(0, 6, (1, 6)))
    return np.rint(wave * 3000 + rng.normal(0, 200, (rows, 6))).astype(np.int16)


def swing(rows: int, period: float) -> NDArray[np.uint16]:
    """A voltage that swings, in counts of the simulated converter."""
    noise = np.random.default_rng(6).normal(0, 2000, rows)
    wave = np.sin(2 * np.pi * np.arange(rows) / period)
    return np.rint(32768 + 20000 * wave + noise).astype(np.uint16)


def settings_of(example: str, folder: Path) -> Path:
    """A copy of the example's settings, where a person would change them."""
    return Path(shutil.copy(EXAMPLES / example / "settings.json", folder))


def put(board: VirtualBoard, example: str, settings: Path, model: bytes, **how: Any) -> None:
    main = (EXAMPLES / example / "main.py").read_text()
    with Board.open(board.port) as link:
        traced.put(link, settings, model, main, **how)


def check(board: VirtualBoard, example: str, settings: Path, model: bytes) -> traced.Trace:
    """The program runs, says what it should, and decides what a PC does."""
    said, wall = traced.run(board.port)
    with Board.open(board.port) as link:
        trace = traced.read(link, said, wall)
    assert " s fault " not in said
    lines, _, _ = said.partition("ulnn_app: ended")
    expected = [re.fullmatch(LINE[example], line) for line in lines.splitlines()]
    assert expected
    assert all(expected), said
    assert trace.decisions.tolist() == traced.decide(settings, model, trace)
    assert len(set(trace.decisions.tolist())) > 2
    return trace


def test_gesture(board: VirtualBoard, tmp_path: Path) -> None:
    settings, model = settings_of("gesture", tmp_path), gesture_model()
    how = {"typecode": "h", "simulate": "_simulation.imu(_input, 0, 15000)"}
    put(board, "gesture", settings, model, data=motion(1000).tobytes(), steps=250, **how)
    trace = check(board, "gesture", settings, model)
    assert trace.us.mean() == pytest.approx(40_600, rel=0.01)
    # Row after row, at the range of the settings: 8 g, 1,000 degrees a second.
    rows = trace.raw[:, 0] // 2
    first = int(np.flatnonzero(motion(1000)[:, 0] == rows[0])[0])
    assert (trace.raw == 2 * motion(1000)[first : first + 250].astype(np.int32)).all()


@pytest.mark.parametrize(("example", "period"), [("vibration", 500), ("ecg", 4000)])
def test_adc(board: VirtualBoard, tmp_path: Path, example: str, period: int) -> None:
    settings = settings_of(example, tmp_path)
    source = json.loads(settings.read_text())["source"]
    model = model_of(tuple(source["names"]), (source["unit"],), 1e-4, 3)
    how = {"typecode": "H", "simulate": f"_simulation.adc(_input, {period})"}
    put(board, example, settings, model, data=swing(4000, 157).tobytes(), steps=800, **how)
    trace = check(board, example, settings, model)
    assert np.median(trace.us) == pytest.approx(period, rel=0.1)
    if example == "vibration":
        assert (trace.us > 20 * period).sum() == 1  # from burst to burst


def test_replay(board: VirtualBoard, tmp_path: Path) -> None:
    settings = settings_of("replay", tmp_path)
    values = motion(300) / 2048
    table = ["t,ax,ay,az,wx,wy,wz"]
    table += [f"{k / 25:.2f}," + ",".join(f"{v:.5f}" for v in row) for k, row in enumerate(values)]
    (tmp_path / "take.csv").write_text("\n".join(table) + "\n")
    channels = ("ax", "ay", "az", "wx", "wy", "wz")
    model = model_of(channels, ("",) * 6, 1e-4, 2)
    put(board, "replay", settings, model, data=b"", steps=290, typecode="h", simulate="")
    trace = check(board, "replay", settings, model)
    assert set(trace.us.tolist()) == {40_000}
    assert re.search(r"ended after 29\d samples", trace.said)
