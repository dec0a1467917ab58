"""A model's inputs from the samples of an ECG, one step a beat, by the recipe in its file (SPEC.md
2.14): the same integers on a board and on a PC. Nothing is allocated while samples come.

    m = ulnn.load("/models/x.ulnn")
    b = Beats("/models/x.ulnn", ulnn)
    while True:
        if b.add(v, us):  # a sample, and the microseconds since the one before
            m.step(b.x, y, ticks(b.us))
        elif b.problem:
            print(PROBLEMS[b.problem])

This is no medical device.
"""

from array import array
from struct import unpack_from

from ulnn_rules import bands as twin
from ulnn_rules import features, sections
from ulnn_rules.detector import TURN, WAIT, Detector, samples
from ulnn_rules.log2 import log2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ulnn_rules.sections import Bytes

BEATS = 0x8007
HEAD = 32
RATE_MIN, RATE_MAX = 50000, 1999999
RHYTHM, TO_MEAN, TO_LAST, SIZE = 1, 2, 4, 8
ONE = 8192  # of a shape whose largest value is 1
LONGEST = 8000000  # microseconds from beat to beat; a longer time counts as this
LONG = 1 << 24
PROBLEMS = ("", "starting", "lead off", "noisy")
STARTING, LEAD_OFF, NOISY = 1, 2, 3
FILL, NEAR, FLAT, RAIL, RING = 60, 60, 1000, 100, 2000  # ms
HOP, DELAY, STEP, BEFORE = 100, 300, 100, 500  # ms, at most
SECOND = 2551  # 256 * log2(1000 ms)


def _fail(text: str, *args: int) -> None:
    raise ValueError(text % args)


class Recipe:
    """What a BEATS section says.

    rate: samples in 1000 s. hop: samples from one level to the next. step: samples that are one
    value of a shape; before, after: values before and behind the one at R. delay: samples from R
    to the peak of the level. extras: RHYTHM, TO_MEAN, TO_LAST, SIZE or the sum of several. low,
    high: counts at which the amplifier ends. flat: counts that a lead that is on exceeds. noisy:
    how far beats have to be above the rest, in 2 ** -8. scale, offset: of a sample, float32.
    track: array('h') (SPEC.md 2.12.1). outputs: values of a step.
    Raises ValueError for a damaged section, with the texts of SPEC.md 4.
    """

    def __init__(self, b: "Bytes", inputs: int) -> None:
        size = len(b)
        if size < HEAD + 2 * twin.HEAD:  # 110
            _fail("beats: size %d, expected at least %d", size, HEAD + 2 * twin.HEAD)
        self.rate, self.hop, self.step, self.before, self.after = unpack_from("<IBBBB", b, 0)
        self.delay, self.extras, self.low, self.high, self.flat, self.noisy = unpack_from(
            "<HHhhHH", b, 8
        )
        self.scale, self.offset, reserved = unpack_from("<ffI", b, 20)
        if not RATE_MIN <= self.rate <= RATE_MAX:  # 111
            _fail("beats: rate %d, expected %d to %d", self.rate, RATE_MIN, RATE_MAX)
        most = samples(self.rate, HOP)
        if not 1 <= self.hop <= most:  # 112
            _fail("beats: hop %d, expected 1 to %d", self.hop, most)
        least, most = samples(self.rate, NEAR), samples(self.rate, DELAY)
        if not least <= self.delay <= most:  # 113
            _fail("beats: delay %d, expected %d to %d", self.delay, least, most)
        if not 1 <= self.step <= samples(self.rate, STEP):  # 114
            _fail("beats: step %d, expected 1 to %d", self.step, samples(self.rate, STEP))
        # What lies behind R has to be there when a beat is noticed.
        behind = samples(self.rate, WAIT) + self.delay - least
        before = (self.before + 1) * self.step <= samples(self.rate, BEFORE)
        if not (before and (self.after + 1) * self.step <= behind):  # 115
            _fail("beats: %d and %d values around R do not fit", self.before, self.after)
        if self.extras > 15:  # 116
            _fail("beats: extras %d not supported", self.extras)
        if self.low >= self.high:  # 117
            _fail("beats: low %d, expected less than %d", self.low, self.high)
        scale, offset = self.scale, self.offset
        if scale - scale != 0 or offset - offset != 0 or not scale > 0:  # 118
            _fail("beats: bad scale")
        if reserved:  # 119
            _fail("beats: reserved field is not 0")
        n = twin.length(unpack_from("<%dh" % twin.HEAD, b, HEAD))
        if HEAD + 2 * n != size:  # 120
            _fail("beats: size %d, expected %d", size, HEAD + 2 * n)
        self.track = array("h", unpack_from("<%dh" % n, b, HEAD))
        level = self.track[0] == 1 and self.track[twin.MOMENTS] == twin.RMS
        if twin.count(self.track) != 1 or not level:  # 121
            _fail("beats: the track is not supported")
        self.outputs = self.before + 1 + self.after
        for k in range(4):
            self.outputs += self.extras >> k & 1
        if self.outputs != inputs:  # 122
            _fail("beats: %d values, expected %d", self.outputs, inputs)


