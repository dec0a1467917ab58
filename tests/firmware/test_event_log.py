"""The log of events on flash: nothing that was added is lost but what makes way, over restarts,
power cuts and a full disk; and what a policy withholds is nowhere."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.paths import FIRMWARE, SUPPORT
from support.power_cuts import FILESYSTEMS
from support.sinks import base, make, ring
from support.sinks import log as logs
from support.unix import needs_micropython, unix

OPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 9)),
        st.tuples(st.just("deliver"), st.integers(1, 9)),
        st.tuples(st.sampled_from(["restart", "rewind", "forget", "torn"]), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(OPS, st.integers(2, 4))
def test_it_holds_what_is_not_delivered(ops: list[tuple[str, int]], files: int) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ring, "RECORDS", 5)
        patch.setattr(os, "fsync", lambda handle: None)  # takes most of the time
        folder = Path(name) / "events"
        log = logs.Log("d", ring.Ring(str(folder), files))
        reader = log.reader()
        held: list[tuple[int, int]] = []
        names: set[tuple[str, int, int]] = set()
        dropped = 0
        for op, count in ops:
            if op == "add":
                for _ in range(count):
                    assert log.add("note", f"{log.boot}.{log.seq + 1}")
                    held.append((log.boot, log.seq))
                    assert (log.ring.log, *held[-1]) not in names
                    names.add((log.ring.log, *held[-1]))
                    dropped += len(held) - log.status()["waiting"]
                    held = held[len(held) - log.status()["waiting"] :]
                    assert log.dropped == dropped
            elif op == "deliver":
                key = None
                for _ in range(count):
                    event = reader.take()
                    if event is None:
                        break
                    key = (event.boot, event.seq)
                if key:
                    reader.deliver(*key)
                    while reader.poll():
                        pass
                    held = [k for k in held if k > key]
            elif op == "forget":
                log.forget()
                assert not list(folder.iterdir())
                reader, held, dropped = log.reader(), [], 0
            elif op == "rewind":
                reader.rewind()
            else:
                if op == "torn" and log.ring.last:
                    newest = max(folder.iterdir(), key=lambda p: p.stat().st_mtime_ns)
                    newest.write_bytes(newest.read_bytes() + b"x" * 50)
                log = logs.Log("d", ring.Ring(str(folder), files))
                reader = log.reader()
                dropped = log.dropped  # what was dropped since the last record is not there
                found = []
                while event := reader.take():
                    assert event.what == f"{event.boot}.{event.seq}"
                    found.append((event.boot, event.seq))
                # What was delivered since the last record is there again; nothing is missing.
                assert found[len(found) - len(held) :] == held
                held = found
                reader.rewind()


@needs_micropython
@pytest.mark.parametrize("kind", FILESYSTEMS)
def test_a_power_cut_at_each_write(kind: str, tmp_path: Path) -> None:
    said = unix(SUPPORT / "power/ring_cuts.py", kind, "1", ".frozen", FIRMWARE, cwd=tmp_path)
    lines = [line for line in said.splitlines() if "Errno 5" not in line]
    print(kind, lines)
    assert lines[0].startswith("writes")
    assert int(lines[-1].split()[1]) > 80


FULL = """
import sys
sys.path.insert(0, {support!r})
import torn
torn.power_on("VfsLfs2", torn.format_disk("VfsLfs2", 40))
sys.path[:] = {paths!r}
from ulnn_sinks.ring import Ring
from ulnn_sinks.log import Log
import os
log = Log("d", Ring("/ram/events", 2))
reader = log.reader()
for k in range(10):
    assert log.add("note", str(k))
for k in range(20):
    try:
        with open("/ram/fill%d" % k, "wb") as f:
            while True:
                f.write(b"x" * 256)
                f.flush()
    except OSError:
        pass
good = [log.add("note", "full %d" % k) for k in range(30)]
for k in range(20):
    os.remove("/ram/fill%d" % k)
assert log.add("note", "again")
print(sum(good), log.missed, log.dropped)
log = Log("d", Ring("/ram/events", 2))
reader = log.reader()
while True:
    e = reader.take()
    if not e:
        break
    print(e.boot, e.seq, e.what)
