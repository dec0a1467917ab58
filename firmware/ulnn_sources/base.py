"""What every source is, and the clock that they share."""

from array import array

from ulnn_rules.ticks import ticks_diff, ticks_ms

_FAR_MS = 250000  # ticks_us wraps after 536 s or more; half of that can be told apart
MOST_US = 0x3FFFFFFF  # the largest small integer of a 32-bit board


class Clock:
    """Microseconds from one sample to the next, right over wraps of the ticks."""

    def __init__(self):
        self.start()

    def start(self):
        """Forget the sample before."""
        self._us = self._ms = 0
        self._begun = False

    def elapsed(self, us):
        """Microseconds since the sample before; 0 for the first one.

        us: `ticks_us()` when the sample was taken, at most some seconds ago. At least 1, and at
        most 2**30 - 1 (1,073 s), which longer gaps give, up to three days.
        """
        ms = ticks_ms()
        gap_us, gap_ms = ticks_diff(us, self._us), ticks_diff(ms, self._ms)
        self._us = us
        self._ms = ms
        if not self._begun:
            self._begun = True
            return 0
        if gap_ms > _FAR_MS:
            return min(gap_ms, MOST_US // 1000) * 1000
        return max(gap_us, 1)


class Source:
    """A source of samples.

    names, units: of the channels, tuples of str. scale, offset: tuples of float; the value of
    channel k in its unit is raw[k] * scale[k] + offset[k].
    raw: the sample taken last, array('h'), always the same object. elapsed: microseconds from the
    sample before to it, 1 to 2**30 - 1; 0 for the first one.
    dropped: samples that are known to be lost (an overflow) since `start`; the next `elapsed`
    spans them. waits: whether samples wait until they are taken, as those of a file may; else one
    that is not taken in time is lost.

    Made with (settings, where): a dict without "kind", as `ulnn_rules.settings.check` wants it,
    and the words with which its errors begin. A constructor raises ValueError and touches no
    hardware. `take` and what it calls allocate nothing.
    """

    def __init__(self, names, units, scale, offset):
        self.names = names
        self.units = units
        self.scale = scale
        self.offset = offset
        self.raw = array("h", [0] * len(names))
        self.elapsed = self.dropped = 0
        self.waits = False

    def start(self):
        """Set up the hardware and forget what was there; also after a fault. Raises OSError with
        a text that says what does not answer."""

    def take(self):
        """The next sample into `raw` and `elapsed`. False: none is there yet; it never waits.

        Raises OSError for a fault of the sensor or its bus; the one who calls counts it, and may
        go on or `start` again. Raises StopIteration where a recording ends.
        """
        return False

    # Sources that can give thousands of samples a second have `take_block()`, too, in the place of
    # `take`: samples that are there, some at once, of which none is missing between two. They are
    # at the beginning of `block`, array('h') of the channels of one sample after those of another,
    # always the same object, in which whoever takes them may write. It returns their number, 0
    # where none is there yet; `elapsed` is the time from the sample before them to the last of
    # them, `rest` the part of it that is after the first. `elapsed` is 0 where there is no sample
    # before. Whoever takes blocks takes nothing by `take`. It raises what `take` raises.

    def stop(self):
        """Let go of the hardware: timers, interrupts, buses. Never raises."""
