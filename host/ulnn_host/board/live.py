"""What an app on a board sees and decides, as it comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ulnn_rules.decider import UNKNOWN, UNSURE

from .app import SETTINGS
from .discover import opened
from .faults import Faults
from .line import BAUDRATE
from .record import put_recording, read_json, source_settings
from .samples import Int16
from .source_files import prepare
from .source_session import NO_DECISION, SourceInfo, SourceSession
from .tally import Counted, Float, Tally, interrupts

WORDS = {UNSURE: "unsure", UNKNOWN: "unknown"}


@dataclass(frozen=True)
class Decision:
    """One decision. seconds: since the first sample; label: the class's name, its number where it
    has none, "unsure" or "unknown"; number: the class, -1 for unsure, -3 for unknown; margin: by
    how much it won."""

    seconds: float
    label: str
    number: int
    margin: int


@dataclass(frozen=True)
class Moment:
    """What is known of an app now, and at the end.

    values: of the last sample, (channels,) in their units; low, high: of the last second. y: the
    model's outputs of the last step, integers. decision: the last one; decisions: how often each
    was made. gaps, dropped, lost, faults, fault, restarts: as in the session file of a take.
    """

    source: SourceInfo
    model: str
    seconds: float = 0.0
    samples: int = 0
    rate: float = 0.0
    values: Float | None = None
    low: Float | None = None
    high: Float | None = None
    y: Int16 | None = None
    decision: Decision | None = None
    decisions: dict[str, int] = field(default_factory=dict)
    gaps: int = 0
    dropped: int = 0
    lost: int = 0
    faults: int = 0
    fault: str = ""
    restarts: int = 0
    ended: str = ""


def live(
    port: str = "auto",
    *,
    settings: dict[str, Any] | str | Path | None = None,
    seconds: float = 0.0,
    baudrate: int = BAUDRATE,
    wait: float = 10.0,
    faults: str | None = None,
    on_decision: Callable[[Decision], None] | None = None,
    progress: Callable[[Moment], None] | None = None,
    notice: Callable[[str], None] | None = None,
) -> Moment:
    """Follow the app on a board until `seconds` have passed (0: no end), its source ends, or
    Ctrl-C.

    settings: of the app, a dict or the path of a JSON file on the PC; None: settings.json on the
    board. The model has to be there. on_decision: gets every decision; progress: called some
    times a second; notice: with a line about each restart, and about channels that a policy on
    the board withholds. Raises UlnnError.
    """
    given = SETTINGS if settings is None else read_json(settings)
    source_settings(settings)  # a mistake is found before the port is opened
    damage = Faults.parse(faults) if faults else None
    with (
        opened(port, baudrate, wait=wait, faults=damage, notice=notice) as board,
        interrupts() as stopped,
    ):
        prepare(board, given, app=True)
        if isinstance(given, dict) and isinstance(given.get("source"), dict):
            given = given | {"source": put_recording(board, settings, given["source"])}
        with board.source(given, app=True) as session:
            return _follow(
                session,
                seconds,
                stopped,
                on_decision or (lambda decision: None),
                progress or (lambda moment: None),
            )


def _follow(
    session: SourceSession,
    seconds: float,
    stopped: Callable[[], bool],
    on_decision: Callable[[Decision], None],
    progress: Callable[[Moment], None],
) -> Moment:
    source = session.source
    model = session.info.facts.get("path", "")
    tally = Tally(session, seconds)
    counted: Counter[str] = Counter()
    moment = Moment(source, model)
    for found in tally.until_end(stopped):
        made = _decisions(found, source.labels)
        for decision in made:
            counted[decision.label] += 1
            on_decision(decision)
        low, high = tally.ranges()
        some = found.samples > 0
        moment = Moment(
            source,
            model,
            seconds=tally.seconds,
            samples=tally.samples,
            rate=tally.rate,
            values=found.values[-1] if some else moment.values,
            low=low,
            high=high,
            y=found.rows.y[found.samples - 1] if some else moment.y,
            decision=made[-1] if made else moment.decision,
            decisions=dict(counted),
            gaps=tally.gap_count,
            dropped=tally.dropped,
            lost=tally.lost,
            faults=tally.faults,
            fault=tally.fault,
            restarts=session.restarts,
            ended=tally.ended,
        )
        progress(moment)
    if not tally.samples:
        raise tally.nothing()
    return moment


def _decisions(found: Counted, labels: tuple[str, ...]) -> list[Decision]:
    """Those among some rows."""
    made = []
    for k in np.flatnonzero(found.rows.decision[: found.samples] != NO_DECISION).tolist():
        number = int(found.rows.decision[k])
        known = labels[number] if 0 <= number < len(labels) else str(number)
        label = WORDS.get(number, known)
        made.append(Decision(int(found.times[k]) / 1e6, label, number, int(found.rows.margin[k])))
    return made
