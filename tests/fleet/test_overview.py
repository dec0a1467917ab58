"""The overview of a fleet, and the commands that read events."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.random_models import Shape, random_model
from ulnn_host.base.errors import UlnnError
from ulnn_host.data import events
from ulnn_host.data.logs import read
from ulnn_host.fleet.overview import Reference, drift, overview, pooled
from ulnn_host.fleet.store import Store
from ulnn_host.format import container
from ulnn_host.report.fleet_reference import reference_of
from ulnn_rules.summary import Summary

NOW = datetime.now(UTC).replace(microsecond=0)
MODEL = "ab" * 8


class Device:
    """Lines as a device sends them, one a minute."""

    def __init__(self, store: Store, name: str, last: datetime = NOW, count: int = 100) -> None:
        self.store, self.name = store, name
        self.at = last - timedelta(minutes=count - 1)
        self.boot, self.seq = 1, 0

    def say(self, kind: str, **more: Any) -> None:
        self.seq += 1
        stamp = int(self.at.timestamp() * 1000)
        fields = {"device": self.name, "log": "0123abcd", "boot": self.boot, "seq": self.seq,
                  "t": stamp, "clock": "synchronised", "up": self.seq, "kind": kind,
                  "model": MODEL}  # fmt: skip
        self.store.take(json.dumps(fields | more).encode(), self.name, stamp)
        self.at += timedelta(minutes=1)

    def summarise(self, x: np.ndarray[Any, Any], **more: int) -> None:
        """Summaries of inputs (T, I), two channels in each event."""
        summary = Summary(x.shape[1])
        for row in x.tolist():
            summary.add(row)
        samples, outside, mean, std = summary.take()
        counts = {"samples": samples, "outside": outside, "clamped": 0, "faults": 0, "lost": 0}
        for first in range(0, len(mean), 2):
            part = {"mean": mean[first : first + 2], "std": std[first : first + 2]}
            self.say("summary", first=first, **part, **(counts | more))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three devices: one is well, one has drifted and missed events, one is silent."""
    store = Store(tmp_path / "events", "one")
    rng = np.random.default_rng(0)
    for name in ("drifts", "well"):
        device = Device(store, name, count=66)
        for k in range(20):
            moved = 900 if name == "drifts" and k >= 15 else 0
            x = np.rint(rng.normal((0, 100, -2000), (300, 50, 10), (200, 3)))
            x[:, 1] += moved
            device.summarise(np.clip(x, -32768, 32767).astype(int), clamped=int(k == 3), lost=2)
            device.say("decision", what="walking" if k % 4 else "still", margin=100 + k)
        if name == "drifts":
            device.seq, device.boot = 3, 2
            device.say("alarm", what="hot", margin=1)
            device.seq += 5
            device.say("decision", what="still", margin=3)
    Device(store, "silent", NOW - timedelta(days=3), 1).say("decision", what="still", margin=9)
    store.close()
    return store.folder


def test_a_line_for_each_device(folder: Path) -> None:
    made = overview(events.read([folder]))
    assert [device.name for device in made.devices] == ["drifts", "silent", "well"]
    drifts, silent, well = made.devices
    assert (well.events, well.starts, well.missing) == (60, 1, 0)
    assert well.decisions == {"walking": 15, "still": 5}
    assert (well.samples, well.clamped, well.lost, well.outside) == (4000, 1, 40, 0)
    assert (drifts.starts, drifts.alarms, drifts.missing) == (2, 1, 8)
    assert well.models == (MODEL,)
    assert well.drift
    assert drifts.drift
    assert well.drift.shift < 0.5
    assert 17 < drifts.drift.shift < 19
    assert drifts.drift.shift_channel == 1
    assert silent.drift is None
    assert made.silent(24, NOW) == (silent,)
    assert sum(count for _, count in made.hours) == made.events == 60 + 62 + 1


def test_drift_against_a_calibration(folder: Path) -> None:
    names = ("ax", "ay", "az")
    calibration = Reference(np.array([0.0, 100, -2300]), np.array([300.0, 50, 100]), names)
    made = overview(events.read([folder]), calibration)
    well = made.devices[2].drift
    assert well
    assert 2.9 < well.shift < 3.1
    assert made.channel(well.shift_channel) == "az"
    assert 0.09 < well.spread < 0.12
    assert made.channel(well.spread_channel) == "az"


