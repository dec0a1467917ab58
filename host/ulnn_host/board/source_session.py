"""A session with a loop that has a source: rows of raw samples (PROTOCOL.md 4.6)."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from .exchange import LoopEnded, Refused, Request
from .frames import PAYLOAD_WORDS, Reply
from .line import LineLost
from .samples import BoardInfo, Int16, Mark, payload_bytes
from .stream import Session

SOURCES = 1  # the minor version that brought them
FAULT = 3  # the region with the text of the last fault
HEAD_WORDS, FAULT_WORDS, DECISION_WORDS = 4, 60, 3
ENDED = 256
NO_DECISION = -2
MOST_WINDOW = 4096
SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 0.25


@dataclass(frozen=True)
class SourceInfo:
    """What the board says of its source. scale, offset: value = raw * scale + offset, in the unit.

    settings: of the source, {} where it was made by a program. words: of a row; ring: rows that
    the board keeps. labels: of the decisions; outputs: of the model, 0 without one. withheld:
    channels that a policy does not let be sent.
    """

    channels: tuple[str, ...]
    units: tuple[str, ...]
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    settings: dict[str, Any]
    words: int
    ring: int
    outputs: int
    labels: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()

    @property
    def left_out(self) -> str:
        """A line about them, "" without any."""
        names = ", ".join(self.withheld)
        return names and f"withheld: {names}: the policy on the board does not let them be sent"

    @classmethod
    def read(cls, facts: dict[str, str], outputs: int) -> SourceInfo:
        """From the text of HELLO. Raises ValueError for one that is not whole."""
        try:
            found = cls(
                _texts(facts["channels"]),
                _texts(facts["units"]),
                _floats(facts["scale"]),
                _floats(facts["offset"]),
                dict(json.loads(facts["settings"])),
                int(facts["row"]),
                int(facts["ring"]),
                outputs,
                _texts(facts.get("labels", "[]")),
                _texts(facts.get("withheld", "[]")),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"no {error}") from error
        count = len(found.channels)
        extra = outputs + DECISION_WORDS if outputs else 0
        sizes = {len(found.units), len(found.scale), len(found.offset), found.words - 2 - extra}
        if sizes != {count} or not 0 < found.words <= PAYLOAD_WORDS - HEAD_WORDS:
            raise ValueError(f"rows of {found.words} words for {count} channels")
        return found

    def values(self, raw: NDArray[np.int16]) -> NDArray[np.float32]:
        """Samples (N, channels) in their units."""
        values = raw * np.array(self.scale) + np.array(self.offset)
        return np.asarray(values, np.float32)


def _texts(text: str) -> tuple[str, ...]:
    return tuple(map(str, json.loads(text)))


def _floats(text: str) -> tuple[float, ...]:
    return tuple(float(v) for v in np.frombuffer(bytes.fromhex(text), "<f4"))


@dataclass(frozen=True)
class Rows:
    """N rows. raw: (N, channels); elapsed: microseconds since the sample before (N,), 0 for the
    first after a start of the loop.

    left: rows that wait on the board. dropped, lost, faults: since the session began: samples for
    which the board's ring had no room, samples that the source knows to have lost, and errors of
    the source. ended: no more will come. y: outputs (N, outputs), decision: (N,) a class, UNSURE
    or UNKNOWN, or NO_DECISION where none was made there, margin: (N,); without a model of no
    columns, or ().
    """

    raw: NDArray[np.int16]
    elapsed: NDArray[np.int64]
    y: NDArray[np.int16]
    decision: NDArray[np.int16]
    margin: NDArray[np.int64]
    left: int
    dropped: int
    lost: int
    faults: int
    ended: bool


class _Counter:
    """The sum of a count of which the low 16 bits arrive."""

    def __init__(self) -> None:
        self.total = self._last = 0

    def take(self, low: int) -> int:
        self.total += (low - self._last) & 0xFFFF
        self._last = low & 0xFFFF
        return self.total

    def restart(self) -> None:
        self._last = 0


class SourceSession(Session):
    """The host's end. A loop that ended is started again, and so is the source; what waited on the
    board is then lost, and the next row has an elapsed time of 0.

    pause: seconds that a caller should wait after a fetch that left nothing on the board.
    """

    source: SourceInfo

    def __init__(self, *args: Any, **keys: Any) -> None:
        super().__init__(*args, **keys)
        self.pause = 0.05
        self._left = 0
        self._over: UlnnError | None = None
        self._counters = tuple(_Counter() for _ in range(3))

    def hello(self) -> BoardInfo:
        """Start the loop: the board says what source it has. Raises UlnnError."""
        info = super().hello()
        try:
            self.source = SourceInfo.read(info.facts, info.outputs)
        except ValueError as error:
            raise UlnnError(
                f"port {self._line.name}: the board says odd things of its source ({error}): "
                "deploy again to update the board"
            ) from error
        return info

    def fetch(self) -> Rows:
        """What has come since, perhaps nothing. Raises UlnnError: the source does not start, or
        the board is gone for good."""
        if self._over:
            raise self._over
        words, ended = [np.empty(0, np.int16)], False
        per = self._rows_of_frame()
        requests = [Request("F", per)] * max(1, -(-self._left // per))
        try:
            for reply in self._exchange.exchange(requests):
                words.append(self._take(reply))
                ended = bool(reply.argument & ENDED)
        except Refused as error:
            raise UlnnError(
                f"port {self._line.name}: the source does not start: {error.text}"
            ) from error
        except (LoopEnded, LineLost) as error:
            self._left = 0
            for counter in self._counters:
                counter.restart()
            try:
                self._revive(error)
            except UlnnError as last:
                self._over = last
        rows = np.concatenate(words).reshape(-1, self.source.words)
        self._adapt(len(rows), per)
        return self._rows(rows, ended)

    @property
    def port(self) -> str:
        """The port's name."""
        return self._line.name

    def fault(self) -> str:
        """The text of the last error of the source."""
        payload = struct.pack("<HH", 0, FAULT_WORDS)
        return self._safely(lambda: self._one(Request("G", FAULT, payload))).text()

    def _take(self, reply: Reply) -> Int16:
        """The words of the rows of an answer."""
        payload, count = reply.payload, reply.argument & 0xFF
        if len(payload) != HEAD_WORDS + count * self.source.words:
            raise UlnnError(
                f"port {self._line.name}: {len(payload)} words for {count} rows of "
                f"{self.source.words}: deploy again to update the board"
            )
        self._left = int(payload[0])
        for counter, low in zip(self._counters, payload[1:HEAD_WORDS], strict=True):
            counter.take(int(low))
        return payload[HEAD_WORDS:]

    def _rows(self, words: Int16, ended: bool) -> Rows:
        count, outputs = len(self.source.channels), self.source.outputs
        us = np.ascontiguousarray(words[:, count : count + 2]).view("<u4")[:, 0].astype(np.int64)
        y = words[:, count + 2 : count + 2 + outputs]
        decided = words[:, count + 2 + outputs :]
        margin = np.ascontiguousarray(decided[:, 1:]).view("<i4")[:, :1].astype(np.int64)
        dropped, lost, faults = (counter.total for counter in self._counters)
        return Rows(
            words[:, :count], us, y, decided[:, :1].ravel(), margin.ravel(),
            self._left, dropped, lost, faults, ended,
        )  # fmt: skip

    def _rows_of_frame(self) -> int:
        # An answer takes no room in the board's port, whatever its window is.
        room = payload_bytes(MOST_WINDOW, self._exchange.damage.rate)
        fit = int(min(room / 2, PAYLOAD_WORDS) - HEAD_WORDS) // self.source.words
        return max(1, fit)

    def _adapt(self, count: int, per: int) -> None:
        """Half a frame at a time: less is a lot of heads, more is late."""
        if count > per / 2:
            self.pause = max(SHORTEST_PAUSE, self.pause * 0.7)
        elif count < per / 4:
            self.pause = min(LONGEST_PAUSE, self.pause * 1.2)

    def _put_back(self, mark: Mark) -> None:
        """A source has no state."""

    def _where(self) -> str:
        return "and the source with it: a gap"
