"""Events on disk: a journal that is safe before anything is acknowledged, and Parquet files by
device and day that it is turned into.

Whatever happens in between, an event that `commit` returned from is in the journal, or in a
Parquet file, or in both: `data.events.read` drops doubles. Whoever does half of the work does all
of it again.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import socket
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from filelock import FileLock, Timeout

from ulnn_rules.events import longer

from ..base import files
from ..base.errors import UlnnError
from ..data import events

PARTS = 16  # Parquet files of one day, before they are merged into one
BY = {"device": "device={device}/day={day}", "day": "all/day={day}"}
_DAY_MS = 86_400_000
_NAMES = 100


@dataclass(frozen=True)
class Ack:
    """The last event of a message, which all before it of its device are safe with."""

    device: str
    log: str
    boot: int
    seq: int

    def payload(self) -> str:
        """What devices get."""
        return json.dumps({"log": self.log, "boot": self.boot, "seq": self.seq})


@dataclass
class Counts:
    """What came: events, messages, bytes of lines; refused: lines that are no event, with the
    first reason."""

    events: int = 0
    messages: int = 0
    bytes: int = 0
    refused: int = 0
    reason: str = ""


@dataclass
class Store:
    """One collector's part of a folder of events. Several may share the folder, under names that
    differ; by: "device" or "day", what has files of its own.

    Raises UlnnError where the folder cannot be written, and, from `commit`, where the disk fails:
    then nothing was acknowledged.
    """

    folder: Path
    name: str = ""
    by: str = "device"
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        if self.by not in BY:
            raise UlnnError(f"by is {self.by!r}, expected {' or '.join(BY)}")
        if self.name and not re.fullmatch(r"[A-Za-z0-9.-]{1,40}", self.name):
            raise UlnnError(f"name is {self.name!r}, expected 1 to 40 letters, digits, - or .")
        files.check_output(self._journals / "x")
        if not events.is_events(self.folder):
            files.write_json(self.folder / events.EVENTS, {"format": 1})
        self._lock = self._take_name()
        self._journal: Any = None
        self._lines: list[bytes] = []
        self._number = 0

    @property
    def _journals(self) -> Path:
        return self.folder / events.JOURNAL

    def _take_name(self) -> FileLock:
        host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:36] or "collector"
        names = [self.name] if self.name else [f"{host}-{k}" for k in range(1, _NAMES)]
        for name in names:
            lock = self._lock_of(name)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            self.name = name
            return lock
        raise UlnnError(f"{self.folder}: a collector named {names[0]} runs there; choose another "
                        "name")  # fmt: skip

    def _lock_of(self, name: str) -> FileLock:
        return FileLock(self._journals / f"{name}.lock")

    # ---- taking events ------------------------------------------------------------------------

    def take(self, lines: bytes, device: str = "", received: int | None = None) -> Ack | None:
        """Note the lines of a message, which is not safe before `commit`; its acknowledgement.

        device: whose message it is, where the way that it came says so. None: no line of it is an
        event. A line that is none is counted and left out.
        """
        now = time.time_ns() // 1_000_000 if received is None else received
        last = before = None
        for line in lines.split(b"\n"):
            if not line.strip():
                continue
            try:
                short = events.parsed(line)
                fields = longer(short, before)
                row = events.row(fields, now)
                if device and row["device"] != device:
                    raise ValueError(f"device is {row['device']}, but it came from {device}")
            except ValueError as error:
                self.counts.refused += 1
                self.counts.reason = self.counts.reason or str(error)
                before = None
                continue
            before = fields
            text = line.strip() if fields is short else json.dumps(fields).encode()
            self._lines.append(b"%d %s\n" % (now, text))
            self.counts.events += 1
            self.counts.bytes += len(line)
            last = Ack(row["device"], row["log"], row["boot"], row["seq"])
        self.counts.messages += 1
        return last

    def commit(self) -> None:
        """Everything that was taken is safe when this returns."""
        if not self._lines:
            return
        with files.named(self._journals):
            if self._journal is None:
                self._number = max(time.time_ns(), self._number + 1)
                path = self._journals / f"{self.name}_{self._number}.jsonl"
                self._journal = path.open("ab")
                _sync_folder(self._journals)
            self._journal.write(b"".join(self._lines))
            self._journal.flush()
            os.fsync(self._journal.fileno())
        self._lines = []

    def size(self) -> int:
        """Bytes of the journal that is being written."""
        return self._journal.tell() if self._journal else 0

    # ---- turning journals into Parquet --------------------------------------------------------

    def close_journal(self) -> list[Path]:
        """End the journal; it and all that nobody works on any more, for `compact`."""
        self.commit()
        if self._journal:
            self._journal.close()
            self._journal = None
        return self._left_by(self.name)

    def _left_by(self, name: str) -> list[Path]:
        return sorted(self._journals.glob(f"{name}_*.jsonl"))

    def compact(self, journals: list[Path]) -> None:
        """Turn journals into Parquet files, and remove them."""
        for journal in journals:
            parts = defaultdict(list)
            for row in events.journal_rows(journal):
                parts[_place(self.by, row)].append(row)
            for place, rows in parts.items():
                self._add(self.folder / place, events.table(rows), journal.stem)
            journal.unlink(missing_ok=True)

    def _add(self, folder: Path, rows: Any, name: str) -> None:
        """Write a part of a day; with it, in one file, earlier ones where there are many."""
        target = folder / f"{name}.parquet"
        writer = name.rpartition("_")[0]
        earlier = sorted(p for p in folder.glob(f"{writer}_*.parquet") if p != target)
        if len(earlier) < PARTS:
            earlier = []
        whole = pa.concat_tables([*map(events.parquet, earlier), rows])
        with files.replacing(target) as file:
            pa.parquet.write_table(whole, file, compression="zstd")
        _sync_folder(folder)
        for path in earlier:
            path.unlink(missing_ok=True)

    def adopt(self) -> None:
        """Compact what collectors left that do not run any more, this one included."""
        names = {path.stem.rpartition("_")[0] for path in self._journals.glob("*.jsonl")}
        for name in sorted(names):
            if name == self.name:
                self.compact(self._left_by(name))
                continue
            try:
                with self._lock_of(name).acquire(timeout=0):
                    self.compact(self._left_by(name))
            except Timeout:
                continue

    def close(self) -> None:
        """Turn all into Parquet, and leave the folder."""
        try:
            self.compact(self.close_journal())
        finally:
            self._lock.release()


def _place(by: str, row: dict[str, Any]) -> str:
    """The folder of an event; a clock that is far from ours does not make folders."""
    stamp = row["time"] or 0
    if not -400 * _DAY_MS < stamp - row["received"] < 2 * _DAY_MS:
        stamp = row["received"]
    day = datetime.datetime.fromtimestamp(stamp / 1000, datetime.UTC).date()
    return BY[by].format(device=row["device"], day=day)


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can do that."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
