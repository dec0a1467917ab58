"""From a sensor's counts to a model's inputs, both int16, in small integers: nothing is allocated.

c = Counts(Scaling("/models/x.ulnn"), source.scale, source.offset)
c.convert(source.raw, x)
"""

from array import array

from ulnn_rules import float64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence
    from typing import Protocol

    class Inputs(Protocol):
        """What `Scaling` says of a model's inputs."""

        input_size: int

        def input_pair(self, k: int) -> "tuple[float, float]":
            """Scale and offset of input k."""


_LOW = 14  # bits of a factor's lower part: a count times it is a small integer
_CORRECTIONS = 256  # of a channel at most, 4 bytes each
_TRIES = 2048  # counts that are looked at for them


class Counts:
    """How the counts of one source become the inputs of one model.

    x[k] is what `Scaling.quantise` gives for the float32 nearest to
    raw[order[k]] * scale[order[k]] + offset[order[k]], which is the source's value.
    scale, offset: of the source's channels, as float32. order: the channel for each input, in
    their order without it.
    exact: whether that is so for every count. Else it is off by one at most, and only where a
    value is within rounding of the middle between two inputs; that happens where scales differ by
    a power of two, or an offset is thousands of times larger than the range.
    Raises ValueError for a channel whose counts are all out of the model's range, or of which a
    single one is half of that range.
    """

    def __init__(
        self,
        scaling: "Inputs",
        scale: "Sequence[float]",
        offset: "Sequence[float]",
        order: "Sequence[int] | None" = None,
    ) -> None:
        n = scaling.input_size
        self.order = list(range(n)) if order is None else list(order)
        self.exact = True
        self._factor: "list[int]" = []  # upper and lower part
        self._add: "list[int]" = []
        self._bits: "list[int]" = []  # of the fraction
        self._near: "list[int]" = []  # fractions from 0 or 1 that need a second look
        self._end = [0]
        self._raw = array("h")
        self._x = array("h")
        values = array("f", [0.0, 0.0, 0.0, 0.0])
        for k in range(n):
            values[0], values[1] = scale[self.order[k]], offset[self.order[k]]
            values[2], values[3] = scaling.input_pair(k)
            self._channel(k, values)

    def convert(self, raw: "Sequence[int]", x: "MutableSequence[int] | memoryview") -> None:
        """The counts of one sample into `x` (array('h'), input_size)."""
        order, factor, add = self.order, self._factor, self._add
        bits, near = self._bits, self._near
        for k in range(len(order)):
            count, s = raw[order[k]], bits[k]
            low = count * factor[2 * k + 1] + add[2 * k + 1]
            t = count * factor[2 * k] + add[2 * k] + (low >> _LOW)
            q = t >> s
            f = t - (q << s)
            if f < near[k] or f >= (1 << s) - near[k]:
                q = self._second_look(k, count, q, not f and not low & 0x3FFF)
            x[k] = 32767 if q > 32767 else -32768 if q < -32768 else q

    def _second_look(self, k: int, count: int, q: int, tie: bool) -> int:
        raw, low, high = self._raw, self._end[k], self._end[k + 1]
        while low < high:
            middle = (low + high) >> 1
            if raw[middle] < count:
                low = middle + 1
            else:
                high = middle
        if low < self._end[k + 1] and raw[low] == count:
            return self._x[low]
        return q & ~1 if tie else q

    # ---- once -------------------------------------------------------------------------------

    def _channel(self, k: int, values: "array[float]") -> None:
        """The line of one channel: x = (count * factor + add) >> bits, half a step included."""
        scale, offset, wide, middle = [float64.parts(v) for v in values]
        if not wide[0]:
            self._keep(0, 0, 0, 0)
            return
        between = _sum(offset, (-middle[0], middle[1]))
        for s in range(14, -1, -1):
            p = s + _LOW
            m, b = _ratio(scale, wide, p), _ratio(between, wide, p)
            if abs(m) >> 28 == 0 and (abs(m) << 15) + abs(b) < 1 << (29 + _LOW):
                break
        else:
            raise ValueError("input %d: a count is more than the model can tell apart" % k)
        ends = [b - (abs(m) << 15) >> p, b + (abs(m) << 15) >> p]
        if ends[0] > 32767 or ends[1] < -32768:
            raise ValueError("input %d: no value of the source is in the model's range" % k)
        # How far the line is off, in units of 2 ** -p: by the factor's own rounding, and by that
        # of values to float32.
        far = 32768
        if not _is_float32(scale, offset):
            far += ((abs(m) << 15) + abs(_ratio(offset, wide, p))) >> 24
        near = (far >> _LOW) + 2
        b += 1 << (p - 1)
        self._keep(m, b, s, near)
        if far == 32768 and _exact(scale, wide, p) and _exact(between, wide, p):
            return
        self._correct(m, b, p, min(near << _LOW, 1 << (p - 1)), values)

    def _keep(self, factor: int, add: int, bits: int, near: int) -> None:
        self._factor += [factor >> _LOW, factor & 0x3FFF]
        self._add += [add >> _LOW, add & 0x3FFF]
        self._bits.append(bits)
        self._near.append(near)
        self._end.append(len(self._raw))

    def _correct(self, m: int, b: int, p: int, near: int, values: "array[float]") -> None:
        """Find the counts for which the line gives another integer than the floats."""
        raw, x = array("h"), array("h")
        first, last = -32768, 32767
        if m:
            ends = sorted((-b + (edge << p)) // m for edge in (-32770, 32770))
            first, last = max(first, ends[0] - 1), min(last, ends[1] + 1)
        tries = 0
        while first <= last:
            ahead = _first(m, b + near + m * first, 1 << p, 2 * near)
            if ahead < 0 or first + ahead > last:
                break
            first += ahead
            tries += 1
            t = m * first + b
            line = t >> p
            if not t & ((1 << p) - 1):
                line &= ~1
            want = _clamped(_quantised(first, values))
            if _clamped(line) != want:
                raw.append(first)
                x.append(want)
            if tries > _TRIES or len(raw) > _CORRECTIONS:
                self.exact = False
                return
            first += 1
        self._raw.extend(raw)
        self._x.extend(x)
        self._end[-1] = len(self._raw)


def _sum(a: "tuple[int, int]", b: "tuple[int, int]") -> "tuple[int, int]":
    low = min(a[1], b[1])
    return (a[0] << (a[1] - low)) + (b[0] << (b[1] - low)), low


def _fraction(a: "tuple[int, int]", b: "tuple[int, int]", p: int) -> "tuple[int, int]":
    """Numerator and denominator, which is above 0, of a / b * 2 ** p."""
    n, d, shift = a[0], b[0], a[1] + p - b[1]
    if d < 0:
        n, d = -n, -d
    return (n << shift, d) if shift >= 0 else (n, d << -shift)


def _ratio(a: "tuple[int, int]", b: "tuple[int, int]", p: int) -> int:
    return float64.nearest(*_fraction(a, b, p))


def _exact(a: "tuple[int, int]", b: "tuple[int, int]", p: int) -> bool:
    n, d = _fraction(a, b, p)
    return n % d == 0


def _odd(a: "tuple[int, int]") -> "tuple[int, int]":
    m, e = a
    while m and not m & 1:
        m, e = m >> 1, e + 1
    return m, e


def _is_float32(scale: "tuple[int, int]", offset: "tuple[int, int]") -> bool:
    """Whether the values of all counts are float32 numbers, as they are."""
    (m, e), (n, f) = _odd(scale), _odd(offset)
    low = min(e, f) if n else e
    return (
        e - low < 24
        and f - low < 48
        and (abs(m) << (e - low + 15)) + (abs(n) << max(0, f - low)) <= 1 << 24
    )


def _clamped(q: int) -> int:
    return max(-32768, min(32767, q))


def _quantised(raw: int, values: "array[float]") -> int:
    """As `Scaling.quantise`, of a count's value."""
    scale, offset, wide, middle = values
    return float64.quotient(float64.line(raw, scale, offset), middle, wide)


def _first(a: int, b: int, m: int, size: int) -> int:
    """The least n from 0 with (a * n + b) % m < size; -1 without."""
    start = -b % m
    if start + size > m or not start:  # the wanted residues of a * n contain 0
        return 0
    return _least(a % m, m, start, start + size - 1)


def _least(a: int, m: int, low: int, high: int) -> int:
    """The least n from 1 with low <= a * n % m <= high, for 0 < low <= high < m; -1 without."""
    path = []
    while True:
        if 2 * a > m:
            a, low, high = m - a, m - high, m - low
        if not a:
            return -1
        n = -(-low // a)
        if a * n <= high:
            break
        # a * n = m * turns + residue: the turns are the solution of a smaller problem.
        path.append((a, m, low))
        a, m, low, high = -m % a, a, low % a, high % a
    while path:
        a, m, low = path.pop()
        n = -(-(low + m * n) // a)
    return n
