"""Which peaks of an energy are beats: levels of a band of an ECG in, beats out (SPEC.md 3.12).
In the manner of Pan and Tompkins (1985), but in logarithms, for which the signal's size does not
matter.

Small ints may have 31 bits: no value here needs more. Nothing is allocated in a call.
"""

TURN = 0x1FFFFFFF  # times are numbers of samples that start again at 0 behind it
SETTLE, LEARN, WAIT, WAVE, LOST = 500, 2000, 200, 360, 3000  # ms
BELOW = 768  # levels are in 2 ** -8: the threshold is at most so far below the level of beats
LATE, SMALL, FIRST = 256, 512, 256


def samples(rate: int, ms: int) -> int:
    """How many samples take so many milliseconds. rate: samples in 1000 s, below 2,000,000."""
    return (rate * (ms // 20) + 25000) // 50000


class Detector:
    """rate: samples in 1000 s.

    learning: whether the levels of beats and of the rest are still being learnt. signal, noise:
    levels of the peaks that are beats and of those that are none. rest: the mean of all levels,
    times 256. at: when the last beat had its peak.
    """

    def __init__(self, rate: int) -> None:
        self.wait = samples(rate, WAIT)
        self._settle = samples(rate, SETTLE)
        self._learn = samples(rate, SETTLE + LEARN)
        self._wave = samples(rate, WAVE)
        self._lost = samples(rate, LOST)
        self.restart(0)

    def restart(self, now: int) -> None:
        """Nothing of the time before `now` is known."""
        self.learning = True
        self.at = self._start = self._peak_at = self._missed_at = now
        self.signal = self.rest = self.noise = self._count = 0
        self._peak = self._missed = self._last = 0
        self._rhythm = 0  # sixteenths of samples from beat to beat, 0: not known

    def add(self, level: int, now: int) -> bool:
        """The level at the time `now`. Whether it shows that there was a beat, at `at`."""
        if self.learning:
            self._learnt(level, now)
            return False
        self.rest += ((level << 8) - self.rest) >> 8
        if level > self._peak:
            self._peak = level
            self._peak_at = now
        elif (now - self._peak_at) & TURN >= self.wait:
            peak, at = self._peak, self._peak_at
            self._peak = level
            self._peak_at = now
            if self._is_beat(peak, at):
                self._take(peak, at, 3)
                return True
            self.noise += (peak - self.noise) >> 3
            if peak > self._missed:
                self._missed = peak
                self._missed_at = at
        return self._look_again(now)

    def threshold(self) -> int:
        """The level above which a peak is a beat."""
        apart = 3 * (self.signal - self.noise) >> 3
        return self.signal - (BELOW if apart > BELOW else apart)

    def _learnt(self, level: int, now: int) -> None:
        passed = (now - self._start) & TURN
        if passed < self._settle:
            return
        if level > self.signal:
            self.signal = level
        self.rest += level
        self._count += 1
        if passed >= self._learn:
            self.rest = (self.rest // self._count) << 8
            self.learning = False
            self.noise = (self.rest >> 8) + FIRST
            self.at = self._peak_at = now

    def _is_beat(self, peak: int, at: int) -> bool:
        if peak < self.threshold():
            return False
        # The wave of the heart's recovery is smaller than the beat before it.
        return not ((at - self.at) & TURN < self._wave and peak < self._last - SMALL)

    def _take(self, peak: int, at: int, shift: int) -> None:
        self.signal += (peak - self.signal) >> shift
        if self._last:
            apart = (at - self.at) & TURN
            if self._rhythm:
                self._rhythm += ((apart << 4) - self._rhythm) >> 3
            else:
                self._rhythm = apart << 4
        self._last = peak
        self.at = at
        self._missed = 0

    def _look_again(self, now: int) -> bool:
        """Where a beat is overdue, the largest peak since the last one may be it."""
        since = (now - self.at) & TURN
        if since >= self._lost:
            self.restart(now)
        elif self._missed and self._rhythm and since * 10 > self._rhythm:  # 1.6 times as long
            peak = self._missed
            self._missed = 0
            if peak >= self.threshold() - LATE:
                self._take(peak, self._missed_at, 2)
                return True
        return False
