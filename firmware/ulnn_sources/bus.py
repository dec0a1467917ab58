"""The I2C bus of a source: its settings, opening it, freeing it when a chip holds it, and errors
that say what to do."""

import time
from errno import ETIMEDOUT

from ulnn_rules.settings import Key

_HALF_US = 5  # of a clock at 100 kHz


class Pin(Key):
    """A pin as the port names it: a number, or a text such as "PB8"; None: the port's own."""

    def __init__(self, default=None):
        Key.__init__(self, str, default)

    def _says(self):
        return 'a pin, such as 4 or "PB8"'

    def check(self, value, where):
        good = (type(value) is int and value >= 0) or (type(value) is str and value)
        if not good:
            raise ValueError("%s: expected %s, got %r" % (where, self._says(), value))
        return value


KEYS = {
    "i2c": Key(int, 0, 0, 15),
    "scl": Pin(),
    "sda": Pin(),
    "freq": Key(int, 400000, 10000, 1000000),
}


class Bus:
    """An I2C bus; `i2c` is the port's object once it is open.

    settings: checked, with KEYS. chip: the words with which errors begin.
    """

    def __init__(self, settings, chip):
        self.chip = chip
        self.i2c = None
        self._id = settings["i2c"]
        self._scl = settings["scl"]
        self._sda = settings["sda"]
        self._freq = settings["freq"]
        self._known = self._scl is not None and self._sda is not None

    def open(self):
        """Free the bus where that needs doing, and set it up. Raises OSError."""
        try:
            import machine
        except ImportError:
            self._open_busio()
            return
        try:
            if self._known:
                self._free(machine.Pin)
            self.i2c = self._make(machine)
        except ValueError as e:
            pins = " with scl %s, sda %s" % (self._scl, self._sda) if self._known else ""
            raise OSError("%s: I2C(%d)%s: %s" % (self.chip, self._id, pins, e)) from None

    def _open_busio(self):
        from ulnn_sources.busio_bus import Registers

        try:
            if self.i2c:  # a pin has one user at a time
                self.i2c.deinit()
                self.i2c = None
            self.i2c = Registers(self._scl, self._sda, self._freq)
        except ImportError:
            text = "%s: this board has neither machine nor busio and board"
            raise OSError(text % self.chip) from None
        except (AttributeError, RuntimeError, ValueError) as e:
            pins = "scl %s, sda %s" % (self._scl, self._sda) if self._known else "board.I2C()"
            raise OSError("%s: %s: %s" % (self.chip, pins, e)) from None

    def close(self):
        """Let go of the bus."""
        if hasattr(self.i2c, "deinit"):
            self.i2c.deinit()
        self.i2c = None

    def _make(self, machine):
        if self._known:
            try:
                scl, sda = machine.Pin(self._scl), machine.Pin(self._sda)
                return machine.I2C(self._id, scl=scl, sda=sda, freq=self._freq)
            except TypeError:
                pass  # a port whose buses have their pins and no such argument
            except (ValueError, NotImplementedError) as e:
                if "explicit choice" not in str(e):  # the same, with the argument
                    raise
        return machine.I2C(self._id, freq=self._freq)

    def _free(self, pin):
        """A chip that was interrupted while it sent a 0 holds SDA low until its byte is out."""
        scl = pin(self._scl, pin.OPEN_DRAIN, value=1)
        sda = pin(self._sda, pin.OPEN_DRAIN, value=1)
        if sda.value():
            return
        for _ in range(9):
            _clock(scl)
            if sda.value():
                break
        else:
            raise OSError(
                "%s: SDA of I2C(%d) is held low, and nine clocks did not free it: check the "
                "wiring, or switch the sensor off and on" % (self.chip, self._id)
            )
        scl.value(0)  # a stop
        sda.value(0)
        time.sleep_us(_HALF_US)
        scl.value(1)
        time.sleep_us(_HALF_US)
        sda.value(1)

    def fault(self, error):
        """The OSError to raise for one of the port's."""
        if error.errno == ETIMEDOUT:
            text = "%s: I2C(%d) timed out, a line is held low or has no pull-up" % (
                self.chip,
                self._id,
            )
            if not self._known:
                text += ": with scl and sda in the settings it can be freed"
            return OSError(text)
        return OSError(
            "%s: no answer on I2C(%d) (%s): check its wiring, power and address"
            % (self.chip, self._id, error)
        )

    def silent(self):
        """The OSError of a chip that answers and has no new samples."""
        return OSError("%s: it answers, but gives no samples: did its power dip?" % self.chip)


def _clock(scl):
    scl.value(0)
    time.sleep_us(_HALF_US)
    scl.value(1)
    time.sleep_us(_HALF_US)
