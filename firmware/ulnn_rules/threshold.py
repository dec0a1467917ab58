"""A threshold learnt on one machine while it is healthy, for so many false alarms a day: integers,
some hundred bytes.

The time to learn is cut into 128 blocks. 16 of them teach the usual size of errors, where a score
wants that, and 16 the middle of the scores and their spread. Of each other block the largest value
is kept, n of them. With the n - k th largest as q, k = n // 4, and e
the mean of what the k larger ones exceed it by (each at most 6 times their median, so that a knock
does not matter), the threshold is

    q + e * (L + L ** 2 / 2k + L ** 3 / 6k ** 2),  L = ln(k / false alarms expected in the time of
                                                          the n blocks)

That is exact where the largest values exceed q by an exponential law. L alone would be right for
an e that is known. The other terms are for what k values do not tell: with them the false alarms
are what was asked in the mean over machines. Lighter tails, as those of logarithms of energies,
make fewer false alarms, heavier ones more; and what a machine did not do while it learnt is an
alarm.
"""

from array import array
from struct import pack_into, unpack_from

from ulnn_rules.log2 import log2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

BLOCKS = 128
_USUAL, _CENTRE = 16, 16  # of them
_TAIL = _USUAL + _CENTRE  # the first of all others
_CLIP = 6  # medians
_DAY_S = 86400
_LN2 = 5678  # of 2 ** 13
_HEAD = 12
SIZE = _HEAD + 2 * (BLOCKS - _TAIL)  # bytes of `pack`


class Threshold:
    """Learns a threshold.

    learn_s: seconds to learn, 128 or more. false_alarms: in 1000 days, 1 or more. weighs: whether
    the scores need to learn first what is usual.
    state: what is learnt now, "usual", "centre" or "tail", or "ready". centre, spread: the median
    of the scores, and half of what is between their quartiles, after "centre". level: the
    threshold, and clear: what is half-way to it from q, where it is ready. blocks: of 128 that are
    learnt.
    Nothing is allocated, but at the end of the last block.
    """

    def __init__(self, learn_s: int, false_alarms: int, weighs: bool = False) -> None:
        self._first = 0 if weighs else _USUAL
        self._block = learn_s * 1000 // (BLOCKS - self._first)  # ms
        self._false_alarms = false_alarms
        self._values = array("h", [0] * BLOCKS)
        self.forget()

    def forget(self) -> None:
        """Begin to learn again."""
        self.blocks = self._first
        self.centre = self.spread = self.level = self.clear = 0
        self._seconds = self._ms = self._time = 0
        self._largest = -32768

    @property
    def state(self) -> str:
        if self.blocks < _USUAL:
            return "usual"
        if self.blocks < _TAIL:
            return "centre"
        return "tail" if self.blocks < BLOCKS else "ready"

    def look(self, score: int, value: int, ms: int) -> bool:
        """A score, the value of it that is compared with the threshold, both int16, and the
        milliseconds that they stand for. Whether a block ends: not before `state` is "ready"."""
        if self.blocks >= BLOCKS:
            return False
        self._largest = max(self._largest, value)
        self._time += ms
        if self.blocks >= _TAIL:
            self._ms += ms
            self._seconds += self._ms // 1000
            self._ms %= 1000
        if self._time < self._block:
            return False
        # A look may be longer than a block: then each is one.
        self._time = min(self._block, self._time - self._block)
        if self.blocks >= _TAIL:
            self._values[self.blocks - _TAIL] = self._largest
        elif self.blocks >= _USUAL:
            self._values[self.blocks - _USUAL] = score
        self._largest = -32768
        self.blocks += 1
        if self.blocks == _TAIL:
            n = _sort(self._values, _CENTRE)
            self.centre = (self._values[n // 2 - 1] + self._values[n // 2]) >> 1
            self.spread = max(1, (self._values[3 * n // 4] - self._values[n // 4 - 1]) >> 1)
        elif self.blocks == BLOCKS:
            _sort(self._values, BLOCKS - _TAIL)
            self._settle()
        return True

    def _settle(self) -> None:
        n = BLOCKS - _TAIL
        self.level, self.clear = level(self._values, n, self._seconds, self._false_alarms)

    def pack(self, b: "bytearray | memoryview", at: int) -> None:
        """What was learnt, SIZE bytes at `at`; of the block that has begun, nothing."""
        pack_into("<HhhHI", b, at, self.blocks, self.centre, self.spread, 0, self._seconds)
        for k in range(BLOCKS - _TAIL):
            pack_into("<h", b, at + _HEAD + 2 * k, self._values[k])

    def unpack(self, b: "bytes | bytearray | memoryview", at: int) -> None:
        """What `pack` gave."""
        self.forget()
        self.blocks, self.centre, self.spread, _, self._seconds = unpack_from("<HhhHI", b, at)
        for k in range(BLOCKS - _TAIL):
            self._values[k] = unpack_from("<h", b, at + _HEAD + 2 * k)[0]
        if self.blocks == BLOCKS:  # the false alarms that are allowed may be others now
            self._settle()


def level(values: "Sequence[int]", n: int, seconds: int, false_alarms: int) -> "tuple[int, int]":
    """The threshold, and what is half-way to it, from the n largest values (ascending, int16) of
    blocks of so many seconds in all, for so many false alarms in 1000 days."""
    k = n // 4
    q = values[n - k - 1]
    most = _CLIP * max(1, values[n - (k + 1) // 2] - q)
    total = 0
    for i in range(n - k, n):
        total += min(most, values[i] - q)
    wanted = false_alarms * max(1, seconds)
    ln = max(0, (_log2(k * 1000 * _DAY_S) - _log2(wanted)) * _LN2 >> 13)
    ln += ln * ln // (512 * k) + ln * ln * ln // (393216 * k * k)
    high = min(32767, q + max(1, total * ln // (256 * k)))
    return high, (q + high) >> 1


def _log2(v: int) -> int:
    return log2(v >> 15, v & 32767)


def _sort(values: "MutableSequence[int]", n: int) -> int:
    """The first n of `values`, ascending. Returns n."""
    for i in range(1, n):
        v = values[i]
        j = i
        while j and values[j - 1] > v:
            values[j] = values[j - 1]
            j -= 1
        values[j] = v
    return n
