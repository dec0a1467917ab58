"""The parts that the columns of a table play: time, label, group, channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..base.errors import UlnnError
from . import clocks
from .clocks import TimeColumn
from .dialect import Dialect, is_missing, is_number
from .options import DataOptions

Kind = Literal["number", "iso", "word", "empty", "hidden"]

_LABELS = ("label", "labels", "class", "class_id", "classes", "target", "activity", "category")
_GROUPS = {"group", "subject", "person", "participant", "patient", "user", "id", "session"}
_GROUPS |= {"subject_id", "person_id", "patient_id", "user_id", "device_id", "machine_id"}


@dataclass(frozen=True)
class Column:
    """A column of a table: its name, what its first values are, and one of them. kind "hidden": a
    policy keeps it from the network."""

    name: str
    kind: Kind
    example: str = ""
    whole: bool = False  # whole numbers
    counts: bool = False  # 0, 1, 2 ... as an index
    zone: bool = False  # ISO times with a zone


@dataclass(frozen=True)
class Layout:
    """Which column is what, by its place. channels: in their order; names: theirs. left_out: names
    of columns that are not used.
    """

    time: TimeColumn
    label: int | None
    group: int | None
    channels: tuple[int, ...]
    names: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def text_columns(dialect: Dialect) -> tuple[Column, ...]:
    """The columns of a text table, from its first samples."""
    rows = [row for row in dialect.rows if len(row) == len(dialect.names)]
    return tuple(
        _text_column(name, [row[k] for row in rows], dialect.decimal)
        for k, name in enumerate(dialect.names)
    )


def _text_column(name: str, values: Sequence[str], decimal: str) -> Column:
    found = [value for value in values if not is_missing(value)]
    if not found:
        return Column(name, "empty")
    numbers = [value for value in found if is_number(value, decimal)]
    times = [value for value in found if clocks.is_iso(value)]
    if len(numbers) * 2 >= len(found):
        whole = all(value.lstrip("+-").isdecimal() for value in numbers)
        counts = whole and len(numbers) == len(values) and len(values) > 1
        first = int(numbers[0]) if counts else 0
        counts = counts and [int(v) for v in numbers] == list(range(first, first + len(values)))
        return Column(name, "number", found[0], whole, counts)
    if len(times) * 2 >= len(found):
        return Column(name, "iso", found[0], zone=clocks.iso_zone(times[0]))
    words = [value for value in found if not is_number(value, decimal)]
    return Column(name, "word", words[0])


def find(name: str, names: Sequence[str], key: str) -> int:
    """The place of the column of that name, in any case. Raises UlnnError."""
    wanted = name.strip()
    for fold in (str, str.casefold):
        found = [k for k, other in enumerate(names) if fold(other.strip()) == fold(wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UlnnError(f"column {wanted} is there {len(found)} times")
    raise UlnnError(f"{key}: no column {wanted}, found {_list(names)}")


def layout(columns: Sequence[Column], options: DataOptions) -> Layout:
    """What each column is. Raises UlnnError that names the column and the key that says it."""
    names = [column.name for column in columns]
    taken: dict[int, str] = {}
    label = group = None
    if options.label and not options.label_pattern:
        label = find(options.label, names, "label")
        taken[label] = "label"
    if options.group and not options.group_pattern:
        group = find(options.group, names, "group")
        taken.setdefault(group, "group")
    time, others = _time(columns, options)
    if time.index in taken:
        raise UlnnError(f"column {names[time.index]} is the time and the {taken[time.index]}")
    taken[time.index] = "time"
    if options.channels:
        channels = [find(name, names, "channels") for name in options.channels]
        for k in channels:
            if k in taken:
                raise UlnnError(f"channels: column {names[k]} is the {taken[k]}")
            if columns[k].kind in ("word", "iso"):
                raise UlnnError(f"column {names[k]} holds {columns[k].example!r}, not numbers")
        unused = [name or "an index" for k, name in enumerate(names) if k not in taken]
        chosen = {names[k] for k in channels}
        left_out = tuple(name for name in unused if name not in chosen)
    else:
        channels, left_out = _channels(columns, taken, others)
    return Layout(
        time, label, group, tuple(channels), tuple(names[k].strip() for k in channels), left_out
    )


def _time(columns: Sequence[Column], options: DataOptions) -> tuple[TimeColumn, list[int]]:
    """The column of the time, and others that look like one."""
    names = [column.name for column in columns]
    if options.time:
        chosen = clocks.time_column(find(options.time, names, "time"), options.time)
        others = [c.index for c in clocks.time_columns(names) if c.index != chosen.index]
    else:
        found = clocks.time_columns(names)
        if not found:
            nameless = [k for k, c in enumerate(columns) if _no_name(c) and c.kind == "iso"]
            found = [clocks.time_column(k, "") for k in nameless[:1]]
        if not found:
            raise UlnnError(f"no column of the time was found among {_list(names)}: give time")
        chosen, others = found[0], [column.index for column in found[1:]]
    column = columns[chosen.index]
    if column.kind == "word":
        raise UlnnError(f"column {column.name}: {clocks.not_a_time(column.example)}")
    if chosen.steps and column.kind == "iso":
        raise UlnnError(f"column {column.name}: elapsed times are numbers, not {column.example!r}")
    return chosen, others


def _channels(
    columns: Sequence[Column], taken: dict[int, str], times: Sequence[int]
) -> tuple[list[int], tuple[str, ...]]:
    """All columns that are left, and the names of those that are no samples."""
    channels, left_out = [], []
    for k, column in enumerate(columns):
        name = column.name.strip()
        if k in taken:
            continue
        if column.kind == "hidden":
            left_out.append(name)
            continue
        index = column.counts or (k == 0 and column.whole and _no_name(column))
        if column.kind == "empty" and _no_name(column):
            continue
        if index and (_no_name(column) or name.casefold() == "index"):
            left_out.append(name or "an index")
        elif _no_name(column):
            raise UlnnError(f"column {k + 1} has no name: give channels, or name it")
        elif k in times and len(name) > 1:
            left_out.append(name)
        elif k in times:
            raise UlnnError(f"column {name} may be a time or a channel: give channels")
        elif name.casefold() in _LABELS:
            raise UlnnError(
                f'column {name}: if it is the label, say label = "{name}"; if not, name the '
                "channels"
            )
        elif name.casefold() in _GROUPS:
            raise UlnnError(
                f'column {name}: if it is the group, say group = "{name}"; if not, name the '
                "channels"
            )
        elif column.kind in ("word", "iso"):
            raise UlnnError(
                f"column {name} holds {column.example!r}, not numbers: if it is the label, say "
                f'label = "{name}"; if not, name the channels'
            )
        else:
            channels.append(k)
    chosen = [columns[k].name.strip().casefold() for k in channels]
    double = next((name for name in chosen if chosen.count(name) > 1), None)
    if double is not None:
        raise UlnnError(f"column {double} is there {chosen.count(double)} times: name it once")
    if not channels:
        raise UlnnError(f"no column of samples beside {_list([c.name for c in columns])}")
    return channels, tuple(left_out)


def _no_name(column: Column) -> bool:
    return column.name.strip() in ("", "Unnamed: 0")


def _list(names: Sequence[str]) -> str:
    shown = [name.strip() or "(no name)" for name in names[:12]]
    return ", ".join(shown) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
