"""Rules without a network: least squares on statistics of each sequence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ulnn_host.data.sequences import Sequences
from ulnn_host.experiments.intervals import Tally

from .study import tallied

Float = NDArray[np.float64]
RULE = "linear, of mean, spread, change, least and largest of each channel"
SHRINK = 0.01  # of the weights, as a share of the sequences


def of_classes(
    fit: Sequences, held: Sequences, statistics: Callable[[Sequences], Float]
) -> dict[str, Tally]:
    """The right decisions on sequences held out, by cluster. statistics: (N, K) of data."""
    a, b = statistics(fit), statistics(held)
    middle, spread = a.mean(0), a.std(0) + 1e-9
    a, b = (np.c_[(v - middle) / spread, np.ones(len(v))] for v in (a, b))
    classes = np.eye(len(fit.labels))
    shrink = len(a) * SHRINK * np.eye(a.shape[1])
    weights = np.linalg.solve(a.T @ a + shrink, a.T @ classes[np.asarray(fit.y)])
    right = np.argmax(b @ weights, 1) == held.y
    of = classes[np.asarray(held.y)]
    return tallied(held, of * right[:, None], of)


def all_of(data: Sequences) -> Float:
    """The statistics of RULE."""
    rows = []
    for x, length in zip(data.x, data.length, strict=True):
        part = x[:length].astype(np.float64)
        change = np.abs(np.diff(part, axis=0)).mean(0)
        rows.append(np.concatenate([part.mean(0), part.std(0), change, part.min(0), part.max(0)]))
    return np.array(rows)


def mean_and_spread(data: Sequences) -> Float:
    """Of sequences of one length."""
    x = data.x.astype(np.float64)
    return np.concatenate([x.mean(1), x.std(1)], 1)
