"""Does a model know what it sees? How far the inputs of a window are from what they were like in
training, by their means, spreads and steps (SPEC.md 2.15). Integers; nothing is allocated.

    u = Unknown(content, inputs)        # of the section UNKNOWN
    u.add(x)                            # each step
    u.far()                             # where the window ends; then u.start()
"""

from array import array
from struct import unpack_from

from ulnn_rules.log2 import log2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ulnn_rules.sections import Bytes

INPUTS_MAX = 64
CENTRES_MAX = 1024
THRESHOLD_MAX = (1 << 30) - 1
HEAD = 8
_LIMIT = 32767


def numbers(inputs: int, centres: int) -> int:
    """How many int16 follow the head of a section."""
    n = 3 * inputs
    return 2 * inputs + 2 * n + n * (n + 1) // 2 + centres * n


def _fail(text: str, *args: int) -> None:
    raise ValueError(text % args)


def read_unknown(b: "Bytes", inputs: int) -> "tuple[int, int, array[int]]":
    """centres, threshold and the numbers, array('h'), of an UNKNOWN section. Raises ValueError
    (checks 130 to 138 of SPEC.md 4)."""
    size = len(b)
    if size < HEAD:  # 130
        _fail("unknown: size %d, expected at least 8", size)
    centres, reserved, threshold = unpack_from("<HHI", b, 0)
    if inputs > INPUTS_MAX:  # 131
        _fail("unknown: %d inputs, expected at most 64", inputs)
    if not 1 <= centres <= CENTRES_MAX:  # 132
        _fail("unknown: centres %d, expected 1 to 1024", centres)
    if reserved:  # 133
        _fail("unknown: reserved field is not 0")
    if threshold > THRESHOLD_MAX:  # 134
        _fail("unknown: threshold %d, expected 0 to 1073741823", threshold)
    count = numbers(inputs, centres)
    if size != HEAD + 2 * count:  # 135
        _fail("unknown: size %d, expected %d", size, HEAD + 2 * count)
    values = array("h", bytes(b[HEAD:]))
    for k in range(count):
        if values[k] < -_LIMIT:  # 136
            _fail("unknown: value %d is -32768", k)
    for k in range(inputs):
        if values[inputs + k] < 1:  # 137
            _fail("unknown: floor %d, expected 1 to 32767", values[inputs + k])
    for k in range(5 * inputs, 8 * inputs):
        if not 0 <= values[k] <= 15:  # 138
            _fail("unknown: shift %d, expected 0 to 15", values[k])
    return centres, threshold, values


class Unknown:
    """How far windows are from what a model knows.

    content: of the section, which is not kept. inputs: of the model. threshold: the largest
    `distance` that is known. Raises ValueError for a damaged section.
    """

    def __init__(self, content: "Bytes", inputs: int) -> None:
        self._count, self.threshold, self._values = read_unknown(content, inputs)
        self._inputs = inputs
        self._last = array("h", [0] * inputs)
        self._sums = [0] * inputs
        self._high = [0] * inputs  # of the sums of squares: 2 ** 15 of them
        self._low = [0] * inputs
        self._steps = [0] * inputs
        self._white = [0] * (3 * inputs)
        self.count = 0

    def start(self) -> None:
        """Begin a window."""
        self.count = 0
        for k in range(self._inputs):
            self._sums[k] = self._high[k] = self._low[k] = self._steps[k] = 0

    def add(self, x: "Sequence[int]") -> None:
        """The inputs of a step, int16. Those after the first 32,767 of a window do not count."""
        if self.count == _LIMIT:
            return
        values, last = self._values, self._last
        sums, high, low = self._sums, self._high, self._low
        first = not self.count
        self.count += 1
        for k in range(self._inputs):
            v = x[k]
            if not first:
                d = v - last[k]
                self._steps[k] += min(_LIMIT, d if d >= 0 else -d)
            last[k] = v
            d = max(-_LIMIT, min(_LIMIT, v - values[k]))
            sums[k] += d
            d *= d
            high[k] += d >> 15
            low[k] += d & 32767

    def far(self) -> bool:
        """Whether the window is of nothing that the model knows. There must have been a step."""
        return self.distance() > self.threshold

    def distance(self) -> int:
        """The squared distance of the window from the nearest centre, in 1/64."""
        inputs, values, white = self._inputs, self._values, self._white
        n = 3 * inputs
        for k in range(inputs):
            self._statistics(k)
        row = 8 * inputs
        for j in range(n - 1, -1, -1):
            # from the last row, so that the statistics before it are still there
            at = row + j * (j + 1) // 2
            s = 0
            for k in range(j + 1):
                s += values[at + k] * white[k] >> 8
            s >>= values[5 * inputs + j]
            white[j] = max(-_LIMIT, min(_LIMIT, s))
        at = row + n * (n + 1) // 2
        best = -1
        for _ in range(self._count):
            s = 0
            for k in range(n):
                d = max(-_LIMIT, min(_LIMIT, white[k] - values[at + k]))
                s += d * d >> 10
            at += n
            if best < 0 or s < best:
                best = s
        return best

    def _statistics(self, k: int) -> None:
        """Mean, spread and step of input k, less their middles, into `white`."""
        count, values, white = self.count, self._values, self._white
        floor = values[self._inputs + k]
        mean = (self._sums[k] + count // 2) // count
        high = self._high[k] + (self._low[k] >> 15)
        square = high // count << 15
        square += ((high % count << 15) + (self._low[k] & 32767)) // count
        square = max(0, square - mean * mean)
        floored = floor * floor
        spread = log2((square >> 15) + (floored >> 15), (square & 32767) + (floored & 32767))
        step = log2(0, (self._steps[k] // max(1, count - 1)) + floor)
        at = 2 * self._inputs + 3 * k
        white[3 * k] = max(-_LIMIT, min(_LIMIT, mean - values[at]))
        white[3 * k + 1] = max(-_LIMIT, min(_LIMIT, spread - values[at + 1]))
        white[3 * k + 2] = max(-_LIMIT, min(_LIMIT, step - values[at + 2]))
