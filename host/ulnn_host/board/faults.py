"""A line that does damage on purpose, to show that none is taken for data."""

from __future__ import annotations

import random
from collections.abc import Callable

from ..base.errors import UlnnError

BURST = 20


class Faults:
    """Damages bytes in both directions: on average `rate` of them, in ways that `kind` names.

    count: what was done so far. Byte 3 may come out of it, as on a real line.
    """

    def __init__(self, rate: float, kind: str = "mix", seed: int = 1) -> None:
        if not 0 <= rate < 1:
            raise UlnnError(f"faults: a rate of {rate:g}, expected 0 or more and less than 1")
        if kind not in (*_KINDS, "mix"):
            raise UlnnError(f"faults: kind {kind!r}, expected {', '.join((*_KINDS, 'mix'))}")
        self.rate, self.kind, self.count = rate, kind, 0
        self._kinds = [k for k in _KINDS if k != "burst"] if kind == "mix" else [kind]
        seeds = random.Random(seed)
        self._next = [0, 0]
        self._rng = [random.Random(seeds.random()) for _ in range(2)]
        for way in range(2):
            self._draw(way)

    @classmethod
    def parse(cls, text: str) -> Faults:
        """From `RATE[:KIND[:SEED]]`, such as `1e-3:flip`. Raises UlnnError."""
        rate, kind, seed = ([*text.split(":"), "", ""])[:3]
        try:
            return cls(float(rate), kind or "mix", int(seed or 1))
        except ValueError:
            raise UlnnError(
                f"faults {text!r}: expected RATE, RATE:KIND or RATE:KIND:SEED"
            ) from None

    def to_board(self, data: bytes) -> bytes:
        """Bytes on their way to the board."""
        return self._damage(0, data)

    def to_host(self, data: bytes) -> bytes:
        """Bytes on their way to the host."""
        return self._damage(1, data)

    def _draw(self, way: int) -> None:
        """How many bytes stay whole before the next fault."""
        self._next[way] += int(self._rng[way].expovariate(self.rate)) if self.rate else 1 << 60

    def _damage(self, way: int, data: bytes) -> bytes:
        if self._next[way] >= len(data):
            self._next[way] -= len(data)
            return data
        out, rng = bytearray(data), self._rng[way]
        shift, at = 0, self._next[way]
        while at < len(data):
            size = len(out)
            _KINDS[rng.choice(self._kinds)](out, max(0, min(at + shift, size - 1)), rng)
            shift += len(out) - size
            self.count += 1
            self._next[way] = at + 1
            self._draw(way)
            at = self._next[way]
        self._next[way] = at - len(data)
        return bytes(out)


def _flip(out: bytearray, at: int, rng: random.Random) -> None:
    if out:
        out[at] ^= 1 << rng.randrange(8)


def _drop(out: bytearray, at: int, rng: random.Random) -> None:
    del out[at : at + 1]


def _duplicate(out: bytearray, at: int, rng: random.Random) -> None:
    out[at:at] = out[at : at + 1]


def _insert(out: bytearray, at: int, rng: random.Random) -> None:
    out.insert(at, rng.randrange(256))


def _swap(out: bytearray, at: int, rng: random.Random) -> None:
    out[at : at + 2] = out[at : at + 2][::-1]


def _burst(out: bytearray, at: int, rng: random.Random) -> None:
    for k in range(at, min(at + BURST, len(out))):
        out[k] = rng.randrange(256)


_KINDS: dict[str, Callable[[bytearray, int, random.Random], None]] = {
    "flip": _flip,
    "drop": _drop,
    "duplicate": _duplicate,
    "insert": _insert,
    "swap": _swap,
    "burst": _burst,
}
