"""Tracks and samples for `ulnn.bands`, the same at every call."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

LOW, HIGH = -32768, 32767


class Case(NamedTuple):
    """A track, and raw samples of all its channels."""

    track: list[int]
    x: list[int]


def track(
    size: int = 4,
    *,
    channels: int = 1,
    channel: int = 0,
    window: int = 1,
    rectify: int = 0,
    decimate: int = 1,
    sections: Sequence[Sequence[int]] = (),
    moments: int = 7,
    bands: Sequence[tuple[int, int]] = ((1, 3),),
) -> list[int]:
    head = [channels, channel, size, window, rectify, decimate, len(sections), moments, len(bands)]
    return [*head, *(v for s in sections for v in s), *(v for b in bands for v in b)]


def random_section(rng: random.Random) -> list[int]:
    """Any one that is allowed, those of real filters and the ends of the ranges among them."""
    if rng.random() < 0.5:
        return usual_section(rng)
    numbers = [0, 1, 16384, HIGH, rng.randint(0, HIGH)]
    shifts = [0, 0, 15, rng.randint(0, 15)]
    pairs = [(rng.choice(numbers), rng.choice(shifts)) for _ in range(4)]
    return [rng.randint(0, 3), *(v for pair in pairs for v in pair)]


def usual_section(rng: random.Random) -> list[int]:
    """One with numbers as designs have them."""
    g, k = math.tan(math.pi * 10 ** rng.uniform(-3, -0.4)), 10 ** rng.uniform(-1, 0.3)
    a1 = 1 / (1 + g * (g + k))
    pairs = []
    for value, base in ((a1, 15), (g * a1, 16), (g * g * a1, 15), (k, 14)):
        shift = max(r for r in range(16) if round(value * 2 ** (base + r)) <= HIGH or r == 0)
        pairs += [min(HIGH, round(value * 2 ** (base + shift))), shift]
    return [rng.randint(0, 3), *pairs]


def random_track(rng: random.Random, size: int) -> list[int]:
    channels = rng.choice((1, 1, 2, 3))
    bins = 2 ** (size - 1)
    ends = [sorted((rng.randint(0, bins), rng.randint(0, bins))) for _ in range(rng.randint(0, 4))]
    return track(
        size,
        channels=channels,
        channel=rng.randrange(channels),
        window=rng.randint(0, 1),
        rectify=rng.choice((0, 0, 1)),
        decimate=rng.choice((1, 1, 2, 3, 7)),
        sections=[random_section(rng) for _ in range(rng.choice((0, 0, 1, 2)))],
        moments=rng.randint(0, 7) if ends else rng.randint(1, 7),
        bands=[(low, high) for low, high in ends],
    )


def samples(rng: random.Random, count: int) -> list[int]:
    """Of many kinds: extremes, noise of any level, tones, nothing but rare pulses."""
    level = 10 ** rng.uniform(0, 4.7)
    turn, offset = rng.uniform(0, math.pi), rng.choice((0, 0, rng.uniform(-30000, 30000)))
    kinds = [
        lambda k: LOW,
        lambda k: HIGH if k * 7 // 16 & 1 else LOW,
        lambda k: rng.choice((LOW, HIGH)),
        lambda k: rng.randint(LOW, HIGH),
        lambda k: offset + rng.gauss(0, level),
        lambda k: offset + level * math.sin(turn * k),
        lambda k: 0 if rng.random() < 0.95 else HIGH,
        lambda k: offset,
    ]
    kind = rng.choice(kinds)
    return [max(LOW, min(HIGH, round(kind(k)))) for k in range(count)]


def random_case(rng: random.Random, sizes: Sequence[int]) -> Case:
    found = random_track(rng, rng.choice(sizes))
    values = (2 ** found[2] + rng.randint(-5, 5)) * found[5]
    return Case(found, samples(rng, values * found[0]))


def small_cases() -> Iterator[Case]:
    """Those of native_module/vectors/bands.json."""
    rng = random.Random(15)
    for size in (4, 5, 6):
        whole = track(size, bands=[(0, 2 ** (size - 1)), (1, 1), (2 ** (size - 1),) * 2])
        for kind in (LOW, HIGH, 0):
            yield Case(whole, [kind] * 2**size)
        yield Case(whole, [LOW, HIGH] * 2 ** (size - 1))
        yield Case(whole, [LOW] * (2**size - 1) + [HIGH])
    for _ in range(40):
        yield random_case(rng, (4, 4, 5))
    for size in (7, 8, 10):
        yield Case(track(size, bands=[(2, 9), (10, 2 ** (size - 1))]), samples(rng, 2**size))


def numbers(low: int, high: int) -> st.SearchStrategy[int]:
    """The ends often."""
    return st.sampled_from((low, high)) | st.integers(low, high)


SECTIONS = st.tuples(
    st.integers(0, 3),
    *(part for _ in range(4) for part in (numbers(0, HIGH), numbers(0, 15))),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any good track with any samples."""
    size = draw(st.integers(4, 7))
    channels = draw(st.integers(1, 3))
    pair = st.tuples(st.integers(0, 2 ** (size - 1)), st.integers(0, 2 ** (size - 1)))
    bands = draw(st.lists(pair.map(lambda p: (min(p), max(p))), max_size=4))
    made = track(
        size,
        channels=channels,
        channel=draw(st.integers(0, channels - 1)),
        window=draw(st.integers(0, 1)),
        rectify=draw(st.integers(0, 1)),
        decimate=draw(st.sampled_from((1, 1, 2, 5))),
        sections=draw(st.lists(SECTIONS, max_size=2)),
        moments=draw(st.integers(0 if bands else 1, 7)),
        bands=bands,
    )
    count = (2**size + draw(st.integers(-3, 3))) * made[5] * channels
    # A short pattern, again and again: few numbers to draw, and resonances are met.
    pattern = draw(st.lists(numbers(LOW, HIGH), min_size=1, max_size=24))
    return Case(made, [pattern[k % len(pattern)] for k in range(count)])


def broken_tracks() -> Iterator[tuple[str, list[int]]]:
    """(what is wrong, the track), one for every rule of SPEC.md 2.12.1."""
    section = [0, 1, 0, 1, 0, 1, 0, 1, 0]
    good = track(5, channels=2, sections=[section], bands=[(1, 3), (0, 16)])
    for size in (0, 8, len(good) - 1, len(good) - 2):
        yield f"{size} values", good[:size]
    yield "one more", [*good, 0]
    head = [(-1, 0, 65), (-1, 2), (-1, 3, 11), (-1, 2), (-1, 2), (-1, 0, 1025), (-1, 0, 2, 9)]
    head += [(-1, 8), (-1, 0, 1, 3, 33)]
    of_section = [(-1, 4), *4 * [(-1,), (-1, 16)]]
    of_bands = [(-1, 4), (0, 17), (-1,), (-1, 17)]
    wrong = dict(enumerate([*head, *of_section, *of_bands]))
    for at, values in wrong.items():
        for value in values:
            changed = list(good)
            changed[at] = value
            yield f"value {at} is {value}", changed
    yield "no feature", track(5, moments=0, bands=[])
