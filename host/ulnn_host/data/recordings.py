"""From blocks of rows to recordings: missing values, elapsed times, where a recording ends.

Rows wait in temporary files, so that a large table takes the memory of its result and one block.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from .blocks import Block, Faults
from .clocks import Clock
from .options import DataOptions

IN_MEMORY = 1 << 22  # bytes of rows before they go to a file
PADDING = 8  # times the rows of all recordings: what a padded array may take
PIECE = 1 << 18  # rows that are read back together
MEDIAN_OF = 1 << 20  # elapsed times, at most, that a median is taken of


@dataclass
class Recording:
    """Rows without a break. parts: (first row in the spool, number of rows); target: a code or a
    value, of the whole recording.
    """

    group: int
    target: float
    parts: list[tuple[int, int]] = field(default_factory=list)
    rows: int = 0

    def add(self, first: int, rows: int) -> None:
        """Rows that follow."""
        self.rows += rows
        if self.parts and sum(self.parts[-1]) == first:
            first, before = self.parts.pop()
            rows += before
        self.parts.append((first, rows))


class Spool:
    """Rows of float32 numbers, read back by their place."""

    def __init__(self, width: int) -> None:
        self.width, self.rows = width, 0
        self.file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115

    def append(self, numbers: NDArray[np.float32]) -> None:
        """Write (n, width) numbers."""
        try:
            self.file.write(np.ascontiguousarray(numbers, np.float32).data)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UlnnError(
                f"the temporary folder {tempfile.gettempdir()} cannot be written: {reason}; "
                "TMPDIR names another one"
            ) from None
        self.rows += len(numbers)

    def pieces(
        self, parts: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Parts, one after the other, as (number of rows before, (n, width) rows)."""
        done = 0
        for first, rows in parts:
            for start in range(0, rows, PIECE):
                piece = np.empty((min(PIECE, rows - start), self.width), np.float32)
                self.read([(first + start, len(piece))], piece)
                yield done, piece
                done += len(piece)

    def read(self, parts: Sequence[tuple[int, int]], into: NDArray[np.float32]) -> None:
        """Read parts, one after the other, into (n, width) contiguous numbers."""
        done = 0
        for first, rows in parts:
            self.file.seek(first * self.width * 4)
            self.file.readinto(into[done : done + rows].reshape(-1).view(np.uint8).data)
            done += rows


@dataclass
class Counts:
    """What was done to the rows, for the report."""

    missing: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    gaps: int = 0
    splits: int = 0
    repeats: int = 0


@dataclass
class _Open:
    """Where the recording of a group stands in this file."""

    recording: Recording | None = None
    time: Any = None
    elapsed: float = 0.0
    held: NDArray[np.float32] | None = None
    label: float = -1.0


