"""Sources of lines of text and of recordings, on a PC."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from support import app_cases as cases
from ulnn_host.board import board_code
from ulnn_host.board.takes import take_bytes
from ulnn_host.data.sequences import Sequences

replay = board_code.module("ulnn_sources.replay")
lines = board_code.module("ulnn_sources.lines")

# ---- recordings ---------------------------------------------------------------------------------


def played(path: Path, **keys: Any) -> list[tuple[int, list[int]]]:
    sensor = replay.Sensor({"file": str(path), "pace": "fast"} | keys)
    sensor.start()
    found = []
    try:
        while sensor.take():
            found.append((sensor.elapsed, list(sensor.raw)))
    except StopIteration:
        sensor.stop()
        return found
    raise AssertionError("a fast replay has always a sample")


def test_a_recording_is_played(tmp_path: Path) -> None:
    path = tmp_path / "a.take"
    x = np.array([[0.5, -2], [0.25, 4], [0, 1]], np.float32)
    data = Sequences(x, np.array([0.02, 0.03, 0.5], np.float32), channels=("a", "b"))
    path.write_bytes(take_bytes(data, scale=[1 / 64, 1 / 8], units=("g", "")))
    sensor = replay.Sensor({"file": str(path)})
    assert (sensor.names, sensor.units) == (("a", "b"), ("g", ""))
    assert (sensor.scale, sensor.offset) == ((1 / 64, 1 / 8), (0, 0))
    once = [(20_000, [32, -16]), (30_000, [16, 32]), (500_000, [0, 8])]
    assert played(path) == once
    assert played(path, repeat=3) == 3 * once
    some = played(path, repeat=200, drop=0.5, seed=3)
    left = cases.kept(600, 0.5, 3)
    rows = np.array([us for us, _ in 200 * once])
    assert [us for us, _ in some] == np.diff(np.cumsum(rows)[left], prepend=0).tolist()


def test_a_recording_keeps_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.take"
    path.write_bytes(take_bytes(Sequences(np.ones((50, 1), np.float32), np.float32(0.02))))
    now = SimpleNamespace(us=2**30 - 100_000)  # ticks wrap meanwhile
    monkeypatch.setattr(replay, "ticks_us", lambda: now.us % 2**30)
    monkeypatch.setattr(replay, "ticks_diff", lambda a, b: (a - b + 2**29) % 2**30 - 2**29)
    sensor = replay.Sensor({"file": str(path), "pace": "real"})
    sensor.start()
    begun, came = now.us, []
    for _ in range(700):
        now.us += 1500
        if sensor.take():
            came.append(now.us - begun)
            assert sensor.elapsed == 20_000
            if len(came) == 50:
                break
    assert came == pytest.approx([20_000 * (k + 1) for k in range(50)], abs=1500)


@pytest.mark.parametrize("size", [0, 7, 11, 20, 30, -1])
def test_damaged_recordings_are_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.take"
    data = take_bytes(Sequences(np.ones((1, 2), np.float32), np.float32(0.02)))
    path.write_bytes(data[:size])
    with pytest.raises(ValueError, match=r"source.file: .*a.take is .*\.take file"):
        replay.Sensor({"file": str(path)})


# ---- lines --------------------------------------------------------------------------------------

THREE = [{"name": "a", "decimals": 2}, {"name": "b", "decimals": 0},
         {"name": "c", "decimals": -1, "offset": 100}]  # fmt: skip


def sent(text: bytes, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Any:
    """The source, and what it takes of a text: elapsed times and counts."""
    left = iter(text)

    def read(one: bytearray) -> int:
        for c in left:
            one[0] = c
            return 1
        return 0

    sensor = lines.Sensor({"channels": THREE} | settings)
    monkeypatch.setattr(sensor, "_stdin", lambda: read)
    sensor.start()
    found = []
    for _ in range(len(text) // 64 + text.count(b"\n") + 2):
        if sensor.take():
            found.append((sensor.elapsed, list(sensor.raw)))
    return sensor, found


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("0.981,-2.5,345", [98, -3, 25]),
        ("-.985;+7\t1000", [-99, 7, 90]),
        ("1 , 2 ,3.", [100, 2, -10]),
        ("  1  2  3  ", [100, 2, -10]),
        ("-0.004 0.4 104.99", [0, 0, 0]),
        ("99999999999 -32768.4 -1e", None),
        ("99999999999 -32769 -999999999", [32767, -32768, -32768]),
        ("1,2", None),
        ("1,2,3,4", None),
        ("1,,2,3", None),
        (",1,2,3", None),
        ("1,2,nan", None),
        ("1.2.3,4,5", None),
        ("1,-,3", None),
        ("hello", None),
        ("1,2,3" + " " * 300, None),
    ],
)
def test_numbers_of_a_line(
    text: str, counts: list[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor, found = sent(f"{text}\r\n\n".encode(), monkeypatch)
    assert [raw for _, raw in found] == ([counts] if counts else [])
    assert sensor.bad == sensor.dropped == (counts is None)


@pytest.mark.parametrize(
    ("unit", "times", "elapsed"),
    [
        ("us", ["5", "25", "1000025", "1000030"], [20, 1_000_000, 5]),
        ("ms", ["1200", "1220.5", "71220.25", "9971220.25"], [20_500, 69_999_750, 2**30 - 1]),
        ("s", ["1732600000.25", "1732600000.270001", "1732600001"], [20_001, 729_999]),
        ("s", ["99999999.5", "100000000.5"], [1_000_000]),
    ],
)
def test_times_of_lines(
    unit: str, times: list[str], elapsed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(f"{time},1,2,3\n" for time in times)
    _, found = sent(text.encode(), monkeypatch, time=unit)
    assert [us for us, _ in found] == [0, *elapsed]


def test_times_that_go_back_are_those_of_the_arrivals(monkeypatch: pytest.MonkeyPatch) -> None:
    sensor, found = sent(b"900,1,2,3\n3,1,2,3\n23,1,2,3\nx,1,2,3\n", monkeypatch, time="ms")
    assert 0 < found[1][0] < 1_000_000
    assert found[2][0] == 20_000
    assert sensor.bad == 1


def test_lines_from_a_console_of_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """CircuitPython's, on boards without native USB."""
    waiting = list("1.5,-2\n7,\u20ac\n3,4\n")

    class Runtime:
        @property
        def serial_bytes_available(self) -> int:
            return len(waiting)

    console = SimpleNamespace(read=lambda n: waiting.pop(0))
    sensor = lines.Sensor({"channels": [{"name": "a"}, {"name": "b"}]})
    monkeypatch.setattr(lines, "sys", SimpleNamespace(stdin=console))
    monkeypatch.setitem(sys.modules, "supervisor", None)
    with pytest.raises(OSError, match="to read lines from"):
        sensor.start()
    monkeypatch.setitem(sys.modules, "supervisor", SimpleNamespace(runtime=Runtime()))
    sensor.start()
    found = [list(sensor.raw) for _ in range(40) if sensor.take()]
    assert found == [[1500, -2000], [3000, 4000]]
    assert not waiting
    assert sensor.bad == 1


def test_settings_of_lines() -> None:
    with pytest.raises(ValueError, match=r"s.channels\[1\].name is missing: expected a text"):
        lines.Sensor({"channels": [{"name": "a"}, {"unit": "g"}]}, "s")
    with pytest.raises(ValueError, match=r"s.channels: an offset with its decimals has 9 digits"):
        lines.Sensor({"channels": [{"name": "a", "offset": 1000000, "decimals": 6}]}, "s")
