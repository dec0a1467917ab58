"""A session with the loop on the board: samples out, outputs and step times back (PROTOCOL.md)."""

from __future__ import annotations

import contextlib
import re
import struct
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..base.errors import UlnnError
from .frames import BODY_WORDS, OVERHEAD_WORDS, Decoder, Reply, encode

PROTOCOL = (1, 0)
PART_WORDS = BODY_WORDS - OVERHEAD_WORDS
DT_WIRE_MAX = 2**30 - 1
FILLER = bytes(2 * BODY_WORDS + 4)
STATE, OUTPUT, TEXT = 0, 1, 2
TRIES = 6

Int16 = NDArray[np.int16]


class LoopEnded(UlnnError):
    """The loop on the board returned or raised; the raw REPL is back."""


class Port(Protocol):
    """What is used of pyserial's Serial."""

    timeout: float | None

    @property
    def in_waiting(self) -> int:
        """Bytes that have arrived."""

    def read(self, size: int = 1) -> bytes:
        """Up to size bytes; what there is when the timeout is over."""

    def write(self, data: bytes) -> int | None:
        """Send."""


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
class Answers:
    """What came back for T samples: y int16 (T, O), ticks of the board's clock (T,), gc (T,)."""

    y: Int16
    ticks: NDArray[np.int64]
    gc: NDArray[np.bool_]


@dataclass(frozen=True)
class _Request:
    kind: str
    argument: int = 0
    payload: bytes = b""
    patience: float = 3.0


@dataclass
class _Pending:
    frame: bytes
    patience: float
    repeated: bool = False


