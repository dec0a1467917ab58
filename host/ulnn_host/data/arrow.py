"""pyarrow, an optional package: fast reading of plain text tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from .blocks import Block, Plan, Words, missing_numbers
from .dialect import MISSING, Dialect
from .options import DataOptions

_SPELLINGS = sorted({form for word in MISSING for form in (word, word.upper(), word.title())})
_SPELLINGS += ["NaN", "-NaN", "N/A", "<NA>"]
_WORDS = pa.dictionary(pa.int32(), pa.string())


class CsvReader:
    """Blocks of a text table. What it does not read, or might read differently from `text_table`,
    it leaves to that.
    """

    def __init__(
        self, dialect: Dialect, plan: Plan, options: DataOptions, labels: Words, groups: Words
    ) -> None:
        self.plan, self.options, self.words = plan, options, (labels, groups)
        self.plain = dialect.separator != " " and not dialect.cr
        # a name is a column's place, as two columns may have one name
        names = [str(k) for k in range(len(plan.names))]
        self.read = pa.csv.ReadOptions(column_names=names)
        self.parse = pa.csv.ParseOptions(delimiter=dialect.separator)
        self.types = {str(k): pa.float64() for k in plan.numbers}
        self.types |= {str(k): _WORDS for k in (plan.label, plan.group) if k is not None}
        stamp = pa.timestamp("ns", "UTC") if plan.zone else pa.timestamp("ns")
        self.times = [stamp] if plan.iso else [pa.int64(), pa.float64()]
        self.decimal = dialect.decimal

    def block(self, line: int, data: bytes) -> Block | None:
        """The rows of some lines; None where it must not or cannot read them."""
        if not self.plain or data.startswith(b"#") or b"\n#" in data:
            return None
        for k, kind in enumerate(self.times):
            try:
                table = self._table(data, kind)
            except pa.ArrowInvalid:
                continue  # whole numbers so far, with a fraction from here on
            self.times = self.times[k:]
            break
        else:
            return None
        if table.num_rows != data.count(b"\n"):
            return None  # empty lines: which row is which line?
        with np.errstate(over="ignore"):
            numbers = self._numbers(table)
        if np.isinf(numbers).any():
            return None
        time, no_time = times(table.column(str(self.plan.time)))
        if time.dtype.kind == "f" and np.isinf(time).any():
            return None
        label, group = (
            None if column is None else codes(table.column(str(column)), words)
            for column, words in zip((self.plan.label, self.plan.group), self.words, strict=True)
        )
        where = np.arange(line, line + table.num_rows, dtype=np.int64)
        return Block(where, time, no_time, numbers, label, group)

    def _table(self, data: bytes, time: Any) -> Any:
        self.read.block_size = len(data) + 1  # or the rows would come in pieces
        types = self.types | {str(self.plan.time): time}
        convert = pa.csv.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            null_values=_SPELLINGS,
            decimal_point=self.decimal,
        )
        return pa.csv.read_csv(
            pa.BufferReader(data),
            self.read,
            self.parse,
            convert,
            memory_pool=pa.system_memory_pool(),
        )

    def _numbers(self, table: Any) -> NDArray[np.float32]:
        numbers = np.empty((table.num_rows, len(self.plan.numbers)), np.float32)
        for k, column in enumerate(self.plan.numbers):
            numbers[:, k] = number_values(table.column(str(column)), self.options)
        return numbers


def plain(column: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The numbers of a column of 64-bit numbers, times or codes of words, and where none is.

    From the buffers: `to_numpy` and its like import pandas, which takes time and memory.
    """
    parts, empty = [], []
    for part in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        rows = slice(part.offset, part.offset + len(part))
        mask, data = part.buffers()[:2]
        code = {pa.float64(): np.float64, pa.int32(): np.int32}.get(part.type, np.int64)
        parts.append(np.frombuffer(data, code)[rows] if len(part) else np.empty(0, code))
        bits = b"" if mask is None else mask
        known = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[rows]
        empty.append(known == 0 if len(known) else np.zeros(len(part), bool))
    if len(parts) == 1:
        return parts[0], empty[0]
    return np.concatenate(parts), np.concatenate(empty)


def number_values(column: Any, options: DataOptions) -> NDArray[np.float64]:
    """The values of a column of float64, NaN where one is missing."""
    values, empty = plain(column)
    if empty.any() or options.missing_values:
        values = missing_numbers(np.where(empty, np.nan, values), options)
    return values


def times(column: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Times (nanoseconds where the column has a type of time) and where they are missing."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        zone = getattr(column.type, "tz", None)
        column = column.cast(pa.timestamp("ns", zone)).cast(pa.int64())
    elif pa.types.is_integer(column.type):
        column = column.cast(pa.int64())
    else:
        column = column.cast(pa.float64())
    values, empty = plain(column)
    if values.dtype.kind == "f":
        empty = empty | np.isnan(values)
    return values, empty


def codes(column: Any, words: Words) -> NDArray[np.int32]:
    """Codes of a column of words."""
    parts = []
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        known = words.encode(word or "" for word in chunk.dictionary.to_pylist())
        index, empty = plain(chunk.indices)
        parts.append(np.append(known, np.int32(-1))[np.where(empty, len(known), index)])
    return np.concatenate(parts) if parts else np.empty(0, np.int32)
