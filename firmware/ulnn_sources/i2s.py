"""A digital microphone, or another converter, on I2S: the port's DMA fills a ring without end, and
whole buffers are taken out of it.

{"kind": "i2s", "i2s": 0, "sck": 10, "ws": 11, "sd": 12, "rate": 16000, "size": 512}
"""

from array import array

from ulnn_rules.settings import REQUIRED, Key, check
from ulnn_rules.ticks import ticks_diff, ticks_us
from ulnn_sources.base import Source
from ulnn_sources.bus import Pin
from ulnn_sources.pace import Pace

_BUFFERS = 4  # that the ring holds

TABLE = {
    "i2s": Key(int, 0, 0, 15),
    "sck": Pin(REQUIRED),
    "ws": Pin(REQUIRED),
    "sd": Pin(REQUIRED),
    "rate": Key(int, 16000, 4000, 48000),
    "size": Key(int, 512, 64, 4096),
    "name": Key(str, "sound", 1, 255),
    "unit": Key(str, "", high=255),
    "full": Key(float, 1.0),
}


class Sensor(Source):
    """One channel of 16 bits; `full` is the value of the largest count, in `unit`.

    The `take` that finds no sample left waits for the next buffer: size / rate seconds at most.
    When nobody took any for as long as the ring holds, what is in it is left out; that and what
    was lost is counted in `dropped`, and the next `elapsed` spans it.
    """

    def __init__(self, settings, where="source"):
        s = self._settings = check(settings, TABLE, where)
        Source.__init__(self, (s["name"],), (s["unit"],), (s["full"] / 32767,), (0.0,))
        self._size, self._rate = s["size"], s["rate"]
        self._held = _BUFFERS * self._size * 1000000 // self._rate  # microseconds
        self.block = array("h", [0] * self._size)
        self.rest = 0
        self._pace = Pace(1000000 // self._rate)
        self._port = None
        self._at = self._end = self._us = 0

    def start(self):
        self.stop()
        s = self._settings
        try:
            from machine import I2S
            from machine import Pin as Of

            self._port = I2S(
                s["i2s"],
                sck=Of(s["sck"]),
                ws=Of(s["ws"]),
                sd=Of(s["sd"]),
                mode=I2S.RX,
                bits=16,
                format=I2S.MONO,
                rate=self._rate,
                ibuf=2 * _BUFFERS * self._size,
            )
        except (ImportError, ValueError, TypeError) as e:
            raise OSError("I2S(%d): %s" % (s["i2s"], e)) from None
        self.dropped = self._at = self._end = 0
        self._us = ticks_us()
        self._pace.start(self._us)

    def take(self):
        if self._at == self._end:
            self._fetch()
        self.raw[0] = self.block[self._at]
        self._at += 1
        self.elapsed = self._pace.next()
        return True

    def take_block(self):
        self._fetch()
        n = self._end
        self._at = n
        first = self._pace.next()
        rest = 0
        for _ in range(n - 1):
            rest += self._pace.next()
        self.elapsed = first + rest if first else 0
        self.rest = rest
        return n

    def _fetch(self):
        if not self._port:
            raise OSError("I2S(%d): not started" % self._settings["i2s"])
        before = ticks_us()
        late = ticks_diff(before, self._us) > self._held
        if late:  # what is left has holes in it
            for _ in range(_BUFFERS - 1):
                self._port.readinto(self.block)
        n = self._port.readinto(self.block) >> 1
        after = ticks_us()
        if n < 1:
            raise OSError("I2S(%d): no samples: check its wiring" % self._settings["i2s"])
        if late:
            self._pace.lose(before)
        self._us = after
        self.dropped += self._pace.look(before, after, n)
        self._at, self._end = 0, n

    def stop(self):
        if self._port:
            self._port.deinit()
        self._port = None
        self._at = self._end = 0
