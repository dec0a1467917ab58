"""An app on a virtual board with simulated sensors: what went into its model and what it decided,
and what a PC decides about the same."""

from __future__ import annotations

import json
import time
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import serial
from numpy.typing import NDArray

from support.decider import reference_decider
from ulnn_host.board import board_code
from ulnn_host.board.app import read_app
from ulnn_host.board.deploy import deploy
from ulnn_host.board.link import Board
from ulnn_rules.meaning import Meaning
from ulnn_rules.scaling import Scaling

# boot.py: simulated sensors replay a file. Microseconds, decision, margin, memory in use and
# counts of every sample that goes into the model are kept; when `steps` are there, the app ends.
BOOT = """
import gc, machine, _simulation, ulnn_app
from array import array
from ulnn_app import loop, measures

with open("/input.bin", "rb") as f:
    _input = array({typecode!r}, f.read())
{simulate}
_width = 4 + {channels}
_trace = array("i", [0] * ({steps} * _width))
_at = _us = _memory = 0
_step, _add = loop.App._step, measures.Pace.add

def _noted(self, us):
    global _us
    _us = us
    _add(self, us)

def _traced(self):
    global _at, _us, _memory
    _us = 0
    _step(self)
    if not _us:
        return
    _trace[_at] = _us
    _trace[_at + 1] = self.decider.decision
    if self.samples % 50 == 0:  # it looks at every block of the heap
        _memory = gc.mem_alloc()
    _trace[_at + 2] = self.decider.margin
    _trace[_at + 3] = _memory
    for k in range(_width - 4):
        _trace[_at + 4 + k] = self.source.raw[k]
    _at += _width
    if _at == len(_trace):
        self.stop()
        loop.App._step = _step
        with open("/trace.bin", "wb") as f:
            f.write(array("i", [_width]))
            f.write(_trace)

loop.App._step, measures.Pace.add = _traced, _noted
"""


@dataclass(frozen=True)
class Trace:
    """us, decisions, margins, memory: (T,). raw: (T, channels). said: what the program printed.
    wall: the seconds that it took."""

    us: NDArray[np.int32]
    decisions: NDArray[np.int32]
    margins: NDArray[np.int32]
    memory: NDArray[np.int32]
    raw: NDArray[np.int32]
    said: str
    wall: float


def put(
    link: Board, settings: Path, model: bytes, main: str, *, data: bytes, steps: int, **boot: Any
) -> None:
    """An app, its model, its program, and what the board's sensors will give."""
    path = settings.parent / "model.ulnn"
    path.write_bytes(model)
    deploy(link, path, app=read_app(settings, model))
    channels = len(_on_pc(settings, model)[0].names)
    text = BOOT.format(channels=channels, steps=steps, **boot)
    for name, content in (
        ("/input.bin", data),
        ("/main.py", main.encode()),
        ("/boot.py", text.encode()),
    ):
        link.write_file(name, content)


def run(port: str, timeout_s: float = 60) -> tuple[str, float]:
    """What the board's main.py prints until the prompt, and how many seconds it runs."""
    with serial.Serial(port, timeout=timeout_s) as line:
        line.write(b"\r\x03\x02\r\x04")
        line.read_until(b"soft reboot\r\n")
        start = time.monotonic()
        said = line.read_until(b">>> ")
        assert said.endswith(b">>> "), said
    return said.decode().replace("\r\n", "\n"), time.monotonic() - start


def read(link: Board, said: str, wall: float) -> Trace:
    """What the program has kept."""
    held = np.frombuffer(link.read_file("/trace.bin"), "<i4")
    rows = held[1:].reshape(-1, held[0])
    return Trace(*rows[:, :4].T, rows[:, 4:], said, wall)


def _on_pc(settings: Path, model: bytes) -> Any:
    """The source of the settings, on a PC, and its `Counts`."""
    rules = board_code.module("ulnn_app.settings")
    given = rules.read({"model": "?"} | json.loads(settings.read_text()), str(settings))
    for name, content in read_app(settings, model).recordings.items():
        local = settings.parent / name
        local.write_bytes(content)
        given["source"]["file"] = str(local)
    source = rules.source_of(given, str(settings))
    return source, rules.fit(given, source, Meaning(model), Scaling(model), str(settings))


def decide(settings: Path, model: bytes, trace: Trace) -> list[int]:
    """The decision after each sample of a trace, by the reference engine."""
    scaling = Scaling(model)
    _, counts = _on_pc(settings, model)
    decider = reference_decider(model)
    x = array("h", [0] * scaling.input_size)
    found = []
    for us, raw in zip(trace.us.tolist(), trace.raw.tolist(), strict=True):
        counts.convert(array("h", raw), x)
        decider.step(x, scaling.ticks(us))
        found.append(decider.decision)
    return found
