"""What no exercise is, made by chance: a still wrist, walking, shaking, as a watch sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulnn_host.data import watch
from ulnn_host.data.sequences import Sequences

KINDS = ("still", "walking", "shaking")
_SIZES = {"still": (0.01, 0.02), "walking": (0.03, 0.1), "shaking": (0.05, 0.2)}  # of the noise

Array = NDArray[np.float64]


def strangers(kind: str, count: int, seconds: float, rng: np.random.Generator) -> Sequences:
    """So many sequences of acceleration (g) and rate of turn (rad/s), without targets."""
    steps = round(seconds * watch.RATE)
    x = np.stack([_one(kind, np.arange(steps) / watch.RATE, rng) for _ in range(count)])
    return Sequences(x.astype(np.float32), np.full(x.shape[:2], 1 / watch.RATE, np.float32))


def _one(kind: str, t: Array, rng: np.random.Generator) -> Array:
    gravity = rng.normal(size=3)
    x = np.zeros((len(t), 6))
    x[:, :3] = gravity / np.linalg.norm(gravity)
    if kind == "walking":
        rate, size = rng.uniform(1.6, 2.2), rng.uniform(0.1, 0.4)
        x[:, :3] += _wave(t, rate, size, rng) + _wave(t, 2 * rate, size / 2, rng)
        x[:, 3:] += _wave(t, rate / 2, rng.uniform(0.5, 1.5), rng)
    elif kind == "shaking":
        rate, size = rng.uniform(4, 7), rng.uniform(0.5, 1.5)
        x[:, :3] += _wave(t, rate, size, rng)
        x[:, 3:] += _wave(t, rate, 3 * size, rng)
    linear, turning = _SIZES[kind]
    return np.asarray(x + rng.normal(size=x.shape) * np.repeat((linear, turning), 3))


def _wave(t: Array, rate: float, size: float, rng: np.random.Generator) -> Any:
    """A swing along a direction by chance."""
    phase = 2 * np.pi * rate * t + rng.uniform(0, 2 * np.pi)
    return np.sin(phase)[:, None] * rng.normal(size=3) * size