"""


@needs_micropython
def test_a_full_disk_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    text = FULL.format(support=str(SUPPORT / "power"), paths=[".frozen", str(FIRMWARE)])
    (tmp_path / "full.py").write_text(text)
    first, *found = unix("full.py", cwd=tmp_path).splitlines()
    good, missed, dropped = map(int, first.split())
    print("full disk:", good, "written", missed, "missed", dropped, "dropped")
    assert good + missed == 30
    assert missed > 0
    assert len(found) == 10 + good + 1 - dropped
    assert found[-1].endswith("41 again")


class Policy:
    """What the log uses of `ulnn_rules.mask.Policy`: fields that pass, by purpose."""

    def __init__(self, **allowed: set[str]) -> None:
        self.allowed = allowed
        self.asked: list[dict[str, Any]] = []

    def rule(self, name: str, purpose: str) -> None:
        if name not in self.allowed[purpose]:
            raise ValueError(name)

    def filter(self, record: dict[str, Any], purpose: str) -> dict[str, Any]:
        self.asked.append(record)
        found = {k: v for k, v in record.items() if k in self.allowed[purpose]}
        if "device" in found:
            found["device"] = "pseudonym"
        return found


def lines_of(log: Any, path: Path) -> list[dict[str, Any]]:
    for _ in range(200):
        log.poll()
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_only_what_may_be_stored_and_sent_is_stored(tmp_path: Path) -> None:
    policy = Policy(store={"what", "t", "up", "mean"}, send={"what", "up", "margin", "mean"})
    log = logs.Log("anna", ring.Ring(str(tmp_path / "ring")), policy=policy, channels=2)
    log.sinks = [make({"kind": "file", "path": str(tmp_path / "e")}, log)]
    assert log.add("decision", "walking", 77)
    log.sample([5, 5])
    log.summarise()
    decision, summary = lines_of(log, tmp_path / "e")
    assert log.device == decision["device"] == log.ring.log  # the policy has no device
    assert (decision["what"], decision["margin"]) == ("walking", 0)
    assert decision["clock"] == "since boot"
    assert decision["t"] < 60_000  # the date may not be known
    assert summary["mean"] == summary["std"] == []  # one says nothing without the other
    assert b"anna" not in b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert [len(record) for record in policy.asked] == [1, 4, 9]  # each once: noise costs


def test_a_policy_that_withholds_events(tmp_path: Path) -> None:
    policy = Policy(store=set(), send={"device", "what"})
    log = logs.Log("anna", ring.Ring(str(tmp_path / "ring")), policy=policy)
    assert log.device == "pseudonym"
    assert not log.add("note", "a")
    assert (log.withheld, log.status()["waiting"]) == (1, 0)
    policy.allowed["store"].add("what")
    assert log.add("note", "b")


@pytest.mark.parametrize("name", ["a/b", "+", "a b", "ä", "x" * 65, "#"])
def test_a_name_that_is_no_part_of_a_topic_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="device: expected 1 to 64 letters"):
        logs.Log(name, ring.Ring(str(tmp_path / "ring")))


def test_settings_are_checked(tmp_path: Path) -> None:
    log = logs.Log("d", ring.Ring(str(tmp_path / "ring")))
    for given_settings, text in (
        ({}, "sinks.0.kind: expected one of file, mqtt, serial"),
        ({"kind": "mqtt"}, "sinks.0.host is missing"),
        ({"kind": "mqtt", "host": "h", "port": 70000}, "sinks.0.port: expected a whole number"),
        ({"kind": "file", "path": "x", "size": 3}, "sinks.0: 'size' is not a key of it"),
    ):
        with pytest.raises(ValueError, match=text):
            make(given_settings, log, "sinks.0")


def test_a_file_begins_again_at_its_limit(tmp_path: Path) -> None:
    log = logs.Log("d", ring.Ring(str(tmp_path / "ring"), 20))
    path = tmp_path / "e.jsonl"
    log.sinks = [make({"kind": "file", "path": str(path), "limit": 4096}, log)]
    for k in range(100):
        log.add("note", str(k))
    there = lines_of(log, path)
    assert path.stat().st_size <= 4096
    old = path.with_name("e.jsonl.old")
    there = [json.loads(line) for line in old.read_text().splitlines()] + there
    assert [row["what"] for row in there][-30:] == [str(k) for k in range(70, 100)]
    assert log.status()["waiting"] == 0


def test_two_sinks_and_one_that_fails(tmp_path: Path) -> None:
    log = logs.Log("d", ring.Ring(str(tmp_path / "ring")))
    good, bad = tmp_path / "e", tmp_path / "none" / "e"
    log.sinks = [make({"kind": "file", "path": str(p)}, log) for p in (good, bad)]
    for k in range(3):
        log.add("note", str(k))
    assert len(lines_of(log, good)) == 3
    assert log.status()["waiting"] == 3
    assert log.faults == 1  # the second try comes after a second
    assert "No such file" in log.status()["sinks"][1]["problem"]
    bad.parent.mkdir()
    log.sinks[1].backoff.reset()
    assert len(lines_of(log, bad)) == 3
    assert log.status()["waiting"] == 0
    assert log.status()["sinks"][1]["problem"] == ""


def test_events_wait_for_others_and_an_alarm_for_nothing(tmp_path: Path) -> None:
    log = logs.Log("d", ring.Ring(str(tmp_path / "ring")), "ab" * 32)
    sink = SimpleNamespace(reader=log.reader(), log=log)
    delivery = base.Delivery(sink, 1000, 1000, gather_ms=300)

    def built() -> bool:
        return any(delivery.build() for _ in range(20))

    for k in range(3):
        log.add("decision", "walking", k)
        assert not built()
    time.sleep(0.35)
    assert built()
    first, *others = bytes(delivery.lines).decode().splitlines()
    assert all(len(line) < 70 < len(first) for line in others)
    delivery.acknowledge("00000000", 1, 3)  # another log's
    delivery.acknowledge(log.ring.log, 1, 2)  # not all of them
    assert delivery.complete
    delivery.acknowledge(log.ring.log, 1, 3)
    assert not delivery.complete
    log.add("decision", "still")
    assert not built()
    log.add("alarm", "hot")
    assert built()
    assert sink.reader.delivered == 3


def test_what_is_not_acknowledged_is_sent_again(tmp_path: Path) -> None:
    log = logs.Log("d", ring.Ring(str(tmp_path / "ring")))
    delivery = base.Delivery(SimpleNamespace(reader=log.reader(), log=log), 1000, 100)
    log.add("note", "a")
    assert not delivery.build()
    assert delivery.build()
    assert delivery.is_late()
    lines = bytes(delivery.lines)
    for _ in range(2):
        delivery.sent()
        assert not delivery.is_late()
        time.sleep(0.45)
        assert delivery.is_late()
        assert delivery.lines == lines
    assert log.sent_bytes == 2 * len(lines)
    delivery.clear()
    assert not delivery.build()
    assert delivery.build()
    assert delivery.lines == lines
