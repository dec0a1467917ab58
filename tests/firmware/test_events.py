"""Events: records for flash, lines for people and collectors, figures of inputs; the same on a PC
and under MicroPython."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import collect
from support.paths import FIRMWARE
from support.unix import needs_micropython, unix
from ulnn_host.data import events as rows
from ulnn_rules.events import (
    CHANNELS,
    KINDS,
    SIZE,
    TEXT_SIZE,
    Event,
    cut,
    is_after,
    is_sound,
    is_whole,
    longer,
    shorter,
    to_line,
    unpack,
)  # fmt: skip
from ulnn_rules.summary import LIMIT, Summary, root

U32 = st.integers(0, (1 << 32) - 1)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(KINDS))
    margin = draw(st.integers(-(1 << 31), (1 << 31) - 1))
    model = draw(st.just("") | st.binary(min_size=8, max_size=8).map(bytes.hex))
    if kind == "summary":
        n = draw(st.integers(0, CHANNELS))
        mean = draw(st.lists(st.integers(-32768, 32767), min_size=n, max_size=n))
        std = draw(st.lists(st.integers(0, 65535), min_size=n, max_size=n))
        five = [draw(U32) for _ in range(5)]
        event = Event(kind, "", margin, model, (*five, draw(st.integers(0, 255)), mean, std))
    else:
        event = Event(kind, draw(TEXT), margin, model)
    event.boot, event.seq, event.dropped = draw(U32), draw(U32), draw(U32)
    event.freed = (draw(U32), draw(U32))
    event.up, event.utc = draw(st.integers(0, 1 << 50)), draw(st.just(0) | st.integers(1, 1 << 60))
    return event


@given(events())
def test_a_record_holds_an_event(event: Event) -> None:
    record = event.pack()
    assert len(record) == SIZE
    assert is_whole(record)
    same = unpack(record)
    want = vars(event) | {"what": cut(event.what).decode()}
    if event.model == "00" * 8:
        want["model"] = ""
    assert vars(same) == want


@given(events(), st.integers(0, SIZE - 1), st.integers(1, 255))
def test_a_damaged_record_is_known(event: Event, at: int, change: int) -> None:
    record = event.pack()
    record[at] ^= change
    assert not is_whole(record)


def test_text_is_cut_between_characters() -> None:
    for text in ("a" * 100, "ä" * 50, "水" * 40, "a水" * 30, "😀" * 30, "a" + "😀" * 30):
        data = cut(text)
        assert TEXT_SIZE - 4 < len(data) <= TEXT_SIZE
        assert text.startswith(data.decode())
    assert cut("short") == b"short"


@given(events())
def test_a_line_is_json_and_a_row(event: Event) -> None:
    fields = event.fields() | {"device": "d-1", "log": "9f3a01c2"}
    for check in (False, True):
        line = to_line(fields, check)
        assert "\n" not in line
        read = json.loads(line)
        assert is_sound(line) == check
        assert (read.pop("crc", None) is not None) == check
        assert read == json.loads(json.dumps(fields))
    if not event.boot or not event.seq:
        return
    row = rows.row(rows.parsed(line), 5)
    assert (row["device"], row["log"], row["boot"], row["seq"]) == (
        "d-1", "9f3a01c2", event.boot, event.seq,
    )  # fmt: skip
    assert row["kind"] == event.kind
    assert row["what"] == (event.what or None)
    if event.figures:
        assert row["mean"] == event.figures[6]
        assert row["std"] == event.figures[7]


@given(st.lists(events(), min_size=1, max_size=6), st.data())
def test_lines_of_a_message_are_short(made: list[Event], data: st.DataObject) -> None:
    """A collector makes the whole fields of them again."""
    start = made[0].utc - made[0].up
    for event in made[1:]:  # as events of one start are
        if data.draw(st.booleans()):
            event.boot, event.model, event.kind = made[0].boot, made[0].model, made[0].kind
            event.figures = made[0].figures
        if data.draw(st.booleans()) and event.utc - start > 0:
            event.up = max(0, event.utc - start)
    before = read = None
    for event in made:
        fields = event.fields() | {"device": "d-1", "log": "9f3a01c2"}
        short = shorter(fields, before)
        read = longer(json.loads(to_line(short)), read)
        assert read == json.loads(json.dumps(fields))
        before = fields


def test_how_short_a_line_is() -> None:
    lines, before = [], None
    for seq in (1, 2):
        event = Event("decision", "walking", 812, "3b1f00c2a94e5d17")
        event.boot, event.seq, event.up, event.utc = 7, seq, 93211 + seq, 1795678901234 + seq
        fields = event.fields() | {"device": "pump-3", "log": "9f3a01c2"}
        lines.append(to_line(shorter(fields, before)))
        before = fields
    assert lines[1] == '{"seq":2,"t":1795678901236,"what":"walking","margin":812}'
    assert len(lines[0]) > 170


def test_order_of_keys_and_damage_of_lines() -> None:
    event = Event("decision", "walking", 812, "3b1f00c2a94e5d17")
    event.boot, event.seq, event.up, event.utc = 7, 120, 93211, 1795678901234
    line = to_line(event.fields() | {"device": "pump-3", "log": "9f3a01c2"}, True)
    assert line.startswith(
        '{"device":"pump-3","log":"9f3a01c2","boot":7,"seq":120,"t":1795678901234,'
        '"clock":"synchronised","up":93211,"kind":"decision","what":"walking","margin":812,'
        '"model":"3b1f00c2a94e5d17","crc":"'
    )
    for k in range(len(line)):
        assert not is_sound(line[:k] + chr(ord(line[k]) ^ 1) + line[k + 1 :])
        assert not is_sound(line[:k])


def test_order_of_events() -> None:
    assert is_after(2, 1, (1, 9))
    assert is_after(2, 2, (2, 1))
    assert not is_after(2, 1, (2, 1))
    assert not is_after(1, 9, (2, 1))


@given(st.integers(0, 1 << 80))
def test_root(n: int) -> None:
    assert root(n) ** 2 <= n < (root(n) + 1) ** 2


@pytest.mark.parametrize("count", [1, 2, 1000, 16384, 40000])
def test_figures_of_inputs(count: int) -> None:
    rng = np.random.default_rng(count)
    x = np.stack(
        [
            rng.integers(-32768, 32768, count),
            np.full(count, -32768),
            rng.normal(1000, 30, count).round().astype(int),
        ],
        1,
    )
    summary = Summary(3)
    for row in x.tolist():
        summary.add(row)
    samples, outside, mean, std = summary.take()
    assert samples == count
    assert outside == (np.abs(x) >= LIMIT).any(1).sum()
    assert mean == np.floor(x.mean(0)).astype(int).tolist()
    assert np.abs(np.array(std) - x.std(0)).max() <= 1.001
    assert summary.take() == (0, 0, [0, 0, 0], [0, 0, 0])


SCRIPT = """
from struct import unpack
from ulnn_rules.events import unpack as event_of, to_line, is_whole
from ulnn_rules.summary import Summary
from array import array
f = open("records.bin", "rb")
while True:
    record = f.read(128)
    if not record:
        break
    assert is_whole(record)
    e = event_of(record)
    assert e.pack() == record
    print(to_line({k: v for k, v in e.fields().items()}, True))
s = Summary(2)
x = array("h", [0, 0])
with open("x.bin", "rb") as f:
    try:
        from micropython import heap_lock, heap_unlock
    except ImportError:
        heap_lock = heap_unlock = lambda: None
    while f.readinto(x):
        heap_lock()
        s.add(x)
        heap_unlock()
print(s.take())
"""


@needs_micropython
def test_on_unix_micropython(tmp_path: Path) -> None:
    made = collect(events(), 200)
    lines = [to_line(unpack(event.pack()).fields(), True) for event in made]
    (tmp_path / "records.bin").write_bytes(b"".join(bytes(event.pack()) for event in made))
    x = np.random.default_rng(0).integers(-32768, 32768, (3000, 2)).astype("<i2")
    (tmp_path / "x.bin").write_bytes(x.tobytes())
    (tmp_path / "run.py").write_text(SCRIPT)
    summary = Summary(2)
    for row in x.tolist():
        summary.add(row)
    want = [*lines, str(summary.take())]
    got = unix("run.py", cwd=tmp_path, path=FIRMWARE)
    assert got == "\n".join(want) + "\n"
