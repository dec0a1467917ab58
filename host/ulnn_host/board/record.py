"""Records what a source on a board gives: every sample with its time, into a take that grows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..base.errors import UlnnError
from ..base.version import __version__
from ..data.take_writer import TakeWriter
from ..data.takes import Session
from .app import SETTINGS, check_source, to_replay
from .discover import opened
from .faults import Faults
from .identity import identify
from .line import BAUDRATE
from .link import Board
from .source_files import prepare
from .source_session import SourceSession
from .tally import Counted, Float, Tally, interrupts


@dataclass(frozen=True)
class Take:
    """A take, while it is made and afterwards. path: its table; session: what is known of it.

    low, high: (channels,) of the samples of the last second, in their units.
    """

    path: Path
    session: Session
    low: Float
    high: Float

    def __repr__(self) -> str:
        s = self.session
        return (
            f"<Take {self.path}: {s.samples:,} samples in {s.seconds:.1f} s, {s.gap_count} gaps, "
            f"{s.dropped + s.lost} lost>"
        )


def record(
    port: str = "auto",
    *,
    label: str = "",
    group: str = "",
    folder: Path = Path("takes"),
    source: dict[str, Any] | str | Path | None = None,
    seconds: float = 0.0,
    kind: str = "csv",
    baudrate: int = BAUDRATE,
    wait: float = 10.0,
    faults: str | None = None,
    progress: Callable[[Take], None] | None = None,
    notice: Callable[[str], None] | None = None,
) -> Take:
    """Record until `seconds` have passed (0: no end), the source ends, or Ctrl-C.

    source: settings of the source, a dict; the path of a JSON file on the PC with them, or with
    them as "source"; None: those of the app on the board. kind: csv or parquet. wait: seconds
    until an unplugged board is back. faults: damage of the line on purpose, RATE[:KIND]. progress:
    called some times a second; notice: with a line about each restart, and about channels that a
    policy on the board withholds.
    Raises UlnnError; what was recorded by then is in the folder.
    """
    settings = source_settings(source)
    damage = Faults.parse(faults) if faults else None
    with (
        opened(port, baudrate, wait=wait, faults=damage, notice=notice) as board,
        interrupts() as stopped,
    ):
        prepare(board, settings)
        if isinstance(settings, dict):
            settings = put_recording(board, source, settings)
        with board.source(settings) as session:
            first = _session(port, label, group, session)
            taking = _Taking(session, TakeWriter(folder, first, kind), seconds)
            return taking.all(stopped, progress or (lambda take: None))


def put_recording(board: Board, path: object, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a source that replays a file beside them on the PC, which goes to the board.

    path: of the settings. Raises UlnnError.
    """
    beside = Path(path) if isinstance(path, str | Path) else Path("settings")
    found = to_replay(beside, {"source": settings})
    for name, data in found.items():
        target = f"{identify(board).root}/{name}"
        if board.sha256(target) != hashlib.sha256(data).hexdigest():
            board.write_file(target, data)
        settings = settings | {"file": target}
    return settings


def source_settings(source: dict[str, Any] | str | Path | None) -> dict[str, Any] | str:
    """The settings themselves, or the path of the file on the board. Raises UlnnError."""
    if source is None:
        return SETTINGS
    found = read_json(source)
    found = found.get("source", found)
    where = "source" if isinstance(source, dict) else str(source)
    if not isinstance(found, dict) or not isinstance(found.get("kind"), str):
        raise UlnnError(f'{where}: expected an object with "kind", or with one as "source"')
    check_source(found, where)
    return found


def read_json(settings: dict[str, Any] | str | Path) -> dict[str, Any]:
    """Settings as they are, or from a file on the PC. Raises UlnnError."""
    if isinstance(settings, dict):
        return settings
    try:
        found = json.loads(Path(settings).read_text(encoding="utf-8"))
    except OSError as error:
        why = (error.strerror or "error").lower()
        raise UlnnError(f"{settings} cannot be read: {why}") from None
    except ValueError as error:
        raise UlnnError(f"{settings}: not JSON ({error})") from None
    if not isinstance(found, dict):
        raise UlnnError(f"{settings}: expected an object")
    return found


def _session(port: str, label: str, group: str, session: SourceSession) -> Session:
    source, facts = session.source, session.info.facts
    return Session(
        label=label,
        group=group,
        channels=source.channels,
        units=source.units,
        scale=source.scale,
        offset=source.offset,
        source=source.settings,
        port=port,
        board=facts.get("board", ""),
        firmware=facts.get("python", ""),
        ulnn=__version__,
    )


class _Taking:
    """One take in the making."""

    def __init__(self, session: SourceSession, writer: TakeWriter, seconds: float) -> None:
        self._session, self._writer = session, writer
        self._tally = Tally(session, seconds)

    def all(self, stopped: Callable[[], bool], progress: Callable[[Take], None]) -> Take:
        """Record to the end."""
        writer = self._writer
        ended = "an error"
        try:
            for rows in self._tally.until_end(stopped):
                self._add(rows)
                progress(self._take())
            ended = self._tally.ended
        except UlnnError as error:
            ended = str(error)
            if not writer.session.samples:
                raise
            raise UlnnError(
                f"{error}; {writer.session.samples:,} samples are in {writer.path}"
            ) from error
        finally:
            if writer.session.samples:
                writer.update(replace(writer.session, ended=ended))
                writer.close()
            else:
                writer.discard()
        if not writer.session.samples:
            raise self._tally.nothing()
        return self._take()

    def _add(self, rows: Counted) -> None:
        session, tally = self._writer.session, self._tally
        if rows.samples:
            self._writer.add(rows.times, rows.values)
        self._writer.update(
            replace(
                session,
                started=session.started or tally.started,
                samples=tally.samples,
                seconds=tally.seconds,
                rate=round(tally.rate, 3),
                gaps=tally.gaps,
                gap_count=tally.gap_count,
                dropped=tally.dropped,
                lost=tally.lost,
                faults=tally.faults,
                fault=tally.fault,
                restarts=self._session.restarts,
            )
        )

    def _take(self) -> Take:
        return Take(self._writer.path, self._writer.session, *self._tally.ranges())
