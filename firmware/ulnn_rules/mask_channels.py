"""Samples of a sensor, masked in integers; nothing is allocated."""

from array import array

from ulnn_rules import exact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence
    from typing import Any


class Channels:
    """The channels that may leave. names: theirs, in order. Made by `Policy.channels`.

    A step is the next whole number of counts of the sensor, with a grid that begins at the count
    0; a range ends at the last counts inside of it.
    """

    def __init__(
        self,
        names: "Sequence[str]",
        chosen: "Sequence[int]",
        rules: "Sequence[Any]",
        scale: "Sequence[float]",
        offset: "Sequence[float]",
    ) -> None:
        self.names = tuple(names[k] for k in chosen)
        self._from = array("H", chosen)
        self._low, self._high = array("h"), array("h")
        self._step = array("H")
        for j in range(len(chosen)):
            k = chosen[j]
            ends = counts(rules[j], scale[k] if scale else 1, offset[k] if offset else 0)
            self._low.append(ends[0])
            self._high.append(ends[1])
            self._step.append(ends[2])

    def __len__(self) -> int:
        return len(self.names)

    def apply(self, raw: "Sequence[int]", out: "MutableSequence[int]") -> None:
        """The sample `raw`, array('h') of all channels, into `out`, array('h') of len(self); they
        may be one. Allocates nothing."""
        source, steps = self._from, self._step
        lows, highs = self._low, self._high
        for j in range(len(source)):
            v = raw[source[j]]
            step = steps[j]
            if step > 1:
                v += step >> 1
                v -= v % step
            if v < lows[j]:
                v = lows[j]
            elif v > highs[j]:
                v = highs[j]
            out[j] = v


def counts(rule: "Any", scale: float, offset: float) -> "tuple[int, int, int]":
    """Lowest and highest count and the step of a rule, for a channel of this scale and offset.
    Raises ValueError where no count lies in its range."""
    low, high, step = -32768, 32767, 1
    n, d = exact.fraction(scale)
    if not n:
        raise ValueError("%s: the scale of the channel is 0" % rule.where)
    if getattr(rule, "step", 0):
        step = min(65535, -(-rule.step * d // (abs(n) * 10**rule.places)))
    if hasattr(rule, "low"):
        on, od = exact.fraction(offset)
        ends = []
        for end, places in (rule.low, rule.high):
            # (end - offset) / scale as a fraction
            top, under = (end * od - on * 10**places) * d, 10**places * od * n
            ends.append((-top, -under) if under < 0 else (top, under))
        first, last = ends if n > 0 else (ends[1], ends[0])
        low = max(low, -(-first[0] // first[1]))
        high = min(high, last[0] // last[1])
        if low > high:
            raise ValueError("%s: no count of the sensor lies in its range" % rule.where)
    return low, high, step
