"""Takes from a board under MicroPython: nothing is lost, doubled or wrong, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import ulnn_host as uh
from support import wave_source
from support.pty_board import PtyBoard
from support.slow_line import slow_line
from support.unix import needs_micropython
from ulnn_host.base.errors import UlnnError
from ulnn_host.board.record import Take, record
from ulnn_host.data.takes import read_session

pytestmark = needs_micropython

WAVE = {"kind": "wave", "rate": 200}


@pytest.fixture
def sensor(tmp_path: Path) -> Iterator[PtyBoard]:
    """A board with a wave."""
    with PtyBoard(tmp_path / "board", modules=wave_source.modules()) as running:
        yield running


def table(path: Path) -> np.ndarray:
    """Time in microseconds and six values, a row a sample."""
    return np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)


def counts(rows: np.ndarray) -> np.ndarray:
    """The number of each sample, which all six of its values say."""
    raw = np.rint((rows[:, 1:] - [0, 0, 0, 0, 0, 1.0]) / wave_source.SCALE).astype(int)
    assert (raw == raw[:, :1] + 100 * np.arange(6)).all()
    return raw[:, 0]


def test_a_take_and_its_session_file(sensor: PtyBoard, tmp_path: Path) -> None:
    seen: list[Take] = []
    take = uh.record(
        sensor.port, label="walking", group="p 01", folder=tmp_path / "takes", source=WAVE,
        seconds=1, progress=seen.append,
    )  # fmt: skip
    assert take.path == tmp_path / "takes" / "walking_p-01_001.csv"
    head, first = take.path.read_text().splitlines()[:2]
    assert head == "time_us,ax,ay,az,gx,gy,gz"
    assert first == "0,0.001,0.101,0.201,150.5,200.5,251.5"
    rows = table(take.path)
    assert rows[:, 0].tolist() == list(range(0, 1_000_001, 5000))
    assert counts(rows).tolist() == list(range(1, 202))
    s = read_session(take.path)
    assert s == take.session
    assert (s.label, s.group, s.channels, s.units) == (
        *("walking", "p 01", wave_source.NAMES, wave_source.UNITS),
    )
    assert (s.samples, s.seconds, s.rate, s.gaps, s.gap_count) == (201, 1.0, 200.0, (), 0)
    assert (s.dropped, s.lost, s.faults, s.restarts, s.ended) == (0, 0, 0, 0, "ended after 1 s")
    assert s.source == WAVE
    assert s.port == sensor.port
    assert s.firmware.startswith("micropython 1.")
    assert abs(time.time() - time.mktime(time.strptime(s.started[:19], "%Y-%m-%dT%H:%M:%S"))) < 60
    assert seen[-1].high.tolist() == pytest.approx(rows[:, 1:].max(0).tolist())
    assert (seen[-1].low < seen[-1].high).all()


def test_nothing_is_lost_on_a_line_with_damage(sensor: PtyBoard, tmp_path: Path) -> None:
    """200 Hz and six axes at 115,200 baud, a byte in a thousand damaged in both directions."""
    with slow_line(sensor.port, 115200, "1e-3") as port:
        take = record(port, folder=tmp_path, source=WAVE, seconds=6)
    rows = table(take.path)
    assert counts(rows).tolist() == list(range(1, 1202))
    assert rows[:, 0].tolist() == list(range(0, 6_000_001, 5000))
    s = take.session
    assert (s.samples, s.gap_count, s.dropped, s.lost, s.restarts) == (1201, 0, 0, 0, 0)


def test_what_the_board_has_no_room_for_is_counted(sensor: PtyBoard, tmp_path: Path) -> None:
    """More than the line can carry: the times are right, and the counts are whole."""
    wave = WAVE | {"rate": 2000, "depth": 100}
    with slow_line(sensor.port, 57600) as port:
        take = record(port, folder=tmp_path, source=wave, seconds=3)
    rows, s = table(take.path), take.session
    number = counts(rows)
    assert s.dropped + s.lost > 500
    assert s.gap_count > 0
    assert len(s.gaps) <= 100
    assert (rows[:, 0] == (number - 1) * 500).all()
    missing = number[-1] - len(number)
    assert 0 < missing <= s.dropped + s.lost


def test_takes_get_numbers_and_are_never_overwritten(sensor: PtyBoard, tmp_path: Path) -> None:
    wave = WAVE | {"samples": 3}
    (tmp_path / "rest_007.parquet").write_text("another")
    (tmp_path / "rest_up_009.csv").write_text("another")
    first, second = (
        record(sensor.port, label="rest", folder=tmp_path, source=wave) for _ in range(2)
    )
    assert (first.path.name, second.path.name) == ("rest_008.csv", "rest_009.csv")
    assert first.session.ended == "the source ended"
    assert counts(table(first.path)).tolist() == [1, 2, 3]
    assert record(sensor.port, folder=tmp_path, source=wave).path.name == "take_001.csv"


def test_parquet(sensor: PtyBoard, tmp_path: Path) -> None:
    import pyarrow.parquet

    take = record(
        sensor.port, label="w", folder=tmp_path, source=WAVE | {"samples": 50}, kind="parquet"
    )
    assert sorted(p.name for p in tmp_path.glob("w_*")) == ["w_001.json", "w_001.parquet"]
    found = pyarrow.parquet.read_table(take.path)
    units = [found.schema.field(name).metadata[b"unit"].decode() for name in found.column_names]
    assert units == ["us", *wave_source.UNITS]
    rows = np.column_stack([found.column(name).to_numpy() for name in found.column_names])
    assert counts(rows).tolist() == list(range(1, 51))
    assert uh.read(take.path).x.shape == (1, 50, 6)


def test_data_take_labels_and_groups_from_the_session_files(
    sensor: PtyBoard, tmp_path: Path
) -> None:
    for label, group in ("walk_it", "p1"), ("rest", "p1"), ("rest", "p2"):
        record(
            sensor.port, label=label, group=group, folder=tmp_path / "takes",
            source=WAVE | {"samples": 20},
        )  # fmt: skip
    data = uh.read(tmp_path / "takes")
    assert data.labels == ("rest", "walk_it")
    assert data.groups == ("p1", "p2")
    assert data.per == "sequence"
    assert data.y.tolist() == [0, 0, 1]
    assert data.group.tolist() == [0, 1, 0]
    assert data.dt[:, 1:] == pytest.approx(0.005)
    by_name = uh.read(tmp_path / "takes", label="{}_*.csv")
    assert by_name.labels == ("rest", "walk-it")
    session = tmp_path / "takes" / "rest_p1_001.json"
    session.write_text(json.dumps(json.loads(session.read_text()) | {"label": ""}))
    with pytest.raises(UlnnError, match=r"rest_p1_001\.csv: no label in its session file, and"):
        uh.read(tmp_path / "takes")


def after(samples: int, action: Callable[[], None]) -> Callable[[Take], None]:
    done: list[int] = []

    def progress(take: Take) -> None:
        if take.session.samples >= samples and not done:
            done.append(1)
            action()

    return progress


def test_an_unplugged_board_that_comes_back(sensor: PtyBoard, tmp_path: Path) -> None:
    lines: list[str] = []
    take = record(
        str(sensor.link), folder=tmp_path, source=WAVE, seconds=4, notice=lines.append,
        progress=after(200, lambda: sensor.replug(0.5)),
    )  # fmt: skip
    s, rows = take.session, table(take.path)
    assert s.restarts == 1
    assert lines[0] == "the board is gone: waiting 10 s for it"
    assert "started again, and the source with it: a gap" in lines[1]
    steps = np.diff(rows[:, 0])
    (gap,) = np.flatnonzero(steps != 5000)
    assert gap >= 199
    assert 500_000 < steps[gap] < 3_500_000
    assert s.gap_count == 1
    assert s.gaps[0].seconds == steps[gap] / 1e6
    assert (np.delete(np.diff(counts(rows)), gap) == 1).all()


def test_a_board_that_stays_away_leaves_what_came(sensor: PtyBoard, tmp_path: Path) -> None:
    with pytest.raises(UlnnError, match=r"still plugged in\?.*; \d+ samples are in .*_001\.csv"):
        record(
            sensor.port, folder=tmp_path, source=WAVE, wait=0, progress=after(100, sensor.unplug)
        )
    path = tmp_path / "take_001.csv"
    number = counts(table(path))
    assert number.tolist() == list(range(1, len(number) + 1))
    assert len(number) >= 100
    assert read_session(path).samples == len(number)
    assert "still plugged in" in read_session(path).ended


def test_a_board_that_stays_away_is_waited_for_once(sensor: PtyBoard, tmp_path: Path) -> None:
    lines: list[str] = []

    def take_away() -> None:
        sensor.link.unlink()
        sensor.unplug()

    with pytest.raises(UlnnError, match=r"waited 1 s for the board.*; \d+ samples are in "):
        record(
            str(sensor.link), folder=tmp_path, source=WAVE, wait=1, notice=lines.append,
            progress=after(100, take_away),
        )  # fmt: skip
    assert lines == ["the board is gone: waiting 1 s for it"]


def test_a_fault_of_the_source_is_counted_and_gone_over(sensor: PtyBoard, tmp_path: Path) -> None:
    take = record(sensor.port, folder=tmp_path, source=WAVE | {"fail": 100}, seconds=1)
    s, rows = take.session, table(take.path)
    assert (s.faults, s.fault, s.restarts) == (1, "OSError: the wave broke", 0)
    number = counts(rows)
    assert 100 not in number
    (gap,) = np.flatnonzero(np.diff(number) != 1)
    assert 100_000 <= np.diff(rows[:, 0])[gap] < 300_000


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (WAVE | {"refuse": True}, "the source does not start: OSError: no wave at address 0x68"),
        (WAVE | {"rate": 0}, r"source\.rate: expected a whole number from 1 to 100000, got 0"),
        ({"kind": "mpu", "ratte": 9}, "^source: 'ratte' is not a key of it; it has address, "),
        ({"kind": "mpu", "rate": 300}, r"^source\.rate: expected 1000 divided by a whole"),
        ({"kind": "sonar"}, "ValueError: source.kind: expected one of"),
        ("nothing.json", "nothing.json cannot be read: no such file"),
        ({"rate": 3}, 'source: expected an object with "kind", or with one as "source"'),
    ],
)
def test_errors_are_one_line(
    sensor: PtyBoard, tmp_path: Path, source: dict[str, object] | str, said: str
) -> None:
    with pytest.raises(UlnnError, match=said) as caught:
        record(sensor.port, folder=tmp_path / "takes", source=source, seconds=1)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("takes/*"))


def test_no_sample_leaves_no_file(
    sensor: PtyBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ulnn_host.board.tally.NOTHING_SECONDS", 0.2)
    with pytest.raises(UlnnError, match=r"no sample came .*\(OSError: no answer\)"):
        record(sensor.port, folder=tmp_path, source=WAVE | {"silent": True}, seconds=0.1)
    assert not list(tmp_path.glob("take*"))


def test_an_older_loop_asks_for_a_deployment(sensor: PtyBoard, tmp_path: Path) -> None:
    stream = sensor.lib / "ulnn_stream.py"
    stream.write_text(stream.read_text().replace("MINOR = 1", "MINOR = 0"))
    (sensor.lib / "ulnn_record.py").unlink()
    with pytest.raises(UlnnError, match=r"speaks version 2\.0 .* this program 2\.1: deploy again"):
        record(sensor.port, folder=tmp_path, source=WAVE)
    assert not (sensor.lib / "ulnn_record.py").exists()


def test_a_full_folder_is_found_before(sensor: PtyBoard, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UlnnError, match="file is a file, expected a folder for takes"):
        record(sensor.port, folder=tmp_path / "file", source=WAVE)


def command(port: str, *words: str | Path) -> list[str]:
    return [sys.executable, "-m", "ulnn_host", "record", "--port", port, *map(str, words)]


def wait_for_samples(path: Path) -> None:
    """Until a take has some."""
    deadline = time.monotonic() + 20
    while not path.exists() or len(path.read_bytes()) < 4000:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_ctrl_c_ends_a_take(sensor: PtyBoard, tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"model": "m.ulnn", "source": WAVE}))
    words = ("--label", "walk", "-o", tmp_path / "takes", "--source", settings)
    with subprocess.Popen(
        command(sensor.port, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        path = tmp_path / "takes" / "walk_001.csv"
        wait_for_samples(path)
        os.kill(process.pid, signal.SIGINT)
        said, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert "(walk); stopped by Ctrl-C" in said
    assert "0 gaps, 0 lost" in said
    number = counts(table(path))
    assert number.tolist() == list(range(1, len(number) + 1))
    done = subprocess.run(
        command(sensor.port, *words, "--seconds", "0.5", "--json"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["samples"] == 101
    assert json.loads(done.stdout)["take"].endswith("walk_002.csv")


def test_a_crash_keeps_what_came(sensor: PtyBoard, tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(WAVE))
    path = tmp_path / "walk_001.csv"
    words = ("--label", "walk", "-o", tmp_path, "--source", settings, "--format", "parquet")
    with subprocess.Popen(command(sensor.port, *words)) as process:
        wait_for_samples(path)
        process.kill()
    data = uh.read(path)
    assert data.labels == ("walk",)
    number = counts(table(path))
    assert number.tolist() == list(range(1, len(number) + 1))
