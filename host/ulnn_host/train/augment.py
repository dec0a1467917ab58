"""Training sequences made afresh in each epoch: random windows, dropped samples, small physical
changes.
"""

from __future__ import annotations

import dataclasses
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from ..data import degrade
from ..data.degrade import Fill, Pattern
from ..data.sequences import Sequences, Statistics
from .recipe import AugmentRecipe, DataRecipe


def epoch(
    data: Sequences,
    recipe: DataRecipe,
    changes: AugmentRecipe,
    statistics: Statistics,
    rng: np.random.Generator,
) -> Sequences:
    """One epoch's sequences, in random order. Raises UlnnError when no sequence fills a window."""
    rows = rng.permutation(np.repeat(np.arange(len(data)), recipe.windows_per_sequence))
    if recipe.window:
        size = max(1, round(recipe.window / data.tick))
        rows = rows[data.length[rows] >= size]
        if not rows.size:
            raise UlnnError(
                f"no sequence has {size} samples, the {recipe.window:g} s of data.window: "
                "shorten it"
            )
        starts = (rng.random(len(rows)) * (data.length[rows] - size + 1)).astype(np.int64)
        batch = data.cut(rows, starts, size)
    else:
        batch = data.take(rows)
    return change(dropped(batch, recipe, statistics, rng), changes, statistics, rng)


def dropped(
    data: Sequences, recipe: DataRecipe, statistics: Statistics, rng: np.random.Generator
) -> Sequences:
    """The sequences without the samples that a recipe drops."""
    if not recipe.drop_range[1]:
        return data
    return degrade.drop(
        data, recipe.drop_range, rng,
        pattern=cast(Pattern, recipe.drop_pattern), fill=cast(Fill, recipe.fill),
        mean=statistics.mean,
    )  # fmt: skip


def change(
    data: Sequences, changes: AugmentRecipe, statistics: Statistics, rng: np.random.Generator
) -> Sequences:
    """The sequences with random changes. Raises UlnnError when a list does not fit."""
    count, _, channels = data.x.shape
    x, dt = data.x.copy(), data.dt
    if changes.mirror:
        signs = np.asarray(changes.mirror, np.float32)
        _expect(len(signs), channels, "augment.mirror")
        x[rng.random(count) < 0.5] *= signs
    if changes.rotate:
        if channels % 3:
            raise UlnnError(f"augment.rotate turns channels in threes, the data have {channels}")
        turn = rotations(rng, count, changes.rotate)
        threes = x.reshape(count, -1, channels // 3, 3)
        x = np.einsum("nij,ntkj->ntki", turn, threes).reshape(x.shape)
    if changes.speed:
        factor = _factors(rng, changes.speed, count)
        if max(changes.rates, default=0) >= channels:
            raise UlnnError(
                f"augment.rates has channel {max(changes.rates)}, expected 0 to {channels - 1}"
            )
        x[:, :, list(changes.rates)] *= factor[:, None, None]
        dt = dt / factor[:, None]
    if changes.scale:
        spread = np.asarray(changes.scale, np.float32)
        _expect(len(spread), channels, "augment.scale")
        for value in np.unique(spread[spread > 0]):
            x[:, :, spread == value] *= _factors(rng, float(value), count)[:, None, None]
    if changes.noise:
        x += changes.noise * statistics.std * rng.standard_normal(x.shape, np.float32)
    return dataclasses.replace(data, x=x, dt=dt)


def rotations(rng: np.random.Generator, count: int, degrees: float) -> NDArray[np.float32]:
    """(count, 3, 3) turns about random axes by normal angles (Rodrigues' formula)."""
    axis = rng.normal(size=(count, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    angle = np.deg2rad(degrees) * rng.normal(size=(count, 1, 1))
    cross = np.zeros((count, 3, 3))
    for row, column, component, sign in (
        (0, 1, 2, -1), (0, 2, 1, 1), (1, 0, 2, 1), (1, 2, 0, -1), (2, 0, 1, -1), (2, 1, 0, 1),
    ):  # fmt: skip
        cross[:, row, column] = sign * axis[:, component]
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return np.asarray(turn, np.float32)


def _factors(rng: np.random.Generator, spread: float, count: int) -> NDArray[np.float32]:
    return np.asarray(np.exp(spread * rng.standard_normal(count)), np.float32)


def _expect(got: int, want: int, name: str) -> None:
    if got != want:
        raise UlnnError(f"{name} has {got} values, expected {want}, one per channel")
