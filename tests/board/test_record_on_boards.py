"""Takes and live decisions on the virtual boards, through the driver of a real sensor."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ulnn_host as uh
from support.board_tools import need_tools
from support.random_models import Shape, random_model, trimmed, with_golden
from ulnn_host.board.link import Board
from ulnn_host.board.record import record
from ulnn_host.board.source_files import prepare
from ulnn_host.board.takes import take_bytes
from ulnn_host.board.virtual import BOARDS, board_at
from ulnn_host.format.model import Decision, Names

pytestmark = pytest.mark.board

# An MPU-6050 whose k-th sample is k in ax and -k in ay, over and over.
ROWS = 500
BOOT = f"""
import _simulation
from array import array
rows = array("h", [0] * {6 * ROWS})
for k in range({ROWS}):
    rows[6 * k], rows[6 * k + 1] = k, -k
_simulation.imu(rows)
"""
MPU = {"kind": "mpu", "rate": 200, "range_g": 16, "range_dps": 2000, "scl": 1, "sda": 0}
CHANNELS = ("ax", "ay", "az", "gx", "gy", "gz")


@pytest.fixture(scope="module", params=sorted(BOARDS))
def port(request: pytest.FixtureRequest) -> Iterator[str]:
    """A board with a sensor and a heap of 64 KB."""
    yield from with_sensor(str(request.param), "?heap=64k")


@pytest.fixture(params=sorted(BOARDS))
def large(request: pytest.FixtureRequest) -> Iterator[str]:
    """The same with the heap that boards have."""
    yield from with_sensor(str(request.param))


def with_sensor(name: str, options: str = "") -> Iterator[str]:
    need_tools(name)
    with board_at(name + options) as running:
        with Board.open(running.port) as board:
            board.write_file("/boot.py", BOOT.encode())
        yield running.port


def test_nothing_is_lost_with_a_heap_of_64_kb(port: str, tmp_path: Path) -> None:
    """200 Hz, six axes, a byte in a thousand lost on the line; a board on which nothing was
    deployed. (Other damage can make a Ctrl-C, which is a restart.)"""
    with Board.open(port) as board:
        assert "/lib/ulnn_sources/mpu.mpy" in prepare(board, MPU)
    take = record(port, folder=tmp_path, source=MPU, seconds=4, faults="1e-3:drop")
    rows = np.loadtxt(take.path, delimiter=",", skiprows=1)
    ax = np.rint(rows[:, 1] * 2048).astype(int)
    assert (np.diff(ax) % ROWS == 1).all()
    assert (np.rint(rows[:, 2] * 2048) == -ax).all()
    s = take.session
    assert (s.dropped, s.lost, s.faults, s.restarts, s.gap_count) == (0, 0, 0, 0, 0)
    assert 780 <= s.samples <= 820
    steps = np.diff(rows[:, 0])  # the driver follows the chip's clock
    assert steps == pytest.approx(5000, abs=2500)
    assert steps.mean() == pytest.approx(5000, rel=0.02)
    assert s.units == ("g", "g", "g", "deg/s", "deg/s", "deg/s")


LOCKED = """
import io, micropython
import ulnn_record, ulnn_sources, ulnn_stream
wire = io.BytesIO(open("/fetch.bin", "rb").read())
size, rounds, sent, why = wire.seek(0, 2), 0, 0, ""
wire.seek(0)
YES, NO = (1,), ()
def poll(ms):
    global rounds
    if wire.tell() == size:
        if rounds == 2:
            micropython.heap_lock()
        if rounds == 4:
            return NO
        wire.seek(0)
        rounds += 1
    return YES
def write(buf, at, n):
    global sent
    sent += n
source = ulnn_sources.make(MPU)
ring, console = ulnn_record.make_ring(8192), (wire.readinto, write, poll)
s = ulnn_record.Recorder(source, {}, ring, ulnn_record.NoModel(6), console, 512, 4)
try:
    why = s.loop(1000)
finally:
    micropython.heap_unlock()
    source.stop()
print(repr((why, sent, s.drops, s.faults, s.lost_by_source(), s.fault_text)))
"""


def test_the_loop_allocates_nothing(port: str) -> None:
    from ulnn_host.board.frames import encode

    with Board.open(port) as board:
        prepare(board, MPU)
        board.write_file("/fetch.bin", b"".join(encode("F", k, 14) for k in range(256)))
        board.soft_reset()
        said = board.exec(LOCKED.replace("MPU", repr(MPU)), timeout=60)
    why, sent, _, faults, _, text = ast.literal_eval(said)
    assert (why, faults, text) == ("idle", 0, b"")
    assert sent > 4 * 256 * 18


def put_model(port: str, folder: Path) -> str:
    """Deploys a model; its path on the board."""
    model = trimmed(random_model(3, Shape(inputs=6, hidden=8, outputs=3)))
    scale = np.full(6, 1 / 1024, np.float32)
    names = Names(CHANNELS, ("",) * 6, ("a", "b", "c"))
    model = replace(model, input_scale=scale, names=names, decision=Decision("mean", window=20))
    path = folder / "m.ulnn"
    path.write_bytes(with_golden(model))
    uh.deploy(path, port, quiet=True)
    return "/models/m.ulnn"


def test_live_replays_what_lies_beside_the_settings(large: str, tmp_path: Path) -> None:
    x = np.random.default_rng(4).normal(0, 1, (100, 6)).astype(np.float32)
    take = uh.Sequences(x, np.full(100, 0.02, np.float32), channels=CHANNELS)
    (tmp_path / "walk.take").write_bytes(take_bytes(take))
    source = {"kind": "replay", "file": "walk.take", "pace": "fast"}
    settings = tmp_path / "app.json"
    settings.write_text(json.dumps({"model": put_model(large, tmp_path), "source": source}))
    moment = uh.live(large, settings=settings)
    assert (moment.samples, moment.ended) == (100, "the source ended")
    assert sum(moment.decisions.values()) == 5


def test_live_decisions(large: str, tmp_path: Path) -> None:
    settings = {"model": put_model(large, tmp_path), "source": MPU | {"rate": 50}}
    moment = uh.live(large, settings=settings, seconds=4)
    assert (moment.dropped, moment.lost, moment.faults, moment.restarts) == (0, 0, 0, 0)
    assert sum(moment.decisions.values()) == (moment.samples - 1) // 20 >= 9
