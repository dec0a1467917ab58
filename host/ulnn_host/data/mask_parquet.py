"""Masking Parquet files, with pyarrow. Metadata of a file may hold anything, so they do not leave;
nor do columns of structures, maps and bytes.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet

from ulnn_rules.mask_actions import Action, Clip, Keep, Noise, Pseudonym, Round

from ..base.errors import UlnnError
from .mask_run import DISTINCT, Run

ROWS = 1 << 15
_READ_ERRORS = (pa.ArrowException, OSError, ValueError)


def mask(run: Run, source: Path, output: IO[bytes] | None) -> None:
    """Mask a file. Raises UlnnError."""
    try:
        file = pa.parquet.ParquetFile(source, memory_map=False, pre_buffer=False)
        known = file.schema_arrow
        size = source.stat().st_size
    except _READ_ERRORS:
        raise UlnnError(f"{source}: not a readable Parquet file") from None
    if len(set(known.names)) < len(known.names):
        raise UlnnError(f"{source}: two columns have the same name")
    rows = file.metadata.num_rows
    rules, fields = {}, []
    for name in known.names:
        rule = run.rule(name, rows)
        kind = rule and _kind(rule, known.field(name).type)
        if rule and kind is None:
            run.refuse(name, "unfit", rows)
        elif rule:
            rules[name] = rule
            fields.append(pa.field(name, kind))
    if not fields:
        raise UlnnError(f"{source}: no column of it may leave for the purpose {run.purpose}")
    schema = pa.schema(fields)
    others = [name for name in run.others() if name in known.names]
    wanted = list(dict.fromkeys([*schema.names, *others]))
    writer = pa.parquet.ParquetWriter(output, schema, compression="zstd") if output else None
    try:
        for batch in file.iter_batches(batch_size=ROWS, columns=wanted):
            run.records += len(batch)
            table = _masked(run, batch, rules, schema, others)
            if writer:
                writer.write_batch(table)
            run.progress(size * len(batch) // max(1, rows))
    except _READ_ERRORS:
        raise UlnnError(f"{source}: not a readable Parquet file") from None
    finally:
        if writer:
            writer.close()


def _masked(run: Run, batch: Any, rules: dict[str, Action], schema: Any, others: list[str]) -> Any:
    beside = {name: _values(batch.column(name)) for name in others}
    arrays, left = [], {}
    for field in schema:
        column, rule = batch.column(field.name), rules[field.name]
        if isinstance(rule, Keep) and not rule.words and _is_plain(column.type):
            some = column.drop_null().unique().slice(0, DISTINCT)
            run.passed(field.name, len(column) - column.null_count, some.to_pylist())
            arrays.append(column)
            left[field.name] = column.to_pylist() if run.groups else []
            continue
        values = run.column(field.name, rule, _values(column), beside)
        left[field.name] = values
        arrays.append(_array(values, field.type))
    if run.groups:
        run.groups.add(left, len(batch))
    return pa.record_batch(arrays, schema=schema)


def _is_plain(kind: Any) -> bool:
    """Whether a kept column goes as it is: it holds no text and nothing of a length."""
    types = pa.types
    return bool(types.is_primitive(kind) and not types.is_null(kind))


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _kind(rule: Action, kind: Any) -> Any:
    """The type of a masked column; None for one that does not leave."""
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        inner = _kind(rule, kind.value_type)
        return None if inner is None else pa.list_(inner)
    moment = types.is_timestamp(kind) or types.is_date(kind)
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    if isinstance(rule, Pseudonym):
        return pa.string() if _is_text(kind) or number else None
    if isinstance(rule, Keep):
        return pa.string() if _is_text(kind) else kind if _is_plain(kind) else None
    if isinstance(rule, Round) and rule.way == "bucket":
        return (
            kind if moment else pa.string() if _is_text(kind) else pa.int64() if number else None
        )
    if not (number or _is_text(kind)):
        return None
    whole = types.is_signed_integer(kind) and _is_whole(rule)
    return pa.int64() if whole else pa.float64()


def _is_whole(rule: Action) -> bool:
    """Whether a rule makes whole numbers of whole numbers."""
    if isinstance(rule, Clip):
        return not (rule.low[1] or rule.high[1] or rule.places)
    return isinstance(rule, Noise | Round) and not getattr(rule, "places", 1)


def _values(column: Any) -> list[Any]:
    """The values of a column as a policy takes them: times as ISO 8601."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.date32())
    elif pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz and "UTC"), safe=False)
    values: list[Any] = column.to_pylist()
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return [None if v is None else v.isoformat() for v in values]
    if pa.types.is_decimal(kind):
        return [None if v is None else str(v) for v in values]
    return [None if v != v else v for v in values] if pa.types.is_floating(kind) else values


def _array(values: list[Any], kind: Any) -> Any:
    if pa.types.is_date(kind):
        return pa.array([v and date.fromisoformat(v) for v in values], pa.date32()).cast(kind)
    if pa.types.is_timestamp(kind):
        moments = [v and datetime.fromisoformat(v) for v in values]
        return pa.array(moments, pa.timestamp("us", kind.tz)).cast(kind)
    if pa.types.is_floating(kind):
        return pa.array([None if v is None else float(v) for v in values], kind)
    return pa.array(values, kind)
