"""Writes a take while it grows: what came stays, whatever happens next."""

from __future__ import annotations

import errno
import os
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base import files
from ..base.errors import UlnnError
from ..base.extras import need
from .takes import MARK, VERSION, Session, session_path

FORMATS = ("csv", "parquet")
SYNC_SECONDS = 1.0
SESSION_SECONDS = 5.0


class TakeWriter:
    """A take that is being written to `path`, always with a number of its own.

    A Parquet file has its table of contents at its end, so that the samples go to a CSV file
    first, which is there until the take is closed.
    """

    def __init__(
        self, folder: Path, session: Session, kind: str = "csv", name: str = "take"
    ) -> None:
        """Make the files. name: of a take without label and group. Raises UlnnError."""
        if kind not in FORMATS:
            raise UlnnError(f"format is {kind!r}, expected one of {', '.join(FORMATS)}")
        if kind == "parquet":
            need("pyarrow", "a take in Parquet")
        words = [_file_word(word) for word in (session.label, session.group) if word]
        self.session = session
        self._table, self._file = _new(folder, "_".join(words) or name)
        self.path = self._table.with_suffix(f".{kind}")
        self._synced = self._saved = time.monotonic()
        self._save()
        self._put("time_us," + ",".join(map(_csv_word, session.channels)) + "\n")

    def add(self, times: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        """Samples (N, channels) and their times (N,), microseconds since the start."""
        rows = zip(times.tolist(), values, strict=True)
        lines = [f"{us},{','.join(map(str, row))}\n" for us, row in rows]
        self._put("".join(lines))

    def update(self, session: Session, *, now: bool = False) -> None:
        """What is known of the take by now; it reaches the disk now, or some seconds later."""
        self.session = session
        if now or time.monotonic() - self._saved > SESSION_SECONDS:
            self._save()

    def close(self) -> None:
        """Finish the files. Raises UlnnError; what was written is there all the same."""
        if self._file.closed:
            return
        try:
            self._sync()
        except OSError as error:
            raise UlnnError(f"{self._table} cannot be written: {_reason(error)}") from error
        finally:
            self._file.close()
        self._save()
        if self.path != self._table:
            _to_parquet(self._table, self.path, self.session)
            self._table.unlink()

    def discard(self) -> None:
        """Remove the files of a take without samples."""
        self._file.close()
        for path in (self._table, session_path(self.path)):
            path.unlink(missing_ok=True)

    def _put(self, text: str) -> None:
        try:
            self._file.write(text.encode())
            if time.monotonic() - self._synced > SYNC_SECONDS:
                self._sync()
        except OSError as error:
            raise UlnnError(f"{self._table} cannot be written: {_reason(error)}") from error

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def _save(self) -> None:
        content = {MARK: VERSION, "file": self.path.name} | asdict(self.session)
        files.write_json(session_path(self.path), content)
        self._saved = time.monotonic()


def _new(folder: Path, stem: str) -> tuple[Path, Any]:
    """A CSV file with the next number in the folder, open for writing without a buffer."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        name = re.compile(re.escape(stem) + r"_(\d+)\.\w+", re.IGNORECASE)
        numbers = [int(m[1]) for path in folder.iterdir() if (m := name.fullmatch(path.name))]
        number = max(numbers, default=0)
        while True:
            number += 1
            path = folder / f"{stem}_{number:03}.csv"
            try:
                return path, path.open("xb", buffering=0)
            except FileExistsError:
                continue  # another recording began at the same time
    except FileExistsError:
        raise UlnnError(f"{folder} is a file, expected a folder for takes") from None
    except OSError as error:
        raise UlnnError(f"{folder} cannot be written: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full; what came before is there"
    return (error.strerror or str(error)).lower()


def _file_word(word: str) -> str:
    """A word as a part of a file's name."""
    return re.sub(r"[^\w.-]+|_", "-", word).strip("-.") or "x"


def _csv_word(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if re.search(r'[",\s]', name) else name


def _to_parquet(source: Path, target: Path, session: Session) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    units = ["us", *session.units]
    kinds = [pa.int64(), *[pa.float32()] * len(session.channels)]
    names = ["time_us", *session.channels]
    read = pa.csv.read_csv(
        source,
        pa.csv.ReadOptions(column_names=names, skip_rows=1),
        convert_options=pa.csv.ConvertOptions(column_types=dict(zip(names, kinds, strict=True))),
    )
    fields = [
        pa.field(name, kind, metadata={"unit": unit})
        for name, kind, unit in zip(names, kinds, units, strict=True)
    ]
    with files.replacing(target) as file:
        pa.parquet.write_table(read.cast(pa.schema(fields)), file)
