"""Text tables as blocks of rows: a line is a row, whatever its dialect; each bad line is named.

pyarrow, where it is there, reads the blocks that hold nothing unusual; all others are read here,
with the same result.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from . import clocks
from .blocks import Block, Faults, Plan, Words, missing_numbers
from .dialect import Dialect, is_missing, is_number, split, undecodable
from .options import DataOptions

BLOCK_BYTES = 1 << 20
LONGEST_LINE = 1 << 24
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class TextTable:
    """A text table."""

    path: Path
    dialect: Dialect
    options: DataOptions

    def blocks(self, plan: Plan, labels: Words, groups: Words, faults: Faults) -> Iterator[Block]:
        """All rows. Bad lines are left out and noted in the faults."""
        return _Rows(self.path, self.dialect, self.options, plan, labels, groups, faults).blocks()


@dataclass(frozen=True)
class _Rows:
    """A text table that is being read."""

    path: Path
    dialect: Dialect
    options: DataOptions
    plan: Plan
    labels: Words
    groups: Words
    faults: Faults

    def blocks(self) -> Iterator[Block]:
        fast = self._fast()
        for line, data in lines(self.path, self.dialect):
            block = fast(line, data) if fast else None
            if block is None:
                block = self._block(line, data)
            if len(block):
                yield block

    def _fast(self) -> Callable[[int, bytes], Block | None] | None:
        try:
            from .arrow import CsvReader
        except ImportError:
            return None
        reader = CsvReader(self.dialect, self.plan, self.options, self.labels, self.groups)
        return reader.block

    def _block(self, line: int, data: bytes) -> Block:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            wrong = undecodable(error, data, "utf-8", line)
            raise UlnnError(f"{self.path}: {wrong}") from None
        where, rows = self._rows(line, text)
        columns = list(zip(*rows, strict=True)) or [()] * len(self.plan.names)
        good = np.ones(len(rows), bool)
        numbers = np.empty((len(rows), len(self.plan.numbers)), np.float32)
        for k, column in enumerate(self.plan.numbers):
            values = self._numbers(where, column, columns[column], good, text)
            numbers[:, k] = missing_numbers(values, self.options)
        time, no_time = self._times(where, columns[self.plan.time], good, text)
        label, group = (
            None if column is None else words.encode(columns[column])
            for column, words in ((self.plan.label, self.labels), (self.plan.group, self.groups))
        )
        block = Block(np.array(where, np.int64), time, no_time, numbers, label, group)
        return block if good.all() else block.take(good)

    def _rows(self, line: int, text: str) -> tuple[list[int], list[list[str]]]:
        """Lines and fields of the rows; comments, empty lines and the header again are no rows."""
        where, rows = [], []
        header, separator = list(self.plan.names), self.dialect.separator
        for number, content in enumerate(text.split("\n"), line):
            if not content.strip() or content.startswith("#"):
                continue
            fields = split(content.rstrip("\r"), separator)
            if len(fields) != len(header):
                what = f"{len(fields)} fields, expected {len(header)}"
                self.faults.bad_line(self.path, number, what)
            elif fields[0] != header[0] or [f.strip() for f in fields] != header:
                where.append(number)
                rows.append(fields)
        return where, rows

    def _numbers(
        self,
        where: Sequence[int],
        column: int,
        texts: Sequence[str],
        good: NDArray[np.bool_],
        block: str,
    ) -> NDArray[np.float64]:
        """Values of a column, NaN where one is missing; good is cleared where there is none."""
        comma = self.dialect.decimal == ","
        if block.isascii() and "_" not in block:
            try:
                plain = [text.replace(",", ".") for text in texts] if comma else texts
                if not (comma and any("." in text for text in texts)):
                    values = np.fromiter(map(float, plain), np.float64, len(texts))
                    if (np.abs(values) <= LARGEST).all():
                        return values
            except ValueError:
                pass
        values = np.full(len(texts), np.nan)
        for k, text in enumerate(texts):
            text = text.strip()
            if is_missing(text):
                continue
            number = math.inf
            if is_number(text, self.dialect.decimal):
                number = float(text.replace(",", "."))
            if abs(number) <= LARGEST:
                values[k] = number
            elif good[k]:
                good[k] = False
                self.faults.bad_line(self.path, where[k], self._wrong(column, text))
        return values

    def _wrong(self, column: int, text: str) -> str:
        name, hint = self.plan.names[column], ""
        if self.options.mask:
            return f"column {name}: a cell is not a number"
        other = "," if self.dialect.decimal == "." else "."
        if is_number(text, self.dialect.decimal):
            hint = " of 32 bits"
        elif is_number(text, other):
            hint = f' (decimal = "{other}"?)'
        elif "," in text and "." in text:
            hint = " (a separator of thousands?)"
        return f"column {name}: {text[:40]!r} is not a number{hint}"

    def _times(
        self, where: Sequence[int], texts: Sequence[str], good: NDArray[np.bool_], block: str
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Times and where they are missing."""
        texts = [text.strip() for text in texts]
        no_time = np.array([is_missing(text) for text in texts], bool)
        if self.plan.iso:
            stamps, zoned = clocks.iso_nanoseconds(texts)
            bad = (stamps == clocks.NO_TIME) & ~no_time
            other = zoned != self.plan.zone
            for k in map(int, np.flatnonzero((bad | other) & ~no_time & good)):
                good[k] = False
                zone = "without a zone" if self.plan.zone else "with a zone"
                what = f"{texts[k]!r} is {zone}, unlike the first times"
                what = clocks.not_a_time(texts[k]) if bad[k] else what
                what = f"column {self.plan.names[self.plan.time]}" if self.options.mask else what
                self.faults.bad_line(self.path, where[k], what)
            return stamps, no_time
        digits = ["0" if missing else text for text, missing in zip(texts, no_time, strict=True)]
        plain = "".join(digits)
        try:
            if plain.isascii() and "_" not in plain:  # which `int` takes, and a table has not
                return np.array([int(text) for text in digits], np.int64), no_time
        except (ValueError, OverflowError):
            pass
        values = self._numbers(where, self.plan.time, texts, good, block)
        return values, no_time


