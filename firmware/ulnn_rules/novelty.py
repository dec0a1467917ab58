"""How unusual a step is, without labels: a score, an integer, larger is more unusual. By what a
model predicted (`Prediction`), or by one of its inputs alone (`Input`), such as a level.

    score = Prediction(Scaling("/models/x.ulnn"))
    score.learn(x, y)  # while the machine is healthy: y predicted x, one step before
    score.settle()
    score.of(x, y)
"""

from array import array
from struct import pack_into, unpack_from

from ulnn_rules.counts import Counts
from ulnn_rules.log2 import log2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ulnn_rules.scaling import Scaling

_MOST = 8192  # steps whose errors are summed up
_LEAST = 16  # units of an input: what is usual is never less
_ONE = 256  # an error as large as usual


class _Outputs:
    """The inputs of a model in the place of its outputs, for `Counts`."""

    def __init__(self, scaling: "Scaling") -> None:
        self.input_size = scaling.input_size
        self.input_pair = scaling.input_pair


class Prediction:
    """The error of a model's outputs, which are the inputs of its next step.

    weighs: True, the size of an error that is usual is learnt on the machine, for each input.
    usual: array('H') of it, in units of the input.
    A score is 256 * log2 of the mean over the inputs of (error / usual) ** 2: 0 for errors that
    are as large as usual, 256 more for twice the energy.
    Raises ValueError for a model whose outputs are not as many as its inputs. `learn` and `of`
    allocate nothing.
    """

    weighs = True

    def __init__(self, scaling: "Scaling") -> None:
        n = scaling.input_size
        if scaling.output_size != n:
            raise ValueError(
                "the model has %d inputs and %d outputs: it does not predict its next inputs"
                % (n, scaling.output_size)
            )
        pairs = [scaling.output_pair(k) for k in range(n)]
        self._counts = Counts(scaling, [p[0] for p in pairs], [p[1] for p in pairs])
        self._expected = array("h", [0] * n)
        self._base = 16 * 256 + log2(0, n)
        self.usual = array("H", [_LEAST] * n)
        self._sums = [0] * n
        self._steps = 0
        self.size = 2 * n  # bytes of `pack`

    def learn(self, x: "Sequence[int]", y: "Sequence[int]") -> None:
        """The inputs x of a step, healthy, and the outputs y of the step before: array('h')."""
        expected, sums = self._expected, self._sums
        self._counts.convert(y, expected)
        for k in range(len(sums)):
            sums[k] += abs(x[k] - expected[k])
        self._steps += 1
        if self._steps == _MOST:
            self._steps >>= 1
            for k in range(len(sums)):
                sums[k] >>= 1

    def settle(self) -> None:
        """What is usual is the mean of what was learnt, and for each input a quarter of that for
        all at least: one that hardly moved may do so later. Nothing changes where nothing was."""
        n = self._steps
        if not n:
            return
        sums, count = self._sums, len(self._sums)
        mean = 0
        for k in range(count):
            mean += (sums[k] + (n >> 1)) // n
        least = max(_LEAST, mean // (4 * count))
        for k in range(count):
            self.usual[k] = min(65535, max(least, (sums[k] + (n >> 1)) // n))

    def forget(self) -> None:
        """Begin to learn again."""
        self._steps = 0
        for k in range(len(self._sums)):
            self._sums[k] = 0

    def of(self, x: "Sequence[int]", y: "Sequence[int]") -> int:
        """The score of a step with inputs x, after outputs y of the step before."""
        expected, usual = self._expected, self.usual
        self._counts.convert(y, expected)
        high = low = 0
        for k in range(len(usual)):
            error = abs(x[k] - expected[k]) * _ONE // usual[k]
            if error > 32767:
                error = 32767
            error *= error
            high += error >> 15
            low += error & 32767
        return log2(high, low) - self._base

    def pack(self, b: "bytearray | memoryview", at: int) -> None:
        """What is usual, `size` bytes at `at`."""
        for k in range(len(self.usual)):
            pack_into("<H", b, at + 2 * k, self.usual[k])

    def unpack(self, b: "bytes | bytearray | memoryview", at: int) -> None:
        """What `pack` gave."""
        self.forget()
        for k in range(len(self.usual)):
            self.usual[k] = max(1, unpack_from("<H", b, at + 2 * k)[0])


class Input:
    """One input as it is: number `k`, in units of the model's inputs; as `Prediction`."""

    weighs = False
    size = 0

    def __init__(self, k: int) -> None:
        self._k = k

    def of(self, x: "Sequence[int]", y: "Sequence[int]") -> int:
        """The score of a step with inputs x."""
        return x[self._k]