def test_figures_of_several_summaries_are_those_of_all_samples() -> None:
    rng = np.random.default_rng(2)
    parts = [rng.normal(k, 5 + k, (50 + 30 * k, 2)) * 100 for k in range(4)]
    rows = [
        {"first": 0, "samples": len(x), "mean": x.mean(0).tolist(), "std": x.std(0).tolist()}
        for x in parts
    ]
    mean, std = pooled(rows, 10)
    assert np.allclose(mean, np.concatenate(parts).mean(0))
    assert np.allclose(std, np.concatenate(parts).std(0))
    mean, _ = pooled(rows, -1)
    assert np.allclose(mean, parts[-1].mean(0))


def test_a_constant_channel_has_a_drift() -> None:
    found = drift(np.array([5.0]), np.array([0.0]), np.array([3.0]), np.array([0.0]))
    assert (found.shift, found.spread) == (2.0, 1.0)


def test_the_reference_is_what_the_model_gets(tmp_path: Path) -> None:
    model = random_model(1, Shape(inputs=3, hidden=4))
    (tmp_path / "m.ulnn").write_bytes(container.write(model))
    rng = np.random.default_rng(0)
    raw = rng.normal((0, 100, -2000), (300, 50, 10), (500, 3))
    x = raw * model.input_scale + model.input_offset
    np.savez(tmp_path / "d.npz", x=x.astype(np.float32), dt=np.full(500, 0.01, np.float32))
    made = reference_of(tmp_path / "m.ulnn", tmp_path / "d.npz")
    assert np.allclose(made.mean, raw.mean(0), atol=1)
    assert np.allclose(made.std, raw.std(0), atol=1)
    np.savez(tmp_path / "d.npz", x=x[:, :2], dt=np.full(500, 0.01, np.float32))
    with pytest.raises(UlnnError, match=r"2 channels, but .*m.ulnn has 3 inputs"):
        reference_of(tmp_path / "m.ulnn", tmp_path / "d.npz")


def test_ulnn_data_reads_events(folder: Path) -> None:
    data = read(folder)
    assert data.channels == ("margin",)
    assert data.groups == ("drifts", "silent", "well") or len(data) == 2
    well = data.take(np.array([k == data.groups.index("well") for k in data.group]))
    assert well.x[0, : well.length[0], 0].tolist() == [100.0 + k for k in range(20)]
    assert np.allclose(well.dt[0, 1:20], 180)
    labelled = read(folder, label="what", per="step")
    assert set(labelled.labels) == {"still", "walking", "hot"}


def ulnn(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ulnn_host", *map(str, words)], capture_output=True, text=True
    )


def test_commands(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "fleet.html"
    done = ulnn("fleet", folder, "--html", page, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["events"] == 123
    assert said["devices"][2]["decisions"] == {"walking": 15, "still": 5}
    text = page.read_text()
    for words in ("1 of 3 devices were not heard of", "drifts", "walking 15, still 5"):
        assert words in text
    done = ulnn("fleet", folder, "--since", datetime.now(UTC).strftime("%Y-%m-%d"))
    assert "silent" not in done.stdout
    assert "well" in done.stdout
    done = ulnn("fleet", tmp_path)
    assert done.returncode == 1
    assert "not a folder of events" in done.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("collect", "-o", "e"), "say --mqtt HOST or --port PORT, one of them"),
        (("collect", "-o", "e", "--mqtt", "h:x"), "--mqtt h:x: expected HOST or HOST:PORT"),
        (("collect", "-o", "e", "--mqtt", "127.0.0.1:1"), "broker 127.0.0.1:1: cannot be reached"),
        (("collect", "-o", "e", "--port", "/dev/none"), "port /dev/none: there is no such port"),
        (("fleet", "e", "--calib", "d.npz"), "--model and --calib belong together"),
    ],
)
def test_mistakes(
    words: tuple[str, ...], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = ulnn(*words)
    assert done.returncode == 1
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
