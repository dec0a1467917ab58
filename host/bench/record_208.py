"""Five minutes of a person, record 208 of the MIT-BIH Arrhythmia Database: at other rates, its
beats by a detector that sees all of it, and two kinds of them by clustering. What can be had in a
package has no annotations, so labels by clustering are all there is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ulnn_host.data import mitbih

KINDS = ("usual", "other")
Float = NDArray[np.float64]
Int = NDArray[np.int64]


def signal(rate: float) -> Float:
    """mV around the median, at so many samples a second. Raises UlnnError without network."""
    x = mitbih.excerpt().astype(np.float64)
    x -= np.median(x)
    t = np.arange(0, len(x) / mitbih.RATE, 1 / rate)
    return np.asarray(np.interp(t, np.arange(len(x)) / mitbih.RATE, x), np.float64)


def reference(x: Float, rate: float) -> Int:
    """Beats by floats that see all of the recording: energy from 5 to 20 Hz in 0.1 s, peaks that
    are the largest within 0.2 s, and two groups of them by 2-means of the logarithm."""
    spectrum, f = np.fft.rfft(x), np.fft.rfftfreq(len(x), 1 / rate)
    spectrum[(f < 5) | (f > 20)] = 0
    window = np.ones(round(0.1 * rate))
    energy = np.convolve(np.fft.irfft(spectrum, len(x)) ** 2, window, "same")
    reach = round(0.2 * rate)
    padded = np.pad(energy, reach)
    largest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(1)
    peaks = np.flatnonzero((energy == largest) & (energy > 0))
    return np.asarray(peaks[two_means(np.log(energy[peaks])[:, None])], np.int64)


def two_means(points: Float) -> NDArray[np.bool_]:
    """Which points (N, D) are in the second of two groups, along the widest direction."""
    centred = points - points.mean(0)
    along = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
    if points.shape[1] == 1:
        along = centred[:, 0]
    second = along > (along.min() + along.max()) / 2
    for _ in range(100):
        middles = points[~second].mean(0), points[second].mean(0)
        near = [((points - middle) ** 2).sum(1) for middle in middles]
        moved = near[1] < near[0]
        if (moved == second).all():
            break
        second = moved
    return np.asarray(second, bool)


def kinds(shapes: Float) -> Int:
    """Of each beat, by its shape (N, D), the index in KINDS: the larger cluster is the usual."""
    second = two_means(shapes).astype(np.int64)
    return 1 - second if second.mean() > 0.5 else second
