"""Analogue pins.

{"kind": "adc", "pins": [26, 27], "names": ["x", "y"], "rate": 100, "by": "timer", "timer": -1}
{"kind": "adc", "pins": [26], "rate": 4000, "by": "burst", "size": 1024,
 "unit": "g", "per_volt": 3.33, "zero": 1.65, "reference": 3.3}
"""

from array import array

from ulnn_rules.settings import Key, check
from ulnn_rules.ticks import ticks_add, ticks_diff, ticks_us
from ulnn_sources.base import Clock, Source
from ulnn_sources.burst import Burst
from ulnn_sources.bus import Pin

TABLE = {
    "pins": Key(list, low=1, high=8),
    "names": Key(list, []),
    "rate": Key(int, 100, 1, 50000),
    "by": Key(str, "poll", choices=("poll", "timer", "burst")),
    "timer": Key(int, -1, -1, 15),
    "size": Key(int, 256, 2, 16384),
    "reference": Key(float, 3.3, 0.5, 10),
    "unit": Key(str, "V"),
    "per_volt": Key(float, 1.0),
    "zero": Key(float, 0.0),
}

_WAITING = 32  # samples that a timer takes ahead


class Sensor(Source):
    """A channel for each pin; its value is (volts - zero) * per_volt in `unit`; `reference` is
    the voltage above all counts.

    by: "poll": a sample is taken when `take` is called and one is due. "timer": in the callback
    of a machine.Timer, at most 1,000 a second, and kept until it is taken. "burst": `size`
    samples of one pin at once, for kHz; the `take` that finds none left waits for the next burst,
    size / rate seconds, at most 2. `dropped` counts polls that were due and came too late, and
    samples of a timer that nobody took; the gap between bursts is none of these.
    """

    def __init__(self, settings, where="source"):
        s = check(settings, TABLE, where)
        self._pins, self._rate, self._by, self._size = s["pins"], s["rate"], s["by"], s["size"]
        _check_pins(self._pins, s["names"], where)
        if self._by == "timer" and self._rate > 1000:
            text = '%s.rate: expected at most 1000 with "timer", got %d'
            raise ValueError(text % (where, self._rate))
        if self._by == "burst" and (len(self._pins) > 1 or self._size > 2 * self._rate):
            raise ValueError('%s: "burst" takes one pin, and at most two seconds' % where)
        n = len(self._pins)
        names = s["names"] or ["a%d" % k for k in range(n)]
        volts = s["reference"] / 65536
        scale, offset = volts * s["per_volt"], (volts * 32768 - s["zero"]) * s["per_volt"]
        Source.__init__(self, tuple(names), (s["unit"],) * n, (scale,) * n, (offset,) * n)
        self._clock = Clock()
        self._period = 1000000 // self._rate
        self._number = s["timer"]
        self._timer = self._burst = None
        self._reads, self._inputs = [], []
        self._take = self._take_due
        if self._by == "timer":
            self._take = self._take_waiting
            self._times = [ticks_us()] * _WAITING
            self._counts = array("H", [0] * (_WAITING * n))
            self._callback = self._tick  # made here: a bound method is an object
        elif self._by == "burst":
            self._take = self._take_of_burst
            self.block = array("h", [0] * self._size)
            self.rest = 0
            self.take_block = self._take_all

    def start(self):
        self.stop()
        self._clock.start()
        self.dropped = self._first = self._last = 0
        self._us = ticks_us()
        try:
            if self._by == "burst":
                self._start_burst()
            self._reads = [self._reader(pin) for pin in self._pins]
            if self._by == "timer":
                self._start_timer()
        except (ImportError, ValueError, TypeError) as e:
            raise OSError("%s: %s" % (self._what(), e)) from None

    def _reader(self, pin):
        try:
            from machine import ADC
        except ImportError:
            pass
        else:
            return ADC(pin).read_u16
        from analogio import AnalogIn  # CircuitPython

        from ulnn_sources.busio_bus import pin as of_name

        there = AnalogIn(of_name(pin))
        self._inputs.append(there)
        return lambda: there.value

    def _what(self):
        return "ADC on " + ", ".join([str(pin) for pin in self._pins])

    def _start_burst(self):
        self._burst = burst = Burst(self._pins[0], self._size, self._rate)
        burst.read()
        if burst.took > 1050000 // self._rate * self._size:
            text = "%s: this board takes %d samples a second in bursts, expected rate %d"
            rate = int(1000000.0 * self._size / burst.took)
            raise OSError(text % (self._what(), rate, self._rate))
        self._at = self._size

    def _start_timer(self):
        from machine import Timer

        self._timer = Timer(self._number)
        if 1000 % self._rate:
            self._timer.init(freq=self._rate, callback=self._callback)
        else:
            self._timer.init(period=1000 // self._rate, callback=self._callback)

    def take(self):
        if not self._reads:
            raise OSError("%s: not started" % self._what())
        return self._take()

    def _take_due(self):
        us = ticks_us()
        late = ticks_diff(us, self._us)
        if late < 0:
            return False
        missed = late // self._period
        self.dropped += missed
        self._us = ticks_add(self._us, (missed + 1) * self._period)
        raw, reads = self.raw, self._reads
        for k in range(len(raw)):
            raw[k] = reads[k]() - 32768
        self.elapsed = self._clock.elapsed(us)
        return True

    def _tick(self, _timer):
        """The timer's callback: one sample into the ring of those that wait."""
        us = ticks_us()
        if self._last - self._first == _WAITING:
            self.dropped += 1
            return
        at = self._last % _WAITING
        counts, reads = self._counts, self._reads
        n = len(reads)
        for k in range(n):
            counts[at * n + k] = reads[k]()
        self._times[at] = us
        self._last += 1

    def _take_waiting(self):
        if self._first == self._last:
            return False
        at = self._first % _WAITING
        raw, counts = self.raw, self._counts
        n = len(raw)
        for k in range(n):
            raw[k] = counts[at * n + k] - 32768
        self.elapsed = self._clock.elapsed(self._times[at])
        self._first += 1
        return True

    def _take_of_burst(self):
        burst, at = self._burst, self._at
        if at == self._size:
            burst.read()
            at = 0
        self.raw[0] = _centred(burst.buffer[at], burst.full)
        self._at = at = at + 1
        us = ticks_add(burst.us, at * (burst.took // self._size))
        self.elapsed = self._clock.elapsed(us)
        return True

    def _take_all(self):
        """A burst, as `take_block`."""
        if not self._reads:
            raise OSError("%s: not started" % self._what())
        burst, block, n = self._burst, self.block, self._size
        burst.read()
        counts, full = burst.buffer, burst.full
        for k in range(n):
            block[k] = _centred(counts[k], full)
        each = burst.took // n
        first = self._clock.elapsed(ticks_add(burst.us, each))
        self.rest = self._clock.elapsed(ticks_add(burst.us, n * each))
        self.elapsed = first + self.rest if first else 0
        return n

    def stop(self):
        if self._timer:
            self._timer.deinit()
        self._timer = self._burst = None
        self._reads = []
        while self._inputs:
            self._inputs.pop().deinit()


def _centred(count, full):
    """An int16 of a count from 0 to `full`."""
    if full == 4095:  # 12 bits
        count = count << 4 | count >> 8
    return count - 32768


def _check_pins(pins, names, where):
    for k in range(len(pins)):
        Pin().check(pins[k], "%s.pins[%d]" % (where, k))
    if names and len(names) != len(pins):
        text = "%s.names: expected a name for each of %d pins, got %d"
        raise ValueError(text % (where, len(pins), len(names)))
    for k in range(len(names)):
        Key(str, low=1).check(names[k], "%s.names[%d]" % (where, k))
