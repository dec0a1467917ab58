"""Noise for privacy, in integers: the discrete Laplace and the discrete Gaussian distribution,
exact, from random bytes (Canonne, Kamath and Steinke 2020, algorithms 1 to 3).

No float is involved, so a board without a double gives the same privacy, and the low bits of a
float (Mironov 2012) betray nothing.
"""

from ulnn_rules.float64 import root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_TRIES = 2000  # a draw that is rejected more often has a source that is not random
_AT_ONCE = 32
_LN10 = 2302586  # millionths, rounded up


class Random:
    """Whole numbers of random bytes. read(n): gives n of them, as os.urandom does."""

    def __init__(self, read: "Callable[[int], bytes]") -> None:
        self._read = read
        self._bytes = b""
        self._at = 0

    def _next(self) -> int:
        if self._at == len(self._bytes):
            self._bytes = self._read(_AT_ONCE)
            self._at = 0
        self._at += 1
        return self._bytes[self._at - 1]

    def below(self, n: int) -> int:
        """One of 0 to n - 1, all equally likely."""
        for _ in range(_TRIES):
            value, top = 0, 1
            while top < n:
                value = value << 8 | self._next()
                top <<= 8
            if value < top - top % n:
                return value % n
        raise OSError("the random source is stuck")

    def _exp_small(self, n: int, d: int) -> bool:
        """True with probability exp(-n / d); n is 0 to d."""
        k = 1
        while self.below(d * k) < n:
            k += 1
            if k > _TRIES:
                raise OSError("the random source is stuck")
        return k & 1 == 1

    def exp(self, n: int, d: int) -> bool:
        """True with probability exp(-n / d); n is 0 or more, d 1 or more."""
        for _ in range(n // d):
            if not self._exp_small(1, 1):
                return False
        return self._exp_small(n % d, d)

    def laplace(self, n: int, d: int) -> int:
        """An integer z with a probability proportional to exp(-abs(z) * d / n)."""
        for _ in range(_TRIES):
            u = self.below(n)
            if not self._exp_small(u, n):
                continue
            v = 0
            while self._exp_small(1, 1):
                v += 1
                if v > _TRIES:
                    raise OSError("the random source is stuck")
            z = (u + n * v) // d
            if self.below(2):
                return z
            if z:
                return -z
        raise OSError("the random source is stuck")

    def gauss(self, n: int, d: int) -> int:
        """An integer z with a probability proportional to exp(-z * z * d / (2 * n)): of variance
        n / d, nearly."""
        t = root(n // d) + 1
        for _ in range(_TRIES):
            z = self.laplace(t, 1)
            far = abs(z) * t * d - n
            if self.exp(far * far, 2 * n * d * t * t):
                return z
        raise OSError("the random source is stuck")


def variance(steps: int, epsilon: int, digits: int) -> "tuple[int, int]":
    """(n, d): the variance n / d of the discrete Gaussian that makes a value of `steps` + 1 grid
    points (epsilon, delta)-private. epsilon: in millionths; delta = 10 ** -digits.

    By rho-zCDP: rho = steps ** 2 / (2 * variance), and epsilon = rho + 2 * sqrt(rho * ln(1 /
    delta)) (Bun and Steinke 2016); rounded to more noise.
    """
    log = digits * _LN10
    rho_root = root((log + epsilon) * 1000000) - root(log * 1000000) - 1
    if rho_root < 1:
        raise ValueError("epsilon is too small for this delta")
    return steps * steps * 10**12, 2 * rho_root * rho_root
