"""Real values to a model's int16 and back, by the scales in its file (SPEC.md 1 and 2).

Floats stay on this side: the engines take and give integers only.

    s = ulnn_scaling.Scaling("/models/x.ulnn")
    s.quantise((0.5, -1.25, 9.81), x)
    m.step(x, y, dt)
    s.dequantise(y, out)

Classes without floats: `argmax` and `margin` of the integers, which allocate nothing.
"""

from array import array
from struct import unpack_from


class Scaling:
    """The scales of one model file: a path (str), or a buffer of bytes, which is not kept.

    input_size, output_size: values of a step. tick_ns: nanoseconds of a tick of dt.
    logit_scale: the scale of every output where it is positive and they all have one scale and
    one offset, so that `argmax` and `margin` may compare their integers; else 0.
    Raises ValueError for a file in which they cannot be found; the engine checks all the rest.
    """

    def __init__(self, source):
        self._in = self._out = None
        self.tick_ns = 0
        if isinstance(source, str):
            with open(source, "rb") as f:

                def read(offset, size):
                    f.seek(offset)
                    return f.read(size)

                self._read(read)
        else:
            m = memoryview(source)
            self._read(lambda offset, size: m[offset : offset + size])

    def _read(self, read):
        head = read(0, 64)
        if len(head) < 64 or unpack_from("<4s", head, 0)[0] != b"ULNN":
            raise ValueError("not a ulnn file: it does not start with ULNN")
        count, self.input_size, self.output_size = unpack_from("<HHH", head, 54)
        table = read(64, 16 * count)
        for k in range(len(table) >> 4):
            kind, _, offset, size = unpack_from("<HHII", table, 16 * k)
            if kind == 1:
                time = read(offset, 8)
                if len(time) == 8:
                    (self.tick_ns,) = unpack_from("<I", time, 0)
            elif kind == 2:
                self._in = self._pairs(read(offset, size), self.input_size)
            elif kind == 3:
                self._out = self._pairs(read(offset, size), self.output_size)
        if not (self._in and self._out and self.tick_ns):
            raise ValueError("the file has no scales: section TIME, INPUT or OUTPUT is damaged")
        first, offset = self._out[0:2]
        self.logit_scale = max(0.0, first)
        for k in range(0, len(self._out), 2):
            if self._out[k] != first or self._out[k + 1] != offset:
                self.logit_scale = 0.0

    @staticmethod
    def _pairs(data, n):
        if len(data) == 8 * n:
            return array("f", unpack_from("<%df" % (2 * n), data, 0))

    def quantise(self, values, x):
        """Real `values` (input_size of any sequence) into `x` (array('h')).

        Rounds to nearest, ties to even; values out of range become -32768 or 32767.
        Raises ValueError for another length and for a value that is not a number.
        """
        pairs = self._in
        n = self.input_size
        if len(values) != n or len(x) != n:
            raise ValueError("expected %d values, got %d and %d" % (n, len(values), len(x)))
        for i in range(n):
            scale = pairs[2 * i]
            v = values[i] - pairs[2 * i + 1]
            if v != v:
                raise ValueError("value %d is not a number" % i)
            v = v / scale if scale else 0  # with scale 0 every integer means the offset
            if v >= 32767:
                x[i] = 32767
            elif v <= -32768:
                x[i] = -32768
            else:
                x[i] = round(v)

    def dequantise(self, y, out):
        """int16 `y` (output_size) into `out`: real values, in a list or array('f')."""
        pairs = self._out
        n = self.output_size
        if len(y) != n or len(out) != n:
            raise ValueError("expected %d values, got %d and %d" % (n, len(y), len(out)))
        for i in range(n):
            out[i] = y[i] * pairs[2 * i] + pairs[2 * i + 1]


def argmax(y):
    """Place of the largest value of `y` (integers, one or more), the first of equals."""
    best = 0
    for k in range(1, len(y)):
        if y[k] > y[best]:
            best = k
    return best


def margin(y):
    """The largest value of `y` (integers, two or more) less the second largest: 0 to 65535.

    d = margin(y) * logit_scale is the difference of the two logits, and 1 / (1 + exp(-d)) the
    probability of the winner against the runner-up: the winner's softmax probability is at most
    that, and of n outputs at least 1 / (1 + (n - 1) * exp(-d)).
    """
    first = max(y[0], y[1])
    second = min(y[0], y[1])
    for k in range(2, len(y)):
        v = y[k]
        if v > first:
            second = first
            first = v
        elif v > second:
            second = v
    return first - second
