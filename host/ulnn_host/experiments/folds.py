"""What is held out: groups or recordings, dealt into folds, each of which is held out once.

A cluster is what belongs together in the statistics: a group (a person, a machine), or a
recording. It is the group of the sequences that folds hold, so scores come by cluster.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from ..data.sequences import Sequences, Statistics
from ..quantize.rollouts import sample
from ..train import train
from ..train.recipe import DataRecipe
from . import hashes

LeaveOut = Literal["group", "recording", "recipe"]
LEAVE_OUT: tuple[LeaveOut, ...] = get_args(LeaveOut)
INNER = 4  # folds of which the first is held out of what is fitted, to choose a learning rate


@dataclass(frozen=True)
class Fold:
    """fit: to train on, as it is; calibration, test: with the windows and lost samples that were
    asked for, always the same."""

    fit: Sequences
    calibration: Sequences
    test: Sequences

    @cached_property
    def fit_hash(self) -> str:
        """Of what is trained on."""
        return hashes.of_data(self.fit)

    @cached_property
    def test_hash(self) -> str:
        """Of what is measured on."""
        return hashes.of_data(self.calibration, self.test)


def clustered(data: Sequences, leave_out: LeaveOut) -> Sequences:
    """The data whose groups are the clusters: for "group" those that the data have; for
    "recording" the recordings; for "recipe" groups where there are any. Raises UlnnError."""
    if leave_out == "group" and data.group is None:
        raise UlnnError(
            "the data have no groups to leave out: name them (data.group), or leave out recordings"
        )
    of = np.arange(len(data)) if data.origin is None else data.origin
    if data.group is not None and leave_out != "recording":
        if data.groups:
            return data
        of = data.group
    codes, group = np.unique(of, return_inverse=True)
    return dataclasses.replace(data, group=group, groups=tuple(str(k) for k in codes))


def dealt(data: Sequences, folds: int, seed: int) -> list[tuple[Sequences, Sequences]]:
    """(to fit, held out) for each fold of clustered data; clusters of one class are spread over
    the folds. As many folds as there are clusters, where those are fewer. Raises UlnnError for a
    single cluster."""
    assert data.group is not None
    clusters = np.unique(data.group)
    if len(clusters) < 2:
        raise UlnnError(
            f"the data have one group or recording only ({data.groups[clusters[0]]}), expected "
            "two or more, so that one can be left out"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(clusters)
    order = order[np.argsort(_classes(data, order), kind="stable")]
    count = min(folds, len(order))
    held = [np.isin(data.group, order[k::count]) for k in range(count)]
    return [(data.take(~chosen), data.take(chosen)) for chosen in held]


def fold(fit: Sequences, test: Sequences, conditions: DataRecipe, seed: int) -> Fold:
    """A fold. conditions: whose windows and lost samples calibration and test have. Raises
    UlnnError."""
    rng, statistics = np.random.default_rng(seed), Statistics.of(fit)
    seen, held = (train.as_validated(part, conditions, statistics, rng) for part in (fit, test))
    return Fold(fit, sample(seen), held)


def inner(outer: Fold, conditions: DataRecipe, seed: int) -> Fold:
    """A fold within what a fold fits: what it holds out chooses a learning rate. Clusters are held
    out, or sequences where there is one cluster."""
    data = outer.fit
    assert data.group is not None
    if len(np.unique(data.group)) < 2:
        data = clustered(data, "recording")
    fit, held = dealt(data, INNER, seed)[0]
    return fold(fit, held, conditions, seed)


def _classes(data: Sequences, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The class of each cluster, where all its sequences have one; else 0 for all."""
    none = np.zeros(len(order), np.int64)
    if data.y is None or data.y.dtype.kind not in "iu" or data.y.ndim != 1:
        return none
    found = [np.unique(data.y[data.group == k]) for k in order]
    return np.array([k[0] for k in found]) if all(len(k) == 1 for k in found) else none
