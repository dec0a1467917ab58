"""From a model's outputs to the result of a window. Integers in and out; nothing is allocated."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def argmax(y: "Sequence[int]") -> int:
    """Index of the largest of `y` (one or more), the first of equals."""
    best = 0
    for k in range(1, len(y)):
        if y[k] > y[best]:
            best = k
    return best


def margin(y: "Sequence[int]") -> int:
    """The largest of `y` (two or more) less the second largest: 0 to 65535 output units.

    It means something where all outputs have one scale and one offset (`Scaling.logit_scale` is
    not 0). Then d = margin(y) * logit_scale is the difference of the two logits, and
    1 / (1 + exp(-d)) the probability of the winner against the runner-up: the winner's softmax
    probability is at most that, and of n outputs at least 1 / (1 + (n - 1) * exp(-d)).
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


class Window:
    """The outputs of the steps of a window, and their result (SPEC.md 2.10).

    readout: "each", "last", "mean" or "vote". outputs: values of a step. size: of a window, in
    ticks where `ticks` is true, else in steps; 0: the caller ends it (`Decider.end`).
    result: for each output y (each, last), the sum of y (mean), or how many steps it won (vote).
    count, elapsed: steps and ticks so far; count is 0 where the next step begins a window.

    Nothing is allocated as long as sums and ticks are small integers, below 2**30 where a word has
    32 bits: for 32,767 steps, and 17 minutes of microseconds.
    """

    def __init__(self, readout: str, outputs: int, size: int = 0, ticks: bool = False) -> None:
        self.readout = readout
        self._sums = [0] * outputs
        self.result: "Sequence[int]" = self._sums
        self._size = 1 if readout == "each" else size
        self._ticks = ticks and readout != "each"
        self.count = self.elapsed = 0

    def start(self) -> None:
        """Begin a window; the result so far is lost."""
        self.count = self.elapsed = 0
        sums = self._sums
        for k in range(len(sums)):
            sums[k] = 0

    def add(self, y: "Sequence[int]", dt: int) -> bool:
        """The outputs of one step and its dt in ticks; of `each` and `last`, `y` itself becomes
        the result. Returns whether the window ends here; then `start` comes before the next."""
        self.count += 1
        self.elapsed += dt
        if self.readout == "mean":
            sums = self._sums
            for k in range(len(sums)):
                sums[k] += y[k]
        elif self.readout == "vote":
            self._sums[argmax(y)] += 1
        else:
            self.result = y
        return 0 < self._size <= (self.elapsed if self._ticks else self.count)

    def value(self, k: int) -> int:
        """The result of output k (0 or more) as a value in output units: of `mean` the mean,
        rounded, ties upwards. There must have been a step."""
        if self.readout == "mean":
            return (self._sums[k] + self.count // 2) // self.count
        return self.result[k]

    def margin(self) -> int:
        """The largest result less the second largest, of two or more: in output units (of `mean`
        that of the sums divided by `count`, rounded down), of `vote` in steps."""
        m = margin(self.result)
        return m // self.count if self.readout == "mean" else m