class Finder:
    """Finds the beats of an ECG, and computes what describes each.

    native: the module `ulnn`, whose `bands` are used where it has them; else, and without it,
    those in Python are. problem: why there is no reading, an index of PROBLEMS; 0 while there is
    one. now: samples so far, with those that are missing, modulo 2**29. values: of the last beat,
    array('h') in 2 ** -8, always the same object; r: its R, as `now` counts; us: microseconds from
    the beat before to it, LONGEST at most; fresh: whether the beat before is not known: that of
    the first one, and the first after no reading.
    """

    def __init__(self, recipe: Recipe, native: "Any" = None) -> None:
        self.recipe = recipe
        make = getattr(native, "bands", None) or twin.Bands
        self._bands = make(recipe.track)
        self._level = array("h", [0])
        self._part = array("h", bytes(2 * recipe.hop))
        self._detector = Detector(recipe.rate)
        size = 64
        while size < samples(recipe.rate, RING):
            size *= 2
        self._ring = array("h", bytes(2 * size))
        self._last = size - 1
        self._hop = recipe.hop
        self._period = (16000000000 + recipe.rate // 2) // recipe.rate  # sixteenths of us
        self._fill = samples(recipe.rate, FILL)
        self._near = samples(recipe.rate, NEAR)
        self._flat = samples(recipe.rate, FLAT)
        self._rail = samples(recipe.rate, RAIL)
        self._longest = samples(recipe.rate, LONGEST // 1000)
        self._sums = array("i", bytes(4 * (recipe.before + 1 + recipe.after)))
        self.values = array("h", bytes(2 * recipe.outputs))
        self.reset()

    def reset(self) -> None:
        """As if no sample had been there."""
        self.now = self.r = 0
        self._carry = self._v = self._size = 0
        self.us = 0
        self.ready = self.fresh = False
        self._new = True
        self._begin()

    def _begin(self) -> None:
        """What comes does not go on from what was before: after a gap, or a lead that was off."""
        self._bands.reset()
        self._detector.restart(self.now)
        self._at = self._seen = 0  # samples of this hop, and since now
        self._bottom = self._top = self._v
        self._still = self._railed = 0
        self.problem = STARTING
        self._interrupt()

    def _interrupt(self) -> None:
        """The beat before the next one is not known."""
        self._alone = True
        self._rhythm = self._before = 0

    def add(self, v: int, us: int) -> bool:
        """A sample in counts, and the microseconds since the one before, 0 to 2**30 - 1 (of the
        first of all any). Whether a beat was noticed: `values`, `r`, `us` and `fresh` are of it.

        Samples that are missing are time: up to 60 ms of them are drawn as a line, and after more
        the detector learns again.
        """
        if self._new:
            self._new = False
            self._v = self._bottom = self._top = v
            n = 1
        elif us < LONG:
            us = (us << 4) + self._carry
            n = (us + (self._period >> 1)) // self._period
            self._carry = us - n * self._period
        else:
            n = us // (self._period >> 4)
            self._carry = 0
        self.ready = False
        if n > self._fill + 1:
            self.now = (self.now + n - 1) & TURN
            self._v = v
            self._begin()
        else:
            last = self._v
            for k in range(1, n):
                self._take(last + ((v - last) * k + (n >> 1)) // n)
        if n:  # else it came too early to count
            self._take(v)
        return self.ready

    def _take(self, v: int) -> None:
        now, at = self.now, self._at
        self._ring[now & self._last] = v
        self._part[at] = v
        self._v = v
        self.now = (now + 1) & TURN
        if at + 1 < self._hop:
            self._at = at + 1
        else:
            self._at = 0
            self._end_hop()

    def _end_hop(self) -> None:
        self._seen = min(self._seen + self._hop, self._last + 1)
        if self._is_off():
            return
        self._bands.feed(self._part, 0, self._hop)
        self._bands.read(self._level)
        detector = self._detector
        beat = detector.add(self._level[0], self.now)
        if detector.learning:
            self.problem = STARTING
            self._interrupt()
        elif detector.signal - (detector.rest >> 8) < self.recipe.noisy:
            self.problem = NOISY
            self._interrupt()
        else:
            self.problem = 0
            if beat and not self._describe(detector.at):
                self._interrupt()

    def _is_off(self) -> bool:
        """Is the lead off? What stays in a narrow band or at the amplifier's end is no heart's."""
        recipe = self.recipe
        low, high, flat = recipe.low, recipe.high, recipe.flat
        bottom, top = self._bottom, self._top
        still, railed = self._still, self._railed
        for v in self._part:
            if v < bottom:
                bottom = v
            elif v > top:
                top = v
            if top - bottom > flat:
                bottom = top = v
                still = 0
            else:
                still += 1
            railed = 0 if low < v < high else railed + 1
        self._bottom = bottom
        self._top = top
        self._still = min(still, self._flat)
        self._railed = min(railed, self._rail)
        if still >= self._flat or railed >= self._rail:
            self.problem = LEAD_OFF
            return True
        if self.problem != LEAD_OFF:
            return False
        if not railed:
            self._begin()
        return True

    def _describe(self, at: int) -> bool:
        """The beat whose level had its peak at `at`; False where not all of it was seen well."""
        recipe, ring = self.recipe, self._ring
        now, last = self.now, self._last
        ago = ((now - at) & TURN) + recipe.delay
        step = recipe.step
        half = step >> 1
        first = ago - self._near + half
        count = 2 * self._near + 1
        if first + count + (recipe.before + 1) * step > self._seen:
            return False
        total = 0
        for k in range(first - step + 1, first + count):
            total += ring[(now - k) & last]
        mean = total // (count + step - 1) * step
        # R is where `step` samples are farthest from the mean; of equals the last.
        total = 0
        for k in range(first - step + 1, first):
            total += ring[(now - k) & last]
        far = -1
        for k in range(first, first + count):
            total += ring[(now - k) & last]
            v = total - mean if total > mean else mean - total
            if v > far:
                far = v
                ago = k - half
            total -= ring[(now - k + step - 1) & last]
        low, high, sums = recipe.low, recipe.high, self._sums
        k = ago + recipe.before * step + half
        for n in range(len(sums)):
            total = 0
            for _ in range(step):
                v = ring[(now - k) & last]
                if not low < v < high:
                    return False
                total += v
                k -= 1
            sums[n] = total
        self._write(ago)
        return True

    def _write(self, ago: int) -> None:
        """Compute `values`, `x` and `us` of the beat whose R was so many samples ago."""
        r = (self.now - ago) & TURN
        apart = (r - self.r) & TURN
        us = LONGEST if apart >= self._longest else max(1, apart * self._period >> 4)
        size = self._shape()
        level, to_mean, to_last = SECOND, 0, 0
        if not self._alone:
            ms = max(1, us // 1000)
            level = log2(0, ms)
            if self._rhythm:
                to_mean = level + 1024 - log2(self._rhythm >> 15, self._rhythm & 32767)
                self._rhythm += ((ms << 4) - self._rhythm) >> 3
            else:
                self._rhythm = ms << 4
            if self._before:
                to_last = level - log2(0, self._before)
            self._before = ms
        o = len(self._sums)
        o = self._extra(o, RHYTHM, level)
        o = self._extra(o, TO_MEAN, to_mean)
        o = self._extra(o, TO_LAST, to_last)
        self._extra(o, SIZE, size)
        self.r, self.us = r, us
        self.fresh, self._alone = self._alone, False
        self._described()
        self.ready = True

    def _described(self) -> None:
        """There are new `values`."""

    def _extra(self, o: int, kind: int, v: int) -> int:
        if self.recipe.extras & kind:
            self.values[o] = v
            o += 1
        return o

    def _shape(self) -> int:
        """The shape, into `values`: its mean is 0, its largest value ONE. Returns its size beside
        that of the beats before, as 256 * log2."""
        sums, values = self._sums, self.values
        count = len(sums)
        total = 0
        low = high = sums[0]
        for v in sums:
            total += v
            low = min(low, v)
            high = max(high, v)
        top = max(high * count - total, total - low * count)
        shift = 0
        while top >> shift >= 65536:
            shift += 1
        for k in range(count):
            v = sums[k] * count - total
            values[k] = (v >> shift) * ONE // (top >> shift) if top else 0
        level = log2(high - low >> 15, high - low & 32767)
        size = level - (self._size >> 4) if self._size else 0
        self._size += ((level << 4) - self._size) >> 3 if self._size else level << 4
        return size


class Beats(Finder):
    """The recipe of one model at work.

    source: the path (str) of its file, or a buffer of bytes, which is not kept. x: the inputs of
    the last beat, array('h'), always the same object. Raises ValueError for a damaged file and
    for one without BEATS.
    """

    def __init__(self, source: "str | Bytes", native: "Any" = None) -> None:
        kinds = (features.INPUT, features.FEATURES, BEATS)
        inputs, _, found = sections.read(source, kinds)
        if BEATS not in found:
            raise ValueError("beats: the file has none; its inputs are what sensors give")
        if features.FEATURES in found:  # 124
            raise ValueError("beats: the file has FEATURES, too")
        recipe = Recipe(found[BEATS], inputs)
        if features.INPUT not in found or len(found[features.INPUT]) != 8 * inputs:
            raise ValueError("the file has no scales: section INPUT is damaged")
        pairs = unpack_from("<%df" % (2 * inputs), found[features.INPUT], 0)
        self._offsets, self._shifts = features.input_scales(pairs, "beats")
        self.x = array("h", bytes(2 * inputs))
        super().__init__(recipe, native)

    def _described(self) -> None:
        features.to_inputs(self.values, self._offsets, self._shifts, self.x)
