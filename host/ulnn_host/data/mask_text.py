"""Masking text tables: each cell by its column's rule, written with the same separator and sign of
decimals, as UTF-8. Lines above the header and comments may hold anything, so they do not leave.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, TextIO

from ..base.errors import UlnnError
from .dialect import Dialect, is_missing, is_number, read_dialect
from .mask_run import Run
from .options import DataOptions

_ROWS = 20_000


def mask(run: Run, source: Path, options: DataOptions, output: IO[bytes] | None) -> None:
    """Mask a file; a row that does not have all columns is left out and counted. Raises
    UlnnError."""
    dialect = read_dialect(source, options)
    names = [name.strip() for name in dialect.names]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise UlnnError(f"{source}: column {double} is there {names.count(double)} times")
    rules = {name: rule for name in names if (rule := run.rule(name, 0))}
    if not rules:
        raise UlnnError(f"{source}: no column of it may leave for the purpose {run.purpose}")
    text = io.TextIOWrapper(output, "utf-8", newline="") if output else io.StringIO()
    write = csv.writer(text, delimiter=dialect.separator, lineterminator="\n")
    write.writerow(rules)
    rows = _rows(run, source, dialect, len(names))
    beside, signed = run.others(), _signed(dialect)
    wanted = {*rules, *beside}
    while part := list(islice(rows, _ROWS)):
        columns = {
            name: _cells(cells, dialect)
            for name, cells in zip(names, zip(*part, strict=True), strict=True)
            if name in wanted
        }
        others = {name: columns[name] for name in beside if name in columns}
        for name in names:
            if name not in rules:
                run.rule(name, len(part))
        left = {
            name: run.column(name, rules[name], columns[name], others, _is_plain) for name in rules
        }
        if run.groups:
            run.groups.add(left, len(part))
        if output:
            write.writerows(
                zip(*([signed(v) for v in column] for column in left.values()), strict=True)
            )
    text.flush()
    if output and isinstance(text, io.TextIOWrapper):
        text.detach()


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) and is_number(value)


def _cells(cells: tuple[str, ...], dialect: Dialect) -> list[str | None]:
    """Cells without what says that a value is missing, and with points for decimals."""
    made: list[str | None] = []
    for cell in cells:
        cell = cell.strip()
        if dialect.decimal == "," and is_number(cell, ","):
            cell = cell.replace(",", ".")
        made.append(None if is_missing(cell) else cell)
    return made


def _signed(dialect: Dialect) -> Callable[[Any], str]:
    """A value as a cell."""

    def cell(value: Any) -> str:
        if isinstance(value, list):
            return ""
        text = "" if value is None else str(value)
        comma = dialect.decimal == "," and (not isinstance(value, str) or is_number(value))
        return text.replace(".", ",") if comma else text

    return cell


def _rows(run: Run, source: Path, dialect: Dialect, width: int) -> Iterator[list[str]]:
    """Rows with all columns; the header again and comments are no rows."""
    end = "\r" if dialect.cr else "\n"
    line = 0
    try:
        with source.open(encoding=dialect.encoding, newline=end) as file:
            reader = csv.reader(
                _after(run, file, dialect.skip),
                delimiter=dialect.separator,
                skipinitialspace=True,
            )
            for row in reader:
                line = reader.line_num
                if not row or row[0].startswith("#"):
                    continue
                if dialect.separator == " ":
                    row = [cell for cell in row if cell]
                if [cell.strip() for cell in row] == list(dialect.names):
                    continue
                run.records += 1
                if len(row) == width:
                    yield row
                else:
                    run.bad += 1
    except csv.Error as error:
        raise UlnnError(f"{source}: after line {line + dialect.skip}: {error}") from None
    except UnicodeError:
        raise UlnnError(f"{source} is not {dialect.encoding}: give encoding") from None
    except OSError as error:
        raise UlnnError(f"{source}: {(error.strerror or 'cannot be read').lower()}") from None


def _after(run: Run, file: TextIO, skip: int) -> Iterator[str]:
    """Lines after some."""
    done = 0
    for k, line in enumerate(file):
        if k >= skip:
            yield line
        if k % 1000 == 0:
            at = file.buffer.tell()
            run.progress(at - done)
            done = at
