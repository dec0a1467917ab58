"""Logarithms in small integers: those of features (SPEC.md 3.11), and of what is made of them."""


def log2(hi: int, lo: int) -> int:
    """256 * log2(hi * 2**15 + lo), about 1 too low at most; 0 counts as 1."""
    hi += lo >> 15
    lo &= 32767
    if not (hi or lo):
        return 0
    p = 29
    while hi >= 32768:
        hi >>= 1
        p += 1
    while hi < 16384:
        lo <<= 1
        hi = 2 * hi + (lo >> 15)
        lo &= 32767
        p -= 1
    for _ in range(8):
        hi = hi * hi >> 14
        p *= 2
        if hi >= 32768:
            hi >>= 1
            p += 1
    return p
