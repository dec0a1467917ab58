"""How far the integers of `ulnn.bands` are from real arithmetic: numpy's transform, filters of
floats. The bounds are those that firmware/README.md promises."""

from __future__ import annotations

import math
from array import array

import numpy as np
import pytest
from numpy.typing import NDArray

import ulnn
from support.band_cases import track
from ulnn_host.base.errors import UlnnError
from ulnn_host.data.feature_tracks import section
from ulnn_rules import filters
from ulnn_rules.bands import SINES, count

Array = NDArray[np.float64]
UNIT = 256  # counts of a factor of two


def test_the_table_is_that_of_the_document() -> None:
    want = [round(32767 * math.sin(2 * math.pi * k / 1024)) for k in range(257)]
    assert list(SINES) == want


def values(words: list[int], x: NDArray[np.int16]) -> Array:
    bands = ulnn.bands(array("h", words))
    y = array("h", [0] * count(words))
    bands.feed(array("h", x.tobytes()), 0, len(x) // words[0])
    bands.read(y)
    return np.array(y, np.float64)


def signals(rng: np.random.Generator, n: int) -> list[Array]:
    """Noise and tones of every level, and both."""
    steps, found = np.arange(n), []
    for level in (3, 30, 1000, 32000):
        turn = rng.uniform(1, n / 2 - 1)
        tone = level * np.sin(2 * np.pi * turn * steps / n + rng.uniform(0, 6))
        noise = rng.normal(size=n) * level / 3
        found += [noise, tone, tone / 2 + noise / 10]
    return found


def int16(x: Array) -> NDArray[np.int16]:
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("size", range(4, 11))
@pytest.mark.parametrize("window", [0, 1])
def test_bands_level_and_kurtosis(size: int, window: int) -> None:
    """Of a band within 20 dB of all energy 3 counts (0.04 dB), 30 dB: 40, 40 dB: 150."""
    n = 2**size
    ends = sorted({0, 1, 2, n // 16, n // 8, n // 4, n // 2})
    bands = [(low, high - 1) for low, high in zip(ends, [*ends[1:], n // 2 + 1], strict=True)]
    bands = [(low, high) for low, high in bands if low <= high]
    words = track(size, window=window, bands=bands)
    rng = np.random.default_rng(size)
    weights = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n) if window else np.ones(n)
    near = 0
    for real in signals(rng, n) * 5:
        x = int16(real + rng.integers(-200, 200) * (np.abs(real).max() < 30000))
        got = values(words, x)
        d = x - np.floor(x.mean() + 0.5)
        assert got[0] == np.floor(x.mean() + 0.5)
        square = (d**2).mean()
        assert abs(got[1] - UNIT * math.log2(square)) < 1.2
        assert abs(got[2] - UNIT * math.log2((d**4).mean() / square**2)) < 3
        power = np.abs(np.fft.rfft(d * weights)) ** 2
        for feature, (low, high) in zip(got[3:], bands, strict=True):
            energy = power[low : high + 1].sum()
            share = energy / power.sum()
            error = abs(feature - UNIT * math.log2(max(1.0, energy)))
            bound = 3 if share > 1e-2 else 40 if share > 1e-3 else 150 if share > 1e-4 else np.inf
            assert error < bound, (low, high, share)
            near += share > 1e-2
    assert near > 60


def outputs(words: list[int], x: NDArray[np.int16]) -> Array:
    """All samples of one filter (every engine gives these bits)."""
    state, found = [0, 0], []
    for v in x.tolist():
        found.append(min(32767, (filters.section(words, 0, state, 0, v * 1024) + 512) >> 10))
    return np.array(found, np.float64)


def bilinear(kind: str, frequency: float, quality: float, rate: float) -> tuple[Array, Array]:
    """Numerator and denominator of the filter in float, from textbooks."""
    g, k = math.tan(math.pi * frequency / rate), 1 / quality
    if kind in ("band-pass", "notch"):
        k = math.tan(math.pi * frequency / quality / rate) * (1 + g * g) / g
    b = {
        "low-pass": (g * g, 2 * g * g, g * g),
        "high-pass": (1, -2, 1),
        "band-pass": (g * k, 0, -g * k),
        "notch": (1 + g * g, 2 * (g * g - 1), 1 + g * g),
    }[kind]
    a = (1 + g * k + g * g, 2 * (g * g - 1), 1 - g * k + g * g)
    return np.array(b) / a[0], np.array(a) / a[0]


def in_float(b: Array, a: Array, x: Array) -> Array:
    y = np.zeros(len(x) + 2)
    x = np.concatenate([[0, 0], x])
    for n in range(2, len(x)):
        y[n] = b @ x[n : n - 3 : -1] - a[1:] @ y[n - 1 : n - 3 : -1] if n > 2 else b[0] * x[n]
    return y[2:]


FILTERS = [
    ("high-pass", 0.5, 0.707, 360), ("high-pass", 0.5, 0.707, 2000),
    ("high-pass", 500, 1.3, 48828),
    ("notch", 50, 30, 360), ("notch", 60, 40, 125), ("notch", 50, 5, 48828),
    ("band-pass", 10, 1, 360), ("band-pass", 3000, 4, 48828), ("low-pass", 40, 0.707, 360),
    ("low-pass", 20000, 0.54, 48828), ("low-pass", 40, 0.707, 48828),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "frequency", "quality", "rate"), FILTERS)
def test_filters(kind: str, frequency: float, quality: float, rate: float) -> None:
    """Within four counts of float on noise of 4000; at rest after it; a constant is passed as it
    is, or not at all."""
    words = section(kind, frequency, quality, rate)
    x = int16(np.random.default_rng(1).normal(size=4000) * 4000)
    want = in_float(*bilinear(kind, frequency, quality, rate), x.astype(np.float64))
    error = outputs(words, x) - want
    assert np.abs(error).max() < 4
    assert error.std() < 1.5
    turns = quality * rate / frequency  # samples in which most of it is gone
    rest = outputs(words, np.concatenate([x[:500], np.zeros(int(5 * turns) + 400, np.int16)]))
    assert np.abs(rest[-200:]).max() <= 1
    steady = outputs(words, np.full(int(5 * turns) + 400, 12345, np.int16))[-200:]
    passed = 12345 if kind in ("low-pass", "notch") else 0
    assert np.abs(steady - passed).max() <= 1


def test_a_notch_takes_the_mains_away() -> None:
    steps = np.arange(6000)
    hum = int16(12000 * np.sin(2 * np.pi * 50 * steps / 360))
    assert np.abs(outputs(section("notch", 50, 10, 360), hum)[-1000:]).max() <= 12
    near = int16(12000 * np.sin(2 * np.pi * 10 * steps / 360))
    assert np.abs(outputs(section("notch", 50, 10, 360), near)[-1000:]).max() > 11500


def test_extremes_stay_in_range() -> None:
    """A square wave at a resonance clips, and the filter comes back to rest."""
    words = section("band-pass", 50, 100, 1000)
    loud = int16(32767 * np.sign(np.sin(2 * np.pi * 50 * np.arange(5000) / 1000)))
    y = outputs(words, np.concatenate([loud, np.zeros(20000, np.int16)]))
    assert y.max() == 32767
    assert y.min() == -32768
    assert np.abs(y[-200:]).max() <= 2


@pytest.mark.parametrize("frequency", [0.2, 491])
def test_a_frequency_out_of_reach_is_refused(frequency: float) -> None:
    with pytest.raises(UlnnError, match=r"expected 0\.244 to 490 Hz at 1000 samples a second"):
        section("notch", frequency, 1, 1000)
