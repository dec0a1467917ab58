"""What every sink is, and how those deliver whose receiver acknowledges."""

from ulnn_rules.events import is_after, shorter, to_line
from ulnn_rules.ticks import ticks_diff, ticks_ms
from ulnn_sinks.ring import draw

_MOST_MS = 300000  # between two tries


class Backoff:
    """Waits that double, with a part by chance, so that a fleet does not come back at once."""

    def __init__(self, first_ms, most_ms=_MOST_MS):
        self._first = first_ms
        self._most = most_ms
        self.reset()

    def reset(self):
        """The next wait is the first one."""
        self._next = self._first
        self._from = self._ms = 0

    def start(self):
        """Begin a wait, of once to twice the time that is due."""
        chance = draw(1)[0]
        self._ms = self._next + self._next * chance // 255
        self._from = ticks_ms()
        self._next = min(2 * self._next, self._most)

    def is_over(self):
        """Whether the wait is over; it is before the first."""
        return ticks_diff(ticks_ms(), self._from) >= self._ms or not self._ms


class Sink:
    """A sink of events.

    A module has the class `Sink`, made with (settings, log, where): a dict without "kind", which
    fits the module's TABLE, the log that it gets a reader of, and the words with which errors
    begin. A constructor raises ValueError and opens nothing; the first `poll` does.
    """

    def __init__(self, kind, settings, log):
        self.kind = kind
        self.settings = settings
        self.log = log
        self.problem = ""
        self.backoff = Backoff(1000)
        self.attach()

    def attach(self):
        """Take a reader of the log, at its start and where it begins from new."""
        self.reader = self.log.reader()

    def poll(self):
        """Do what can be done without waiting. What it raises is counted, and `fail` called."""

    def fail(self, error):
        """After an error: close what is open; later polls try again, after a wait."""
        policy = self.log.policy
        self.problem = str(error) or type(error).__name__
        if policy:
            self.problem = policy.error(error, "log")
        self.reader.rewind()
        self.backoff.start()
        self.stop()

    def stop(self):
        """Close what is open. Never raises; `poll` opens it again."""

    def status(self):
        """A dict: kind, delivered (events), problem ("" where there is none)."""
        return {"kind": self.kind, "delivered": self.reader.delivered, "problem": self.problem}


class Delivery:
    """Events on their way to a receiver that acknowledges: some lines, then the acknowledgement of
    the last of them, and nothing in between. So whatever is acknowledged, all before it is too.

    limit: bytes of all lines, but for a single one that is longer. first_ms: until they are sent
    again, doubled each time up to most_ms. gather_ms: for how long they wait for more, unless one
    of them is an alarm. check: lines carry a CRC.
    lines: what is to be sent; last: (boot, seq) of its last event; complete: whether no more is
    added.
    """

    def __init__(self, sink, limit, first_ms, most_ms=_MOST_MS, gather_ms=0, check=False):
        self._reader = sink.reader
        self._log = sink.log
        self._limit = limit
        self._check = check
        self._gather = gather_ms
        self._again = Backoff(first_ms, most_ms)
        self.lines = bytearray()
        self.clear()

    def clear(self):
        """Nothing is on its way."""
        self._reader.rewind()
        self._done()

    def _done(self):
        if self.lines:
            self.lines = bytearray()
        self.last = self._before = None
        self.complete = self._hurry = False
        self._again.reset()

    def build(self):
        """Take one event at most; whether the lines are complete."""
        if self.complete:
            return True
        reader = self._reader
        if reader.poll():  # what was acknowledged goes first
            return False
        at = reader.taken
        event = reader.take() if reader.waits() else None
        if event is None:
            if self.lines:
                self.complete = self._hurry or self._gathered()
            return self.complete
        fields = self._log.fields(event)
        line = to_line(shorter(fields, self._before), self._check).encode()
        if self.lines and len(self.lines) + len(line) >= self._limit:
            reader.taken = at
            self.complete = True
            return True
        if not self.lines:
            self._since = ticks_ms()
        self.lines += line
        self.lines += b"\n"
        self._before = fields
        self._hurry = self._hurry or event.kind == "alarm"
        self.last = (event.boot, event.seq)
        return False

    def _gathered(self):
        return ticks_diff(ticks_ms(), self._since) >= self._gather

    def sent(self):
        """The lines are on their way."""
        self._log.sent_bytes += len(self.lines)
        self._again.start()

    def is_late(self):
        """Whether they should have been acknowledged by now: send them again."""
        return self._again.is_over()

    def acknowledge(self, log, boot, seq):
        """An acknowledgement came; one of another log changes nothing."""
        if log != self._log.ring.log:
            return
        self._reader.deliver(boot, seq)
        if self.last and not is_after(self.last[0], self.last[1], (boot, seq)):
            self._done()