class Session:
    """The host's end. Every failure is a UlnnError that names the port."""

    def __init__(self, port: Port, name: str, *, frame_bytes: int | None = None) -> None:
        self._port = port
        self._port.timeout = 0.1
        self._name = name
        self._decoder = Decoder()
        self._next = 0
        self._window, self._slots = 64, 1
        self._frame_bytes = frame_bytes
        self._step_seconds: float | None = None
        self.resent = 0
        self.naks = 0
        self.info: BoardInfo

    @property
    def damaged(self) -> int:
        """Frames from the board that failed their check."""
        return self._decoder.damaged

    # ---- requests -----------------------------------------------------------------------------

    def hello(self) -> BoardInfo:
        """Start: the board resets the model and says who it is."""
        self._window, self._slots = 64, 1
        reply = self._one(_Request("H", 0, struct.pack("<HH", *PROTOCOL)))
        major, minor = (int(v) for v in reply.payload[:2])
        if major != PROTOCOL[0]:
            raise UlnnError(
                f"port {self._name}: the board speaks version {major}.{minor} of the protocol, "
                f"this program {PROTOCOL[0]}.{PROTOCOL[1]}: deploy again to update the board"
            )
        n = [int(v) for v in reply.payload.view(np.uint16)]
        tick_ns, clock_hz = (int(v) for v in reply.payload[11:15].copy().view("<u4"))
        self._window, self._slots = n[2], n[3]
        text = self._get(TEXT, (n[10] + 1) // 2).tobytes()[: n[10]].decode()
        self.info = BoardInfo(
            protocol=(n[0], n[1]),
            window=n[2],
            slots=n[3],
            rows=n[4],
            inputs=n[5],
            outputs=n[6],
            state_size=n[7],
            clock_cost=n[8],
            allocates=bool(n[9] & 1),
            tick_ns=tick_ns,
            clock_hz=clock_hz,
            facts=dict(line.split("=", 1) for line in text.splitlines()),
        )
        return self.info

    def reset(self) -> None:
        """State to 0."""
        self._one(_Request("R"))

    def state(self) -> Int16:
        """The model's state, int16 (state_size,)."""
        return self._get(STATE, self.info.state_size)

    def stats(self) -> dict[str, int]:
        """Counters of the board since hello."""
        values = self._one(_Request("Q")).payload.view("<u4")
        names = ("steps", "collections", "damaged", "clamped", "mem_alloc", "mem_free")
        return dict(zip(names, (int(v) for v in values), strict=False))

    def run(
        self, x: ArrayLike, dt: ArrayLike, progress: Callable[[int], None] | None = None
    ) -> Answers:
        """Steps from the present state. x int16 (T, I), dt ticks (T,); progress gets step counts.

        Raises ValueError for wrong shapes and for dt < 1.
        """
        xs, dts = np.asarray(x), np.asarray(dt, np.int64)
        if xs.ndim != 2 or xs.shape != (len(dts), self.info.inputs):
            raise ValueError(f"x: expected shape ({len(dts)}, {self.info.inputs}), got {xs.shape}")
        if np.any((xs < -32768) | (xs > 32767)):
            raise ValueError("x: expected int16 values")
        if np.any(dts < 1):
            k = int(np.argmax(dts < 1))
            raise ValueError(f"dts: expected 1 or more ticks, got {dts[k]} at step {k}")
        # A dt from 2^30 up would be a long integer on 32-bit boards, which allocate for one.
        limit = DT_WIRE_MAX if int(self.info.facts.get("dt_max", 2**31)) < DT_WIRE_MAX else 2**31
        dts = np.minimum(dts, limit).astype("<u4")
        steps = self._steps if self.info.rows else self._big_steps
        return steps(xs.astype("<i2"), dts, progress or (lambda _: None))

    def bye(self) -> None:
        """End the loop on the board, and wait for the prompt of the raw REPL behind it."""
        self._one(_Request("B"))
        deadline = time.monotonic() + 3
        with contextlib.suppress(LoopEnded):
            while time.monotonic() < deadline:
                self._read(deadline)

    # ---- steps --------------------------------------------------------------------------------

    def _batch(self) -> int:
        """Samples in a frame: two frames fit in the board's window, so that it never waits."""
        limit = min(self._frame_bytes or 255, max(self._window // 2, 64))
        fitting = (limit - 4 - 2 * OVERHEAD_WORDS) // (2 * (self.info.inputs + 2))
        return max(1, min(self.info.rows, fitting))

    def _patience(self, samples: int) -> float:
        if self._step_seconds is None:
            return 20.0
        return 3.0 + 4 * samples * self._slots * self._step_seconds

    def _steps(
        self, x: NDArray[Any], dts: NDArray[Any], progress: Callable[[int], None]
    ) -> Answers:
        batch, outputs = self._batch(), self.info.outputs
        rows = np.concatenate([dts.view("<i2").reshape(-1, 2), x], axis=1)

        def requests() -> Iterator[_Request]:
            for k in range(0, len(rows), batch):
                part = rows[k : k + batch]
                yield _Request("S", len(part), part.tobytes(), self._patience(len(part)))

        back = np.zeros((len(rows), outputs + 2), np.int16)
        done = 0
        for reply in self._exchange(requests()):
            values = reply.payload.reshape(-1, outputs + 2)
            back[done : done + len(values)] = values
            done += len(values)
            self._learn(values[:, :2])
            progress(len(values))
        return _answers(back)

    def _big_steps(
        self, x: NDArray[Any], dts: NDArray[Any], progress: Callable[[int], None]
    ) -> Answers:
        """One sample in several frames, for models whose samples do not fit in one."""
        back = np.zeros((len(x), self.info.outputs + 2), np.int16)
        for t, (row, dt) in enumerate(zip(x, dts, strict=True)):
            parts = (
                _Request("P", OUTPUT, struct.pack("<H", k) + row[k : k + PART_WORDS - 1].tobytes())
                for k in range(0, len(row), PART_WORDS - 1)
            )
            for _ in self._exchange(parts):
                pass
            reply = self._one(_Request("T", 1, dt.tobytes(), self._patience(1)))
            back[t, :2] = reply.payload
            back[t, 2:] = self._get(OUTPUT, self.info.outputs)
            self._learn(back[t : t + 1, :2])
            progress(1)
        return _answers(back)

    def _learn(self, times: NDArray[np.int16]) -> None:
        """Keep the slowest step seen, to know how long an answer may take."""
        ticks = np.ascontiguousarray(times).view("<u4") & 0x7FFFFFFF
        seconds = float(ticks.max()) / self.info.clock_hz
        self._step_seconds = max(self._step_seconds or 0.0, seconds)

    # ---- exchange -----------------------------------------------------------------------------

    def _one(self, request: _Request) -> Reply:
        (reply,) = self._exchange([request])
        return reply

    def _get(self, region: int, words: int) -> Int16:
        parts = (
            _Request("G", region, struct.pack("<HH", k, min(PART_WORDS, words - k)))
            for k in range(0, words, PART_WORDS)
        )
        found = [reply.payload for reply in self._exchange(parts)]
        return np.concatenate(found) if found else np.zeros(0, np.int16)

    def _exchange(self, requests: Iterable[_Request]) -> Iterator[Reply]:
        """Replies in the order of the requests; several requests are under way at a time."""
        queue = iter(requests)
        upcoming: tuple[int, _Pending] | None = None
        pending: OrderedDict[int, _Pending] = OrderedDict()
        replies: dict[int, Reply] = {}
        first = self._next
        tries = 0
        deadline = 0.0
        while True:
            while True:
                if upcoming is None:
                    request = next(queue, None)
                    if request is None:
                        break
                    frame = encode(request.kind, self._next, request.argument, request.payload)
                    upcoming = self._next, _Pending(frame, request.patience)
                    self._next += 1
                number, item = upcoming
                outstanding = sum(len(p.frame) for p in pending.values())
                oldest = next(iter(pending), number)
                if pending and (
                    outstanding + len(item.frame) > self._window or number - oldest >= self._slots
                ):
                    break
                if not pending:
                    deadline = time.monotonic() + item.patience
                pending[number] = item
                upcoming = None
                self._write(item.frame)
            if not pending:
                return
            damaged = self.damaged
            for reply in self._read(deadline):
                tries = 0
                deadline = time.monotonic() + max(p.patience for p in pending.values())
                self._sort_in(reply, pending, replies)
                if not pending:
                    break
            if self.damaged > damaged:
                for item in pending.values():
                    if not item.repeated:
                        self._resend(item)
            while first in replies:
                yield self._accept(replies.pop(first))
                first += 1
            if pending and time.monotonic() >= deadline:
                tries += 1
                self._unblock(pending, tries)
                deadline = time.monotonic() + max(p.patience for p in pending.values())

    def _sort_in(
        self, reply: Reply, pending: OrderedDict[int, _Pending], replies: dict[int, Reply]
    ) -> None:
        if reply.kind == "n":
            self.naks += 1
            for item in pending.values():
                self._resend(item)
            return
        matching = [n for n in pending if n & 0xFF == reply.number]
        if not matching:
            return
        number = matching[0]
        del pending[number]
        replies[number] = reply
        # The board answers in order, so an answer that is overtaken was lost.
        for n, item in pending.items():
            if n < number and not item.repeated:
                self._resend(item)

    def _resend(self, item: _Pending) -> None:
        item.repeated = True
        self.resent += 1
        self._write(item.frame)

    def _unblock(self, pending: OrderedDict[int, _Pending], tries: int) -> None:
        """Nothing came in time: fill the frame that the board may be waiting in, then repeat."""
        if tries > TRIES:
            raise UlnnError(
                f"port {self._name}: the board stopped answering ({self._heard()}); "
                "press its reset button and try again"
            )
        self._write(FILLER)
        quiet = time.monotonic() + 0.1
        if any(reply.kind == "n" for reply in self._read(quiet, whole=True)):
            self.naks += 1
        for item in pending.values():
            self._resend(item)

    def _accept(self, reply: Reply) -> Reply:
        if reply.kind == "e":
            raise UlnnError(
                f"port {self._name}: the board refused a request: {reply.text()} "
                f"(sample {reply.argument} of the frame)"
            )
        return reply

    # ---- bytes --------------------------------------------------------------------------------

    def wait_ready(self, seconds: float) -> None:
        """Wait for the frame with which the loop starts."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for reply in self._read(deadline):
                if reply.kind == "n":
                    return
        raise UlnnError(
            f"port {self._name}: the loop on the board did not start in {seconds:.0f} s "
            f"({self._heard()}); a large model may need --timeout"
        )

    def _read(self, deadline: float, *, whole: bool = False) -> list[Reply]:
        """Replies that came in; returns at the first ones, or, with whole, at the deadline."""
        found: list[Reply] = []
        while True:
            left = deadline - time.monotonic()
            try:
                data = self._port.read(max(1, self._port.in_waiting))
            except OSError as error:
                raise self._unplugged(error) from error
            found += self._decoder.feed(data, final=left <= 0)
            if b"\x04" in self._decoder.noise:
                self._look_for_end(idle=not data)
            if (found and not whole) or left <= 0:
                return found

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as error:
            raise self._unplugged(error) from error

    def _unplugged(self, error: OSError) -> UlnnError:
        return UlnnError(
            f"port {self._name}: the connection broke ({error}); is the board still plugged in?"
        )

    def _heard(self) -> str:
        text = bytes(self._decoder.noise).replace(b"\x04", b"").decode(errors="replace").strip()
        return f"it said: {text.splitlines()[-1]!r}" if text else "it said nothing"

    def _look_for_end(self, idle: bool) -> None:
        """The raw REPL ends a program with byte 4, the error's text, byte 4, and its prompt."""
        noise = bytes(self._decoder.noise)
        ended = re.search(rb"\x04(Traceback.*?)\x04>", noise, re.DOTALL)
        if ended or (idle and noise.endswith(b"\x04\x04>")):
            why = ended[1].decode(errors="replace").splitlines()[-1] if ended else "it returned"
            raise LoopEnded(f"port {self._name}: the loop on the board ended: {why}")


def _answers(back: Int16) -> Answers:
    times = np.ascontiguousarray(back[:, :2]).view("<u4").reshape(-1).astype(np.int64)
    return Answers(back[:, 2:].copy(), times & 0x7FFFFFFF, times >= 0x80000000)
