"""A Transformer's encoder of int8: what it computes for a sample, and the memory that it reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ulnn_host.format import cache
from ulnn_host.format.cache import Span

TIMES = 100  # steps in a window, 4 s at 25 Hz
GROUP = 4  # rows of a matrix that a kernel takes at once


@dataclass(frozen=True)
class Attention:
    """An encoder. Multiply-accumulates and exponentials, of int8 throughout; norms, residuals and
    the requantising of rows are not counted, in its favour."""

    layers: int
    width: int
    feed: int
    inputs: int = 6
    outputs: int = 7

    @property
    def weights(self) -> int:
        """Of all layers."""
        each = 4 * self.width**2 + 2 * self.width * self.feed
        return self.layers * each + self.width * (self.inputs + self.outputs)

    def window(self) -> tuple[int, int]:
        """(Products, exponentials) of a window, computed whole for every sample."""
        scores = TIMES * TIMES * self.layers
        return TIMES * self.weights + 2 * scores * self.width, scores

    def cached(self) -> tuple[int, int]:
        """The same of a sample, with the keys and values of those before kept."""
        scores = TIMES * self.layers
        return self.weights + 2 * scores * self.width, scores

    def window_misses(self) -> int:
        """Lines that a data cache fetches for a window."""
        return cache.misses(cache.touched(self._spans(range(TIMES))))

    def cached_misses(self) -> int:
        """The same of a sample, with the keys and values of those before kept."""
        return cache.misses(cache.touched(self._spans(range(TIMES - 1, TIMES))))

    def _spans(self, rows: Sequence[int]) -> Iterator[Span]:
        """What is read and written for some rows of a window, layer by layer. A group of a
        matrix's rows is used for all of them before the next one, in its favour."""
        d, f = self.width, self.feed
        place = _Memory()
        read, x, y, queries = (place.of(TIMES * n) for n in (self.inputs, d, d, d))
        hidden, scores, result = (place.of(n) for n in (TIMES * f, TIMES, TIMES * self.outputs))

        def product(source: int, columns: int, target: int, count: int) -> Iterator[Span]:
            matrix = place.of(count * columns)
            for first in range(0, count, GROUP):
                group = min(GROUP, count - first)
                for row in rows:
                    yield source + row * columns, columns
                    yield matrix + first * columns, group * columns
                    yield target + row * count + first, group

        yield from product(read, self.inputs, x, d)
        for _ in range(self.layers):
            keys, values = place.of(TIMES * d), place.of(TIMES * d)
            for target in (queries, keys, values):
                yield from product(x, d, target, d)
            for row in rows:
                yield queries + row * d, d
                yield keys, TIMES * d
                yield scores, TIMES
                yield values, TIMES * d
                yield y + row * d, d
            yield from product(y, d, x, d)
            yield from product(x, d, hidden, f)
            yield from product(hidden, f, x, d)
        yield from product(x, d, result, self.outputs)


class _Memory:
    """Places one after the other, each from a new line on."""

    def __init__(self) -> None:
        self.end = 0

    def of(self, size: int) -> int:
        """The first byte of so many."""
        start = self.end
        self.end += size + -size % cache.LINE
        return start


def like(weights: int) -> Attention:
    """One layer of at most so many weights."""
    width = max(w for w in range(4, 257, 4) if Attention(1, w, 2 * w).weights <= weights)
    return Attention(1, width, 2 * width)
