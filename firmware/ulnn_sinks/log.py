"""The log of a device's events: what is added lies on flash until every sink has delivered it."""

import time
from binascii import hexlify, unhexlify

from ulnn_rules.events import CHANNELS, FREE, Event, is_after
from ulnn_rules.summary import Summary
from ulnn_rules.ticks import ticks_diff, ticks_ms

_SET_YEAR = 2025  # a clock that was never set begins years before
_date = getattr(time, "gmtime", None)  # not on every board
_EPOCH = (_date(0)[0] - 1970) // 30 * 946684800 if _date else 0  # s; boards begin in 2000


def utc_ms():
    """Milliseconds of UTC since 1970; 0 where the clock was never set."""
    if not _date or _date()[0] < _SET_YEAR:
        return 0
    if hasattr(time, "time_ns"):
        return time.time_ns() // 1000000 + _EPOCH * 1000
    return (int(time.time()) + _EPOCH) * 1000


def board_number():
    """The number that the maker gave the board, in hex; "" where it has none."""
    try:
        from machine import unique_id

        return hexlify(unique_id()).decode()
    except (ImportError, AttributeError):
        return ""


def _whole(value):
    return int(value) if isinstance(value, (int, float)) else 0


class Uptime:
    """Milliseconds since it was made, for ever: `poll` it at least every six days."""

    def __init__(self):
        self._ticks = ticks_ms()
        self._low = self._high = 0  # small integers

    def poll(self):
        now = ticks_ms()
        self._low += ticks_diff(now, self._ticks)
        self._ticks = now
        if self._low >> 24:
            self._high += self._low >> 24
            self._low &= 0xFFFFFF

    def ms(self):
        self.poll()
        return (self._high << 24) + self._low


class Reader:
    """Where one sink is in a log: what it has delivered, and what it has taken."""

    def __init__(self, log, at):
        self._log = log
        self._goal = None
        self.at = at  # of the first event that is not delivered
        self.taken = at  # of the next event to take
        self.delivered = 0

    def waits(self):
        """Whether there is an event to take."""
        return self.taken < self._log.ring.end

    def take(self):
        """The next event, or None."""
        ring = self._log.ring
        while (at := ring.settle(self.taken)) < ring.end:
            self.taken = at + 1
            event = ring.read(at)
            if event:
                return event
        self.taken = max(self.taken, at)
        return None

    def rewind(self):
        """Take again what is not delivered."""
        self.taken = self.at

    def deliver(self, boot, seq):
        """Events up to this one have arrived for good."""
        if self._goal is None or is_after(boot, seq, self._goal):
            self._goal = (boot, seq)

    def poll(self):
        """Let go of one event that was delivered; whether there was one."""
        ring = self._log.ring
        if self._goal is None:
            return False
        at = ring.settle(self.at)
        event = ring.read(at) if at < ring.end else None
        if at >= ring.end or (event and is_after(event.boot, event.seq, self._goal)):
            self._goal = None
            return False
        self.at = at + 1
        self.taken = max(self.taken, self.at)
        if event:
            self.delivered += 1
            self._log.let_go(self, event)
        return True


