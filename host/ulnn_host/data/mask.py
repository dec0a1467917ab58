"""Masking files on the PC by a policy of `ulnn_rules.mask`: the code that a board runs, too.

A file goes through in pieces, so that memory does not grow with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ulnn_rules.keeper import read as read_keys
from ulnn_rules.mask import Policy, load
from ulnn_rules.mask_actions import PURPOSES, Noise, Pseudonym

from ..base import files
from ..base.errors import UlnnError
from . import mask_json, mask_text
from .mask_groups import Grouping, Groups
from .mask_run import FieldCount, Run
from .options import DataOptions
from .sources import PARQUET, TEXT

JSON_LINES = (".jsonl", ".ndjson")
KNOWN = (*TEXT, *PARQUET, *JSON_LINES)
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Masked:
    """What was masked, or would be. It holds no value from before, and no name that the policy
    does not have.

    records: all; bad: those that are none and were left out. fields: in the policy's order;
    absent: those of the policy that are not in the file. unknown: how many fields or columns the
    policy does not know; unknown_values: values in them. groups: of a check, how alike the records
    are that would leave.
    """

    output: str | None
    purpose: str
    records: int
    bad: int
    fields: tuple[FieldCount, ...]
    absent: tuple[str, ...]
    unknown: int
    unknown_values: int
    groups: Groups | None = None
    # for the person who asked; in no report
    unknown_names: tuple[str, ...] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """For JSON, to be shared."""
        made = asdict(self)
        del made["unknown_names"]
        return made


def read_policy(path: str | Path) -> Policy:
    """The policy in a file (JSON). Raises UlnnError, one line, without anything of a key."""
    try:
        return load(Path(path).as_posix())
    except (ValueError, UnicodeDecodeError) as error:
        raise UlnnError(str(error)) from None


def mask(
    policy: str | Path,
    source: str | Path,
    output: str | Path | None = None,
    *,
    purpose: str = "send",
    options: DataOptions | None = None,
    progress: Progress | None = None,
) -> Masked:
    """Mask a file (CSV, Parquet, JSON lines) into one of the same kind, whole or not at all;
    without an output nothing is written, no budget is spent, and small groups are counted.

    policy: the path of one. purpose: what it is for: store, send, log, network. options:
    separator, decimal and encoding of a text table. progress: called with the bytes that were
    read. Raises UlnnError.
    """
    source, options = Path(source), options or DataOptions()
    if purpose not in PURPOSES:
        raise UlnnError(f"purpose is {purpose!r}, expected one of {', '.join(PURPOSES)}")
    kind = _kind(source)
    if output is not None:
        output = Path(output)
        if _kind(output) != kind:
            raise UlnnError(f"{output}: expected the kind of {source}, {' or '.join(kind)}")
        files.check_output(output, source, Path(policy))
    rules = read_policy(policy)
    if rules.budget:
        rules.budget.ahead = 0  # `_save` below
    if not source.is_file():
        raise UlnnError(f"{source}: no such file")
    groups = None if output else Grouping(_alike(rules, purpose), _person(rules, purpose))
    run = Run(rules, purpose, groups, progress or (lambda done: None))
    if output is None:
        _through(run, kind, source, options, None)
    else:
        with files.replacing(output) as file:
            _through(run, kind, source, options, file)
            _save(rules)  # before the output is there: what left is always counted
    return _masked(run, output)


def _kind(path: Path) -> tuple[str, ...]:
    for kind in (TEXT, PARQUET, JSON_LINES):
        if path.suffix.lower() in kind:
            return kind
    raise UlnnError(f"{path}: expected a {', '.join(KNOWN[:-1])} or {KNOWN[-1]} file")


def _through(
    run: Run, kind: tuple[str, ...], source: Path, options: DataOptions, output: Any
) -> None:
    if kind == JSON_LINES:
        mask_json.mask(run, source, output)
    elif kind == TEXT:
        mask_text.mask(run, source, options, output)
    else:
        try:
            from . import mask_parquet
        except ImportError:
            raise UlnnError(
                f"{source}: Parquet needs the package pyarrow: pip install 'ulnn[data]'"
            ) from None
        mask_parquet.mask(run, source, output)


def _save(policy: Policy) -> None:
    if policy.budget and policy.budget.path:
        with files.named(Path(policy.budget.path)):
            policy.budget.save()


def _alike(policy: Policy, purpose: str) -> tuple[str, ...]:
    """Fields by which records may be told apart: those that leave, but for pseudonyms, noise and
    lists."""
    return tuple(
        name
        for name, rule in policy.fields.items()
        if purpose in rule.purposes
        and rule.set["do"] in ("keep", "round", "clip")
        and not rule.many
    )


def _person(policy: Policy, purpose: str) -> str:
    """The field whose pseudonym is a person, or whatever the policy protects."""
    known = [
        name
        for name, rule in policy.fields.items()
        if isinstance(rule, Pseudonym) and purpose in rule.purposes
    ]
    return policy.per if policy.per in known else known[0] if known else ""


def _masked(run: Run, output: Path | None) -> Masked:
    policy = run.policy
    names = [*policy.fields, *policy.channel_rules]
    shown = [run.fields[name] for name in names if name in run.fields]
    for count in shown:
        if output is None and isinstance(policy.fields.get(count.name), Noise):
            count.examples.clear()  # a draw that nobody paid for
    return Masked(
        output=str(output) if output else None,
        purpose=run.purpose,
        records=run.records,
        bad=run.bad,
        fields=tuple(shown),
        absent=tuple(name for name in names if name not in run.fields),
        unknown=len(run.unknown),
        unknown_values=sum(run.unknown.values()),
        groups=run.groups.groups() if run.groups and run.records > run.bad else None,
        unknown_names=tuple(run.unknown),
    )


def new_key(path: str | Path) -> str:
    """Make a keeper's file with a new key, or add one to it, which is then the one in use. The
    file is for its owner alone. Returns the new key's id. Raises UlnnError."""
    path = Path(path)
    found: dict[str, Any] = {"now": "", "keys": {}}
    if path.exists():
        try:
            read_keys(path.as_posix())
        except ValueError as error:
            raise UlnnError(str(error)) from None
        found = json.loads(path.read_text())
    number = len(found["keys"]) + 1
    while f"k{number}" in found["keys"]:
        number += 1
    found["now"] = name = f"k{number}"
    found["keys"][name] = os.urandom(32).hex()
    if not path.exists():
        files.write(path, "")
        path.chmod(0o600)
    files.write_json(path, found)  # with the rights of the file that is there
    return name
