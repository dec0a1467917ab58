"""Recordings as a bad day leaves them: samples lost, alone or in bursts, and noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from .sequences import Float, Sequences, Statistics

Pattern = Literal["samples", "bursts"]
Fill = Literal["skip", "hold", "mean"]
PATTERNS: tuple[Pattern, ...] = ("samples", "bursts")
FILLS: tuple[Fill, ...] = ("skip", "hold", "mean")
BURST = 10  # samples in a row, in the mean, that are lost or kept together


def drop(
    data: Sequences,
    share: float | tuple[float, float],
    rng: np.random.Generator,
    *,
    pattern: Pattern = "samples",
    fill: Fill = "skip",
    mean: Float | None = None,
) -> Sequences:
    """The data without this share of each sequence's samples, or with a share for each sequence
    from (low, high).

    pattern: each sample is lost for itself, or about BURST of them in a row. fill: "skip" leaves
    the samples out, so that dt is the true time since the one before; the others keep the steps
    and put the value before ("hold"; before the first the mean) or the mean in their place. mean:
    (I,) of the channels, None: that of these data. At least one sample of a sequence stays.
    Raises UlnnError unless the share is from 0 up to below 1.
    """
    low, high = share if isinstance(share, tuple) else (share, share)
    if not 0 <= low <= high < 1:
        raise UlnnError(f"share of dropped samples is {share}, expected 0 up to below 1")
    each = rng.uniform(low, high, len(data)) if low < high else np.full(len(data), low)
    if pattern not in ("samples", "bursts"):
        raise UlnnError(f"pattern is {pattern!r}, expected samples or bursts")
    gone = _lost(data, each, rng, pattern)
    if fill == "skip":
        return data.keep_steps(~gone)
    middle = Statistics.of(data).mean if mean is None else mean
    if fill == "mean":
        return replace(data, x=np.where(gone[..., None], middle, data.x))
    steps = np.where(gone, -1, np.arange(data.x.shape[1]))
    before = np.maximum.accumulate(steps, axis=1)[..., None]
    held = np.take_along_axis(data.x, np.maximum(before, 0), 1)
    return replace(data, x=np.where(before < 0, middle, held))


def noisy(data: Sequences, level: float, rng: np.random.Generator) -> Sequences:
    """The data with normal noise on each value, `level` standard deviations of its channel."""
    if not (np.isfinite(level) and level >= 0):
        raise UlnnError(f"noise is {level}, expected 0 standard deviations or more")
    size = level * Statistics.of(data).std
    noise = rng.standard_normal(data.x.shape, np.float32) * data.mask[..., None]
    return replace(data, x=data.x + size * noise)


def _lost(
    data: Sequences, share: NDArray[np.float64], rng: np.random.Generator, pattern: Pattern
) -> NDArray[np.bool_]:
    """(N, T): which samples are lost, with a share (N,) of each sequence."""
    kept = np.maximum(1, np.rint(data.length * (1 - share)))
    count, steps = data.dt.shape
    if pattern == "samples":
        order = rng.random((count, steps))
    else:
        block = np.cumsum(rng.random((count, steps)) < 1 / BURST, axis=1, dtype=np.int64)
        order = np.take_along_axis(rng.random((count, steps + 1)), block, 1)
    order[~data.mask] = 2.0
    rank = np.argsort(np.argsort(order, 1, kind="stable"), 1, kind="stable")
    return np.logical_and(rank >= kept[:, None], data.mask)
