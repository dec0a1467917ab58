"""Samples of a sensor, masked in integers; nothing is allocated."""

from array import array

from ulnn_rules import exact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence
    from typing import Any

_ALL = (-32768, 32767, 1)  # every count, as it is


class Channels:
    """The channels that may leave. names: theirs, in order. untouched: whether these are all
    channels, and every count leaves as it is. Made by `Policy.channels`.

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
        self._width = len(names)
        self._from = array("H", chosen)
        self.untouched = len(chosen) == len(names)
        self._low, self._high = array("h"), array("h")
        self._step = array("H")
        for j in range(len(chosen)):
            k = chosen[j]
            ends = counts(rules[j], scale[k] if scale else 1, offset[k] if offset else 0)
            if ends != _ALL:
                self.untouched = False
            self._low.append(ends[0])
            self._high.append(ends[1])
            self._step.append(ends[2])

    def __len__(self) -> int:
        return len(self.names)

    def apply(self, raw: "Sequence[int]", out: "MutableSequence[int]", count: int = 1) -> None:
        """The first `count` samples of `raw`, array('h') of all channels of one after those of
        another, into `out`, array('h') with len(self) for each. They may be one for a single
        sample, and where no channel is left out. Allocates nothing."""
        source, width, left = self._from, self._width, len(self._from)
        for j in range(left):
            step, low, high = self._step[j], self._low[j], self._high[j]
            half = step >> 1
            at, to = source[j], j
            if step > 1:
                for _ in range(count):
                    v = raw[at] + half
                    v -= v % step
                    out[to] = low if v < low else high if v > high else v
                    at += width
                    to += left
            else:
                for _ in range(count):
                    v = raw[at]
                    out[to] = low if v < low else high if v > high else v
                    at += width
                    to += left


def counts(rule: "Any", scale: float, offset: float) -> "tuple[int, int, int]":
    """Lowest and highest count and the step of a rule, for a channel of this scale and offset.
    Raises ValueError where no count lies in its range."""
    low, high, step = _ALL
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
