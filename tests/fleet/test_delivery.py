"""A fleet whose broker, collectors and network fail: no event that a device counts as delivered
is lost, none is there twice, and devices sample all the time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from support.broker import Broker, Network, needs_mosquitto
from support.paths import FIRMWARE, SUPPORT
from support.pty_board import ENDS_WITH_US
from support.unix import needs_micropython
from ulnn_host.data import events
from ulnn_host.engines.registry import unix_micropython

pytestmark = [needs_micropython, needs_mosquitto]

DEVICES = 20
SETTINGS = {"keep_alive": 4, "resend_ms": 1000}


class Fleet:
    """Devices and collectors, as processes."""

    def __init__(self, folder: Path, broker: Broker, network: Network) -> None:
        self.folder, self.broker, self.network = folder, broker, network
        self.collectors: dict[str, subprocess.Popen[str]] = {}
        self.devices: list[subprocess.Popen[str]] = []

    def collect(self, *names: str) -> None:
        """Start collectors and wait until they are there."""
        for name in names:
            self.collectors[name] = self._collector(name)
        for name in names:
            out = self.collectors[name].stdout
            assert out
            assert "connected" in out.readline()

    def _collector(self, name: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*ENDS_WITH_US, sys.executable, "-u", "-m", "ulnn_host", "collect", "--mqtt",
             f"127.0.0.1:{self.network.port}", "-o", str(self.folder / "events"), "--name", name,
             "--roll", "2"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def start(self, count: int, period: int, seconds: int) -> None:
        """Start the devices."""
        for k in range(DEVICES):
            self.devices.append(
                subprocess.Popen(
                    [*ENDS_WITH_US, unix_micropython(), str(SUPPORT / "fleet/device.py"),
                     f"d{k}", str(self.network.port), str(self.folder / f"ring{k}"), str(count),
                     str(period), str(seconds), json.dumps(SETTINGS)],
                    env=os.environ | {"MICROPYPATH": f".frozen:{FIRMWARE}"},
                    stdout=subprocess.PIPE, text=True,
                )
            )  # fmt: skip

    def results(self) -> list[dict[str, Any]]:
        """What the devices say at their end."""
        found = []
        for device in self.devices:
            text, _ = device.communicate()
            assert device.returncode == 0, text
            found.append(json.loads(text))
        return found

    def end(self) -> str:
        """End the collectors; what they said."""
        said = ""
        for process in self.collectors.values():
            process.send_signal(signal.SIGTERM)
            said += process.communicate()[0]
        return said


def disturb(fleet: Fleet, pause: float) -> None:
    """Everything that may fail does, once."""
    broker, network = fleet.broker, fleet.network
    time.sleep(pause)
    broker.end(signal.SIGTERM)
    time.sleep(pause / 2)
    broker.start()
    time.sleep(pause)
    fleet.collectors.pop("second").kill()
    time.sleep(pause)
    broker.end(signal.SIGKILL)
    time.sleep(pause / 2)
    broker.start()
    time.sleep(pause)
    network.silent = True
    time.sleep(2 * pause)
    network.silent = False
    network.cut()


@pytest.mark.slow
def test_no_event_is_lost_or_doubled(tmp_path: Path, full: bool) -> None:
    """The quick form has 1,200 events, the full one 20,000."""
    count, period, pause = (1000, 40, 4.0) if full else (60, 200, 1.2)
    with Broker(tmp_path) as broker, Network(broker.port) as network:
        fleet = Fleet(tmp_path, broker, network)
        fleet.collect("first", "second")
        fleet.start(count, period, 600 if full else 50)
        disturb(fleet, pause)
        results = fleet.results()
        print(fleet.end())
    for found in results:
        print({k: found[k] for k in ("device", "delivered", "samples", "poll", "loop", "sinks")})
        assert found["added"] == found["delivered"] == count
        assert found["missed"] == found["dropped"] == 0
    there = events.read([tmp_path / "events"])
    keys = {
        (row["device"], row["log"], row["boot"], row["seq"]): (row["what"], row["margin"])
        for row in there.select([*events.KEY, "what", "margin"]).to_pylist()
    }
    assert len(keys) == there.num_rows
    for found in results:
        for seq in range(1, count + 1):
            what = f"{found['device']} {seq - 1}"
            assert keys.pop((found["device"], found["log"], 1, seq)) == (what, seq - 1)
    assert not keys
    assert pc.sum(there["boot"]).as_py() == DEVICES * count
    # An emulated fleet on a busy machine; umqtt waits for as long as the broker is silent.
    p99 = sorted(found["poll"][1] for found in results)
    most = max(found["poll"][2] for found in results)
    print("poll, us: p99 of the worst device", p99[-1], "longest", most)
    assert p99[-1] < 20_000
    assert most < 1_000_000
