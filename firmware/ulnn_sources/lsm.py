"""LSM6DSOX by I2C, set up by micropython-lib's driver (`mip install lsm6dsox`), which has to be
on the board.

    {"kind": "lsm", "rate": 104, "range_g": 4, "range_dps": 500, "i2c": 0, "scl": 13, "sda": 12}
"""

from ulnn_rules.settings import Key, check
from ulnn_rules.ticks import ticks_us
from ulnn_sources.base import Source
from ulnn_sources.bus import KEYS, Bus
from ulnn_sources.pace import Pace

TABLE = {
    "rate": Key(float, 104, choices=(12.5, 26, 52, 104, 208, 416, 833)),
    "range_g": Key(int, 4, choices=(2, 4, 8, 16)),
    "range_dps": Key(int, 500, choices=(250, 500, 1000, 2000)),
    "address": Key(int, 106, choices=(106, 107)),
}
TABLE.update(KEYS)

_CTRL3_C = 0x12
_STATUS = 0x1E  # then a byte of nothing, temperature, rotation and acceleration
_READY = 0x03


class Sensor(Source):
    """Channels ax, ay, az in g and gx, gy, gz in deg/s. The chip keeps one sample: those that
    were overwritten before they were taken are counted in `dropped`.
    """

    def __init__(self, settings, where="source"):
        s = check(settings, TABLE, where)
        # By the data sheet a count is 35 mdps for each 1,000 deg/s; the driver's gyro() takes
        # 1000 / 32768 and gives 13 % less.
        scale = (s["range_g"] / 32768,) * 3 + (s["range_dps"] * 35e-6,) * 3
        names = ("ax", "ay", "az", "gx", "gy", "gz")
        Source.__init__(self, names, ("g",) * 3 + ("deg/s",) * 3, scale, (0.0,) * 6)
        self._rate = s["rate"]
        self._range_g = s["range_g"]
        self._range_dps = s["range_dps"]
        self._address = s["address"]
        self._bus = Bus(s, "LSM6DSOX at 0x%02x" % self._address)
        self._pace = Pace(int(1000000 / self._rate))
        self._buffer = bytearray(16)

    def start(self):
        try:
            from lsm6dsox import LSM6DSOX
        except ImportError:
            raise OSError(
                "%s: its driver is not on this board: mpremote mip install lsm6dsox"
                % self._bus.chip
            ) from None
        self._bus.open()
        self.dropped = 0
        # The driver's table has 888 for the chip's 833 Hz.
        rate = 888 if self._rate == 833 else self._rate
        i2c = self._bus.i2c
        try:
            LSM6DSOX(
                i2c,
                address=self._address,
                gyro_odr=rate,
                accel_odr=rate,
                gyro_scale=self._range_dps,
                accel_scale=self._range_g,
            )
            # A sample is replaced when all of it has been read, not in the middle.
            control = i2c.readfrom_mem(self._address, _CTRL3_C, 1)[0]
            i2c.writeto_mem(self._address, _CTRL3_C, bytes([control | 0x40]))
        except OSError as e:
            if e.args and isinstance(e.args[0], str):  # the driver's own words
                raise OSError("%s: %s" % (self._bus.chip, e)) from None
            raise self._bus.fault(e) from None
        self._pace.start(ticks_us())

    def take(self):
        pace, i2c, buffer = self._pace, self._bus.i2c, self._buffer
        if not i2c:
            raise OSError("%s: not started" % self._bus.chip)
        before = ticks_us()
        if pace.early(before):
            return False
        try:
            i2c.readfrom_mem_into(self._address, _STATUS, buffer)
        except OSError as e:
            raise self._bus.fault(e) from None
        after = ticks_us()
        if buffer[0] & _READY != _READY:
            if pace.nothing(after):
                raise self._bus.silent()
            return False
        self.dropped += pace.look_at_one(before, after)
        raw = self.raw
        for k in range(3):
            raw[k] = ((buffer[11 + 2 * k] ^ 0x80) - 0x80) << 8 | buffer[10 + 2 * k]
            raw[3 + k] = ((buffer[5 + 2 * k] ^ 0x80) - 0x80) << 8 | buffer[4 + 2 * k]
        self.elapsed = pace.next()
        return True

    def stop(self):
        self._bus.close()
