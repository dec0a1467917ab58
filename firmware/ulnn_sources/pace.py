"""When the samples of a sensor with its own clock were taken, by the clock of the board."""

from ulnn_rules.ticks import ticks_add, ticks_diff
from ulnn_sources.base import Clock

_OFF = 16  # a sensor's rate may be off by a 16th of what it should be
_LEARN = 32  # a 32nd of what was wrong is learnt


class Pace:
    """Times for samples that come one period apart by a clock that nobody has set.

    Who looks into a sensor's FIFO and finds n samples knows that the newest is at most one period
    old. Times go on by the period while that holds, and are moved just so far that it holds
    again, while the period is learnt. So they never are off by more than a period, drift does
    not add up, and the time from sample to sample is even.

    period_us: by the data sheet. Nothing is allocated after the constructor.
    """

    def __init__(self, period_us):
        self._nominal = period_us
        self._clock = Clock()
        self.start(0)

    def start(self, us):
        """Forget the samples before. us: ticks now."""
        self._clock.start()
        self._period = self._nominal
        self._part = 0  # of the period, in 256ths of a microsecond
        self._begun = self._lost = False
        self._us = self._due = us  # of the sample before; when to look
        self._heard = us  # when there was a sign of life
        self._step = self._rest = self._sum = self._of = 0

    def early(self, us):
        """Whether no new sample can be expected yet."""
        return ticks_diff(us, self._due) < 0

    def nothing(self, us):
        """Told that there was no new sample. True when there should have been one long ago."""
        self._due = ticks_add(us, self._period >> 3)
        return ticks_diff(us, self._heard) > 10 * self._period + 100000

    def lose(self, us):
        """Told that samples were lost, nobody knows how many: the next `look` finds out."""
        self._lost = True
        self._heard = us

    def look(self, before, after, n):
        """Told that between the ticks `before` and `after` the sensor held n new samples, 1 or
        more. Returns the number that was lost before them, 0 but after `lose`.
        """
        self._heard = after
        period = self._period
        lost = 0
        if self._lost or not self._begun:
            us = ticks_add(after, -(period >> 1) - n * period)
            if self._begun:
                lost = max((ticks_diff(us, self._us) + (period >> 1)) // period, 0)
            self._us = us
            self._lost = False
            self._begun = True
        total = n * period + (n * self._part >> 8)
        off = min(ticks_diff(after, self._us) - total, 0)
        off = off or max(ticks_diff(before, self._us) - period - total, 0)
        if off:
            self._learn(off, n)
        total = max(total + off, n)
        self._step, self._rest = total // n, total % n
        self._sum, self._of = 0, n
        return lost

    def look_at_one(self, before, after):
        """The same for a sensor that keeps nothing but its newest sample. Returns how many were
        overwritten."""
        n = max(ticks_diff(before, self._us) // self._period, 1) if self._begun else 1
        self.look(before, after, n)
        self._us = ticks_add(self._us, (n - 1) * self._step)
        self._step += self._rest
        self._rest = 0
        return n - 1

    def _learn(self, off, n):
        most = n * self._nominal // _OFF
        off = max(min(off, most), -most)
        part = (self._period << 8) + self._part + (off << 8) // (n * _LEARN)
        nominal = self._nominal << 8
        part = max(min(part, nominal + nominal // _OFF), nominal - nominal // _OFF)
        self._period, self._part = part >> 8, part & 255

    def next(self):
        """Microseconds from the sample before to the next one of those looked at."""
        step = self._step
        self._sum += self._rest
        if self._sum >= self._of:
            self._sum -= self._of
            step += 1
        self._us = ticks_add(self._us, step)
        self._due = ticks_add(self._us, self._period)
        return self._clock.elapsed(self._us)
