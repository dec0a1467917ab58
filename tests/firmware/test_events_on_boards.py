"""Events on boards with a heap of 64 KB: the log, a file and the serial sink, from bytecode."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.board_tools import SMALL, port_fixture, run_mounted
from support.paths import FIRMWARE
from ulnn_host.data import events
from ulnn_host.toolchain import bytecode
from ulnn_rules.events import is_sound

SCRIPT = """
import gc, os
from array import array
from micropython import heap_lock, heap_unlock

def free():
    gc.collect()
    return gc.mem_free()

for name in ("/test_events", "/test_events.jsonl"):
    try:
        for k in os.listdir(name) if "." not in name else ():
            os.remove(name + "/" + k)
        os.remove(name)
    except OSError:
        pass
before = free()
from ulnn_sinks import make
from ulnn_sinks.log import Log
from ulnn_sinks.ring import Ring
log_takes = before - free()
from ulnn_sinks import serial
serial_takes = before - log_takes - free()
x = array("h", [1, 2, -32768])

def idle():
    for k in range(5):
        log.poll()
    heap_lock()
    for k in range(20):
        log.sample(x)
        log.poll()
    heap_unlock()

for boot in (1, 2):
    log = Log("", Ring("/test_events", 3), "ab" * 32, channels=3)
    assert log.boot == boot, log.boot
    log.sinks = [make({"kind": "serial", "acknowledged": False}, log)]
    log.sinks.append(make({"kind": "file", "path": "/test_events.jsonl"}, log))
    idle()
    flat = free()
    for k in range(6):
        assert log.add("decision", "walking", k)
        while log.status()["waiting"]:
            log.poll()
    log.summarise(3)
    idle()
    idle()
    assert flat - free() < 600, flat - free()
    assert log.faults == 0, log.status()
with open("/test_events.jsonl") as f:
    print("lines in the file", sum(1 for line in f))
print("heap", log_takes, serial_takes, free())
"""


port = port_fixture(*SMALL)


@pytest.mark.board
def test_events_on_boards(port: str, tmp_path: Path) -> None:
    for package in ("ulnn_rules", "ulnn_sinks"):
        (tmp_path / package).mkdir()
        for source in (FIRMWARE / package).glob("*.py"):
            target = tmp_path / package / f"{source.stem}.mpy"
            target.write_bytes(bytecode.compiled(source))
    (tmp_path / "run.py").write_text(SCRIPT)
    said = run_mounted(port, tmp_path)
    lines = [line for line in said.splitlines() if line.startswith("{")]
    assert all(map(is_sound, lines))
    rows = [events.row(events.parsed(line), 0) for line in lines]
    decided = [row for row in rows if row["kind"] == "decision"]
    assert [(row["boot"], row["seq"], row["margin"]) for row in decided] == [
        (boot, k + 1, k) for boot in (1, 2) for k in range(6)
    ]
    summaries = [json.loads(line) for line in lines if '"summary"' in line]
    # The last of boot 1 is sent again after the start: that it was delivered is not on flash.
    assert [(s["boot"], s["samples"]) for s in summaries] == [(1, 20), (1, 20), (2, 20)]
    assert summaries[0]["mean"] == [1, 2, -32768]
    assert summaries[0]["outside"] == 20
    assert "lines in the file 15" in said
    heap = re.search(r"heap (\d+) (\d+) (\d+)", said)
    assert heap
    print(port, "the log takes", heap[1], "the serial sink", heap[2], "free", heap[3])
