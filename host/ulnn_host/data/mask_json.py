"""Masking JSON lines: a record on each line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ..base.errors import UlnnError
from .mask_run import Run

LONGEST = 1 << 24  # bytes of a line
_AT_ONCE = 10_000


def mask(run: Run, source: Path, output: IO[bytes] | None) -> None:
    """Mask a file; a line that is no record is left out and counted. Raises UlnnError."""
    pending: list[dict[str, Any]] = []
    for line in _lines(run, source):
        record = _one(run, line)
        if record is None:
            continue
        if output:
            text = json.dumps(record, allow_nan=False, separators=(",", ":"))
            output.write(text.encode() + b"\n")
        if run.groups:
            pending.append(_flat(record, ""))
            if len(pending) == _AT_ONCE:
                _group(run, pending)
    _group(run, pending)


def _lines(run: Run, source: Path) -> Iterator[bytes]:
    """Those that are not empty. Only what goes wrong with the source has its name."""
    try:
        with source.open("rb") as file:
            while line := file.readline(LONGEST):
                if len(line) == LONGEST:
                    raise UlnnError(f"{source}: a line is longer than 16 MB: no JSON lines")
                run.progress(len(line))
                if line.strip():
                    yield line
    except OSError as error:
        raise UlnnError(f"{source}: {(error.strerror or 'cannot be read').lower()}") from None


def _one(run: Run, line: bytes) -> dict[str, Any] | None:
    run.records += 1
    try:
        record = json.loads(line)
        if isinstance(record, dict):
            return run.policy.filter(record, run.purpose)
    except (ValueError, RecursionError):
        pass
    run.bad += 1
    return None


def _flat(record: dict[str, Any], prefix: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            made |= _flat(value, f"{prefix}{name}.")
        else:
            made[prefix + name] = value
    return made


def _group(run: Run, pending: list[dict[str, Any]]) -> None:
    if not run.groups or not pending:
        return
    names = [*run.groups.fields, run.groups.person]
    columns = {name: [record.get(name) for record in pending] for name in names if name}
    run.groups.add(columns, len(pending))
    pending.clear()
