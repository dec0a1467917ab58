"""Rounding the rows of a matrix to integers that follow the data.

The error of a column is made good by the columns behind it, weighted with the covariance of what
the matrix really sees (Frantar et al. 2022, GPTQ; Hassibi and Stork 1993, optimal brain surgeon).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from ..format.model import Activation, Matrix
from ..network.layers import Array, Linear

Q15 = 2.0**-15
ROW_LIMIT = 65400.0
CLIPS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6)


@dataclass(frozen=True)
class Signal:
    """What a vector's int16 values mean: real = value * unit + offset, one each per column."""

    unit: Array
    offset: Array

    @staticmethod
    def of(unit: float, size: int) -> Signal:
        """The same unit for all, no offset."""
        return Signal(np.full(size, unit), np.zeros(size))

    def joined(self, *others: Signal) -> Signal:
        """This vector and others behind it."""
        every = (self, *others)
        return Signal(
            np.concatenate([s.unit for s in every]), np.concatenate([s.offset for s in every])
        )

    def mapped(self, factor: Array, offset: Array) -> Signal:
        """The signal of real * factor + offset."""
        return Signal(self.unit * factor, self.offset * factor + offset)


class WeightsTooLargeError(UlnnError):
    """Multipliers do not fit. column: of the matrix, that of the largest weight in the row that
    decides.
    """

    def __init__(self, text: str, column: int) -> None:
        super().__init__(f"{text}; check the scales of the inputs or use --bits 16")
        self.text, self.column = text, column


class Vectors:
    """Real vectors (samples, columns) that a matrix saw."""

    def __init__(self, values: Array) -> None:
        self.values = values

    def within(self, signal: Signal) -> Vectors:
        """What integers with the meaning of `signal` can hold of the vectors: an outlier that they
        cannot must not decide the rounding.
        """
        low, high = (signal.offset + sign * 32768 * signal.unit for sign in (-1, 1))
        clipped = np.clip(self.values, low, high)
        return self if np.array_equal(clipped, self.values) else Vectors(clipped)

    @cached_property
    def mean(self) -> Array:
        """(columns,)."""
        return np.asarray(self.values.mean(axis=0))

    @cached_property
    def covariance(self) -> Array:
        """(columns, columns)."""
        centred = self.values - self.mean
        return np.asarray(centred.T @ centred / len(self.values))


@dataclass(frozen=True)
class Style:
    """How weights are rounded. bits: 8 or 16; compensate: rounding follows the data (else to
    nearest, which is quick)."""

    bits: int
    compensate: bool = True

    @property
    def top(self) -> int:
        """Largest weight."""
        return 127 if self.bits == 8 else 32767


@dataclass(frozen=True)
class Rounded:
    """Integer rows: weights (rows, columns), bias (rows,) in units of scale * 2^-15, scale
    (rows,)."""

    weights: NDArray[np.int64]
    bias: NDArray[np.int64]
    scale: Array

    def shift(self, target: Array, limit: int = 8) -> int:
        """The smallest shift with which every multiplier is below 2^31. Raises
        WeightsTooLargeError when it is above the limit."""
        row = int(np.argmax(self.scale * target))
        largest = float(self.scale[row] * target[row]) * Q15 * 2.0**32
        shift = max(0, int(np.ceil(np.log2(max(largest, 1.0) / (2.0**31 - 2)))))
        if shift > limit:
            raise WeightsTooLargeError(
                f"weights too large: they need a shift of {shift}, expected at most {limit}",
                int(np.abs(self.weights[row]).argmax()),
            )
        return shift

    def matrix(self, activation: Activation, target: Array, shift: int, bits: int) -> Matrix:
        """The matrix whose rows, `shift` included, are the real rows times target (rows,)."""
        wanted = self.scale * target * Q15 * 2.0 ** (32 - shift)
        multiplier = np.minimum(np.rint(wanted), 2**31 - 1).astype(np.int64)
        return Matrix(self.weights, self.bias, multiplier, bits, activation, shift)


