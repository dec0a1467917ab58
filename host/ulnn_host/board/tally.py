"""What comes from a source, as it comes: times, gaps, rates, ranges, and when it ends."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from ..data.takes import Gap
from .source_session import Rows, SourceSession

GAP = 1.8  # medians of the elapsed time: longer is a gap, one sample is missing
MEDIAN_OF = 400  # samples
GAPS_KEPT = 100
SHOWN_SECONDS = 1.0
LAST_FETCHES = 20
NOTHING_SECONDS = 5.0
FOR_EVER = 1 << 62

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Counted:
    """Rows with their times (N,), microseconds since the first of all, and values (N, channels)
    in their units."""

    rows: Rows
    times: NDArray[np.int64]
    values: Float

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.times)


class Tally:
    """Counts of a session: of the samples taken, and of those that are missing.

    started: ISO 8601, of the first sample. seconds: from the first to the last. gaps: the longest
    ones, gap_count: of all. dropped, lost, faults: as in `Rows`; fault: the last one's text.
    ended: why, once it has.
    """

    def __init__(self, session: SourceSession, seconds: float) -> None:
        """seconds: after which it ends, 0: it does not."""
        self._session = session
        self._most = round(seconds * 1e6) or FOR_EVER
        self.at = 0  # microseconds
        self._steps: deque[int] = deque(maxlen=MEDIAN_OF)
        self._shown: deque[tuple[float, Float, Float]] = deque()
        self._began = self._heard = time.monotonic()
        self.started = self.ended = self.fault = ""
        self.samples = self.gap_count = self.dropped = self.lost = self.faults = 0
        self.gaps: tuple[Gap, ...] = ()
        self.rate = 0.0

    @property
    def seconds(self) -> float:
        """From the first sample to the last."""
        return self.at / 1e6

    def until_end(self, stopped: Callable[[], bool]) -> Iterator[Counted]:
        """What comes, some times a second, also when nothing does: until the time is over, the
        source ends, or `stopped` says so; then what was sampled before."""
        session = self._session
        while not stopped():
            found = self._count(session.fetch())
            late = time.monotonic() - self._began > self._most / 1e6 + NOTHING_SECONDS
            if late or found.samples < len(found.rows.raw):
                self.ended = f"ended after {self._most / 1e6:g} s"
            elif found.rows.ended:
                self.ended = "the source ended"
            yield found
            if self.ended:
                return
            if not found.rows.left:
                time.sleep(session.pause)
        self.ended = "stopped by Ctrl-C"
        for _ in range(LAST_FETCHES):
            found = self._count(session.fetch())
            yield found
            if not found.rows.left:
                return

    def nothing(self) -> UlnnError:
        """The error where no sample has come."""
        why = f" ({self.fault})" if self.fault else ""
        return UlnnError(f"port {self._session.port}: no sample came from the source{why}")

    def ranges(self) -> tuple[Float, Float]:
        """The lowest and highest values (channels,) of the last second; 0 without any."""
        if not self._shown:
            none = np.zeros(len(self._session.source.channels), np.float32)
            return none, none
        return (
            np.min([low for _, low, _ in self._shown], 0),
            np.max([high for _, _, high in self._shown], 0),
        )

    def _count(self, rows: Rows) -> Counted:
        if rows.faults > self.faults:
            self.fault = self._session.fault()
        self.dropped, self.lost, self.faults = rows.dropped, rows.lost, rows.faults
        now = time.monotonic()
        steps = rows.elapsed.copy()
        if len(steps) and not self.samples:
            self.started = datetime.now().astimezone().isoformat(timespec="milliseconds")
            self._began, steps[0] = now, 0
        # After a start of the loop nobody but this clock knows what time has passed.
        again = (steps == 0) & (np.arange(len(steps)) + self.samples > 0)
        steps[again] = max(1, round((now - self._heard) * 1e6))
        if len(steps):
            self._heard = now
        times = self.at + np.cumsum(steps)
        count = int(np.searchsorted(times, self._most, side="right"))
        values = self._session.source.values(rows.raw[:count])
        if count:
            self._keep(now, steps[:count], times[:count], values)
        return Counted(rows, times[:count], values)

    def _keep(
        self, now: float, steps: NDArray[np.int64], times: NDArray[np.int64], values: Float
    ) -> None:
        self.samples += len(times)
        self.at = int(times[-1])
        self._shown.append((now, values.min(0), values.max(0)))
        while now - self._shown[0][0] > SHOWN_SECONDS:
            self._shown.popleft()
        self._steps.extend(int(step) for step in steps if step)
        if not self._steps:
            return
        median = float(np.median(self._steps))
        self.rate = 1e6 / median
        found = np.flatnonzero(steps > GAP * median)
        gaps = [Gap(int(times[k]) / 1e6, int(steps[k]) / 1e6) for k in found]
        longest = sorted((*self.gaps, *gaps), key=lambda gap: -gap.seconds)[:GAPS_KEPT]
        self.gaps = tuple(sorted(longest, key=lambda gap: gap.at))
        self.gap_count += len(gaps)


@contextlib.contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
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
