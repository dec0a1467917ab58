"""Tracks of features (SPEC.md 2.12.1) from frequencies in Hz: filters, frames and bands as
integers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ulnn_rules import bands, filters

from ..base.errors import UlnnError
from ..base.toml_tables import choice, number, positive

SLOWEST = 4096  # samples in a turn of the lowest frequency of a filter
FASTEST = 0.49  # turns in a sample of the highest
SHIFT_MAX = 15
SIZES = tuple(2**k for k in range(4, 11))
MOMENTS = {"mean": bands.MEAN, "rms": bands.RMS, "kurtosis": bands.KURTOSIS}
BANDS_MAX, SECTIONS_MAX = 32, 8


@dataclass(frozen=True)
class Filter:
    """One filter of the second order.

    kind       "low-pass", "high-pass", "band-pass" (1 at the frequency) or "notch"
    frequency  Hz: where a pass begins or ends, and the middle of the others
    quality    0.5 and more; of band-pass and notch the frequency over the width
    """

    kind: str = choice("high-pass", *filters.KINDS)
    frequency: float = positive(1.0)
    quality: float = number(math.sqrt(0.5), 0.5, 1000.0)


@dataclass(frozen=True)
class Track:
    """One way from a channel to features.

    channel   its name
    filters   one after the other
    envelope  the sign is dropped behind the filters: bands are those of the envelope
    decimate  so many values are averaged to one
    size      values of a frame: 16, 32 ... 1024
    window    "hann" or "none"
    moments   of the values: any of "mean", "rms", "kurtosis"
    edges     Hz: bands from each to the next
    lines     Hz: bands around them, as those of a bearing's faults
    width     Hz: of these; at least three bins
    """

    channel: str
    filters: tuple[Filter, ...] = ()
    envelope: bool = False
    decimate: int = number(1, 1, 1024)
    size: int = 256
    window: str = choice("hann", "hann", "none")
    moments: tuple[str, ...] = choice((), *MOMENTS)  # type: ignore[arg-type]
    edges: tuple[float, ...] = number((), 0.0)
    lines: tuple[float, ...] = positive(())
    width: float = number(0.0, 0.0)

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise UlnnError(f"size of a frame is {self.size}, expected one of {SIZES}")
        if len(self.edges) == 1 or any(a >= b for a, b in pairwise(self.edges)):
            raise UlnnError(f"edges are {list(self.edges)}, expected two or more, ascending")
        if not (self.moments or self.edges or self.lines):
            raise UlnnError(f"a track of {self.channel} has no moments, edges or lines")
        for many, most, what in (
            (len(self.filters), SECTIONS_MAX, "filters"),
            (len(self.lines) + max(0, len(self.edges) - 1), BANDS_MAX, "bands"),
        ):
            if many > most:
                raise UlnnError(f"a track of {self.channel} has {many} {what}, at most {most}")

    @property
    def names(self) -> tuple[str, ...]:
        """Of its features, in their order."""
        of = self.channel + (" envelope" if self.envelope else "")
        found = [f"{of} {name}" for name in MOMENTS if name in self.moments]
        found += [f"{of} {a:g}-{b:g} Hz" for a, b in pairwise(self.edges)]
        return (*found, *(f"{of} {line:g} Hz" for line in self.lines))

    def words(self, channels: Sequence[str], rate: float) -> list[int]:
        """The track's integers. rate: raw samples a second. Raises UlnnError for what the rate
        does not allow."""
        if self.channel not in channels:
            raise UlnnError(
                f"a track is of channel {self.channel!r}, expected one of {', '.join(channels)}"
            )
        moments = sum(MOMENTS[name] for name in set(self.moments))
        found = self._bands(rate / self.decimate)
        head = [len(channels), channels.index(self.channel), self.size.bit_length() - 1]
        head += [int(self.window == "hann"), int(self.envelope), self.decimate]
        head += [len(self.filters), moments, len(found)]
        sections = [section(f.kind, f.frequency, f.quality, rate) for f in self.filters]
        return [*head, *(v for s in sections for v in s), *(v for pair in found for v in pair)]

    def _bands(self, rate: float) -> list[tuple[int, int]]:
        """First and last bin of each, which are rate / size apart."""
        step, top = rate / self.size, self.size // 2
        found = []
        for low, high in pairwise(self.edges):
            first, last = math.ceil(low / step), math.ceil(high / step) - 1
            # The highest frequency has a bin of its own
            found.append((first, top if high >= rate / 2 else last, f"{low:g} to {high:g} Hz"))
        half = max(self.width / 2, 1.5 * step)
        for line in self.lines:
            first, last = math.ceil((line - half) / step), math.floor((line + half) / step)
            found.append((max(0, first), last, f"around {line:g} Hz"))
        for first, last, what in found:
            if not first <= last <= top:
                raise UlnnError(
                    f"a band of {self.channel} {what} holds no bin: they are {step:.4g} Hz apart, "
                    f"up to {rate / 2:g} Hz; choose a larger size or other frequencies"
                )
        return [(first, last) for first, last, _ in found]


def section(kind: str, frequency: float, quality: float, rate: float) -> list[int]:
    """The integers of a filter (SPEC.md 2.12.1). Raises UlnnError for a frequency that is too near
    to 0 or to half the rate."""
    if not rate / SLOWEST <= frequency <= FASTEST * rate:
        raise UlnnError(
            f"{kind} at {frequency:g} Hz: expected {rate / SLOWEST:.3g} to {FASTEST * rate:g} Hz "
            f"at {rate:g} samples a second"
        )
    g, k = math.tan(math.pi * frequency / rate), 1 / quality
    if kind in ("band-pass", "notch"):  # whose width bilinear filters lose near half the rate
        k = math.tan(math.pi * min(frequency / quality / rate, 0.49)) * (1 + g * g) / g
    if k >= 2:
        raise UlnnError(
            f"{kind} at {frequency:g} Hz: a quality of {quality:g} is too low at {rate:g} samples "
            "a second; choose a higher one"
        )
    a1 = 1 / (1 + g * (g + k))
    factors = zip((a1, g * a1, g * g * a1, k), filters.BASES, strict=True)
    return [filters.KINDS.index(kind), *(v for value, base in factors for v in _pair(value, base))]


def _pair(value: float, base: int) -> tuple[int, int]:
    """(m, r), the nearest to value = m * 2 ** -(base + r)."""
    shift = 0
    while shift < SHIFT_MAX and round(value * 2 ** (base + shift + 1)) <= 32767:
        shift += 1
    return min(32767, round(value * 2 ** (base + shift))), shift
