"""What collectors keep: nothing that was acknowledged is lost, whatever ends them and whenever;
hostile lines do no harm; reading gives each event once."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulnn_host.base.errors import UlnnError
from ulnn_host.data import events
from ulnn_host.fleet.store import PARTS, Ack, Store

NOW = 1795678901234  # 2026-11-26


def line(
    device: str = "d", seq: int = 1, boot: int = 1, log: str = "0123abcd", **more: Any
) -> str:
    fields = {"device": device, "log": log, "boot": boot, "seq": seq, "t": NOW + seq,
              "clock": "synchronised", "up": seq, "kind": "decision", "what": "walking",
              "margin": seq}  # fmt: skip
    return json.dumps(fields | more)


def take(store: Store, *lines: str, device: str = "", received: int = NOW) -> Ack | None:
    return store.take("\n".join(lines).encode(), device, received)


def keys(folder: Path) -> list[tuple[Any, ...]]:
    table = events.read([folder])
    return [tuple(row.values()) for row in table.select(events.KEY).to_pylist()]


def test_from_journal_to_parquet(tmp_path: Path) -> None:
    store = Store(tmp_path / "e", "one")
    ack = take(store, line(seq=1), line(seq=2))
    assert ack == Ack("d", "0123abcd", 1, 2)
    assert json.loads(ack.payload()) == {"log": "0123abcd", "boot": 1, "seq": 2}
    assert keys(store.folder) == []  # not yet
    store.commit()
    assert [k[3] for k in keys(store.folder)] == [1, 2]
    take(store, line("other", 7), line("other", 8, t=NOW - 86_400_000))
    store.close()
    files = store.folder.rglob("*.parquet")
    assert sorted(str(path.relative_to(store.folder).parent) for path in files) == [
        "device=d/day=2026-11-26", "device=other/day=2026-11-25", "device=other/day=2026-11-26",
    ]  # fmt: skip
    assert not list(store.folder.rglob("*.jsonl"))
    assert [(k[0], k[3]) for k in keys(store.folder)] == [
        ("d", 1), ("d", 2), ("other", 7), ("other", 8),
    ]  # fmt: skip
    row = events.read([store.folder]).to_pylist()[0]
    assert row["time"] == row["when"] == datetime.fromtimestamp((NOW + 1) / 1000, UTC)
    assert (row["uptime"], row["what"], row["margin"], row["extra"]) == (1, "walking", 1, None)


class Ended(Exception):
    """The collector was ended here."""


@pytest.mark.parametrize("by", ["device", "day"])
def test_ended_at_any_moment(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each step on the disk in turn; then another collector takes over."""
    steps = [0, 0]

    def count(function: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            steps[0] += 1
            if steps[0] == steps[1]:
                raise Ended
            return function(*arguments, **named)

        return call

    monkeypatch.setattr("os.fsync", count(lambda handle: None))
    for name in ("replace", "unlink", "open"):
        monkeypatch.setattr(Path, name, count(getattr(Path, name)))
    moments = 0
    while True:
        moments += 1
        folder = tmp_path / f"{by}{moments}"
        store = Store(folder, "one", by)
        safe: set[int] = set()
        seq = 0
        steps[:] = [0, moments]
        try:
            for _ in range(3):
                for _ in range(2):
                    new = [seq + 1, seq + 2]
                    seq += 2
                    take(store, *[line(f"d{k % 2}", k) for k in new])
                    store.commit()
                    safe |= set(new)
                store.compact(store.close_journal())
            ended = False
        except Ended:
            ended = True
        steps[:] = [0, 0]
        store._lock.release()
        found = [k[3] for k in sorted(keys(folder), key=lambda k: k[3])]
        assert len(found) == len(set(found))
        assert safe <= set(found)
        other = Store(folder, "two", by)
        other.adopt()
        other.close()
        assert not list(folder.rglob("*.jsonl"))
        again = [k[3] for k in sorted(keys(folder), key=lambda k: k[3])]
        assert again == found
        if not ended:
            break
    print(by, moments, "moments")
    assert moments > 20


def test_a_torn_journal(tmp_path: Path) -> None:
    store = Store(tmp_path / "e", "one")
    for seq in (1, 2):
        take(store, line(seq=seq))
        store.commit()
    (journal,) = store.folder.rglob("*.jsonl")
    whole = journal.read_bytes()
    for size in range(len(whole)):
        journal.write_bytes(whole[:size])
        assert [k[3] for k in keys(store.folder)] == [1, 2][: whole[:size].count(b"\n")]


def test_doubles_of_several_collectors(tmp_path: Path) -> None:
    rng = random.Random(1)
    stores = [Store(tmp_path / "e", name) for name in ("one", "two")]
    sent = [(f"d{k % 3}", 1 + k // 3) for k in range(300)]
    for device, seq in sent + rng.choices(sent, k=200):
        store = rng.choice(stores)
        take(store, line(device, seq), received=NOW + rng.randrange(1000))
        if rng.random() < 0.1:
            store.compact(store.close_journal())
        else:
            store.commit()
    assert [(k[0], k[3]) for k in keys(tmp_path / "e")] == sorted(sent)
    for store in stores:
        store.close()
    assert [(k[0], k[3]) for k in keys(tmp_path / "e")] == sorted(sent)
    files = list((tmp_path / "e").rglob("*.parquet"))
    assert len(files) < 3 * 2 * (PARTS + 1)


def test_many_parts_of_a_day_become_one(tmp_path: Path) -> None:
    store = Store(tmp_path / "e", "one")
    for seq in range(1, 2 * PARTS):
        take(store, line(seq=seq))
        store.compact(store.close_journal())
    assert len(list(store.folder.rglob("*.parquet"))) <= PARTS
    assert len(keys(store.folder)) == 2 * PARTS - 1


def test_another_log_of_a_device_is_no_double(tmp_path: Path) -> None:
    """A device whose flash was wiped counts from 1 again."""
    store = Store(tmp_path / "e", "one")
    take(store, line(seq=1, log="ffffffff"), received=NOW)
    take(store, line(seq=1, log="00000000"), received=NOW + 5)
    store.close()
    assert [k[1] for k in keys(store.folder)] == ["ffffffff", "00000000"]  # as they came


def test_when_it_happened(tmp_path: Path) -> None:
    """An event before the clock was set is dated by one after it, of the same start."""
    store = Store(tmp_path / "e", "one")
    since = {"clock": "since boot"}
    rows = [
        line(seq=1, t=5000, up=None, **since),
        line(seq=2, t=NOW, up=65000),
        line(seq=1, boot=2, t=1000, up=None, **since),
    ]
    take(store, *rows, received=NOW + 10_000)
    store.commit()
    found = events.read([store.folder]).to_pylist()
    assert [round(row["when"].timestamp() * 1000) - NOW for row in found] == [-60_000, 0, 10_000]
    assert [row["time"] is None for row in found] == [True, False, True]
    assert [row["uptime"] for row in found] == [5000, 65000, 1000]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["device", "log", "boot", "seq", "t", "clock", "up", "kind", "what", "margin", "model",
     "samples", "first", "mean", "std", "crc", "place", "\ud800"]
)  # fmt: skip


@given(st.dictionaries(NAMES, JSON, max_size=4))
def test_whatever_a_device_says_is_a_row_or_refused(changes: dict[str, Any]) -> None:
    try:
        row = events.row(json.loads(json.dumps(json.loads(line()) | changes)), NOW)
    except ValueError:
        return
    table = events.table([row])
    assert table.num_rows == 1
    assert (row["device"], row["log"]) == (table["device"][0].as_py(), table["log"][0].as_py())
    assert "/" not in row["device"]


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not a"):
        events.row(events.parsed(data), NOW)


def test_what_is_refused_is_counted(tmp_path: Path) -> None:
    store = Store(tmp_path / "e", "one")
    assert take(store, "noise", device="d") is None
    assert take(store, line("d"), device="other") is None
    assert take(store, line("../x")) is None
    assert take(store, line(what="x" * 5000)) is None
    assert take(store, line(seq=0), "", line(seq=4), device="d") == Ack("d", "0123abcd", 1, 4)
    assert take(store, line(kind="new-kind", place=[1])) == Ack("d", "0123abcd", 1, 1)
    assert (store.counts.refused, store.counts.events) == (5, 2)
    assert store.counts.reason == "not a line of JSON"
    store.close()
    extra = [row["extra"] for row in events.read([store.folder]).to_pylist()]
    assert extra == ['{"place": [1]}', None]
    assert {p.name for p in store.folder.iterdir()} == {"device=d", "journal", "ulnn-events.json"}


def test_a_clock_that_is_wrong_makes_no_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "e", "one")
    take(store, *[line(seq=k + 1, t=k * 10**11) for k in range(40)])
    store.close()
    days = {path.parent.name for path in store.folder.rglob("*.parquet")}
    assert days <= {"day=2026-11-26", "day=2026-05-20", "day=2026-06-04"}


def test_names_of_collectors(tmp_path: Path) -> None:
    one = Store(tmp_path / "e", "one")
    with pytest.raises(UlnnError, match="a collector named one runs there; choose another"):
        Store(tmp_path / "e", "one")
    with pytest.raises(UlnnError, match="name is 'a/b'"):
        Store(tmp_path / "e", "a/b")
    with pytest.raises(UlnnError, match="by is 'week', expected device or day"):
        Store(tmp_path / "e", by="week")
    first, second = Store(tmp_path / "e"), Store(tmp_path / "e")
    assert first.name != second.name
    for store in (one, first, second):
        store.close()


def test_a_disk_that_fails_acknowledges_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "e", "one")
    take(store, line())

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(UlnnError, match="journal cannot be written: no space left on device"):
        store.commit()


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UlnnError, match=r"not a folder of events: it holds no ulnn-events.json"):
        events.read([tmp_path])
    store = Store(tmp_path / "e", "one")
    assert events.read([store.folder]).num_rows == 0
    with pytest.raises(UlnnError, match="since is 'today', expected a day"):
        events.read([store.folder], "today")
    bad = store.folder / "device=d/day=2026-11-26/x.parquet"
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"PAR1nothing")
    with pytest.raises(UlnnError, match=r"x\.parquet: not a readable file of events"):
        events.read([store.folder])
    assert events.read([store.folder], "2026-11-27").num_rows == 0
    pa.parquet.write_table(pa.table({"device": ["d"]}), bad)
    with pytest.raises(UlnnError, match=r"x\.parquet: not a readable file of events"):
        events.read([store.folder])
