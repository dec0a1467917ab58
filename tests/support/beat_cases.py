"""BEATS sections: a good one, and broken ones for checks 110 to 122 of SPEC.md section 4, written
from SPEC.md alone."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from support.band_cases import track

# (number of the check and what is wrong, the section, the text of the ValueError)
Case = tuple[str, bytes, str]
INPUTS = 12
TRACK = track(4, moments=2, bands=[])


def section(
    rate: int = 100_000,
    hop: int = 2,
    step: int = 2,
    before: int = 5,
    after: int = 3,
    delay: int = 8,
    extras: int = 13,
    low: int = -30000,
    high: int = 30000,
    flat: int = 20,
    noisy: int = 600,
    scale: float = 0.001,
    offset: float = 0.0,
    reserved: int = 0,
    words: Sequence[int] = TRACK,
) -> bytes:
    head = struct.pack("<IBBBBHHhhHH", rate, hop, step, before, after, delay, extras, low, high,
                       flat, noisy)  # fmt: skip
    head += struct.pack("<ffI", scale, offset, reserved)
    return head + struct.pack(f"<{len(words)}h", *words)


def cases() -> Iterator[Case]:
    good = section()
    for size in (0, 31, 49):
        yield f"110 {size}", good[:size], f"beats: size {size}, expected at least 50"
    for got in (0, 49_999, 2_000_000, 2**32 - 1):
        yield f"111 {got}", section(rate=got), f"beats: rate {got}, expected 50000 to 1999999"
    for got in (0, 11, 255):
        yield f"112 {got}", section(hop=got), f"beats: hop {got}, expected 1 to 10"
    for got in (0, 5, 31, 65535):
        yield f"113 {got}", section(delay=got), f"beats: delay {got}, expected 6 to 30"
    for got in (0, 11, 255):
        yield f"114 {got}", section(step=got), f"beats: step {got}, expected 1 to 10"
    for before, after in ((25, 3), (255, 3), (5, 11), (5, 255)):
        text = f"beats: {before} and {after} values around R do not fit"
        yield f"115 {before} {after}", section(before=before, after=after), text
    for got in (16, 65535):
        yield f"116 {got}", section(extras=got), f"beats: extras {got} not supported"
    for low, high in ((5, 5), (6, -6)):
        text = f"beats: low {low}, expected less than {high}"
        yield f"117 {low}", section(low=low, high=high), text
    for scale, offset in (
        (0.0, 0.0), (-1.0, 0.0), (float("inf"), 0.0), (1.0, float("nan")), (1.0, float("inf")),
    ):  # fmt: skip
        yield f"118 {scale} {offset}", section(scale=scale, offset=offset), "beats: bad scale"
    yield "119", section(reserved=1), "beats: reserved field is not 0"
    yield "120 more", good + b"\0\0", f"beats: size {len(good) + 2}, expected {len(good)}"
    for at, got in ((6, 1), (6, 32767), (8, 1)):
        long = list(TRACK)
        long[at] = got
        want = 50 + (18 * got if at == 6 else 4 * got)
        yield f"120 {at} {got}", section(words=long), f"beats: size {len(good)}, expected {want}"
    text = "beats: the track is not supported"
    for at, got in (
        (0, 2),
        (1, 1),
        (2, 3),
        (2, 11),
        (3, 2),
        (4, 2),
        (5, 0),
        (7, 0),
        (7, 3),
        (7, 1),
    ):
        other = list(TRACK)
        other[at] = got
        yield f"121 {at} {got}", section(words=other), text
    yield "121 a band", section(words=track(4, moments=0, bands=[(1, 4)])), text
    yield "122 more", section(extras=15), f"beats: {INPUTS + 1} values, expected {INPUTS}"
    yield "122 fewer", section(after=2), f"beats: {INPUTS - 1} values, expected {INPUTS}"
