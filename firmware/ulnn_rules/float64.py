"""What float64 gives for float32 numbers, in integers: the floats of most boards are shorter.

A float here is a float32 number, whatever holds it.
"""

from math import frexp, ldexp

TINY = 1.0
"""The largest power of two that added to 1.0 is lost: 2 ** -53 in float64, 2 ** -24 in float32."""
while 1.0 + TINY != 1.0:
    TINY /= 2


def parts(v: float) -> "tuple[int, int]":
    """(m, e) with v = m * 2 ** e, exactly. `v` is finite."""
    m, e = frexp(v)
    return int(m * 16777216), e - 24


def nearest(n: int, d: int) -> int:
    """n / d (d above 0) to the nearest integer, ties to even."""
    q = n // d
    r = 2 * (n - q * d)
    return q + 1 if r > d or (r == d and q & 1) else q


def root(n: int) -> int:
    """The whole part of the square root of n, 0 or more."""
    if n < 2:
        return n
    guess = 1
    while guess * guess <= n:
        guess <<= 1
    while True:
        better = (guess + n // guess) >> 1
        if better >= guess:
            return guess
        guess = better


def _excess(n: int, bits: int) -> int:
    """How many bits `n` has beyond `bits`."""
    n = abs(n) >> bits
    k = 0
    while n > 255:
        n >>= 8
        k += 8
    while n:
        n >>= 1
        k += 1
    return k


def _sum(a: int, b: int) -> int:
    """a + b with the 53 bits that float64 keeps."""
    n = a + b
    k = _excess(n, 53)
    return nearest(n, 1 << k) << k if k else n


def quotient(v: float, offset: float, scale: float) -> int:
    """(v - offset) / scale to the nearest integer, ties to even. `scale` is not 0.

    Equal to float64 for quotients below 2 ** 28: its division makes no tie of what is none there.
    """
    m, e = parts(v)
    om, oe = parts(offset)
    d, se = parts(scale)
    low = min(e, oe)
    n = _sum(m << (e - low), -om << (oe - low))
    if d < 0:
        n, d = -n, -d
    if low > se:
        n <<= low - se
    else:
        d <<= se - low
    return nearest(n, d)


def line(y: int, scale: float, offset: float) -> float:
    """y * scale + offset as a float32. `y` is an int16."""
    m, e = parts(scale)
    om, oe = parts(offset)
    low = min(e, oe)
    n = _sum(y * m << (e - low), om << (oe - low))
    k = _excess(n, 24)
    return ldexp(nearest(n, 1 << k), low + k)


def product(a: float, b: float) -> float:
    """a * b as a float32."""
    m, e = parts(a)
    n, f = parts(b)
    n *= m
    k = _excess(n, 24)
    return ldexp(nearest(n, 1 << k), e + f + k)