def round_rows(linear: Linear, vectors: Vectors, signal: Signal, style: Style) -> Rounded:
    """Round the rows of a matrix over vectors with the meaning of `signal`. Weights that are
    exactly 0 stay 0."""
    weights = linear.weight * (signal.unit / Q15)
    bias = linear.bias + linear.weight @ signal.offset
    factor = Q15 / signal.unit
    vectors = vectors.within(signal)
    mean = (vectors.mean - signal.offset) * factor
    covariance = _weighting(vectors, mean, factor) if style.compensate else np.zeros((0, 0))
    reach = np.abs(weights).max(axis=1)
    bound = (np.abs(weights).sum(axis=1) + np.abs(bias)) / ROW_LIMIT
    floor = np.where(bound > 0, bound, 1.0)
    while True:
        scale, integers = _best_rounding(weights, reach, floor, covariance, style)
        corrected = bias - (integers * scale[:, None] - weights) @ mean
        bias_int = np.rint(corrected / (scale * Q15)).astype(np.int64)
        over = 32768 * np.abs(integers).sum(axis=1) + np.abs(bias_int) > 2**31 - 1
        if not over.any():
            return Rounded(integers, bias_int, scale)
        floor = np.where(over, np.maximum(floor, scale) * 1.002, floor)


def _weighting(vectors: Vectors, mean: Array, factor: Array) -> Array:
    """Second moments that weigh a rounding error; some of the mean and of the identity keep it
    honest off the data."""
    covariance = vectors.covariance * np.outer(factor, factor) + 0.05 * np.outer(mean, mean)
    covariance[np.diag_indices_from(covariance)] += 0.01 * np.trace(covariance) / len(mean) + 1e-9
    return np.asarray(covariance)


def _best_rounding(
    weights: Array, reach: Array, floor: Array, covariance: Array, style: Style
) -> tuple[Array, NDArray[np.int64]]:
    """Scale (rows,) and integers (rows, columns): per row, the clipping with the least weighted
    error."""
    top = style.top
    if not style.compensate:
        scale = np.maximum(reach / top, floor)
        return scale, np.clip(np.rint(weights / scale[:, None]), -top, top).astype(np.int64)
    best_cost = np.full(len(weights), np.inf)
    best_scale, best = np.zeros(len(weights)), np.zeros(weights.shape)
    for clip in (1.0,) if style.bits == 16 else CLIPS:
        scale = np.maximum(reach * clip / top, floor)
        rounded = _compensated(weights, scale, top, covariance)
        error = rounded * scale[:, None] - weights
        cost = np.einsum("ij,jk,ik->i", error, covariance, error)
        better = cost < best_cost
        best_cost = np.where(better, cost, best_cost)
        best_scale = np.where(better, scale, best_scale)
        best = np.where(better[:, None], rounded, best)
    return best_scale, best.astype(np.int64)


def _compensated(weights: Array, scale: Array, top: int, covariance: Array) -> Array:
    """Round column by column, the largest variance first; each error is spread over the columns to
    come. Rows with weights that are exactly 0 keep them, and spread nothing there."""
    absent = weights == 0
    order = np.argsort(-np.diag(covariance))
    inverse = np.linalg.inv(covariance[np.ix_(order, order)])
    upper = np.linalg.cholesky(inverse).T
    left = weights[:, order].copy()
    absent = absent[:, order]
    rounded = np.zeros_like(left)
    for j in range(left.shape[1]):
        rounded[:, j] = np.clip(np.rint(left[:, j] / scale), -top, top)
        error = (left[:, j] - rounded[:, j] * scale) / upper[j, j]
        left[:, j + 1 :] -= np.where(absent[:, j + 1 :], 0.0, np.outer(error, upper[j, j + 1 :]))
    result = np.empty_like(rounded)
    result[:, order] = rounded
    return result
