"""Real values to a model's int16 and back, by the scales in its file (SPEC.md 1 and 2).

Real values are float32. What is computed with them is what a PC computes in float64, bit for bit,
also on boards whose floats are shorter. The engines themselves take and give integers only.

    s = Scaling("/models/x.ulnn")
    s.quantise((0.5, -1.25, 9.81), x)
    m.step(x, y, s.ticks(us))
    s.dequantise(y, out)
"""

from array import array
from struct import unpack_from

from ulnn_rules import float64, sections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

    from ulnn_rules.sections import Bytes

TIME, INPUT, OUTPUT = 1, 2, 3
_IS_FLOAT64 = float64.TINY < 1e-15
# A quotient so near to its integer is rounded right by any float, in int16's range.
_SURE = 0.5 - 131072 * float64.TINY


class Scaling:
    """The scales of one model file: a path (str), or a buffer of bytes, which is not kept.

    input_size, output_size: values of a step. tick_ns: nanoseconds of a tick of dt.
    logit_scale: the scale of every output where it is positive and they all have one scale and
    one offset, so that `readout` may compare their integers; else 0.
    Raises ValueError for a file in which they cannot be found; the engine checks all the rest.
    """

    def __init__(self, source: "str | Bytes") -> None:
        self._in = self._out = array("f")
        self._float = array("f", [0.0])
        self.tick_ns = 0
        self.input_size, self.output_size, found = sections.read(source, (TIME, INPUT, OUTPUT))
        if len(found.get(TIME, b"")) == 8:
            (self.tick_ns,) = unpack_from("<I", found[TIME], 0)
        if INPUT in found:
            self._in = self._pairs(found[INPUT], self.input_size)
        if OUTPUT in found:
            self._out = self._pairs(found[OUTPUT], self.output_size)
        if not (len(self._in) and len(self._out) and self.tick_ns):
            raise ValueError("the file has no scales: section TIME, INPUT or OUTPUT is damaged")
        first, offset = self._out[0:2]
        self.logit_scale = max(0.0, first)
        for k in range(0, len(self._out), 2):
            if self._out[k] != first or self._out[k + 1] != offset:
                self.logit_scale = 0.0
        # Microseconds in a ratio of small integers, which need no allocation.
        a, b = 1000, self.tick_ns
        while b:
            a, b = b, a % b
        self._ticks = 1000 // a
        self._of_us = self.tick_ns // a

    @staticmethod
    def _pairs(data: "Bytes", n: int) -> "array[float]":
        if len(data) != 8 * n:
            return array("f")
        pairs = array("f", unpack_from("<%df" % (2 * n), data, 0))
        for v in pairs:
            if v - v != 0:
                raise ValueError("the file has a scale or an offset that is not a finite number")
        return pairs

    def input_pair(self, k: int) -> "tuple[float, float]":
        """Scale and offset of input k: the value of an integer v is v * scale + offset."""
        return self._in[2 * k], self._in[2 * k + 1]

    def output_pair(self, k: int) -> "tuple[float, float]":
        """The same of output k."""
        return self._out[2 * k], self._out[2 * k + 1]

    def quantise(self, values: "Sequence[float]", x: "MutableSequence[int] | memoryview") -> None:
        """Real `values` (input_size of any sequence) into `x` (array('h')).

        Rounds to nearest, ties to even; values out of range become -32768 or 32767.
        Raises ValueError for another length and for a value that is not a number.
        """
        pairs, float32 = self._in, self._float
        n = self.input_size
        if len(values) != n or len(x) != n:
            raise ValueError("expected %d values, got %d and %d" % (n, len(values), len(x)))
        for i in range(n):
            float32[0] = values[i]
            v = float32[0]
            if v != v:
                raise ValueError("value %d is not a number" % i)
            scale = pairs[2 * i]
            if not scale:  # every integer means the offset
                x[i] = 0
                continue
            offset = pairs[2 * i + 1]
            q = (v - offset) / scale
            if q > 32768:
                k = 32767
            elif q < -32769:
                k = -32768
            else:
                k = round(q)
                if abs(q - k) > _SURE:
                    k = float64.quotient(v, offset, scale)
                if k > 32767:
                    k = 32767
                elif k < -32768:
                    k = -32768
            x[i] = k

    def dequantise(self, y: "Sequence[int]", out: "MutableSequence[float]") -> None:
        """int16 `y` (output_size) into `out`: float32 values, in a list or array('f').

        Raises ValueError for another length.
        """
        pairs, float32 = self._out, self._float
        n = self.output_size
        if len(y) != n or len(out) != n:
            raise ValueError("expected %d values, got %d and %d" % (n, len(y), len(out)))
        for i in range(n):
            scale, offset = pairs[2 * i], pairs[2 * i + 1]
            if _IS_FLOAT64 or not offset:
                float32[0] = y[i] * scale + offset
                out[i] = float32[0]
            else:
                out[i] = float64.line(y[i], scale, offset)

    def ticks(self, us: int) -> int:
        """Ticks of `us` microseconds, as `time.ticks_diff` gives them: what `step` takes as dt.

        Rounds to nearest, ties to even; at least 1 and at most 2**31 - 1. Raises ValueError below
        a microsecond.
        """
        if us < 1:
            raise ValueError("dt: expected 1 or more microseconds, got %d" % us)
        return max(1, min(2147483647, float64.nearest(us * self._ticks, self._of_us)))
