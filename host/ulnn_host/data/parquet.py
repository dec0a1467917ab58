"""Parquet files as blocks of rows, with pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from ..base.errors import UlnnError
from . import clocks
from .arrow import codes, number_values, times
from .blocks import Block, Faults, Plan, Words
from .columns import Column
from .options import DataOptions

ROWS = 1 << 16
INDEX = "__index_level_0__"  # how pandas names an index without a name
_READ_ERRORS = (pa.ArrowException, OSError, ValueError)


class ParquetTable:
    """A Parquet file that is being read. A line is a row, the first is 1."""

    def __init__(self, path: Path, options: DataOptions) -> None:
        self.path, self.options = path, options
        try:
            self.file = self._open()
            head = next(self.file.iter_batches(batch_size=100), None)
        except FileNotFoundError:
            raise UlnnError(f"{path}: no such file") from None
        except _READ_ERRORS as error:
            raise UlnnError(f"{path}: not a readable Parquet file ({_reason(error)})") from None
        if head is None or not head.num_rows:
            raise UlnnError(f"{path}: the file holds no samples")
        if len(set(head.schema.names)) < len(head.schema.names):
            raise UlnnError(f"{path}: two columns have the same name")
        self.columns = tuple(
            _column(name, column)
            for name, column in zip(head.schema.names, head.columns, strict=True)
        )

    def _open(self) -> Any:
        return pa.parquet.ParquetFile(self.path, memory_map=False, pre_buffer=False)

    def blocks(self, plan: Plan, labels: Words, groups: Words, faults: Faults) -> Iterator[Block]:
        """All rows. Bad ones are noted in the faults."""
        used = dict.fromkeys((plan.time, *plan.numbers, plan.label, plan.group))
        names = self.file.schema_arrow.names
        chosen = [names[k] for k in used if k is not None]
        row = 1
        try:
            for batch in self.file.iter_batches(batch_size=ROWS, columns=chosen):
                block = self._block(batch, names, row, plan, (labels, groups), faults)
                row += len(batch)
                if len(block):
                    yield block
        except _READ_ERRORS as error:
            raise UlnnError(
                f"{self.path}: not a readable Parquet file ({_reason(error)})"
            ) from None

    def _block(
        self, table: Any, names: list[str], row: int, plan: Plan,
        words: tuple[Words, Words], faults: Faults,
    ) -> Block:  # fmt: skip
        numbers = np.empty((len(table), len(plan.numbers)), np.float32)
        good = np.ones(len(table), bool)
        for k, place in enumerate(plan.numbers):
            column = table.column(names[place]).cast(pa.float64())
            values = number_values(column, self.options)
            with np.errstate(over="ignore"):
                numbers[:, k] = values
            for at in map(int, np.flatnonzero(np.isinf(numbers[:, k]) & good)):
                good[at] = False
                shown = "a cell" if self.options.mask else values[at]
                what = f"column {names[place]}: {shown} is not a number of 32 bits"
                faults.bad_line(self.path, row + at, what)
        name = names[plan.time]
        stamps, no_time = self._times(name, table.column(name), row, good, faults)
        label, group = (
            None if place is None else codes(_as_words(table.column(names[place])), known)
            for place, known in zip((plan.label, plan.group), words, strict=True)
        )
        lines = np.arange(row, row + len(table), dtype=np.int64)
        block = Block(lines, stamps, no_time, numbers, label, group)
        return block if good.all() else block.take(good)

    def _times(
        self, name: str, column: Any, row: int, good: NDArray[np.bool_], faults: Faults
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        if _is_text(column.type):
            texts = [(text or "").strip() for text in column.to_pylist()]
            no_time = np.array([not text for text in texts], bool)
            stamps: NDArray[Any] = clocks.iso_nanoseconds(texts)[0]
            bad = (stamps == clocks.NO_TIME) & ~no_time
        else:
            stamps, no_time = times(column)
            bad = np.isinf(stamps) if stamps.dtype.kind == "f" else np.zeros(len(stamps), bool)
        for at in map(int, np.flatnonzero(bad & good)):
            good[at] = False
            shown = clocks.not_a_time(str(column[at]))
            what = f"column {name}: a cell is not a time" if self.options.mask else shown
            faults.bad_line(self.path, row + at, what)
        return stamps, no_time


def _reason(error: Exception) -> str:
    """The text of an error, which may hold bytes of the file, in one line."""
    text = "".join(sign if sign.isprintable() else " " for sign in str(error))
    return " ".join(text.split())[:200]


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _as_words(column: Any) -> Any:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.string()).dictionary_encode()


def _column(name: str, values: Any) -> Column:
    index, shown = name == INDEX, "" if name == INDEX else name
    kind = values.type
    found = values.drop_null()
    example = str(found[0]) if len(found) else ""
    if pa.types.is_integer(kind):
        return Column(shown, "number", example, whole=True, counts=index)
    if pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        return Column(shown, "number", example)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Column(shown, "iso", example, zone=pa.types.is_timestamp(kind) and bool(kind.tz))
    if _is_text(kind) and clocks.is_iso(example):
        return Column(shown, "iso", example, zone=clocks.iso_zone(example))
    return Column(shown, "word", example[:40])


class EventsTable(ParquetTable):
    """A folder of events, each once, as a table without the columns of lists."""

    def _open(self) -> Any:
        from . import events

        whole = events.read([self.path])
        lists = [name for name in whole.column_names if pa.types.is_list(whole[name].type)]
        return _Rows(whole.drop_columns(lists))


class _Rows:
    """A table in memory with what `ParquetTable` uses of a file."""

    def __init__(self, table: Any) -> None:
        self.table, self.schema_arrow = table.combine_chunks(), table.schema

    def iter_batches(self, batch_size: int, columns: list[str] | None = None) -> Iterator[Any]:
        table = self.table if columns is None else self.table.select(columns)
        return iter(table.to_batches(max_chunksize=batch_size))
