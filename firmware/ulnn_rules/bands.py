"""Features of a frame of samples: the twin of the native `ulnn.bands` (SPEC.md 3.11), same bits.

Small ints may have 31 bits: no value here needs more. Nothing is allocated in a call.
"""

from array import array

from ulnn_rules.filters import section
from ulnn_rules.log2 import log2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence
    from typing import Any

MEAN, RMS, KURTOSIS = 1, 2, 4
HEAD = 9  # values of a track before its sections
SECTION = 9  # of a section
SIZE, WINDOW, RECTIFY, DECIMATE, SECTIONS, MOMENTS, BANDS = 2, 3, 4, 5, 6, 7, 8


def _quarter() -> "array[int]":
    """sin(2 pi k / 1024) * 32767 for k = 0 to 256, rounded: by turns of 2 pi / 1024 in integers
    of 60 bits, which floats of a board have not."""
    sine, cosine = 0, 1 << 60
    of_sine, of_cosine = 7074193361797233, 1152899801185339687
    found = array("h")
    for _ in range(257):
        found.append((sine * 32767 + (1 << 59)) >> 60)
        sine, cosine = (
            (sine * of_cosine + cosine * of_sine) >> 60,
            (cosine * of_cosine - sine * of_sine) >> 60,
        )
    return found


SINES = _quarter()


def int16(name: str, b: "Any") -> "Any":
    """`b`, or a view of it, for indexing. Raises TypeError and ValueError as SPEC.md 5 says."""
    if type(b) is array:
        good = repr(b[0:0])[7:8] == "h"
    else:
        good = type(b) not in (bytes, bytearray)
        b = memoryview(b)
        good = getattr(b, "format", "h") == "h" and good
    if not good:
        raise ValueError(name + ": expected int16 values (array 'h')")
    return b


def length(track: "Sequence[int]") -> int:
    """How many values a track with this head has, at least those of the head."""
    return HEAD + max(0, SECTION * track[SECTIONS]) + max(0, 2 * track[BANDS])


def count(track: "Sequence[int]") -> int:
    """How many features the array of a track (SPEC.md 2.12.1) gives; 0 for what is none."""
    n = len(track)
    if n < HEAD:
        return 0
    channels, channel, size, window, rectify, decimate, sections, moments, bands = track[:HEAD]
    if not (
        0 <= channel < channels <= 64
        and 4 <= size <= 10
        and 0 <= window <= 1
        and 0 <= rectify <= 1
        and 1 <= decimate <= 1024
        and 0 <= sections <= 8
        and 0 <= moments <= 7
        and 0 <= bands <= 32
        and n == length(track)
    ):
        return 0
    o = HEAD
    for _ in range(sections):
        if not 0 <= track[o] <= 3:
            return 0
        for k in range(o + 1, o + SECTION, 2):
            if track[k] < 0 or not 0 <= track[k + 1] <= 15:
                return 0
        o += SECTION
    for k in range(o, n, 2):
        if not 0 <= track[k] <= track[k + 1] <= 1 << (size - 1):
            return 0
    return bands + (moments & 1) + (moments >> 1 & 1) + (moments >> 2)


def _guard(top: int) -> int:
    """By how much what is made of values below `top` is shifted."""
    return 0 if top < 8192 else 1 if top < 16384 else 2


def _reverse(z: "MutableSequence[int]", pairs: int) -> None:
    """Puts the pairs in the order of their reversed numbers."""
    j = 0
    for i in range(1, pairs):
        bit = pairs >> 1
        while j & bit:
            j ^= bit
            bit >>= 1
        j |= bit
        if i < j:
            a, b = 2 * i, 2 * j
            v = z[a]
            z[a] = z[b]
            z[b] = v
            v = z[a + 1]
            z[a + 1] = z[b + 1]
            z[b + 1] = v


def transform(z: "MutableSequence[int]", pairs: int) -> int:
    """The Fourier transform of `pairs` complex numbers (real, imaginary) in place. Returns 4 * s
    + g: its true values are these times 2 ** s, and g is the guard of what is made of them."""
    sines = SINES
    _reverse(z, pairs)
    top = 0
    for k in range(2 * pairs):
        v = z[k]
        top |= v ^ (v >> 31)
    shifted = 0
    half = 2  # as places in z
    while half < 2 * pairs:
        s = _guard(top)
        shifted += s
        r = (1 << s) >> 1
        turn = 1024 // half
        top = 0
        for j in range(0, half, 2):
            a = (j >> 1) * turn
            if a <= 256:
                c, d = sines[256 - a], sines[a]
            else:
                c, d = -sines[a - 256], sines[512 - a]
            i = j
            while i < 2 * pairs:  # a range of other steps than 1 would be an object
                k = i + half
                re = z[k]
                im = z[k + 1]
                t = (re * c + im * d + 16384) >> 15
                v = z[i] + r
                u = (v - t) >> s
                v = (v + t) >> s
                z[k] = u
                z[i] = v
                top |= u ^ (u >> 31)
                top |= v ^ (v >> 31)
                t = (im * c - re * d + 16384) >> 15
                v = z[i + 1] + r
                u = (v - t) >> s
                v = (v + t) >> s
                z[k + 1] = u
                z[i + 1] = v
                top |= u ^ (u >> 31)
                top |= v ^ (v >> 31)
                i = k + half
        half *= 2
    return 4 * shifted + _guard(top)