def lines(path: Path, dialect: Dialect) -> Iterator[tuple[int, bytes]]:
    """Whole lines of a file as UTF-8, with the number of the first: from the first sample on."""
    skip, line, rest = dialect.skip, 1, b""
    try:
        with path.open("rb") as file:
            for data in _utf8(path, iter(lambda: file.read(BLOCK_BYTES), b""), dialect):
                rest += data.replace(b"\r", b"\n") if dialect.cr else data
                end = rest.rfind(b"\n") + 1
                if not end:
                    if len(rest) > LONGEST_LINE:
                        raise UlnnError(f"{path}: line {line} is longer than 16 MB: no table")
                    continue
                block, rest = rest[:end], rest[end:]
                while skip and block:
                    cut = block.find(b"\n") + 1
                    block, skip, line = block[cut:], skip - 1, line + 1
                if block:
                    yield line, block
                    line += block.count(b"\n")
    except OSError as error:
        raise UlnnError(f"{path}: cannot be read: {(error.strerror or 'error').lower()}") from None
    if rest.strip() and not skip:
        yield line, rest + b"\n"


def _utf8(path: Path, parts: Iterator[bytes], dialect: Dialect) -> Iterator[bytes]:
    if dialect.encoding in ("utf-8", "utf-8-sig"):
        first = next(parts, b"")
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from parts
        return
    decoder = codecs.getincrementaldecoder(dialect.encoding)()
    line = 1
    for part in parts:
        try:
            text = decoder.decode(part)
        except (UnicodeError, ValueError) as error:
            raise UlnnError(
                f"{path}: {undecodable(error, part, dialect.encoding, line)}"
            ) from None
        line += text.count("\n")
        yield text.encode("utf-8", "replace")
    if decoder.getstate()[0]:
        raise UlnnError(f"{path}: line {line} is cut off: no whole {dialect.encoding} character")
