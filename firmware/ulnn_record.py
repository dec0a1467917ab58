"""Sends what a source of samples gives over the port of the REPL: raw samples and their times.

The host starts it with `import ulnn_record; ulnn_record.serve({"kind": "mpu"})`, and fetches rows
from a ring by the messages that PROTOCOL.md adds in version 2.1. The source is looked after
between the bytes of the line, too. Once it runs nothing is allocated, as long as the source's
`take` does not.
"""

import gc
import json
import sys
from array import array
from binascii import hexlify
from struct import pack_into

import ulnn_sources
import ulnn_stream
from ulnn_rules.faults import words
from ulnn_rules.ticks import ticks_diff, ticks_ms
from ulnn_sources.base import MOST_US

_HEAD = 4  # words of an answer before its rows
_DATA = 120  # words of a payload
_RING, _LEAST_RING = 8192, 512  # bytes
_PART = 32  # bytes that are written without a look at the source: 2.8 ms at 115,200 baud
AT_ONCE = 8  # samples taken without a look at the line
_ENDED = 256
_FAULT_WORDS = 60
_RETRY_MS, _LAST_RETRY_MS = 100, 6400
_YES, _NO = (1,), ()


def make_ring(size):
    """An array of so many bytes; of half of them, and so on, where the heap has no such piece."""
    gc.collect()
    while True:
        try:
            return array("h", range(size // 2))
        except MemoryError:
            size //= 2
            if size < _LEAST_RING:
                raise


class NoModel:
    """What stands in the place of a model where a source alone is wanted."""

    clamped = 0
    state = b""

    def __init__(self, inputs):
        self.inputs = inputs

    def info(self):
        return {"input_size": self.inputs, "output_size": 0, "state_size": 0, "tick_ns": 1000}

    def step(self, x, y, dt):
        pass

    def reset(self):
        pass


class Recorder(ulnn_stream.Stream):
    """The loop of `ulnn_stream` with a source: a ring of rows, which `F` takes out."""

    def __init__(self, source, settings, ring, model, console, window, slots):
        self.source = source
        self.policy = getattr(source, "policy", None)
        self._console = console
        # CircuitPython writes no part of a buffer.
        parts = sys.implementation.name == "micropython"
        write = self.write_in_parts if parts else console[1]
        super().__init__(model, (console[0], write, self.poll_both), window, slots)
        self.channels = len(source.raw)
        self.extra = self.extra_words()
        words = self.words = self.channels + 2 + self.extra
        if words > _DATA - _HEAD:
            raise ValueError("a row of %d words; at most %d fit" % (words, _DATA - _HEAD))
        self.most = (_DATA - _HEAD) // words
        self.ring = ring
        self.size = len(ring) // words
        self.first = self.waiting = self.drops = self.lost = self.faults = self.carry = 0
        self.started = self.ended = self.failed = self.timed = False
        self.looked = self.took = self.failed_at = 0
        self.pause = _RETRY_MS
        self.fault_text = b""
        self.others[70] = self.fetch  # F
        info = self.info = dict(self.info)
        info["settings"] = json.dumps(settings)
        info["channels"] = json.dumps(list(source.names))
        info["units"] = json.dumps(list(source.units))
        info["scale"] = hexlify(bytes(array("f", source.scale))).decode()
        info["offset"] = hexlify(bytes(array("f", source.offset))).decode()
        withheld = getattr(source, "withheld", ())
        if withheld:
            info["withheld"] = json.dumps(withheld)
        info["row"] = words
        info["ring"] = self.size

    def extra_words(self):
        """Words of a row after its sample and time."""
        return 0

    # ---- the line, with the source between its bytes ------------------------------------------

    def poll_both(self, ms):
        poll = self._console[2]
        if ticks_ms() != self.looked:
            self.look()
        for _ in poll(0):
            return _YES
        start = ticks_ms()
        while ticks_diff(ticks_ms(), start) < ms:
            for _ in poll(1):
                return _YES
            self.look()
        return _NO

    def write_in_parts(self, data, n):
        write = self._console[1]
        for at in range(0, n, 32):
            write(data, at, min(_PART, n - at))
            self.look()

    # ---- the source ---------------------------------------------------------------------------

    def look(self):
        """Take what the source has, up to some samples."""
        self.looked = ticks_ms()
        if not self.started or self.ended:
            return
        source = self.source
        try:
            if self.failed:
                if ticks_diff(self.looked, self.failed_at) < self.pause:
                    return
                source.start()
                self.failed = False
            for _ in range(AT_ONCE):
                if source.waits and self.waiting == self.size:
                    return
                if not source.take():
                    return
                self.keep(self.elapsed())
                self.pause = _RETRY_MS
        except StopIteration:
            self.ended = True
        except Exception as e:
            self.fail(e)

    def fail(self, error):
        """Count a fault, and start the source again a while later."""
        if self.failed:
            self.pause = min(2 * self.pause, _LAST_RETRY_MS)
        else:
            self.lost += self.source.dropped
        self.failed = True
        self.failed_at = self.looked
        self.faults += 1
        self.fault_text = bytes(self.words_of(error), "utf-8")

    def words_of(self, error):
        """What may be sent of an exception."""
        if self.policy:
            return self.policy.error(error, "send")
        return words(error)

    def elapsed(self):
        """Microseconds since the sample before; by the clock of ms where the source was started
        again, and 0 for the first sample."""
        us = self.source.elapsed
        if not us and self.timed:
            us = max(1, min(ticks_diff(self.looked, self.took), MOST_US // 1000) * 1000)
        self.timed = True
        self.took = self.looked
        return us

    def keep(self, us):
        """The source's sample into the ring: where the words after it go; -1: there was no room.
        That is counted, and the time of the next sample spans it."""
        us = MOST_US if us > MOST_US - self.carry else us + self.carry
        if self.waiting == self.size:
            self.drops += 1
            self.carry = us
            return -1
        self.carry = 0
        at = (self.first + self.waiting) % self.size * self.words
        ring, raw = self.ring, self.source.raw
        for k in range(self.channels):
            ring[at] = raw[k]
            at += 1
        ring[at] = (us & 0x7FFF) - (us & 0x8000)
        ring[at + 1] = us >> 16
        self.waiting += 1
        return at + 2

    # ---- messages -----------------------------------------------------------------------------

    def hello(self, n):
        self.started = False
        return super().hello(n)

    def clear(self):
        """Empty the ring, and count from here."""
        self.first = self.waiting = self.drops = self.lost = self.faults = self.carry = 0
        self.ended = self.failed = self.timed = False

    def begin(self):
        """Start the source, with an empty ring. Raises what it raises, with a policy OSError."""
        self.clear()
        try:
            self.source.start()
        except Exception as e:
            if not self.policy:
                raise
            raise OSError(self.words_of(e)) from None
        self.started = True

    def fetch(self, n):
        """F: rows out of the ring, after what is left in it and what was counted."""
        if n or self.rx[3] < 0:
            raise ValueError("F: expected no payload, and the most rows as argument")
        if not self.started:
            self.begin()
        self.look()
        # Four values at a time would make a tuple.
        tx, ring = self.tx, self.ring
        words, size = self.words, self.size
        count = min(self.rx[3], self.waiting, self.most)
        q = 3 + _HEAD
        for _ in range(count):
            at = self.first * words
            for k in range(at, at + words):
                tx[q] = ring[k]
                q += 1
            self.first = (self.first + 1) % size
        self.waiting -= count
        tx[3] = self.waiting
        self.put(4, self.drops)
        self.put(5, self.lost_by_source())
        self.put(6, self.faults)
        tx[2] = count | _ENDED if self.ended and not self.waiting else count
        return q - 3

    def put(self, q, count):
        """The low 16 bits of a count as word q of the answer."""
        self.tx[q] = (count & 0x7FFF) - (count & 0x8000)

    def lost_by_source(self):
        return self.lost if self.failed else self.lost + self.source.dropped

    def get(self, n):
        if self.rx[3] != 3:
            return super().get(n)
        if n != 2 or self.rx[4] or self.rx[5] != _FAULT_WORDS:
            raise ValueError("G: region 3 has 60 words, asked for together")
        tx, text = self.tx, self.last_fault()
        pack_into("120s", tx, 6, text[: 2 * _FAULT_WORDS])
        return _FAULT_WORDS

    def last_fault(self):
        """Its text, in bytes."""
        return self.fault_text

    def samples(self, n):
        return self.error(0, "S: the samples come from the source here")


def policy_path(settings, own="settings.json"):
    """Where the policy is that settings of an app name, or else those of the app on this board
    in the file `own`; "" without one."""
    path = settings.get("policy", "")
    if not path:
        try:
            with open(own) as f:
                path = json.load(f).get("policy", "")
        except OSError:  # there is no app here
            pass
    return path


def _as_allowed(source, path):
    """A source with what the policy at a path lets be sent of it. Raises ValueError where that is
    nothing."""
    if not path:
        return source
    from ulnn_rules.mask import load
    from ulnn_sources.masked import Masked

    masked = Masked(source, load(path), "send")
    if not masked.names:
        text = "the policy %s lets no raw samples be sent (%s)"
        raise ValueError(text % (path, ", ".join(masked.withheld)))
    return masked


def serve(source, idle_ms=30000, window=0, ring=_RING, console=None):
    """Answer frames as `ulnn_stream.serve` does, with rows of a source.

    source: its settings, a dict; the path of a JSON file that holds them, or holds them as
    "source"; or a Source. ring: bytes of samples that wait for the host; less where the heap is
    small. A policy of the app on this board decides what is sent. Raises ValueError for settings
    that do not fit, and where the policy lets nothing be sent.
    """
    waiting = make_ring(ring)  # first, as it is the largest piece
    settings = source
    if isinstance(settings, str):
        with open(settings) as f:
            settings = json.load(f)
    path = policy_path(settings if isinstance(settings, dict) else {})
    if isinstance(settings, dict):
        settings = settings.get("source", settings)
        source = ulnn_sources.make(settings)
    else:
        settings = {}
    source = _as_allowed(source, path)

    def made(model, *rest):
        return Recorder(source, settings, waiting, model, *rest)

    try:
        return ulnn_stream.serve(NoModel(len(source.raw)), idle_ms, window, 0, console, made)
    finally:
        source.stop()
