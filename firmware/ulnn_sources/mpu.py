"""MPU-6050, MPU-6500 and MPU-9250 by I2C: acceleration and rotation through the chip's FIFO.

{"kind": "mpu", "rate": 100, "range_g": 4, "range_dps": 500, "channels": "both",
 "low_pass": 0, "i2c": 0, "scl": 5, "sda": 4, "freq": 400000, "address": 104}
"""

import time

from ulnn_rules.settings import Key, check
from ulnn_rules.ticks import ticks_us
from ulnn_sources.base import Source
from ulnn_sources.bus import KEYS, Bus
from ulnn_sources.pace import Pace

TABLE = {
    "rate": Key(int, 100, 4, 1000),
    "range_g": Key(int, 4, choices=(2, 4, 8, 16)),
    "range_dps": Key(int, 500, choices=(250, 500, 1000, 2000)),
    "channels": Key(str, "both", choices=("accel", "gyro", "both")),
    "low_pass": Key(int, 0, choices=(0, 5, 10, 21, 44, 94, 184)),
    "address": Key(int, 104, choices=(104, 105)),
}
TABLE.update(KEYS)

_CHIPS = {0x68: "MPU-6050", 0x70: "MPU-6500", 0x71: "MPU-9250"}
_LOW_PASS = (184, 94, 44, 21, 10, 5)  # Hz, of CONFIG from 1 on
_BURST = 16  # samples that are read at once

_SMPLRT_DIV = 0x19
_CONFIG = 0x1A
_GYRO_CONFIG = 0x1B
_ACCEL_CONFIG = 0x1C
_ACCEL_CONFIG_2 = 0x1D  # not of the MPU-6050
_FIFO_EN = 0x23
_INT_ENABLE = 0x38
_INT_STATUS = 0x3A
_USER_CTRL = 0x6A
_PWR_MGMT_1 = 0x6B
_FIFO_COUNT = 0x72
_FIFO = 0x74
_WHO_AM_I = 0x75
_OVERFLOW = 0x10


class Sensor(Source):
    """Channels ax, ay, az in g and gx, gy, gz in deg/s, `rate` times a second.

    low_pass: Hz of the chip's filter; 0: the widest that lies below half the rate. Samples that a
    full FIFO threw away are counted in `dropped` and are a gap in time.
    """

    def __init__(self, settings, where="source"):
        s = check(settings, TABLE, where)
        self._divider = (1000 + s["rate"] // 2) // s["rate"]
        if abs(1000 // self._divider - s["rate"]) * 100 > s["rate"]:
            text = "%s.rate: expected 1000 divided by a whole number, such as %d or %d, got %d"
            fast = 1000 // s["rate"]
            raise ValueError(text % (where, 1000 // fast, 1000 // (fast + 1), s["rate"]))
        names, units, scale, self._enabled = (), (), (), 0
        if s["channels"] != "gyro":
            names, units, scale = ("ax", "ay", "az"), ("g",) * 3, (s["range_g"] / 32768,) * 3
            self._enabled |= 0x08
        if s["channels"] != "accel":
            names += ("gx", "gy", "gz")
            units += ("deg/s",) * 3
            scale += (s["range_dps"] / 32768,) * 3
            self._enabled |= 0x70
        Source.__init__(self, names, units, scale, (0.0,) * len(names))
        self._accel = (2, 4, 8, 16).index(s["range_g"]) << 3
        self._gyro = (250, 500, 1000, 2000).index(s["range_dps"]) << 3
        widest = [hz for hz in _LOW_PASS if 2 * hz <= s["rate"]] or [_LOW_PASS[-1]]
        self._filter = 1 + _LOW_PASS.index(s["low_pass"] or widest[0])
        self._address = s["address"]
        self._bus = Bus(s, "MPU at 0x%02x" % self._address)
        self._pace = Pace(1000 * self._divider)
        self._size = 2 * len(names)
        self._buffer = bytearray(_BURST * self._size)
        view = memoryview(self._buffer)
        self._some = view[: 4 * self._size]
        self._one = view[: self._size]
        self._count = bytearray(2)
        self._status = bytearray(1)
        self._at = self._end = 0

    def start(self):
        self._bus.open()
        self._at = self._end = self.dropped = 0
        try:
            chip = self._bus.i2c.readfrom_mem(self._address, _WHO_AM_I, 1)[0]
            if chip in _CHIPS:
                self._set_up(chip)
        except OSError as e:
            raise self._bus.fault(e) from None
        if chip not in _CHIPS:
            known = ", ".join(["0x%02x (%s)" % (k, _CHIPS[k]) for k in sorted(_CHIPS)])
            text = "%s: WHO_AM_I is 0x%02x, expected %s: this is another chip"
            raise OSError(text % (self._bus.chip, chip, known))
        self._pace.start(ticks_us())

    def _set_up(self, chip):
        self._write(_PWR_MGMT_1, 0x80)  # reset
        time.sleep(0.1)
        self._write(_PWR_MGMT_1, 0x01)  # awake, by the clock of the gyroscope
        time.sleep(0.05)
        self._write(_SMPLRT_DIV, self._divider - 1)
        self._write(_CONFIG, self._filter)
        self._write(_GYRO_CONFIG, self._gyro)
        self._write(_ACCEL_CONFIG, self._accel)
        if chip != 0x68:
            self._write(_ACCEL_CONFIG_2, self._filter)
        self._write(_INT_ENABLE, _OVERFLOW)
        self._write(_FIFO_EN, self._enabled)
        self._empty()

    def _empty(self):
        """A FIFO that overflowed no longer begins with a whole sample."""
        self._write(_USER_CTRL, 0x04)
        self._write(_USER_CTRL, 0x40)
        self._bus.i2c.readfrom_mem_into(self._address, _INT_STATUS, self._status)

    def _write(self, register, value):
        self._status[0] = value
        self._bus.i2c.writeto_mem(self._address, register, self._status)

    def take(self):
        if self._at == self._end and not self._fetch():
            return False
        raw, buffer, at = self.raw, self._buffer, self._at
        for k in range(len(raw)):
            raw[k] = ((buffer[at] ^ 0x80) - 0x80) << 8 | buffer[at + 1]
            at += 2
        self._at = at
        self.elapsed = self._pace.next()
        return True

    def _fetch(self):
        """Read what the FIFO holds, as much as the buffer does. False: nothing."""
        pace, i2c, address = self._pace, self._bus.i2c, self._address
        if not i2c:
            raise OSError("%s: not started" % self._bus.chip)
        before = ticks_us()
        if pace.early(before):
            return False
        try:
            i2c.readfrom_mem_into(address, _FIFO_COUNT, self._count)
            after = ticks_us()
            n = (self._count[0] << 8 | self._count[1]) // self._size
            if n:
                into = self._buffer if n >= _BURST else self._some if n >= 4 else self._one
                i2c.readfrom_mem_into(address, _FIFO, into)
                i2c.readfrom_mem_into(address, _INT_STATUS, self._status)
                if self._status[0] & _OVERFLOW:
                    self._empty()
                    pace.lose(ticks_us())
                    return False
        except OSError as e:
            raise self._bus.fault(e) from None
        if not n:
            if pace.nothing(after):
                raise self._bus.silent()
            return False
        self.dropped += pace.look(before, after, n)
        self._at, self._end = 0, len(into)
        return True

    def stop(self):
        try:
            if self._bus.i2c:
                self._write(_PWR_MGMT_1, 0x40)  # sleep
        except OSError:
            pass
        self._bus.close()