class Bands:
    """One track of features: filters, a frame of the last values, and what is computed of it.

    track: array('h') of SPEC.md 2.12.1, copied. channels: of a sample; outputs: features of a
    frame. Raises ValueError for what is no track.
    """

    def __init__(self, track: "Sequence[int]") -> None:
        track = array("h", int16("track", track))
        self.outputs = count(track)
        if not self.outputs:
            raise ValueError("track: not supported")
        self._track = track
        self.channels = track[0]
        self._ring = array("h", bytes(2 << track[SIZE]))
        self._z = array("h", bytes(2 << track[SIZE]))
        self._filters = array("i", bytes(8 * track[SECTIONS]))
        self._x: "Sequence[int] | None" = None
        self._y: "Sequence[int] | None" = None
        self.reset()

    def reset(self) -> None:
        """As if no sample had been there."""
        ring, filters = self._ring, self._filters
        for k in range(len(ring)):
            ring[k] = 0
        for k in range(len(filters)):
            filters[k] = 0
        self._at = self._sum = self._count = 0

    def feed(self, x: "Sequence[int]", first: int, count: int) -> None:
        """`count` samples from sample `first` of `x` on: array('h') of the channels of one sample
        after those of another. Raises ValueError where `x` is shorter."""
        if x is not self._x:
            a = x
            x = int16("x", x)
            if x is a:
                self._x = x
        if (first | count) >> 24:
            raise ValueError("first, count: expected 0 to 16777215")
        channels = self.channels
        i = first * channels
        if i + count * channels > len(x):
            text = "x: expected %d values, got %d"
            raise ValueError(text % (i + count * channels, len(x)))
        track, ring, filters = self._track, self._ring, self._filters
        end = HEAD + SECTION * track[SECTIONS]
        decimate = track[DECIMATE]
        last = len(ring) - 1
        i += track[1]
        for _ in range(count):
            v = x[i]
            i += channels
            if end > HEAD:
                v <<= 10
                p = 0
                o = HEAD
                while o < end:
                    v = section(track, o, filters, p, v)
                    o += SECTION
                    p += 2
                v = (v + 512) >> 10
                if v > 32767:
                    v = 32767
            if track[RECTIFY] and v < 0:
                v = 32767 if v == -32768 else -v
            self._sum += v
            self._count += 1
            if self._count == decimate:
                ring[self._at] = (self._sum + (decimate >> 1)) // decimate
                self._at = (self._at + 1) & last
                self._sum = self._count = 0

    def read(self, y: "MutableSequence[int]") -> None:
        """The features of the last values into `y`: array('h'), `outputs` of them."""
        if y is not self._y:
            b = y
            y = int16("y", y)
            if y is b:
                self._y = y
        if len(y) != self.outputs:
            raise ValueError("y: expected %d values, got %d" % (self.outputs, len(y)))
        n = self._track[SIZE]
        k = self._load(y)
        shifted = transform(self._z, 1 << (n - 1))
        guard = shifted & 3
        scale = 512 * ((shifted >> 2) + guard - k)
        moments = self._track[MOMENTS]
        o = (moments & 1) + (moments >> 1 & 1) + (moments >> 2)
        e = len(self._track) - 2 * (self.outputs - o)
        for at in range(o, self.outputs):
            v = self._band(self._track[e], self._track[e + 1], guard) + scale
            y[at] = v if v > 0 else 0
            e += 2

    def _load(self, y: "MutableSequence[int]") -> int:
        """The frame less its mean, times 2 ** k, into z, and the moments into `y`. Returns k."""
        ring, z, track = self._ring, self._z, self._track
        size = len(ring)
        n, moments = track[SIZE], track[MOMENTS]
        mean = 0
        for v in ring:
            mean += v
        mean = (mean + (size >> 1)) >> n
        top = 0
        for v in ring:
            v -= mean
            top |= v if v >= 0 else -v
        k = 0
        if top:
            k = 14
            while top:
                top >>= 1
                k -= 1
        sines = SINES
        hann = track[WINDOW]
        at, last = self._at, size - 1
        square_high = square_low = fourth_high = fourth_low = 0
        for i in range(size):
            v = ring[(at + i) & last] - mean
            v = v << k if k >= 0 else v >> -k
            t = v * v
            square_high += t >> 15
            square_low += t & 32767
            t >>= 14
            t *= t
            fourth_high += t >> 15
            fourth_low += t & 32767
            if hann:
                t = min(i, size - i) << (10 - n)
                t = sines[256 - t] if t <= 256 else -sines[t - 256]
                v = (v * ((32768 - t) >> 1) + 16384) >> 15
            z[i] = v
        square = log2(square_high, square_low)
        o = 0
        if moments & MEAN:
            y[0] = mean
            o = 1
        if moments & RMS:
            y[o] = square - 512 * k - 256 * n
            o += 1
        if moments & KURTOSIS:
            v = 256 * (n + 28) + log2(fourth_high, fourth_low) - 2 * square
            y[o] = v if v > 0 and square else 0
        return k

    def _band(self, first: int, last: int, guard: int) -> int:
        """log2 of the energy of the bins first to last."""
        z, sines = self._z, SINES
        size = len(z)
        turn = 10 - self._track[SIZE]
        r = (1 << guard) >> 1
        high = low = 0
        for k in range(first, last + 1):
            i = 2 * k & (size - 1)
            j = -i & (size - 1)
            t = k << turn
            if t <= 256:
                c, d = sines[256 - t], sines[t]
            else:
                c, d = -sines[t - 256], sines[512 - t]
            re = (z[i + 1] + z[j + 1] + 1) >> 1
            im = (z[j] - z[i] + 1) >> 1
            t = (re * c + im * d + 16384) >> 15
            im = (im * c - re * d + 16384) >> 15
            re = (((z[i] + z[j] + 1) >> 1) + t + r) >> guard
            im = (((z[i + 1] - z[j + 1] + 1) >> 1) + im + r) >> guard
            t = re * re + im * im
            high += t >> 15
            low += t & 32767
        return log2(high, low)
