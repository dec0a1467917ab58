"""What a device says of its inputs instead of sending them: mean and deviation of each channel."""

from ulnn_rules.float64 import root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 32767  # an input of this size or more is clipped, or about to be
_FOLD = 16384  # samples after which the sums move to integers of any size


class Summary:
    """Sums over the int16 inputs of a model.

    samples: how many. outside: of them, with a channel at the end of its range, which is the end
    of what the model was calibrated for. `add` allocates nothing but once in 16,384 samples.
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._sum = [0] * channels
        self._low = [0] * channels  # of the squares
        self._high = [0] * channels
        self._sums = [0] * channels
        self._squares = [0] * channels
        self._held = 0
        self.samples = self.outside = 0

    def add(self, x: "Sequence[int]") -> None:
        """One sample."""
        far = False
        for k in range(self.channels):
            v = x[k]
            self._sum[k] += v
            if v < 0:
                v = -v
            if v >= LIMIT:
                far = True
                v = LIMIT  # so that its square is a small integer
            v *= v
            self._low[k] += v & 0x7FFF
            self._high[k] += v >> 15
        self.samples += 1
        if far:
            self.outside += 1
        self._held += 1
        if self._held == _FOLD:
            self._fold()

    def _fold(self) -> None:
        for k in range(self.channels):
            self._sums[k] += self._sum[k]
            self._squares[k] += (self._high[k] << 15) + self._low[k]
            self._sum[k] = self._low[k] = self._high[k] = 0
        self._held = 0

    def take(self) -> "tuple[int, int, list[int], list[int]]":
        """(samples, outside, mean, deviation) since the last time, in the model's int16 units,
        rounded down; zeros without a sample."""
        self._fold()
        n = self.samples
        mean = [s // n if n else 0 for s in self._sums]
        pairs = zip(self._sums, self._squares)  # noqa: B905, not on boards
        std = [root(max(0, n * q - s * s)) // n if n else 0 for s, q in pairs]
        found = (n, self.outside, mean, std)
        for k in range(self.channels):
            self._sums[k] = self._squares[k] = 0
        self.samples = self.outside = 0
        return found