class Log:
    """Events of one device, and the sinks that they go to.

    device: its name, 1 to 64 letters, digits or ._-; "": the board's own number. ring: a `Ring`.
    model: SHA-256 of the model in hex, or its beginning. policy: a `Policy` of
    `ulnn_rules.mask`: an event goes to flash with what it lets be both stored and sent.
    channels: of `sample`.
    sinks: of `make`, polled in turn. boot: this start's number. added, missed, dropped: events,
    and those that could not be written, and were overwritten before they were delivered.
    raw_bytes: what the samples of `sample` have; sent_bytes: what the sinks sent.
    `poll` and `sample` wait for nothing and allocate nothing unless there is an event on its way;
    `add` writes to flash once.
    """

    def __init__(self, device, ring, model="", policy=None, channels=0):
        self.ring = ring
        unhexlify(model)  # ValueError
        self.model = model[:16] if len(model) >= 16 else ""
        self.sinks = []
        self.summary = Summary(channels)
        self.policy = policy
        self.device = self._name(device or board_number() or ring.log)
        self.uptime = Uptime()
        self._begin()
        self.missed = self.faults = self.withheld = 0
        self._raw = [0, 0]
        self.sent_bytes = 0

    def _name(self, device):
        """What the device is called outside: a policy may give it a pseudonym."""
        if self.policy:
            device = self.policy.filter({"device": device}, "send").get("device", self.ring.log)
        bad = [c for c in device if not (c in "._-" or c.isdigit() or c.isalpha()) or c > "z"]
        if bad or not 0 < len(device) <= 64:
            raise ValueError("device: expected 1 to 64 letters, digits or ._-, got %r" % device)
        return device

    def _begin(self):
        last = self.ring.last
        self.boot = last.boot + 1 if last else 1
        self.seq = 0
        self.dropped = last.dropped if last else 0
        self._freed = last.freed if last else (0, 0)
        self._start = at = self.ring.settle(self.ring.first)
        while at < self.ring.end:  # what was delivered before this start
            event = self.ring.read(at)
            if event and is_after(event.boot, event.seq, self._freed):
                break
            self._start = at = self.ring.settle(at + 1)
        self._readers = []
        self._left = self._start  # all sinks have delivered what is before

    def reader(self):
        """A `Reader` for one sink; its events stay until it has delivered them."""
        self._readers.append(Reader(self, self._left))
        return self._readers[-1]

    def let_go(self, reader, event):
        """A reader has moved on, past this event."""
        at = min([r.at for r in self._readers])
        if at > self._left:
            if at != reader.at:  # another one is behind it
                event = self.ring.read(at - 1)
            self._left = at
            if event:
                self._freed = (event.boot, event.seq)

    # ---- what the application says ------------------------------------------------------------

    def sample(self, x):
        """One sample, int16 inputs of the model: it is summed up, and counts as raw bytes."""
        self.summary.add(x)
        raw = self._raw
        raw[0] += 2 * len(x)
        if raw[0] >> 24:
            raw[1] += raw[0] >> 24
            raw[0] &= 0xFFFFFF

    def add(self, kind, what="", margin=0, figures=None):
        """Note an event; whether it is on flash. Never raises for a disk that fails: the event is
        missed then, and a gap in `seq` shows it."""
        event = Event(kind, what, margin, self.model, figures)
        self.seq += 1
        event.boot = self.boot
        event.seq = self.seq
        event.up = self.uptime.ms()
        event.utc = utc_ms()
        try:
            if self.policy and not self._mask(event):
                self.withheld += 1
                return False
        except Exception:  # what no event can be made of
            self.missed += 1
            return False
        way = self.ring.makes_way()
        if way > self._left:
            self.dropped += self.ring.between(self._left, way)
            self._left = way
            for reader in self._readers:
                reader.at = max(reader.at, way)
                reader.taken = max(reader.taken, way)
        event.freed = self._freed
        event.dropped = self.dropped
        try:
            self.ring.append(event.pack())
        except Exception:
            self.missed += 1
            return False
        return True

    def _mask(self, event):
        """Leave of an event what may be stored here and sent; whether there is any of it."""
        record = {}
        fields = event.fields()
        for name in fields:
            if name not in FREE:
                record[name] = fields[name]
        left = self.policy.filter(record, "send")
        for name in list(left):
            try:
                self.policy.rule(name, "store")
            except Exception:
                del left[name]
        event.utc, event.up = (_whole(left.get(k)) for k in ("t", "up"))
        if fields["clock"] == "since boot":
            event.utc, event.up = 0, event.utc
        event.what = str(left.get("what", ""))
        event.margin = _whole(left.get("margin"))
        if event.figures:
            names = ("samples", "outside", "clamped", "faults", "lost")
            five = [_whole(left.get(name)) for name in names]
            both = "mean" in left and "std" in left
            mean = [_whole(v) for v in left["mean"]] if both else []
            std = [_whole(v) for v in left["std"]] if both else []
            event.figures = tuple(five) + (event.figures[5], mean, std)  # noqa: RUF005
        return any(name in left for name in ("what", "margin", "samples", "mean"))

    def summarise(self, clamped=0, faults=0, lost=0):
        """Add what the samples since the last summary were like: as many events of kind "summary"
        as the channels need. clamped: steps whose dt was above what the model knows; faults, lost:
        of the source; all three since the last summary."""
        samples, outside, mean, std = self.summary.take()
        for first in range(0, max(1, len(mean)), CHANNELS):
            end = first + CHANNELS
            part = (
                samples,
                outside,
                clamped,
                faults,
                lost,
                first,
                mean[first:end],
                std[first:end],
            )
            self.add("summary", figures=part)

    def forget(self):
        """Remove all events from flash; a new log begins, with boot 1."""
        self.ring.forget()
        self._begin()
        for sink in self.sinks:
            sink.attach()

    # ---- what sinks ask for -------------------------------------------------------------------

    def fields(self, event):
        """What a sink sends of an event."""
        fields = event.fields()
        fields["device"] = self.device
        fields["log"] = self.ring.log
        return fields

    def poll(self):
        """Let each sink do what it can do without waiting."""
        self.uptime.poll()
        for sink in self.sinks:
            try:
                sink.poll()
            except Exception as e:
                self.faults += 1
                sink.fail(e)

    def status(self):
        """Figures: events, bytes, and a word on each sink."""
        return {
            "device": self.device,
            "boot": self.boot,
            "events": self.seq,
            "waiting": self.ring.between(self._left, self.ring.end),
            "delivered": sum([r.delivered for r in self._readers]),
            "missed": self.missed,
            "dropped": self.dropped,
            "withheld": self.withheld,
            "faults": self.faults,
            "raw_bytes": (self._raw[1] << 24) + self._raw[0],
            "sent_bytes": self.sent_bytes,
            "sinks": [sink.status() for sink in self.sinks],
        }
