"""Events of devices (`ulnn_rules.events`) on this PC: their columns, and reading a folder of them.

A folder of events, which `ulnn collect` writes, holds `ulnn-events.json`, Parquet files by device
and day, and in `journal/` what came last. One event may be there twice, since everything is sent
until it has been acknowledged: reading drops the doubles.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet
from numpy.typing import NDArray

from ulnn_rules.events import MODEL_DIGITS

from ..base.errors import UlnnError
from .arrow import plain
from .sources import EVENTS, is_events

__all__ = ["COLUMNS", "EVENTS", "KEY", "is_events", "parsed", "read", "row", "table"]

KEY = ("device", "log", "boot", "seq")
JOURNAL = "journal"
LONGEST = 4096  # bytes of a line
_STAMP = pa.timestamp("ms", "UTC")
_WHOLE = ("samples", "outside", "clamped", "faults", "lost", "first")
COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in KEY[:2]),
        *((name, pa.int64()) for name in KEY[2:]),
        ("time", _STAMP),  # null where the device's clock was not set
        ("uptime", pa.int64()),  # ms
        ("received", _STAMP),
        *((name, pa.string()) for name in ("kind", "what")),
        ("margin", pa.int64()),
        ("model", pa.string()),
        *((name, pa.int64()) for name in _WHOLE),
        ("mean", pa.list_(pa.int32())),
        ("std", pa.list_(pa.int32())),
        ("extra", pa.string()),  # JSON of what is not known here
    ]
)
_NAMES = {"device", "log", "boot", "seq", "t", "clock", "up", "kind", "what", "margin", "model",
          "mean", "std", "crc", *_WHOLE}  # fmt: skip
_DEVICE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KIND = re.compile(r"[a-z][a-z_-]{0,19}")  # also those of later versions
_LOG = re.compile(r"[0-9a-f]{8}")
_MODEL = re.compile(f"[0-9a-f]{{{MODEL_DIGITS},64}}")
_MOST = 1 << 63
_LATEST = 4102444800000  # ms: the year 2100
_TRIES = 5


def parsed(line: str | bytes) -> dict[str, Any]:
    """The fields of a line. Raises ValueError where it is none."""
    if len(line) > LONGEST:
        raise ValueError(f"a line of {len(line):,} bytes, expected at most {LONGEST:,}")
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("not a line of JSON") from None
    if not isinstance(fields, dict):
        raise ValueError("not an object")
    return fields


def row(fields: dict[str, Any], received: int) -> dict[str, Any]:
    """The row of an event; received: ms of UTC since 1970 at which it came.

    Without a right device, log, boot, seq or kind it is no event: ValueError says why. Everything
    else that is odd becomes null, and unknown keys go to `extra`.
    """
    for name, pattern in (("device", _DEVICE), ("log", _LOG)):
        value = fields.get(name)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"{name} is {value!r:.80}")
    for name in ("boot", "seq"):
        if _whole(fields.get(name), 1 << 32) is None or fields[name] < 1:
            raise ValueError(f"{name} is {fields.get(name)!r:.80}")
    kind = fields.get("kind")
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise ValueError(f"kind is {kind!r:.80}")
    stamp = _whole(fields.get("t"), _LATEST)
    known = fields.get("clock") == "synchronised"
    model = fields.get("model")
    made = {name: fields[name] for name in (*KEY, "kind")} | {
        "time": stamp if known else None,
        "uptime": _whole(fields.get("up"), _LATEST) if known else stamp,
        "received": received,
        "what": _text(fields.get("what")),
        "margin": _whole(fields.get("margin")),
        "model": model if isinstance(model, str) and _MODEL.fullmatch(model) else None,
        "mean": _list(fields.get("mean")),
        "std": _list(fields.get("std")),
    }
    made |= {name: _whole(fields.get(name), 1 << 32) for name in _WHOLE}
    more = {name: fields[name] for name in fields.keys() - _NAMES}
    made["extra"] = json.dumps(more, sort_keys=True) if more else None
    return made


def _whole(value: Any, most: int = _MOST) -> int | None:
    good = type(value) is int and (0 if most < _MOST else -_MOST) <= value < most
    return value if good else None


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return value.encode("utf-8", "replace").decode()  # half a pair of surrogates is no text


def _list(value: Any) -> list[int] | None:
    whole = isinstance(value, list) and all(type(v) is int and abs(v) < 1 << 31 for v in value)
    return value if whole else None


def table(rows: Iterable[dict[str, Any]]) -> Any:
    """Rows as a table of COLUMNS."""
    return pa.Table.from_pylist(list(rows), schema=COLUMNS)


def journal_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a journal: what a power cut tore at its end is left out."""
    found = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        stamp, _, text = line.partition(b" ")
        try:
            found.append(row(parsed(text), int(stamp)))
        except ValueError:
            continue  # the end of what was never acknowledged
    return found


