"""Requests in order, each carried out once, over a line that may lose or damage them.

PROTOCOL.md 3: numbers, the window, and when something is sent again.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..base.errors import UlnnError
from .frames import FLAG, SYNC, Decoder, Reply, encode
from .line import Line

LEAST_TIMEOUT = 0.02
FIRST_TIMEOUT = 0.25
ROUND_TRIPS = 3
DOUBLINGS = 4
TRIES = 7
ECHOES = 3
SILENT_SECONDS = 3.0
STUCK_SECONDS = 10.0
QUIET_SECONDS = 0.01
STEPS_MARGIN = 2
# Traffic that the estimate of the damage remembers, in bytes.
MEMORY = 16384

_REPL_WORDS = re.compile(
    rb"Traceback \(most|KeyboardInterrupt|raw REPL; CTRL|MPY: soft|>>> |MicroPython v|"
    rb"Adafruit CircuitPython"
)
# While all that came can be read it may be the beginning of a text.
_READABLE = bytes(range(32, 127)) + b"\r\n\x04"
_LAST_ERROR = re.compile(rb"\n(\w*(?:Error|Exception|Interrupt)\b[^\r\n]*)")


def is_an_error(reason: str) -> bool:
    """Whether a loop ended for a reason of its own, and not for what a bad line typed."""
    return bool(re.match(r"(OS|Import|Memory|Value|Type|Attribute|Runtime)Error\b", reason))


class LoopEnded(UlnnError):
    """The loop on the board is not there any more: text came, or nothing. reason: in words."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


class Refused(UlnnError):
    """The board does not carry a request out. text: why, in the board's words."""

    def __init__(self, port: str, reply: Reply) -> None:
        self.text = reply.text()
        where = f" (sample {reply.argument} of the frame)"
        super().__init__(f"port {port}: the board refused a request: {self.text}{where}")


@dataclass(frozen=True)
class Request:
    """What a frame asks for. samples: steps that carrying it out takes."""

    kind: str
    argument: int = 0
    payload: bytes = b""
    samples: int = 0


@dataclass
class _Pending:
    number: int
    request: Request
    frame: bytes
    sent: float = 0.0
    asked: float = 0.0
    once: bool = True


@dataclass
class Damage:
    """How much of the line is damaged, from what had to be sent again."""

    events: float = 0.0
    bytes: float = 0.0

    def add(self, count: int, events: int = 0) -> None:
        """Count bytes, and losses among them; what is old weighs less."""
        fading = max(0.0, 1 - count / MEMORY)
        self.bytes = self.bytes * fading + count
        self.events = self.events * fading + events

    @property
    def rate(self) -> float:
        """Losses a byte."""
        return self.events / max(self.bytes, MEMORY / 4)


@dataclass
class Counters:
    """What repair took. resent: frames; asked: answers asked for again."""

    resent: int = 0
    asked: int = 0
    naks: int = 0


