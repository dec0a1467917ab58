"""A run over samples: frames for the board, what comes back, and places to go on from."""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .exchange import Request
from .frames import PAYLOAD_WORDS, Reply

STATE, OUTPUT, TEXT = 0, 1, 2
# Forms of the dt in a frame of samples: one for all, words in a unit, two words each.
SAME, UNIT, LONG = 0, 1, 2
WIDE_TIMES = 256
# What a frame costs beside its samples, in bytes: head, kind, number, check, dt, flag.
FRAME_COST = 18
LEAST_WORDS = 8

Int16 = NDArray[np.int16]


class NotRepeatable(Exception):
    """The board gave other outputs when it made a step again."""


@dataclass(frozen=True)
class BoardInfo:
    """What the board says in its answer to HELLO."""

    protocol: tuple[int, int]
    window: int
    slots: int
    rows: int
    inputs: int
    outputs: int
    state_size: int
    clock_cost: int
    allocates: bool
    tick_ns: int
    clock_hz: int
    facts: dict[str, str] = field(default_factory=dict)
    time_shift: int = 0
    step_ticks: int = 1

    @classmethod
    def read(cls, payload: Int16) -> tuple[BoardInfo, int]:
        """From the answer to HELLO; the second is the length of the text, in bytes."""
        major, minor, *n = (int(v) for v in struct.unpack("<12H3I", payload.tobytes()))
        info = cls(
            (major, minor),
            *(n[0], n[1], n[2], n[3], n[4], n[5], n[6]),
            allocates=bool(n[7] & 1),
            time_shift=n[8],
            tick_ns=n[10],
            clock_hz=n[11],
            step_ticks=n[12],
        )
        return info, n[9]

    @property
    def sha256(self) -> str:
        """SHA-256 of the loaded model, hex."""
        return self.facts.get("sha256", "")

    @property
    def emulated(self) -> bool:
        """Whether the board is QEMU's, whose times are not those of a chip."""
        return "QEMU" in self.facts.get("board", "")

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for json.dump."""
        return asdict(self)


@dataclass(frozen=True)
class Mark:
    """A place to go on from: the state after `step` steps of a run, as the board sent it.

    state: int16 words, None right after a reset. clamped: steps of the run that were clamped.
    """

    step: int = 0
    state: tuple[int, ...] | None = None
    clamped: int = 0


@dataclass(frozen=True)
class Answers:
    """What came back for T samples: y int16 (T, O), ticks of the board's clock (T,), gc (T,).

    end: where to go on from; after a whole run the last state.
    """

    y: Int16
    ticks: NDArray[np.int64]
    gc: NDArray[np.bool_]
    end: Mark


class Sizes(Protocol):
    """How many samples a frame takes, and how many there are between two marks."""

    def batch(self) -> int:
        """Samples of the next frame."""

    def words(self) -> int:
        """Words of the next payload that is no samples."""

    def mark_samples(self) -> int:
        """Samples after which the state is read."""


def checked(x: ArrayLike, dt: ArrayLike, inputs: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """x int16 (T, I) and dt (T,) as arrays. Raises ValueError: shapes, range, dt below 1."""
    xs, dts = np.asarray(x), np.asarray(dt, np.int64)
    if xs.ndim != 2 or xs.shape != (len(dts), inputs):
        raise ValueError(f"x: expected shape ({len(dts)}, {inputs}), got {xs.shape}")
    if np.any((xs < -32768) | (xs > 32767)):
        raise ValueError("x: expected int16 values")
    if np.any(dts < 1):
        k = int(np.argmax(dts < 1))
        raise ValueError(f"dts: expected 1 or more ticks, got {dts[k]} at step {k}")
    return xs.astype("<i2"), dts


def get(region: int, words: int, most: Callable[[], int]) -> Iterator[Request]:
    """Requests for all words of a region, at most most() in each."""
    k = 0
    while k < words or not k:
        n = min(most(), words - k)
        yield Request("G", region, struct.pack("<HH", k, n))
        k += max(n, 1)


def put(region: int, words: NDArray[Any], most: Callable[[], int]) -> Iterator[Request]:
    """Requests that put all words of a region, at most most() - 1 in each."""
    k = 0
    while k < len(words):
        part = words[k : k + most() - 1].astype("<i2")
        yield Request("P", region, struct.pack("<H", k) + part.tobytes())
        k += len(part)


class Run:
    """The samples of one run. mark: the last place to go on from, as the board sent it."""

    def __init__(
        self,
        x: NDArray[Any],
        dts: NDArray[np.int64],
        info: BoardInfo,
        mark: Mark,
        counted: int,
        progress: Callable[[int], None],
    ) -> None:
        """counted: steps that the board has counted as clamped so far."""
        self.mark = mark
        self.slowest = 0.0
        self._info, self._progress = info, progress
        self._x = x
        self._dts, self._unit = _wire_dts(dts, int(info.facts.get("dt_max", 2**31)))
        self._done = mark.step
        self._counted = counted
        self._state: list[int] = []
        self._row = np.zeros(0, np.int16)
        self._time = np.zeros(1, np.int64)
        self._y = np.zeros((len(x), info.outputs), np.int16)
        self._ticks = np.zeros(len(x), np.int64)
        self._gc = np.zeros(len(x), bool)
        self._expected: deque[tuple[str, int, int]] = deque()

    def answers(self) -> Answers:
        """What there is so far."""
        n = self._done
        return Answers(self._y[:n], self._ticks[:n], self._gc[:n], self.mark)

    def go_back(self) -> int:
        """Go on from the mark; the number of answered steps that will be made again."""
        self._counted = 0
        return self._done - self.mark.step

    # ---- out ----------------------------------------------------------------------------------

    def requests(self, sizes: Sizes) -> Iterator[Request]:
        """What to ask the board for, from the mark on."""
        self._expected.clear()
        k, end, since = self.mark.step, len(self._x), 0
        while k < end:
            every = sizes.mark_samples()
            n = min(sizes.batch(), end - k, every - since) if self._info.rows else 1
            yield from self._samples(k, n) if self._info.rows else self._big_sample(k, sizes)
            k, since = k + n, since + n
            if since >= every or k == end:
                since = 0
                for request in get(STATE, self._info.state_size, sizes.words):
                    self._expected.append(("g", k, len(request.payload)))
                    yield request

    def _samples(self, k: int, n: int) -> Iterator[Request]:
        dts = self._dts[k : k + n]
        units, rest = np.divmod(dts, self._unit)
        if (dts == dts[0]).all():
            form, tail = SAME, dts[:1].astype("<u4").tobytes()
        elif units.max() <= 0xFFFF and not rest.any():
            form = UNIT
            tail = struct.pack("<H", self._unit) + units.astype("<u2").tobytes()
        else:
            form, tail = LONG, dts.astype("<u4").tobytes()
        self._expected.append(("s", k, n))
        yield Request("S", n + 256 * form, self._x[k : k + n].tobytes() + tail, n)

    def _big_sample(self, k: int, sizes: Sizes) -> Iterator[Request]:
        """One sample in several frames, for models whose samples do not fit in one."""
        for request in put(OUTPUT, self._x[k], sizes.words):
            self._expected.append(("p", k, 0))
            yield request
        self._expected.append(("t", k, 0))
        yield Request("T", 0, self._dts[k : k + 1].astype("<u4").tobytes(), 1)
        for request in get(OUTPUT, self._info.outputs, sizes.words):
            self._expected.append(("y", k, struct.unpack_from("<H", request.payload)[0]))
            yield request

    # ---- back ---------------------------------------------------------------------------------

    def take(self, reply: Reply) -> Mark | None:
        """Take an answer in; the new mark, where it completes one.

        Raises NotRepeatable.
        """
        what, k, n = self._expected.popleft()
        payload, outputs = reply.payload, self._info.outputs
        if what == "s":
            y = payload[: n * outputs].reshape(n, outputs)
            wide = reply.argument & WIDE_TIMES
            times = payload[n * outputs :].view("<u4" if wide else "<u2").astype(np.int64)
            gc = times >> (31 if wide else 15) == 1
            ticks = times & 0x7FFFFFFF if wide else (times & 0x7FFF) << self._info.time_shift
            self._keep(k, y, ticks, gc)
        elif what == "t":
            self._time = payload.view("<u4").astype(np.int64)
        elif what == "y":
            self._row = payload if n == 0 else np.concatenate([self._row, payload])
            if len(self._row) == outputs:
                gc = self._time >> 31 == 1
                self._keep(k, self._row[None], self._time & 0x7FFFFFFF, gc)
        elif what == "g":
            return self._take_state(k, reply)
        return None

    def _keep(self, k: int, y: Int16, ticks: NDArray[np.int64], gc: NDArray[np.bool_]) -> None:
        again = min(max(self._done - k, 0), len(y))
        different = (self._y[k : k + again] != y[:again]).any(axis=1)
        if different.any():
            raise NotRepeatable(
                f"step {k + int(np.argmax(different))} of the run gave other outputs when the "
                "board made it again from the same state"
            )
        rows = slice(k + again, k + len(y))
        self._y[rows], self._ticks[rows], self._gc[rows] = y[again:], ticks[again:], gc[again:]
        self.slowest = max(self.slowest, float(ticks.max()) / self._info.clock_hz)
        if again < len(y):
            self._done = k + len(y)
            self._progress(len(y) - again)

    def _take_state(self, k: int, reply: Reply) -> Mark | None:
        self._state += [int(v) for v in reply.payload]
        if len(self._state) < self._info.state_size:
            return None
        clamped = self.mark.clamped + ((reply.argument - self._counted) & 0xFFFF)
        self._counted = reply.argument
        self.mark = Mark(k, tuple(self._state), clamped)
        self._state = []
        return self.mark


def _wire_dts(dts: NDArray[np.int64], dt_max: int) -> tuple[NDArray[np.int64], int]:
    """(dt as they are sent, their unit in ticks).

    A dt above dt_max gives the same step, and is counted as clamped, whatever it is.
    """
    usual = dts[dts <= dt_max]
    unit = int(np.gcd.reduce(usual)) if len(usual) else 1
    if unit > 0xFFFF:
        unit = next(d for d in range(0xFFFF, 0, -1) if unit % d == 0)
    return np.where(dts > dt_max, (dt_max // unit + 1) * unit, dts), unit


def payload_bytes(window: int, damage: float) -> float:
    """PROTOCOL.md 3.5: bytes of a payload. Two frames fit in the window; and where the line loses
    a share `damage` of its bytes, repeats and overhead together cost least.
    """
    size = float(max(window // 2, 64) - FRAME_COST)
    return min(size, math.sqrt(FRAME_COST / damage)) if damage else size


def frame_samples(info: BoardInfo, window: int, damage: float) -> int:
    """Samples in a frame."""
    sample = 2 * (max(info.inputs, info.outputs) + 1)
    return max(1, min(info.rows, int(payload_bytes(window, damage) / sample)))


def frame_words(window: int, damage: float) -> int:
    """Words in the payload of a frame that is no samples."""
    return max(LEAST_WORDS, min(PAYLOAD_WORDS, int(payload_bytes(window, damage) / 2)))
