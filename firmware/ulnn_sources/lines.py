"""Samples as lines of text, from the REPL's port or from a UART:

    {"kind": "lines", "port": "uart", "uart": 1, "baudrate": 115200, "time": "ms",
     "channels": [{"name": "ax", "unit": "g", "decimals": 3}, {"name": "ay", "unit": "g"}]}

A line is the time, if `time` says its unit, and a number for each channel: `1200,0.981,-0.02`.
Numbers are separated by commas, semicolons, tabs or spaces.
"""

import sys

from ulnn_rules.settings import Key, check
from ulnn_rules.ticks import ticks_us
from ulnn_sources.base import MOST_US, Clock, Source

TABLE = {
    "port": Key(str, "stdin", choices=("stdin", "uart")),
    "uart": Key(int, 1, 0, 16),
    "baudrate": Key(int, 115200, 300, 4000000),
    "tx": Key(int, -1, -1, 255),
    "rx": Key(int, -1, -1, 255),
    "time": Key(str, "", choices=("", "s", "ms", "us")),
    "channels": Key(list, low=1, high=32),
}
CHANNEL = {
    "name": Key(str, low=1, high=64),
    "unit": Key(str, "", high=64),
    "decimals": Key(int, 3, -4, 6),
    "offset": Key(int, 0, -1000000, 1000000),
}
_MOST = 256  # bytes of a line
_AT_ONCE = 64  # bytes that a `take` looks at
_LARGE = 100000000
_BEHIND = {"s": 0, "ms": 3, "us": 6}  # digits of a time that are parts of a second
_SEPARATORS = (44, 59, 9, 32)  # , ; tab space


