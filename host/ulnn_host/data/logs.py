"""The one way in: files, folders and patterns of other people's data to `Sequences`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..base.errors import UlnnError, UlnnWarning
from . import beats, features, targets
from .joined import joined
from .mask import read_policy
from .mask_reading import masked
from .mend import read_npz
from .options import DataOptions
from .outliers import ChannelRange, ranges
from .recordings import Counts
from .sequences import Sequences
from .sources import find_files, source_name
from .tables import Tables, read_tables

Sources = str | Path | Iterable[str | Path]


@dataclass(frozen=True)
class Reading:
    """What was read. dialects: what is unusual in the files, in words; left_out: columns that were
    not used; counts: what was done to the rows; warnings: what looks wrong, a line each.
    """

    data: Sequences
    files: tuple[Path, ...]
    ranges: tuple[ChannelRange, ...]
    dialects: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    counts: Counts = field(default_factory=Counts)
    warnings: tuple[str, ...] = ()


def read(*sources: str | Path, **keys: Any) -> Sequences:
    """Sequences from files (.csv, .tsv, .txt, .parquet, .npz), folders of them, or patterns such
    as "logs/*.csv". keys: those of `DataOptions`, as `unit="ms", label="activity"`.

    A recording is a sequence: a file, a group in it, or what is between two gaps. Warns
    (`UlnnWarning`) of what looks wrong, raises UlnnError for what is.
    """
    return read_data(sources, said(keys))


def said(keys: dict[str, Any]) -> DataOptions:
    """The options that keys such as `unit="ms"` say. Raises UlnnError for an unknown one."""
    known = DataOptions.__dataclass_fields__
    for key in keys:
        if key not in known:
            raise UlnnError(f"unknown key {key}, expected one of {', '.join(known)}")
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in keys.items()
    }
    for key in ("channels", "missing_values"):
        if key in plain and not isinstance(plain[key], tuple):
            plain[key] = (plain[key],)
    return DataOptions(**plain)


def read_data(
    sources: Sources, options: DataOptions | None = None, readout: str = ""
) -> Sequences:
    """As `read`. readout: of the network that the data are for; it says whether labels of a table
    belong to a sequence or to a step.
    """
    reading = read_logs(sources, options, readout)
    for line in reading.warnings:
        warnings.warn(line, UlnnWarning, stacklevel=3)
    return reading.data


def read_logs(sources: Sources, options: DataOptions | None = None, readout: str = "") -> Reading:
    """The data, and what is to be said about them. Raises UlnnError."""
    options = options or DataOptions()
    files = find_files([sources] if isinstance(sources, (str, Path)) else sources)
    arrays = [path for path in files if path.suffix.lower() == ".npz"]
    others = [path for path in files if path not in arrays]
    policy = read_policy(options.mask) if options.mask else None
    parts, doubts, tables = [], [], None
    if others:
        tables = read_tables(others, options.for_readout(readout) if readout else options, policy)
        parts.append(tables.data)
    for path in arrays:
        data, lines = read_npz(path, options)
        parts.append(data)
        doubts += lines
    try:
        data = joined(parts)
        if policy:
            data = masked(data, policy, options)
        if options.features:
            data = features.computed(data, features.read_recipe(options.features))
        if options.beats:
            data = beats.computed(data, beats.read_recipe(options.beats))
        data = targets.settle(data, replace(options, per=data.per or options.per))
    except UlnnError as error:
        raise UlnnError(f"{source_name(files)}: {error}") from None
    found = ranges(data)
    doubts += [f"{source_name(files)}: {channel.warning}" for channel in found if channel.outliers]
    made = Reading(data, tuple(files), found, warnings=tuple(doubts))
    return made if tables is None else _with_tables(made, tables)


def _with_tables(reading: Reading, tables: Tables) -> Reading:
    return replace(
        reading, dialects=tables.dialects, left_out=tables.left_out, counts=tables.counts
    )
