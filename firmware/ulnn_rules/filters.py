"""Filters of second order in integers: the sections of a track (SPEC.md 2.12.1, 3.11). They are
bilinear ones in the form of a state variable filter, which comes to rest without limit cycles.

Small ints may have 31 bits: no value here needs more. Nothing is allocated in a call.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

KINDS = ("low-pass", "high-pass", "band-pass", "notch")
LOW, HIGH, BAND, NOTCH = 0, 1, 2, 3
STATE = 1 << 27  # a state is less
SIGNAL = 1 << 25  # what goes from section to section: samples times 1024
BASES = (15, 16, 15, 14)  # a1, a2, a3, k: m * 2 ** -(base + r)


def product(v: int, m: int, r: int) -> int:
    """v * m * 2 ** -(14 + r), for |v| below 2 ** 29: rounded down at 2 ** -14, then to nearest."""
    return (((v >> 14) * m + ((v & 16383) * m >> 14)) + ((1 << r) >> 1)) >> r


def section(track: "Sequence[int]", o: int, state: "MutableSequence[int]", p: int, v: int) -> int:
    """One sample `v` (times 1024) through the section at track[o]; its state is at state[p]."""
    kind = track[o]
    c1, c2 = state[p], state[p + 1]
    if kind >= BAND:  # scaled before, so that no resonance is larger than the signal
        d = product(v, track[o + 7], track[o + 8]) - c2
    else:
        d = v - c2
    r2 = track[o + 4] + 2
    v1 = product(c1, track[o + 1], track[o + 2] + 1) + product(d, track[o + 3], r2)
    v2 = c2 + product(c1, track[o + 3], r2) + product(d, track[o + 5], track[o + 6] + 1)
    c1 = 2 * v1 - c1
    c2 = 2 * v2 - c2
    state[p] = c1 if -STATE <= c1 < STATE else STATE - 1 if c1 > 0 else -STATE
    state[p + 1] = c2 if -STATE <= c2 < STATE else STATE - 1 if c2 > 0 else -STATE
    if kind == HIGH:
        v -= product(v1, track[o + 7], track[o + 8]) + v2
    elif kind == LOW:
        v = v2
    else:
        v = v1 if kind == BAND else v - v1
    return v if -SIGNAL <= v < SIGNAL else SIGNAL - 1 if v > 0 else -SIGNAL
