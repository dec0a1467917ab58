"""Tables of rows, text or Parquet, to sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ulnn_rules.mask import Policy

from ..base.errors import UlnnError
from . import columns, recordings, targets
from .blocks import Block, Faults, Plan, Words, join
from .clocks import Clock
from .columns import Column, Layout
from .dialect import read_dialect
from .mask_reading import hidden
from .options import DataOptions
from .recordings import Counts, Recorder
from .sequences import Sequences
from .sources import PARQUET, is_events, part_of_name, source_name
from .takes import OF_SESSION, Session, of_sessions
from .text_table import TextTable

Blocks = Callable[[Plan, Words, Words, Faults], Iterator[Block]]


@dataclass(frozen=True)
class Tables:
    """What was read. dialects: what is unusual in the files, in words; left_out: columns that were
    not used; counts: what was done to the rows.
    """

    data: Sequences
    dialects: tuple[str, ...]
    left_out: tuple[str, ...]
    counts: Counts


@dataclass(frozen=True)
class _Table:
    """A table whose columns are known. blocks: reads it."""

    path: Path
    columns: tuple[Column, ...]
    layout: Layout
    dialect: str
    blocks: Blocks


def read_tables(
    paths: Sequence[Path], options: DataOptions, policy: Policy | None = None
) -> Tables:
    """All recordings of some files, without the columns that a policy keeps from the network.
    Raises UlnnError.
    """
    options, sessions = of_sessions(paths, options)
    if options.label and not options.per:
        if not options.label_pattern:
            raise UlnnError(
                f'{source_name(paths)}: label: does a target belong to each row (per = "step") '
                'or to a recording (per = "sequence")?'
            )
        options = replace(options, per="sequence")
    if all(map(is_events, paths)):
        options = options.for_events()
    tables = [_open(path, options, policy) for path in paths]
    names = tables[0].layout.names
    tables = [_in_order(table, tables[0]) for table in tables]
    faults, labels, groups = Faults(), Words(), Words()
    recorder = Recorder(names, options, faults)
    for table in tables:
        _read(table, options, recorder, labels, groups, faults, sessions.get(table.path))
    faults.raise_any()
    try:
        data = _sequences(recorder, options, names, labels, groups)
    except UlnnError as error:
        raise UlnnError(f"{source_name(paths)}: {error}") from None
    return Tables(
        replace(data, flat=len(paths) == 1 and len(data) == 1),
        tuple(dict.fromkeys(table.dialect for table in tables if table.dialect)),
        tuple(dict.fromkeys(name for table in tables for name in table.layout.left_out)),
        recorder.counts,
    )


def _open(path: Path, options: DataOptions, policy: Policy | None) -> _Table:
    if path.suffix.lower() in PARQUET or is_events(path):
        try:
            from .parquet import EventsTable, ParquetTable
        except ImportError:
            raise UlnnError(
                f"{path}: Parquet needs the package pyarrow: pip install 'ulnn[data]'"
            ) from None
        parquet = (EventsTable if is_events(path) else ParquetTable)(path, options)
        found = hidden(parquet.columns, policy, options)
        return _Table(path, found, _layout(path, found, options), "", parquet.blocks)
    dialect = read_dialect(path, options)
    found = hidden(columns.text_columns(dialect), policy, options)
    text = TextTable(path, dialect, options)
    return _Table(path, found, _layout(path, found, options), dialect.text(), text.blocks)


def _layout(path: Path, found: Sequence[Column], options: DataOptions) -> Layout:
    try:
        return columns.layout(found, options)
    except UlnnError as error:
        raise UlnnError(f"{path}: {error}") from None


def _in_order(table: _Table, first: _Table) -> _Table:
    """The table with its channels in the order of the first one's. Raises UlnnError."""
    names, wanted = table.layout.names, first.layout.names
    have = [name.casefold() for name in names]
    for name in wanted:
        if name.casefold() not in have:
            raise UlnnError(f"{table.path}: no channel {name}, which {first.path} has")
    if len(names) > len(wanted):
        known = [name.casefold() for name in wanted]
        extra = next(name for name in names if name.casefold() not in known)
        raise UlnnError(
            f"{table.path}: {first.path} has no channel {extra}: say channels, those that all have"
        )
    order = [have.index(name.casefold()) for name in wanted]
    channels = tuple(table.layout.channels[k] for k in order)
    return replace(table, layout=replace(table.layout, channels=channels, names=wanted))


def _read(
    table: _Table,
    options: DataOptions,
    recorder: Recorder,
    labels: Words,
    groups: Words,
    faults: Faults,
    session: Session | None,
) -> None:
    plan = Plan.of(table.layout, table.columns, options)
    time = table.layout.time
    clock = Clock(time, table.columns[time.index].name or "(no name)", options.unit, plan.iso)
    if clock.column.steps and options.clock == "sort":
        raise UlnnError(f"{table.path}: column {clock.name} holds elapsed times: nothing to sort")
    label = group = -1
    if options.label_pattern:
        label = labels.code(_word(table.path, options.label, "label", session))
    if options.group_pattern:
        group = groups.code(_word(table.path, options.group, "group", session))
    recorder.begin(table.path, clock, group, label)
    blocks = table.blocks(plan, labels, groups, faults)
    for block in _sorted(blocks) if options.clock == "sort" else blocks:
        recorder.add(block)
    recorder.end()


def _word(path: Path, pattern: str, key: str, session: Session | None) -> str:
    """The label or group of a whole file."""
    if pattern == OF_SESSION:
        return str(getattr(session, key))
    return part_of_name(path, pattern, key)


def _sorted(blocks: Iterator[Block]) -> Iterator[Block]:
    """All rows of a table by their times; those without one come last."""
    whole = list(blocks)
    if whole:
        rows = join(whole)
        order = np.lexsort((np.where(rows.no_time, 0, rows.time), rows.no_time))
        yield rows.take(order)


def _sequences(
    recorder: Recorder,
    options: DataOptions,
    names: tuple[str, ...],
    labels: Words,
    groups: Words,
) -> Sequences:
    classes = bool(options.label) and (options.target != "value" or options.label_pattern)
    class_names = targets.class_names(labels.codes) if classes else ()
    made = recordings.arrays(recorder, _codes(labels, class_names) if classes else None)
    group: NDArray[np.int64] | None = None
    group_names: tuple[str, ...] = ()
    if options.group:
        words, found = list(groups.codes), [r.group for r in recorder.recordings]
        group_names = targets.ordered([words[code] for code in found])
        place = {name: k for k, name in enumerate(group_names)}
        group = np.array([place[words[code]] for code in found], np.int64)
    return Sequences(
        x=made.x,
        dt=made.dt,
        length=made.length,
        y=made.y if options.label else None,
        group=group,
        labels=class_names,
        channels=names,
        groups=group_names,
        per=options.per if options.label else "",
    )


def _codes(words: Words, names: Sequence[str]) -> NDArray[np.int64]:
    """The code of each word in the order of names."""
    place = {name: k for k, name in enumerate(names)}
    return np.array([place[word] for word in words.codes], np.int64)
