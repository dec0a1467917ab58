"""FEATURES sections: a good one, and broken ones for checks 94 to 105 of SPEC.md section 4,
written from SPEC.md alone."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from support.band_cases import track

# (number of the check and what is wrong, the section, the text of the ValueError)
Case = tuple[str, bytes, str]
INPUTS = 2
TRACK = track(4, channels=2, channel=1, moments=2, bands=[(1, 8)])
HALVES = (track(4, channels=2, moments=2, bands=[]), track(5, channels=2, moments=1, bands=[]))


def section(
    channels: int = 2,
    tracks: int | None = None,
    rate: int = 100_000,
    hop: int = 8,
    reserved: int = 0,
    scales: Sequence[float] = (0.5, 0.0, 0.25, 1.0),
    words: Sequence[Sequence[int]] = (TRACK,),
) -> bytes:
    head = struct.pack(
        "<HHIII", channels, len(words) if tracks is None else tracks, rate, hop, reserved
    )
    content = struct.pack(f"<{len(scales)}f", *scales)
    return head + content + b"".join(struct.pack(f"<{len(w)}h", *w) for w in words)


def cases() -> Iterator[Case]:
    good = section()
    for size in (0, 15):
        yield f"94 {size}", good[:size], f"features: size {size}, expected at least 16"
    for got in (0, 65, 65535):
        text = f"features: channels {got}, expected 1 to 64"
        yield f"95 {got}", section(channels=got), text
    for got in (0, 33, 65535):
        yield f"96 {got}", section(tracks=got), f"features: tracks {got}, expected 1 to 32"
    for got in (0, 2**31, 2**32 - 1):
        text = f"features: rate {got}, expected 1 to 2147483647"
        yield f"97 {got}", section(rate=got), text
    for got in (0, 2**20 + 1, 2**32 - 1):
        yield f"98 {got}", section(hop=got), f"features: hop {got}, expected 1 to 1048576"
    yield "99", section(reserved=1), "features: reserved field is not 0"
    fit = "features: scales do not fit in the section"
    yield "100 cut", good[:31], fit
    yield "100 channels", section(channels=64), fit
    for k, at in ((0, 0), (1, 2)):
        for bad in (0.0, -1.0, float("inf"), float("nan")):
            scales = [0.5, 0.0, 0.25, 1.0]
            scales[at] = bad
            text = f"features: bad scale of channel {k}"
            yield f"101 {at} {bad}", section(scales=scales), text
    nan = section(scales=(0.5, float("nan"), 0.0, 0.0))
    yield "101 the first of two", nan, "features: bad scale of channel 0"
    fit = "features: track {} does not fit in the section"
    yield "102 no track", good[:32], fit.format(0)
    yield "102 cut head", good[:49], fit.format(0)
    yield "102 cut bands", good[:-2], fit.format(0)
    yield "102 second", section(tracks=2), fit.format(1)
    for at, got in ((6, 32767), (8, 32767), (6, 1)):
        long = list(TRACK)
        long[at] = got
        yield f"102 {at} {got}", section(words=[long]), fit.format(0)
    text = "features: track {} is not supported"
    for at, got in ((0, 1), (1, 2), (1, -1), (2, 3), (3, 2), (6, -1), (7, 8), (8, -1), (9, 9)):
        bad_track = list(TRACK)
        bad_track[at] = got
        content = section(words=[bad_track])
        yield f"103 {at} {got}", content, text.format(0)
    wrong = list(HALVES[1])
    wrong[5] = 0
    yield "103 second", section(words=[HALVES[0], wrong]), text.format(1)
    want = len(good)
    yield "104", good + b"\0", f"features: size {want + 1}, expected {want}"
    more = section(words=[TRACK, HALVES[0]])
    yield "105 more", more, "features: 3 of them, expected 2"
    yield "105 fewer", section(words=HALVES[:1]), "features: 1 of them, expected 2"
