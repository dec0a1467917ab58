"""Records what a source on a board gives: every sample with its time, into a take that grows."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from ..base.version import __version__
from ..data.take_writer import TakeWriter
from ..data.takes import Gap, Session
from .discover import resolve
from .faults import Faults
from .line import BAUDRATE
from .link import Board
from .source_files import prepare
from .source_session import Rows, SourceSession

GAP = 1.8  # medians of the elapsed time: longer is a gap, one sample is missing
MEDIAN_OF = 400  # samples
GAPS_KEPT = 100
SHOWN_SECONDS = 1.0
LAST_FETCHES = 20
NOTHING_SECONDS = 5.0
FOR_EVER = 1 << 62
BOARD_SETTINGS = "settings.json"


@dataclass(frozen=True)
class Take:
    """A take, while it is made and afterwards. path: its table; session: what is known of it.

    low, high: (channels,) of the samples of the last second, in their units.
    """

    path: Path
    session: Session
    low: NDArray[np.float32]
    high: NDArray[np.float32]

    def __repr__(self) -> str:
        s = self.session
        return (
            f"<Take {self.path}: {s.samples:,} samples in {s.seconds:.1f} s, {s.gap_count} gaps, "
            f"{s.dropped + s.lost} lost>"
        )


def record(
    port: str,
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
    called some times a second; notice: with a line about each restart.
    Raises UlnnError; what was recorded by then is in the folder.
    """
    settings = source_settings(source)
    damage = Faults.parse(faults) if faults else None
    with (
        Board.open(
            resolve(port), baudrate=baudrate, wait=wait, faults=damage, notice=notice
        ) as board,
        _interrupts() as stopped,
    ):
        prepare(board, settings)
        with board.source(settings) as session:
            first = _session(port, label, group, session)
            taking = _Taking(session, TakeWriter(folder, first, kind), seconds)
            return taking.all(stopped, progress or (lambda take: None))


def source_settings(source: dict[str, Any] | str | Path | None) -> dict[str, Any] | str:
    """The settings themselves, or the path of the file on the board. Raises UlnnError."""
    if source is None:
        return BOARD_SETTINGS
    if isinstance(source, dict):
        found: Any = source
    else:
        try:
            found = json.loads(Path(source).read_text(encoding="utf-8"))
        except OSError as error:
            raise UlnnError(
                f"{source} cannot be read: {(error.strerror or 'error').lower()}"
            ) from None
        except ValueError as error:
            raise UlnnError(f"{source}: not JSON ({error})") from None
    if isinstance(found, dict):
        found = found.get("source", found)
    if not isinstance(found, dict) or not isinstance(found.get("kind"), str):
        where = source if isinstance(source, str | Path) else "source"
        raise UlnnError(f'{where}: expected an object with "kind", or with one as "source"')
    return found


@contextlib.contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C only sets a flag, so that no exchange is cut in two; a second one raises
    KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pressed: list[int] = []

    def press(number: int, frame: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


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
        self._most = round(seconds * 1e6) or FOR_EVER
        self._at = 0  # microseconds since the first sample
        self._steps: deque[int] = deque(maxlen=MEDIAN_OF)
        self._shown: deque[tuple[float, NDArray[np.float32], NDArray[np.float32]]] = deque()
        self._began = self._heard = time.monotonic()
        self._full = False

    def all(self, stopped: Callable[[], bool], progress: Callable[[Take], None]) -> Take:
        """Record to the end."""
        writer = self._writer
        ended = "an error"
        try:
            ended = self._until_end(stopped, progress)
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
            why = f" ({writer.session.fault})" if writer.session.fault else ""
            raise UlnnError(f"port {self._session.port}: no sample came from the source{why}")
        return self._take()

    def _until_end(self, stopped: Callable[[], bool], progress: Callable[[Take], None]) -> str:
        session = self._session
        while not stopped():
            rows = session.fetch()
            self._add(rows)
            progress(self._take())
            if rows.ended:
                return "the source ended"
            late = time.monotonic() - self._began > self._most / 1e6 + NOTHING_SECONDS
            if self._full or late:
                return f"{self._most / 1e6:g} s"
            if not rows.left:
                time.sleep(session.pause)
        # What waits on the board was sampled before Ctrl-C.
        for _ in range(LAST_FETCHES):
            rows = session.fetch()
            self._add(rows)
            if not rows.left:
                break
        return "Ctrl-C"

    # ---- samples ------------------------------------------------------------------------------

    def _add(self, rows: Rows) -> None:
        session, writer = self._writer.session, self._writer
        faults = rows.faults > session.faults
        session = replace(
            session,
            dropped=rows.dropped,
            lost=rows.lost,
            faults=rows.faults,
            fault=self._session.fault() if faults else session.fault,
            restarts=self._session.restarts,
        )
        if len(rows.raw):
            session = self._keep(rows, session)
        writer.update(session)

    def _keep(self, rows: Rows, session: Session) -> Session:
        now = time.monotonic()
        steps = rows.elapsed.copy()
        if not session.samples:
            self._began = now
            steps[0] = 0
            session = replace(
                session, started=datetime.now().astimezone().isoformat(timespec="milliseconds")
            )
        # After a start of the loop nobody but this clock knows what time has passed.
        again = (steps == 0) & (np.arange(len(steps)) + session.samples > 0)
        steps[again] = max(1, round((now - self._heard) * 1e6))
        self._heard = now
        times = self._at + np.cumsum(steps)
        keep = int(np.searchsorted(times, self._most, side="right"))
        self._full = keep < len(times)
        if not keep:
            return session
        steps, times = steps[:keep], times[:keep]
        values = self._session.source.values(rows.raw[:keep])
        self._writer.add(times, values)
        self._at = int(times[-1])
        self._shown.append((now, values.min(0), values.max(0)))
        while now - self._shown[0][0] > SHOWN_SECONDS:
            self._shown.popleft()
        gaps, median = self._gaps(steps, times)
        longest = sorted((*session.gaps, *gaps), key=lambda gap: -gap.seconds)[:GAPS_KEPT]
        return replace(
            session,
            samples=session.samples + keep,
            seconds=self._at / 1e6,
            rate=round(1e6 / median, 3) if median else 0.0,
            gaps=tuple(sorted(longest, key=lambda gap: gap.at)),
            gap_count=session.gap_count + len(gaps),
        )

    def _gaps(self, steps: NDArray[np.int64], times: NDArray[np.int64]) -> tuple[list[Gap], float]:
        """Those in these steps, and the median of the last ones."""
        self._steps.extend(int(step) for step in steps if step)
        if not self._steps:
            return [], 0.0
        median = float(np.median(self._steps))
        found = np.flatnonzero(steps > GAP * median)
        return [Gap(int(times[k]) / 1e6, int(steps[k]) / 1e6) for k in found], median

    def _take(self) -> Take:
        low = [low for _, low, _ in self._shown]
        high = [high for _, _, high in self._shown]
        none = np.zeros(len(self._writer.session.channels), np.float32)
        return Take(
            self._writer.path,
            self._writer.session,
            np.min(low, 0) if low else none,
            np.max(high, 0) if high else none,
        )
