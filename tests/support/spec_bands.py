"""SPEC.md 3.11 as it is written, in whole numbers of any size: what `ulnn.bands` has to give."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

S = [round(32767 * math.sin(2 * math.pi * k / 1024)) for k in range(257)]


def sat(v: int, bits: int) -> int:
    top = 1 << (bits - 1)
    return max(-top, min(top - 1, v))


def sin(a: int) -> int:
    return S[a] if a <= 256 else S[512 - a]


def cos(a: int) -> int:
    return S[256 - a] if a <= 256 else -S[a - 256]


def mul(v: int, m: int, t: int) -> int:
    return (v * m // 2**14 + 2**t // 2) // 2**t


def log2(n: int) -> int:
    if n == 0:
        return 0
    p = n.bit_length() - 1
    m = n * 2**14 // 2**p
    for _ in range(8):
        m = m * m >> 14
        p = 2 * p
        if m >= 32768:
            m, p = m >> 1, p + 1
    return p


def guard(values: Sequence[complex]) -> int:
    top = 0
    for v in values:
        for part in (int(v.real), int(v.imag)):
            top |= part ^ (part >> 31)
    return 0 if top < 8192 else 1 if top < 16384 else 2


def turned(re: int, im: int, a: int) -> tuple[int, int]:
    c, e = cos(a), sin(a)
    return (re * c + im * e + 16384) >> 15, (im * c - re * e + 16384) >> 15


def transformed(z: Sequence[int], size: int) -> tuple[list[complex], int]:
    """The transform of the frame as M complex numbers, and the sum of all s. A complex number is a
    pair of whole numbers here, and far below what its floats hold."""
    m = len(z) // 2
    given = [complex(z[2 * j], z[2 * j + 1]) for j in range(m)]
    places = [int(f"{j:0{size - 1}b}"[::-1], 2) for j in range(m)]
    big = [given[place] for place in places]
    shifts, h = 0, 1
    while h < m:
        s = guard(big)
        shifts += s
        r = 2**s // 2
        for j in range(h):
            for k in range(j, m, 2 * h):
                p, q = big[k], big[k + h]
                t = turned(int(q.real), int(q.imag), 512 * j // h)
                pair = int(p.real), int(p.imag)
                big[k] = complex(*((v + d + r) >> s for v, d in zip(pair, t, strict=True)))
                big[k + h] = complex(*((v - d + r) >> s for v, d in zip(pair, t, strict=True)))
        h *= 2
    return big, shifts


def energy(z: Sequence[complex], b: int, g: int) -> int:
    m = len(z)
    p, q = z[b % m], z[-b % m]
    pr, pi, qr, qi = (int(v) for v in (p.real, p.imag, q.real, q.imag))
    t = turned((pi + qi + 1) >> 1, (qr - pr + 1) >> 1, 1024 * b // (2 * m))
    re = (((pr + qr + 1) >> 1) + t[0] + 2**g // 2) >> g
    im = (((pi - qi + 1) >> 1) + t[1] + 2**g // 2) >> g
    return re * re + im * im


def filtered(track: Sequence[int], x: Sequence[int]) -> Iterator[int]:
    """The values of the frames, one after the other."""
    channels, channel, _, _, rectify, decimate, sections = track[:7]
    states = [[0, 0] for _ in range(sections)]
    kept: list[int] = []
    for v in x[channel::channels]:
        s = v
        if sections:
            v *= 1024
            for k, state in enumerate(states):
                kind, m1, r1, m2, r2, m3, r3, mk, rk = track[9 + 9 * k : 18 + 9 * k]
                d = (mul(v, mk, rk) if kind >= 2 else v) - state[1]
                v1 = mul(state[0], m1, r1 + 1) + mul(d, m2, r2 + 2)
                v2 = state[1] + mul(state[0], m2, r2 + 2) + mul(d, m3, r3 + 1)
                state[:] = sat(2 * v1 - state[0], 28), sat(2 * v2 - state[1], 28)
                v = sat([v2, v - mul(v1, mk, rk) - v2, v1, v - v1][kind], 26)
            s = sat((v + 512) >> 10, 16)
        kept.append(min(abs(s), 32767) if rectify else s)
        if len(kept) == decimate:
            yield (sum(kept) + decimate // 2) // decimate
            kept.clear()


def features(track: Sequence[int], x: Sequence[int]) -> list[int]:
    """What a track gives after all samples of x: the channels of one after those of another."""
    _, _, size, window, _, _, sections, moments, _ = track[:9]
    n = 2**size
    q = ([0] * n + list(filtered(track, x)))[-n:]
    mean = (sum(q) + n // 2) >> size
    d = [v - mean for v in q]
    top = 0
    for v in d:
        top |= abs(v)
    k = 14 - top.bit_length() if top else 0
    z = [v * 2**k if k >= 0 else v >> -k for v in d]
    a, b = sum(v * v for v in z), sum((v * v >> 14) ** 2 for v in z)
    found = []
    if moments & 1:
        found.append(mean)
    if moments & 2:
        found.append(log2(a) - 512 * k - 256 * size)
    if moments & 4:
        found.append(max(0, 256 * (size + 28) + log2(b) - 2 * log2(a)) if a else 0)
    if window:
        turns = [min(i, n - i) * 1024 // n for i in range(n)]
        z = [(v * ((32768 - cos(a)) >> 1) + 16384) >> 15 for v, a in zip(z, turns, strict=True)]
    big, shifts = transformed(z, size)
    g = guard(big)
    for o in range(9 + 9 * sections, len(track), 2):
        total = sum(energy(big, b, g) for b in range(track[o], track[o + 1] + 1))
        found.append(max(0, log2(total) + 512 * (shifts + g - k)))
    return found
