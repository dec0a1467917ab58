"""What a model knows, for its file: what the inputs of windows are like (SPEC.md 2.15), so that a
board can say "unknown" of what is nothing that the model was made for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ulnn_rules.unknown import CENTRES_MAX, HEAD, INPUTS_MAX, THRESHOLD_MAX

from ..base.errors import UlnnError
from ..data.sequences import Sequences
from ..engines import decided
from ..engines.batch import quantise
from ..format.model import Int, ModelFile
from ..network.layers import Array

SHRINK = 0.1  # of the covariance towards its diagonal
LEAST = 2.0  # standard deviation of a statistic, in its units
FLOOR = 1 / 16  # of a channel's usual spread in a window: what is below it is quiet
LIMIT = 32767
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Fitted:
    """centres (K, 3 I) of the statistics; white (3 I, 3 I), lower triangle: to unit spread."""

    centres: Array
    white: Array

    def distances(self, statistics: Array) -> Array:
        """Squared, from the nearest centre, (N,)."""
        apart = (statistics[:, None] - self.centres) @ self.white.T
        return np.asarray((apart**2).sum(axis=-1).min(axis=1))


def with_unknown(model: ModelFile, data: Sequences, share: float) -> ModelFile:
    """The model with its section UNKNOWN; as it is for a share of 0."""
    return dataclasses.replace(model, unknown=section(model, data, share)) if share else model


def section(model: ModelFile, data: Sequences, share: float) -> bytes:
    """The section UNKNOWN, from windows of what the model is for.

    share: of windows of groups (people, machines) that are left out, which may become "unknown":
    the threshold is chosen so, each group left out in turn. Raises UlnnError where there are no
    two groups or recordings, or no windows to decide about.
    """
    rule = model.decision
    if rule is None or rule.values or rule.readout == "each":
        raise UlnnError("--unknown: expected data with classes, and a readout mean, last or vote")
    if model.input_size > INPUTS_MAX or model.output_size > CENTRES_MAX:
        raise UlnnError(
            f"--unknown: the model has {model.input_size} inputs and {model.output_size} classes, "
            f"expected at most {INPUTS_MAX} and {CENTRES_MAX}"
        )
    data = decided.windows(rule, model.tick_ns, data)
    group = data.origin if data.group is None else data.group
    if group is None or len(np.unique(group)) < 2:
        raise UlnnError(
            "--unknown chooses its threshold on groups (people, machines) left out: expected data "
            "with two or more groups, or recordings"
        )
    labels = data.y if data.y is not None and data.y.ndim == 1 else np.zeros(len(data), np.int64)
    x, mask = quantise(model, data).x.astype(np.float64), data.mask
    base = np.rint(x[mask].mean(axis=0))
    floors = _floors(x, mask)
    found = statistics(x, mask, base, floors)
    threshold = 64 * np.quantile(left_out(found, labels, group), 1 - share)
    whole = fit(found, labels, group)
    return _section(base, floors, whole, min(THRESHOLD_MAX, int(np.ceil(threshold))))


def left_out(found: Array, labels: Int, group: Int) -> Array:
    """The distance of each window when its group is left out of what is fitted, (N,)."""
    distances = np.empty(len(found))
    for g in np.unique(group):
        held = group == g
        distances[held] = fit(found[~held], labels[~held], group[~held]).distances(found[held])
    return distances


def fit(found: Array, labels: Int, group: Int) -> Fitted:
    """Centres of classes, of which all groups weigh the same, and what is common to them."""
    centres = []
    residuals = np.empty_like(found)
    for c in np.unique(labels):
        of_class = labels == c
        groups = np.unique(group[of_class])
        means = [found[of_class & (group == g)].mean(axis=0) for g in groups]
        centres.append(np.mean(means, axis=0))
        residuals[of_class] = found[of_class] - centres[-1]
    covariance = residuals.T @ residuals / len(residuals)
    own = np.diag(np.diag(covariance))
    covariance = (1 - SHRINK) * covariance + SHRINK * own + LEAST**2 * np.eye(len(own))
    return Fitted(np.array(centres), np.linalg.inv(np.linalg.cholesky(covariance)))


def statistics(x: Array, mask: Mask, base: Array, floors: Array) -> Array:
    """Means, spreads and steps of windows as SPEC.md 2.15 has them, but not rounded: (N, 3 I)."""
    there, count = mask[..., None], mask.sum(axis=1)[:, None]
    apart = np.where(there, np.clip(x - base, -LIMIT, LIMIT), 0)
    mean = apart.sum(axis=1) / count
    square = np.maximum(0, (apart**2).sum(axis=1) / count - mean**2)
    moved = np.where(there[:, 1:], np.minimum(LIMIT, np.abs(np.diff(x, axis=1))), 0)
    step = moved.sum(axis=1) / np.maximum(1, count - 1)
    three = mean, 256 * np.log2(square + floors**2), 256 * np.log2(step + floors)
    return np.stack(three, axis=-1).reshape(len(x), -1)


def _floors(x: Array, mask: Mask) -> Array:
    there, count = mask[..., None], mask.sum(axis=1)[:, None]
    mean = np.where(there, x, 0).sum(axis=1) / count
    square = np.where(there, (x - mean[:, None]) ** 2, 0).sum(axis=1) / count
    usual = np.sqrt(np.median(square, axis=0))
    return np.asarray(np.clip(np.rint(FLOOR * usual), 1, LIMIT))


def _section(base: Array, floors: Array, whole: Fitted, threshold: int) -> bytes:
    middle = np.rint(whole.centres.mean(axis=0))
    largest = np.abs(256 * whole.white).max(axis=1)
    shifts = np.clip(np.floor(np.log2(LIMIT / largest)) - 8, 0, 15)
    rows = np.rint(256 * whole.white * 2.0 ** (8 + shifts[:, None]))
    centres = np.rint(256 * (whole.centres - middle) @ whole.white.T)
    parts = base, floors, middle, shifts, rows[np.tril_indices(len(rows))], centres.ravel()
    numbers = np.clip(np.concatenate(parts), -LIMIT, LIMIT).astype("<i2")
    head = np.array([len(centres), 0, threshold & 0xFFFF, threshold >> 16], "<u2").tobytes()
    assert len(head) == HEAD
    return bytes(head + numbers.tobytes())
