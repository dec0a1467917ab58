"""Blocks of rows that a table is read in, and what is wrong with its lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from .columns import Column, Layout
from .options import DataOptions

SHOWN = 3  # bad lines that an error quotes


@dataclass
class Words:
    """The words of a column as codes, in the order in which they are met; -1: a missing one."""

    codes: dict[str, int] = field(default_factory=dict)

    def code(self, word: str) -> int:
        """The code of one word."""
        word = word.strip()
        return self.codes.setdefault(word, len(self.codes)) if word else -1

    def encode(self, words: Iterable[str]) -> NDArray[np.int32]:
        """The codes of many."""
        return np.fromiter(map(self.code, words), np.int32)


@dataclass(frozen=True)
class Plan:
    """Which columns of a table are read as what. numbers: columns of numbers, the channels and
    then the targets, where these are values; label, group: columns of words.
    """

    time: int
    iso: bool
    zone: bool  # ISO times with a zone
    numbers: tuple[int, ...]
    label: int | None
    group: int | None
    names: tuple[str, ...]  # of all columns

    @staticmethod
    def of(layout: Layout, columns: Sequence[Column], options: DataOptions) -> Plan:
        """The plan of a layout."""
        time = columns[layout.time.index]
        value = layout.label is not None and options.target == "value"
        numbers = layout.channels + ((layout.label,) if value and layout.label is not None else ())
        label = None if value else layout.label
        names = tuple(column.name for column in columns)
        iso = time.kind == "iso"
        return Plan(layout.time.index, iso, time.zone, numbers, label, layout.group, names)


@dataclass
class Block:
    """Rows of a table.

    lines: (n,) where each row is in the file; time: (n,) int64 or float64, in the unit of the
    column, nanoseconds of ISO times; no_time: (n,) where it is missing; numbers: (n, columns)
    float32, NaN where a value is missing; label, group: (n,) codes.
    """

    lines: NDArray[np.int64]
    time: NDArray[Any]
    no_time: NDArray[np.bool_]
    numbers: NDArray[np.float32]
    label: NDArray[np.int32] | None = None
    group: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.lines)

    def take(self, index: Any) -> Block:
        """Some rows, in that order."""
        label, group = (None if a is None else a[index] for a in (self.label, self.group))
        return Block(
            self.lines[index], self.time[index], self.no_time[index], self.numbers[index],
            label, group,
        )  # fmt: skip


def join(blocks: list[Block]) -> Block:
    """Blocks of one table as one."""
    label, group = (
        None
        if any(getattr(b, key) is None for b in blocks)
        else np.concatenate([getattr(b, key) for b in blocks])
        for key in ("label", "group")
    )
    return Block(
        np.concatenate([b.lines for b in blocks]),
        np.concatenate([b.time for b in blocks]),
        np.concatenate([b.no_time for b in blocks]),
        np.concatenate([b.numbers for b in blocks]),
        label,
        group,
    )


def missing_numbers(values: NDArray[np.float64], options: DataOptions) -> NDArray[np.float64]:
    """The values with NaN for the numbers that are said to mean a missing one."""
    for number in options.missing_values:
        values[values == number] = np.nan
    return values


@dataclass
class Faults:
    """What is wrong in the files: everything is counted, the first places are kept."""

    bad: int = 0
    shown: list[str] = field(default_factory=list)
    missing: Counter[str] = field(default_factory=Counter)
    first_missing: str = ""
    back: int = 0
    first_back: str = ""
    repeats: int = 0
    first_repeat: str = ""
    doubtful: str = ""

    def bad_line(self, path: Path, line: int, what: str) -> None:
        """A line that is none."""
        self.bad += 1
        if self.bad <= SHOWN:
            self.shown.append(f"{path}: line {line}: {what}")

    def missing_in(self, path: Path, name: str, count: int, line: int) -> None:
        """Missing values of a column, the first of them in that line."""
        self.missing[name] += count
        self.first_missing = self.first_missing or f"{path}: line {line}"

    def goes_back(self, path: Path, line: int, count: int) -> None:
        """Times before the time above, the first of them in that line."""
        self.back += count
        self.first_back = self.first_back or f"{path}: line {line}"

    def repeats_in(self, path: Path, line: int, count: int) -> None:
        """Times equal to the time above, the first of them in that line."""
        self.repeats += count
        self.first_repeat = self.first_repeat or f"{path}: line {line}"

    def doubt(self, path: Path, what: str) -> None:
        """A unit of time that is not certain."""
        self.doubtful = self.doubtful or f"{path}: {what}"

    def raise_any(self) -> None:
        """Raise UlnnError, one line, unless everything is right."""
        if self.bad:
            more = f"; and {self.bad - len(self.shown)} more" if self.bad > len(self.shown) else ""
            count = f" ({self.bad:,} bad lines)" if self.bad > 1 else ""
            raise UlnnError("; ".join(self.shown) + more + count)
        if self.missing:
            total = sum(self.missing.values())
            columns = ", ".join(f"{name} {count:,}" for name, count in self.missing.items())
            raise UlnnError(
                f"{self.first_missing}: a missing value, {total:,} in all ({columns}): "
                'missing = "hold" repeats the value before, missing = "drop" leaves the sample out'
            )
        if self.back or self.repeats:
            parts = []
            if self.back:
                parts.append(f"{self.first_back}: the time goes back, {self.back:,} in all")
            if self.repeats:
                parts.append(f"{self.first_repeat}: the time repeats, {self.repeats:,} in all")
            raise UlnnError(
                "; ".join(parts) + ': clock = "split" starts a new recording there, '
                'clock = "sort" sorts the samples and leaves repeats out'
            )
        if self.doubtful:
            raise UlnnError(self.doubtful)