def read(folders: Sequence[str | Path], since: str = "") -> Any:
    """The events of folders, each once, by device and in its order: a table of COLUMNS with one
    column more, `when`: `time`, or where that is missing, time from another event of the same
    start of the device, or `received`.

    since: a day (2026-11-26); files of earlier days are left out. Raises UlnnError.
    """
    if since and not re.fullmatch(r"\d{4}-\d\d-\d\d", since):
        raise UlnnError(f"since is {since!r}, expected a day such as 2026-11-26")
    parts: list[Any] = []
    for folder in map(Path, folders):
        if not is_events(folder):
            raise UlnnError(f"{folder}: not a folder of events: it holds no {EVENTS}")
        parts += _parts(folder, since)
    whole = pa.concat_tables(parts) if parts else COLUMNS.empty_table()
    return _dated(_once(whole))


def _parts(folder: Path, since: str) -> list[Any]:
    """Tables of all files of a folder that a collector may be writing to."""
    for _ in range(_TRIES):
        try:
            # In this order: what leaves the journal while we read is in a Parquet file then.
            found = [table(journal_rows(p)) for p in sorted((folder / JOURNAL).glob("*.jsonl"))]
            for path in sorted(folder.glob("*/day=*/*.parquet")):
                if path.name.startswith(".") or path.parent.name.removeprefix("day=") < since:
                    continue
                found.append(parquet(path))
            return found
        except FileNotFoundError:
            time.sleep(0.05)  # a file was merged into another one
    raise UlnnError(f"{folder}: files vanish while they are read; try again")


def parquet(path: Path) -> Any:
    """One Parquet file of events. Raises UlnnError; FileNotFoundError where it has gone."""
    try:
        return (
            pa.parquet.ParquetFile(path, memory_map=False)
            .read()
            .select(COLUMNS.names)
            .cast(COLUMNS)
        )
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise UlnnError(f"{path}: not a readable file of events ({error!s:.200})") from None


def _codes(column: Any) -> NDArray[np.int64]:
    """Codes of words, in the order of the words."""
    encoded = column.combine_chunks().dictionary_encode()
    words = encoded.dictionary.to_pylist()
    place = np.empty(len(words), np.int64)
    place[sorted(range(len(words)), key=words.__getitem__)] = np.arange(len(words))
    return place[plain(encoded.indices)[0]] if len(words) else np.empty(0, np.int64)


def _once(whole: Any) -> Any:
    """Each event once, the one that came first, by device and in its order.

    Logs of one device are in the order in which their first event came.
    """
    if not whole.num_rows:
        return whole
    device, log = (_codes(whole[name]) for name in KEY[:2])
    boot, seq, received = (
        plain(whole[name].cast(pa.int64()))[0] for name in ("boot", "seq", "received")
    )
    began = np.full(int(log.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(began, log, received)
    order = np.lexsort((received, seq, boot, log, began[log], device))
    same = np.ones(len(order), bool)
    for values in (device, log, boot, seq):
        same[1:] &= values[order][1:] == values[order][:-1]
    same[0] = False
    return whole.take(pa.array(order[~same]))


def _dated(whole: Any) -> Any:
    if not whole.num_rows:
        return whole.append_column("when", pa.array([], _STAMP))
    stamp, unknown = plain(whole["time"].cast(pa.int64()))
    up, no_up = plain(whole["uptime"])
    received, _ = plain(whole["received"].cast(pa.int64()))
    device, log = (_codes(whole[name]) for name in KEY[:2])
    boot, _ = plain(whole["boot"])
    known = ~unknown & ~no_up & (up > 0)  # 0: a policy took it away
    starts = np.stack([device, log, boot], 1)
    _, start = np.unique(starts, axis=0, return_inverse=True)
    start = start.reshape(-1)
    begin = np.full(int(start.max()) + 1, np.iinfo(np.int64).min)
    begin[start[known]] = (stamp - up)[known]  # of the last one: the clock may have been set late
    guess = np.where((begin[start] > 0) & ~no_up, begin[start] + up, received)
    when = np.where(unknown, guess, stamp)
    return whole.append_column("when", pa.array(when, pa.int64()).cast(_STAMP))