class Recorder:
    """Takes the blocks of one file after the other."""

    def __init__(self, names: Sequence[str], options: DataOptions, faults: Faults) -> None:
        self.names, self.options, self.faults = tuple(names), options, faults
        self.samples, self.times = Spool(len(names)), Spool(1)
        self.targets: Spool | None = None
        self.recordings: list[Recording] = []
        self.counts = Counts()
        self._file: Path = Path()
        self._of_file = (-1, -1.0)
        self._clock: Clock | None = None
        self._open: dict[int, _Open] = {}
        self._median = 0.0

    def begin(self, path: Path, clock: Clock, group: int, target: float) -> None:
        """A file begins. group, target: its codes, where no column has them."""
        self._file, self._clock, self._of_file = path, clock, (group, target)
        self._open, self._median = {}, 0.0

    def end(self) -> None:
        """The file ends."""
        assert self._clock is not None
        doubt = self._clock.doubt(self._median)
        if doubt:
            self.faults.doubt(self._file, doubt)

    def add(self, block: Block) -> None:
        """Rows that follow in the file."""
        assert self._clock is not None
        if not self._clock.scale:
            known = block.time[~block.no_time]
            if not len(known):
                self._missing(self._clock.name, block.lines)
                return
            try:
                self._clock.begin(known)
            except UlnnError as error:
                raise UlnnError(f"{self._file}: {error}") from None
            steps = (known if self._clock.column.steps else np.diff(known)) * self._clock.scale
            if (steps > 0).any():
                self._median = float(np.median(steps[steps > 0]))
        if block.group is None:
            self._add(self._of_file[0], block)
            return
        nobody = block.group < 0
        if nobody.any():
            self._missing("the group", block.lines[nobody])
            self.counts.dropped += int(nobody.sum())
        for group in np.unique(block.group[~nobody]):
            self._add(int(group), block.take(block.group == group))

    def _missing(self, name: str, lines: NDArray[np.int64], *, lost: bool = False) -> None:
        """Count missing values. A time, label or group is never held. lost: nor dropped."""
        self.counts.missing[name] += len(lines)
        held = self.options.missing == "hold" and name in self.names
        if lost or (not held and self.options.missing != "drop"):
            self.faults.missing_in(self._file, name, len(lines), int(lines[0]))

    def _add(self, group: int, block: Block) -> None:
        state = self._open.setdefault(group, _Open())
        block, elapsed = self._whole(state, block)
        if not len(block):
            return
        steps, starts = self._steps(state, block, elapsed)
        if self.options.clock == "sort":
            again = steps == 0
            self.counts.repeats += int(again.sum())
            block, steps, starts = block.take(~again), steps[~again], starts[~again]
            if not len(block):
                return
        steps[starts | np.isnan(steps)] = 0  # not known: `arrays` finds one
        target = self._target(block)
        if target is not None and self.options.per == "sequence":
            starts |= target != np.append(np.float32(state.label), target[:-1])
            state.label = float(target[-1])
        starts[0] |= state.recording is None
        first = self._write(block, steps, target)
        bounds = [0, *(int(k) for k in np.flatnonzero(starts) if k), len(block)]
        for low, high in pairwise(bounds):
            if state.recording is None or starts[low]:
                said = self._of_file[1] if target is None else float(target[low])
                state.recording = Recording(group, said)
                self.recordings.append(state.recording)
            state.recording.add(first + low, high - low)

    def _write(
        self, block: Block, steps: NDArray[np.float64], target: NDArray[np.float32] | None
    ) -> int:
        first = self.samples.rows
        self.samples.append(block.numbers[:, : len(self.names)])
        self.times.append(steps[:, None].astype(np.float32))
        if target is not None:
            self.targets = self.targets or Spool(1)
            self.targets.append(target[:, None])
        return first

    def _target(self, block: Block) -> NDArray[np.float32] | None:
        """Targets of a column: codes, which are exact in float32, or values."""
        if block.label is not None:
            return block.label.astype(np.float32)
        if block.numbers.shape[1] > len(self.names):
            return block.numbers[:, -1]
        return None

    def _whole(self, state: _Open, block: Block) -> tuple[Block, NDArray[np.float64] | None]:
        """The rows without a missing value, and the elapsed time (s) up to each where the file has
        elapsed times.
        """
        assert self._clock is not None
        elapsed = None
        if self._clock.column.steps:
            steps = np.where(block.no_time, 0, block.time) * self._clock.scale
            elapsed = state.elapsed + np.cumsum(steps)
            state.elapsed = float(elapsed[-1])
        bad = block.no_time.copy()
        if bad.any():
            # without an elapsed time, nobody knows what time it is
            self._missing(self._clock.name, block.lines[bad], lost=elapsed is not None)
        empty = np.isnan(block.numbers)
        for k in np.flatnonzero(empty.any(0)):
            name = self.names[k] if k < len(self.names) else self.options.label
            self._missing(name, block.lines[empty[:, k]])
        if self.options.missing == "hold" and empty.any():
            block.numbers = _hold(block.numbers, state.held)
            empty = np.isnan(block.numbers)
        bad |= empty.any(1)
        if block.label is not None and (block.label < 0).any():
            self._missing(self.options.label, block.lines[block.label < 0])
            bad |= block.label < 0
        if bad.any():
            self.counts.dropped += int(bad.sum())
            block = block.take(~bad)
            elapsed = None if elapsed is None else elapsed[~bad]
        if len(block):
            state.held = block.numbers[-1]
        return block, elapsed

    def _steps(
        self, state: _Open, block: Block, elapsed: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Seconds since the row before (NaN for the first), and where a recording starts."""
        assert self._clock is not None
        if elapsed is None:
            times, scale = block.time, self._clock.scale
            before = times[:1] if state.time is None else np.array([state.time])
            steps = np.diff(np.concatenate([before, times])) * scale
        else:
            times = elapsed
            steps = np.diff(times, prepend=0.0 if state.time is None else state.time)
        fresh = state.time is None
        state.time = times[-1]
        if fresh and elapsed is None:
            steps[0] = np.nan
        starts = np.zeros(len(steps), bool)
        back, again = steps < 0, steps == 0
        if self.options.clock == "sort" and elapsed is None:
            back[:] = again[:] = False
        if self.options.clock == "split":
            starts |= back | again
            self.counts.splits += int(starts.sum())
        else:
            for found, note in ((back, self.faults.goes_back), (again, self.faults.repeats_in)):
                if found.any():
                    note(self._file, int(block.lines[found][0]), int(found.sum()))
        if self.options.gap:
            gaps = steps > self.options.gap
            self.counts.gaps += int(gaps.sum())
            starts |= gaps
        return steps, starts


def _hold(numbers: NDArray[np.float32], held: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Numbers with the one above in place of each NaN; held: the row before the first."""
    numbers = numbers.copy()
    rows = np.arange(len(numbers))
    for column in range(numbers.shape[1]):
        values = numbers[:, column]
        empty = np.isnan(values)
        if empty.any():
            last = np.maximum.accumulate(np.where(empty, -1, rows))
            before = np.float32(np.nan) if held is None else held[column]
            numbers[:, column] = np.where(last < 0, before, values[last])
    return numbers


@dataclass(frozen=True)
class Arrays:
    """Recordings as padded arrays: x (N, T, I), dt (N, T), length (N,), y (N,) or (N, T)."""

    x: NDArray[np.float32]
    dt: NDArray[np.float32]
    length: NDArray[np.int64]
    y: NDArray[Any]


def arrays(recorder: Recorder, codes: NDArray[np.int64] | None) -> Arrays:
    """All recordings; the first dt of each is its median one, unless the file has it. codes: the
    class of each target; None: targets are values. Raises UlnnError when there is no time between
    two samples, or padding would fill the memory.
    """
    recordings = recorder.recordings
    length = np.array([recording.rows for recording in recordings], np.int64)
    if not len(length):
        raise UlnnError("no sample is left")
    count, steps = len(length), int(length.max())
    padded, rows = count * steps, int(length.sum())
    if padded > PADDING * rows and padded * recorder.samples.width > 1 << 28:
        raise UlnnError(
            f"{count:,} recordings of up to {steps:,} samples ({rows:,} in all) are too unequal "
            "for one file: read the long ones alone, or split them with gap"
        )
    x = np.zeros((count, steps, recorder.samples.width), np.float32)
    dt = np.zeros((count, steps), np.float32)
    y = _targets(np.array([recording.target for recording in recordings], np.float32), codes)
    of_steps = recorder.targets if recorder.options.per != "sequence" else None
    if of_steps is not None:
        y = np.zeros((count, steps), y.dtype)
    elif recorder.options.per == "step":  # the file's name, or its session, is that of every step
        y = np.where(np.arange(steps) < length[:, None], y[:, None], y.dtype.type(0))
    for n, recording in enumerate(recordings):
        recorder.samples.read(recording.parts, x[n])
        recorder.times.read(recording.parts, dt[n, :, None])
        if of_steps is not None:
            for done, piece in of_steps.pieces(recording.parts):
                y[n, done : done + len(piece)] = _targets(piece[:, 0], codes)
        dt[n, recording.rows :] = 1.0
    _first_steps(dt, length)
    return Arrays(x, dt, length, y)


def _targets(found: NDArray[np.float32], codes: NDArray[np.int64] | None) -> NDArray[Any]:
    return found if codes is None else codes[found.astype(np.int64)]


def _first_steps(dt: NDArray[np.float32], length: NDArray[np.int64]) -> None:
    medians = np.array([_median(dt[n, 1:rows]) for n, rows in enumerate(length)])
    known = medians[medians > 0] if (medians > 0).any() else dt[dt[:, 0] > 0, 0]
    if not known.size:
        raise UlnnError("no recording has two samples, so nothing says the time between samples")
    first = np.where(medians > 0, medians, np.median(known))
    dt[:, 0] = np.where(dt[:, 0] > 0, dt[:, 0], first)


def _median(steps: NDArray[np.float32]) -> float:
    return float(np.median(steps[:: 1 + len(steps) // MEDIAN_OF])) if len(steps) else 0.0
