"""Fast sampling of one analogue pin: a buffer that is filled at once and handed over whole.

burst = Burst(26, 1024, 4000)
for count in burst.read():  # waits 256 ms
    ...
"""

import time
from array import array

from ulnn_rules.ticks import ticks_add, ticks_diff, ticks_us


class Burst:
    """`size` samples, `rate` a second: by the pyboard's `ADC.read_timed` where there is one, else
    in a loop, which reaches some kHz on common boards.

    buffer: array('H'), the counts of the burst read last, 0 to `full`. us: ticks at its begin.
    took: microseconds from there to its end, which say what the rate really was: size * 1000000 /
    took. The constructor raises ValueError for a pin that has no converter; `read` allocates
    nothing.
    """

    def __init__(self, pin, size, rate):
        self.buffer = array("H", [0] * size)
        self.us = self.took = 0
        self._rate = rate
        try:
            import pyb

            self._fill = pyb.ADC(pin).read_timed
            self.full = 4095
        except ImportError:
            import machine

            self._one = machine.ADC(pin).read_u16
            self._fill = self._loop
            self.full = 65535

    def read(self):
        """Fill `buffer` and return it."""
        self.us = ticks_us()
        self._fill(self.buffer, self._rate)
        self.took = max(ticks_diff(ticks_us(), self.us), 1)
        return self.buffer

    def _loop(self, buffer, rate):
        read, add, sleep_us = self._one, ticks_add, time.sleep_us
        period, rest = 1000000 // rate, 1000000 % rate
        us = ticks_us()
        total = 0
        for k in range(len(buffer)):
            buffer[k] = read()
            us = add(us, period)
            total += rest
            if total >= rate:
                total -= rate
                us = add(us, 1)
            left = ticks_diff(us, ticks_us())
            if left > 0:
                sleep_us(left)