class Sensor(Source):
    """Lines of numbers. A channel's counts are its value times 10 ** decimals, rounded, without
    `offset`, which is in the channel's unit; what does not fit in int16 is clipped.

    Without `time` a sample's time is that at which its line ended. Lines that are too long, or
    have other than these numbers, are counted in `bad` and `dropped`. Ctrl-C stops the program as
    always.
    """

    def __init__(self, settings, where="source"):
        s = check(settings, TABLE, where)
        channels = []
        for k, given in enumerate(s["channels"]):
            channels.append(check(given, CHANNEL, "%s.channels[%d]" % (where, k)))
        places = [c["decimals"] for c in channels]
        Source.__init__(
            self,
            tuple([c["name"] for c in channels]),
            tuple([c["unit"] for c in channels]),
            tuple([1 / 10**d if d >= 0 else float(10**-d) for d in places]),
            tuple([float(c["offset"]) for c in channels]),
        )
        self._settings = s
        self._places = places
        # What is taken from the number that a line gives in units of 10 ** -decimals.
        self._less = []
        for c in channels:
            d = c["decimals"]
            self._less.append(c["offset"] * 10 ** max(d, 0) // 10 ** max(-d, 0))
        if max(self._less) > _LARGE or min(self._less) < -_LARGE:
            raise ValueError("%s.channels: an offset with its decimals has 9 digits" % where)
        self._behind = _BEHIND.get(s["time"], -1)
        self._line = bytearray(_MOST)
        self._one = bytearray(1)
        self._new = [0] * len(channels)
        self._when = [0, 0]
        self._last = [0, 0]
        self._clock = Clock()
        self._read = None
        self.bad = 0

    def start(self):
        if self._read is None:
            self._read = self._uart() if self._settings["port"] == "uart" else self._stdin()
        self._size = self._at = 0
        self._long = self._timed = False
        self.dropped = self.bad = 0
        self._clock.start()

    def _uart(self):
        from machine import UART

        s = self._settings
        pins = {key: s[key] for key in ("tx", "rx") if s[key] >= 0}
        self._port = UART(s["uart"], baudrate=s["baudrate"], timeout=0, **pins)
        return self._port.readinto

    def _stdin(self):
        if not hasattr(sys.stdin, "buffer"):
            return self._text()
        import select

        poll = select.poll()
        poll.register(sys.stdin, select.POLLIN)
        ipoll, readinto = getattr(poll, "ipoll", poll.poll), sys.stdin.buffer.readinto

        def read(one):
            for _ in ipoll(0):
                return readinto(one)
            return 0

        return read

    def stop(self):
        if self._read is not None and self._settings["port"] == "uart":
            self._port.deinit()
        self._read = None

    def _text(self):
        """CircuitPython's console, which gives characters."""
        try:
            from supervisor import runtime
        except ImportError:
            raise OSError("this board has no sys.stdin.buffer to read lines from") from None
        stdin = sys.stdin

        def read(one):
            if not runtime.serial_bytes_available:
                return 0
            one[0] = min(ord(stdin.read(1)), 255)
            return 1

        return read

    def take(self):
        one = self._one
        for _ in range(_AT_ONCE):
            if not self._read(one):
                return False
            c = one[0]
            if c == 10 or c == 13:
                us = ticks_us()
                whole, self._long = not self._long, False
                size, self._size = self._size, 0
                if size and self._sample(size if whole else 0, us):
                    return True
            elif self._size < _MOST:
                self._line[self._size] = c
                self._size += 1
            else:
                self._long = True
        return False

    # ---- a line -----------------------------------------------------------------------------

    def _sample(self, size, us):
        """Whether the first `size` bytes of the line are a sample."""
        if not self._numbers(size):
            self.bad += 1
            self.dropped += 1
            return False
        for k in range(len(self._new)):
            v = self._new[k] - self._less[k]
            self.raw[k] = 32767 if v > 32767 else -32768 if v < -32768 else v
        self.elapsed = self._clock.elapsed(us)
        if self._behind >= 0:
            self._passed()
        return True

    def _numbers(self, size):
        self._at = 0
        timed = self._behind >= 0
        if timed and not self._time(size):
            return False
        for k in range(len(self._new)):
            if not self._number(size, k, timed or k > 0):
                return False
        self._skip(size, True)
        return self._at == size

    def _skip(self, size, comma):
        """Past spaces, and past one other separator where `comma` allows it."""
        line, at = self._line, self._at
        while at < size:
            c = line[at]
            if c != 32:
                if not comma or (c != 44 and c != 59 and c != 9):
                    break
                comma = False
            at += 1
        self._at = at

    def _number(self, size, k, comma):
        """A number into _new[k], in units of 10 ** -decimals. False: there is none."""
        self._skip(size, comma)
        line, at, places = self._line, self._at, self._places[k]
        minus = at < size and line[at] == 45
        if minus or (at < size and line[at] == 43):
            at += 1
        v = digits = up = 0
        after = -1  # digits after the point; -1: it has not come
        while at < size:
            c = line[at]
            if c == 46 and after < 0:
                after = 0
            elif 48 <= c <= 57:
                digits += 1
                if after < 0 or after < places:
                    if v < _LARGE:
                        v = v * 10 + c - 48
                elif after == places or (after == 0 and places < 0):
                    up = c >= 53
                if after >= 0:
                    after += 1
            else:
                break
            at += 1
        self._at = at
        if not digits or (at < size and line[at] not in _SEPARATORS):
            return False
        for _ in range(max(after, 0), places):
            if v < _LARGE:
                v *= 10
        for _ in range(-places):
            up = v % 10 >= 5
            v //= 10
        v += up
        self._new[k] = -v if minus else v
        return True

    def _time(self, size):
        """The time at the start of the line into _when: seconds, modulo 10 ** 8, and microseconds.
        False: there is none."""
        self._skip(size, False)
        line, start = self._line, self._at
        end = start
        while end < size and 48 <= line[end] <= 57:
            end += 1
        point = end - self._behind
        whole = micros = 0
        for k in range(start, point):
            whole = whole % 10000000 * 10 + line[k] - 48
        places = max(start - point, 0)
        at = max(start, point)
        while at < size and places < 6:
            c = line[at]
            if at != end or c != 46:
                if not 48 <= c <= 57:
                    break
                micros = micros * 10 + c - 48
                places += 1
            at += 1
        while at < size and (48 <= line[at] <= 57 or (at == end and line[at] == 46)):
            at += 1
        for _ in range(places, 6):
            micros *= 10
        self._at = at
        self._when[0] = whole
        self._when[1] = micros
        return end > start and at < size and line[at] in _SEPARATORS

    def _passed(self):
        """The elapsed time by the times in the lines; where these go back or stand still it is
        that of the arrivals."""
        when, last = self._when, self._last
        seconds = when[0] - last[0]
        if seconds < -50000000:
            seconds += 100000000
        micros = when[1] - last[1]
        last[0] = when[0]
        last[1] = when[1]
        if not self._timed:
            self._timed = True
            self.elapsed = 0
        elif seconds > 1072:
            self.elapsed = MOST_US
        elif seconds >= 0 and seconds * 1000000 + micros > 0:
            self.elapsed = seconds * 1000000 + micros
