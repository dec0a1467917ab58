"""Means and differences with intervals: a hierarchical bootstrap over clusters and seeds.

A draw takes clusters with replacement, one fewer than there are, and so seeds: as many as there
are would make intervals too narrow by (n - 1) / n of the variance. Both networks of a difference
get the same draw, so what is hard for both does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.measures import Decisions, Errors
from .measured import RMSE

Float = NDArray[np.float64]
DRAWS = 4000
LOW, HIGH = 2.5, 97.5  # percentiles: 95 % of the draws are between


@dataclass(frozen=True)
class Interval:
    """A number, and where 95 % of the draws are."""

    value: float
    low: float
    high: float

    @property
    def without_zero(self) -> bool:
        """Whether 0 is not between low and high."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Tally:
    """What a measure is made of, on some data: sums over them, so tallies of parts add up.

    parts, counts: (K,) of classes: right decisions, and all, by true class; of outputs: squared
    errors, and values.
    """

    parts: tuple[float, ...]
    counts: tuple[float, ...]

    @staticmethod
    def of(measures: Decisions | Errors) -> Tally:
        """Of what was measured."""
        if isinstance(measures, Decisions):
            counts = measures.counts
            return Tally(tuple(np.diag(counts).tolist()), tuple(counts.sum(1).tolist()))
        squares = tuple(measures.count * value**2 for value in measures.rmse)
        return Tally(squares, (measures.count,) * len(squares))


class Tallies:
    """The tallies of one network: of each seed on each cluster, as arrays (S, C, K)."""

    def __init__(self, measure: str, tallies: list[list[Tally]]) -> None:
        self.measure = measure
        self.parts, self.counts = (
            np.array([[getattr(t, name) for t in row] for row in tallies], np.float64)
            for name in ("parts", "counts")
        )

    @property
    def by_seed(self) -> list[float]:
        """The measure over all clusters, of each seed."""
        return self._value(self.parts.sum(1), self.counts.sum(1)).tolist()  # type: ignore[no-any-return]

    @property
    def by_cluster(self) -> list[float]:
        """The mean over the seeds, of each cluster."""
        return self._value(self.parts, self.counts).mean(0).tolist()  # type: ignore[no-any-return]

    @property
    def mean(self) -> float:
        """The mean over the seeds of the measure over all clusters."""
        return float(np.mean(self.by_seed))

    def drawn(self, clusters: Float, seeds: Float) -> Float:
        """The mean for each draw (D,). clusters (D, C), seeds (D, S): how often each is drawn."""
        parts, counts = (
            np.einsum("dc,sck->dsk", clusters, a, optimize=True) for a in (self.parts, self.counts)
        )
        return np.asarray((self._value(parts, counts) * seeds).sum(1) / seeds.sum(1), np.float64)

    def _value(self, parts: Float, counts: Float) -> Float:
        """The measure, over the last axis: mean recall of the classes that occur, or the mean of
        the outputs' RMSE or MSE."""
        share = parts / np.maximum(counts, 1)
        if self.measure == RMSE:
            share = np.sqrt(share)
        there = counts > 0
        return np.asarray(np.where(there, share, 0).sum(-1) / np.maximum(1, there.sum(-1)))


class Bootstrap:
    """The draws, the same for all networks. seed: of the draws."""

    def __init__(self, clusters: int, seeds: int, seed: int = 0, draws: int = DRAWS) -> None:
        rng = np.random.default_rng(seed)
        self._drawn: list[Any] = [
            rng.multinomial(max(1, n - 1), np.full(n, 1 / n), draws).astype(np.float64)
            for n in (clusters, seeds)
        ]

    def mean(self, scores: Tallies) -> Interval:
        """Of one network."""
        return interval(scores.mean, self.drawn(scores))

    def difference(self, scores: Tallies, first: Tallies) -> Interval:
        """scores - first."""
        return interval(scores.mean - first.mean, self.drawn(scores) - self.drawn(first))

    def drawn(self, scores: Tallies) -> Float:
        """The mean of each draw (D,), for what is made of several."""
        return scores.drawn(*self._drawn)


def interval(value: float, drawn: Float) -> Interval:
    """A number, of whose draws 95 % are between low and high."""
    low, high = np.percentile(drawn, [LOW, HIGH]).tolist()
    return Interval(value, low, high)
