"""Takes: recordings that `ulnn record` made. Beside each table lies a session file, a JSON of the
same name, which says what the take is of.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..base.errors import UlnnError
from .options import DataOptions

MARK = "ulnn_take"
VERSION = 1
# Where a label or group comes from the session file: a pattern, as one from the file's name is.
OF_SESSION = "{} of the session file"


@dataclass(frozen=True)
class Gap:
    """Time without a sample: it ends `at` seconds after the start of the take."""

    at: float
    seconds: float


@dataclass(frozen=True)
class Session:
    """What the session file of a take says.

    label, group: "" where nobody said them. started: ISO 8601, of the first sample. channels,
    units: names. scale, offset: what the board's integers were multiplied with and shifted by.
    samples; seconds: from the first to the last. rate: samples a second, the median's. gaps: the
    longest ones, gap_count: of all. dropped: samples for which the board had no room; lost:
    samples that the sensor itself gave up; faults: errors of the sensor, fault: the last one's
    text; restarts: of the loop on the board. ended: why, "" while it goes on.
    """

    label: str = ""
    group: str = ""
    started: str = ""
    channels: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    scale: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    source: dict[str, Any] = field(default_factory=dict)
    port: str = ""
    board: str = ""
    firmware: str = ""
    ulnn: str = ""
    samples: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    gaps: tuple[Gap, ...] = ()
    gap_count: int = 0
    dropped: int = 0
    lost: int = 0
    faults: int = 0
    fault: str = ""
    restarts: int = 0
    ended: str = ""


def session_path(table: Path) -> Path:
    """The session file of a take."""
    return table.with_suffix(".json")


def read_session(table: Path) -> Session | None:
    """What the session file beside a table says; None where there is none of ours.

    Raises UlnnError where it is damaged.
    """
    path = session_path(table)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or MARK not in content:
        return None
    words = {key: content.get(key, "") for key in ("label", "group")}
    for key, word in words.items():
        if not isinstance(word, str):
            raise UlnnError(f"{path}: {key} is {word!r}, expected a text")
    try:
        known = {key: content[key] for key in Session.__dataclass_fields__ if key in content}
        for key in ("channels", "units", "scale", "offset"):
            known[key] = tuple(known.get(key, ()))
        known["gaps"] = tuple(Gap(**gap) for gap in known.get("gaps", ()))
    except TypeError as error:
        raise UlnnError(f"{path}: the session file of a take is damaged ({error})") from None
    return Session(**known)


def of_sessions(
    paths: Sequence[Path], options: DataOptions
) -> tuple[DataOptions, dict[Path, Session]]:
    """The options, with label and group from the session files where they are said nowhere else;
    and the sessions. Raises UlnnError where some takes have one and others none.
    """
    found = {path: session for path in paths if (session := read_session(path))}
    if not found:
        return options, {}
    label, group = options.label, options.group
    if not label and options.target != "next":
        label = _all_or_none(paths, found, "label")
    return replace(options, label=label, group=group or _all_or_none(paths, found, "group")), found


def _all_or_none(paths: Sequence[Path], sessions: dict[Path, Session], key: str) -> str:
    words = {path: getattr(sessions.get(path), key, "") for path in paths}
    if not any(words.values()):
        return ""
    bare = next((path for path, word in words.items() if not word), None)
    if bare is not None:
        other = next(path for path, word in words.items() if word)
        raise UlnnError(
            f"{bare}: no {key} in its session file, and {other} has {words[other]!r}: write "
            f'"{key}" into {session_path(bare).name}, or say {key}'
        )
    return OF_SESSION