class Exchange:
    """The host's end of the order. `window` and `slots` are the board's offer.

    step_seconds: of the slowest step so far.
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        self.window, self.slots = 64, 1
        self.step_seconds = 0.0
        self.damage = Damage()
        self.counters = Counters()
        self.decoder = Decoder()
        self._damaged_before = 0
        self._next = 0
        self._depth = 2.0
        self._trip: float | None = None
        self._shortest = 0.0
        self._pending: deque[_Pending] = deque()
        self._replies: dict[int, Reply] = {}
        self._heard = self._answered = 0.0
        self._text = self._echoes = 0  # bytes that are no frame; asked in vain, and only text came

    def restart(self) -> None:
        """Forget what is under way; the loop on the board is a new one."""
        self._damaged_before = self.damaged
        self.decoder = Decoder()
        self.window, self.slots = 64, 1
        self._pending.clear()
        self._replies.clear()

    @property
    def damaged(self) -> int:
        """Stretches of bytes from the board that were no frame."""
        return self._damaged_before + self.decoder.damaged

    @property
    def timeout(self) -> float:
        """PROTOCOL.md 3.4: how long the oldest answer may take before it is asked for."""
        if self._trip is None:
            trip = FIRST_TIMEOUT
        else:
            trip = max(LEAST_TIMEOUT, ROUND_TRIPS * self._trip)
        steps = sum(item.request.samples for item in self._pending)
        return trip + STEPS_MARGIN * steps * self.step_seconds

    def exchange(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Replies in the order of the requests, of which several are under way at a time.

        Raises LoopEnded and LineLost; what was under way is then lost.
        """
        self._pending.clear()
        self._replies.clear()
        queue = iter(requests)
        upcoming: _Pending | None = None
        self._heard = self._answered = time.monotonic()
        tries, deadline = 0, 0.0
        first = self._next
        while True:
            upcoming, sent = self._fill(queue, upcoming)
            if not self._pending:
                return
            if sent:
                deadline = max(deadline, time.monotonic() + self.timeout)
            if self._listen(deadline):
                tries, deadline = 0, time.monotonic() + self.timeout
            while first in self._replies:
                yield self._accept(self._replies.pop(first))
                first += 1
            if self._pending and time.monotonic() >= deadline:
                tries += 1
                self._ask_after_silence(tries)
                deadline = time.monotonic() + self.timeout * 2 ** min(tries, DOUBLINGS)

    def _fill(
        self, queue: Iterator[Request], upcoming: _Pending | None
    ) -> tuple[_Pending | None, bool]:
        """Send what the window lets through, and a flag that ends the last frame."""
        sent = False
        while True:
            if upcoming is None:
                request = next(queue, None)
                if request is None:
                    break
                frame = encode(request.kind, self._next, request.argument, request.payload)
                upcoming = _Pending(self._next, request, frame)
            under_way = sum(len(item.frame) + 1 for item in self._pending)
            if self._pending and (
                len(self._pending) >= min(self._depth, self.slots)
                or under_way + len(upcoming.frame) + 1 > self.window
                or upcoming.number - self._pending[0].number >= self.slots
            ):
                break
            self._pending.append(upcoming)
            self._next += 1  # not before: a number that is never sent stops the board
            self._send(upcoming)
            upcoming, sent = None, True
        if sent:
            self.line.write(FLAG)
        return upcoming, sent

    def _send(self, item: _Pending) -> None:
        item.sent = time.monotonic()
        self.damage.add(len(item.frame))
        self.line.write(item.frame)

    # ---- what comes ---------------------------------------------------------------------------

    def _listen(self, deadline: float) -> bool:
        """Take in what comes until there is a reply; whether one came before the deadline."""
        quiet = time.monotonic()
        while True:
            data = self.line.read()
            now = time.monotonic()
            if data:
                quiet = now
            damaged = self.decoder.damaged
            pause = max(QUIET_SECONDS, self._shortest / 2)
            cut_off = self.decoder.waiting and now - quiet > pause
            found = list(self.decoder.feed(data, final=cut_off))
            self.damage.add(len(data))
            for reply in found:
                self._sort_in(reply)
            self._text += len(data)
            if found:
                self._heard = now
                self._text = self._echoes = 0
            if self.decoder.damaged > damaged:
                self._look_for_end(data)
                if self._pending and self.decoder.rest.translate(None, _READABLE):
                    self._ask_for(self._pending[0])
            elif data or self.decoder.rest:
                self._look_for_end(data)
            if found or now >= deadline:
                return bool(found)

    def _sort_in(self, reply: Reply) -> None:
        pending = self._pending
        if reply.kind == "n":
            self._go_back(reply.argument & 0xFF)
            return
        item = next((p for p in pending if p.number & 0xFF == reply.number), None)
        if item is None or reply.kind not in (item.request.kind.lower(), "e"):
            return
        if item.once:
            self._learn(time.monotonic() - item.sent)
        self._depth = min(self.slots, self._depth + 1 / self._depth)
        self._replies[item.number] = reply
        self._answered = time.monotonic()
        pending.remove(item)
        # The board answers in order, so an answer that is overtaken was lost.
        for late in [p for p in pending if p.number < item.number]:
            self._ask_for(late)

    def _learn(self, seconds: float) -> None:
        if self._trip is None:
            self._trip = self._shortest = seconds
        self._trip += (seconds - self._trip) / 8
        self._shortest = min(seconds, self._shortest + (self._trip - self._shortest) / 64)

    def _recently(self, moment: float) -> bool:
        """Whether the answer to what was sent then can still be on its way."""
        return time.monotonic() - moment < max(QUIET_SECONDS / 2, self._shortest / 2)

    def _lost_one(self) -> None:
        self.damage.add(0, 1)
        self._depth = max(2.0, self._depth / 2)

    def _ask_for(self, item: _Pending) -> None:
        """Its answer was damaged, or lost: have it sent again."""
        if self._recently(max(item.asked, item.sent)):
            return
        self._ask(item)

    def _ask(self, item: _Pending) -> None:
        self._lost_one()
        self.counters.asked += 1
        item.asked, item.once = time.monotonic(), False
        self.line.write(encode("A", item.number) + FLAG)

    def _go_back(self, expected: int) -> None:
        """The board goes on at this number: repeat it and all that follows."""
        self.counters.naks += 1
        late = []
        for item in self._pending:
            if (item.number - expected) & 0xFF < 0x80:
                late.append(item)
            else:
                self._ask_for(item)
        if not late or self._recently(late[0].sent):
            return
        self._lost_one()
        for item in late:
            item.once = False
            self.counters.resent += 1
            self._send(item)
        self.line.write(FLAG)

    def _ask_after_silence(self, tries: int) -> None:
        now = time.monotonic()
        self._echoes = self._echoes + 1 if self._text else 0
        self._text = 0
        if self._echoes >= ECHOES and SYNC not in self.decoder.rest:
            # A REPL that echoes what it gets.
            raise LoopEnded(
                f"port {self.line.name}: the loop on the board ended ({self._rest()})", "text"
            )
        silent = tries > TRIES and now - self._heard > SILENT_SECONDS
        if silent or now - self._answered > STUCK_SECONDS + self.timeout:
            raise LoopEnded(
                f"port {self.line.name}: the board stopped answering ({self._rest()}); press its "
                "reset button and try again",
                "silence",
            )
        self._ask(self._pending[0])

    def _accept(self, reply: Reply) -> Reply:
        if reply.kind == "e":
            raise Refused(self.line.name, reply)
        return reply

    # ---- the end of the loop ------------------------------------------------------------------

    def wait_ready(self, seconds: float) -> bool:
        """Wait for the frame with which the loop starts; whether it came."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            data = self.line.read()
            if any(reply.kind == "n" for reply in list(self.decoder.feed(data))):
                self.decoder = Decoder()  # what came before was the REPL's, and no damage
                return True
            self._look_for_end(data)
        return False

    def _rest(self) -> str:
        text = self.decoder.rest.replace(b"\x04", b"").decode(errors="replace").strip()
        return f"it said: {text.splitlines()[-1][:80]!r}" if text else "it said nothing"

    def _look_for_end(self, data: bytes) -> None:
        """Text of the REPL where a frame should be: stop at once, for it reads what is sent."""
        rest = self.decoder.rest
        found = _REPL_WORDS.search(rest)
        if not found and (data or not rest.endswith((b"\x04\x04>", b"\x04>"))):
            return
        # The rest of the text is worth waiting for.
        rest += self.line.read_until(time.monotonic() + 1.0, 0.1)
        errors = _LAST_ERROR.findall(rest)
        why = errors[-1].decode(errors="replace").strip() if errors else "it returned"
        raise LoopEnded(f"port {self.line.name}: the loop on the board ended: {why}", why)
