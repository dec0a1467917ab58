"""Measures of decisions, from their confusion matrix, and of values: numpy and nothing else.

They are defined as scikit-learn defines them. A class that never occurs has a recall of 0, one
that is never decided a precision of 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Decisions:
    """Measures of decisions between C classes, shares from 0 to 1.

    confusion: C rows of C counts; rows are true classes, columns decided ones.
    """

    confusion: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(truth: NDArray[Any], decided: NDArray[Any], classes: int) -> Decisions:
        """From classes 0 to classes - 1, two integer arrays of one shape."""
        return Decisions(confusion_matrix(truth, decided, classes))

    @property
    def counts(self) -> Int:
        """The confusion matrix as an array (C, C)."""
        return np.array(self.confusion, np.int64)

    @property
    def count(self) -> int:
        """Decisions."""
        return int(self.counts.sum())

    @property
    def support(self) -> Int:
        """(C,): how often each class is the true one."""
        return np.asarray(self.counts.sum(1))

    @property
    def accuracy(self) -> float:
        """Share of right decisions; nan without any."""
        return float(np.diag(self.counts).sum() / self.count) if self.count else math.nan

    @property
    def balanced(self) -> float:
        """Mean recall of the classes that occur."""
        return _mean(self.recall[self.support > 0])

    @property
    def precision(self) -> Float:
        """(C,): share of the decisions for a class that are right."""
        return _share(np.diag(self.counts), self.counts.sum(0))

    @property
    def recall(self) -> Float:
        """(C,): share of each class that is found."""
        return _share(np.diag(self.counts), self.support)

    @property
    def f1(self) -> Float:
        """(C,): harmonic mean of precision and recall."""
        return _share(2 * np.diag(self.counts), self.counts.sum(0) + self.support)

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that occur or are decided."""
        return _mean(self.f1[self.counts.sum(0) + self.support > 0])

    def figures(self) -> dict[str, float]:
        """The measures of all classes together, by name."""
        return {
            "accuracy": self.accuracy,
            "balanced accuracy": self.balanced,
            "macro F1": self.macro_f1,
        }


@dataclass(frozen=True)
class Errors:
    """Measures of `count` values of O outputs, each (O,), in the unit of the values.

    r2: 1 less the squared error over that of the mean: 1 is perfect, 0 is no better than the mean.
    Where all true values are equal it is 1 or 0; of a single one it is nan.
    """

    count: int
    rmse: tuple[float, ...]
    mae: tuple[float, ...]
    r2: tuple[float, ...]

    @staticmethod
    def of(truth: NDArray[Any], found: NDArray[Any]) -> Errors:
        """From two arrays (count, O)."""
        truth, found = truth.astype(np.float64), found.astype(np.float64)
        error = found - truth
        squared, spread = np.square(error).sum(0), np.square(truth - truth.mean(0)).sum(0)
        flat = np.where(squared == 0, 1.0, 0.0)
        r2 = np.where(spread > 0, 1 - squared / np.where(spread > 0, spread, 1.0), flat)
        if len(truth) < 2:
            r2 = np.full(len(r2), np.nan)
        return Errors(
            len(truth),
            tuple(np.sqrt(squared / len(truth)).tolist()),
            tuple(np.abs(error).mean(0).tolist()),
            tuple(r2.tolist()),
        )

    def figures(self) -> dict[str, float]:
        """The means over the outputs, by name."""
        return {
            "RMSE": float(np.mean(self.rmse)),
            "MAE": float(np.mean(self.mae)),
            "R2": float(np.mean(self.r2)),
        }


def confusion_matrix(
    truth: NDArray[Any], decided: NDArray[Any], classes: int
) -> tuple[tuple[int, ...], ...]:
    """Counts by true class (rows) and decided class (columns), from integers 0 to classes - 1."""
    cells = np.bincount((truth * classes + decided).ravel(), minlength=classes * classes)
    return tuple(tuple(row) for row in cells.reshape(classes, classes).tolist())


def _mean(shares: Float) -> float:
    """The mean; nan of nothing."""
    return float(shares.mean()) if len(shares) else math.nan


def _share(part: Int, whole: Int) -> Float:
    """part / whole, 0 where there is nothing."""
    return np.asarray(part / np.maximum(whole, 1), np.float64)
