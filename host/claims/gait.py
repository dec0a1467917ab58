"""How a HalfCheetah learns to run: augmented random search (Mania, Guy, Recht 2018, arXiv
1803.07055), a linear policy of 6 x 17 numbers. Writes gait.json, which is kept, so that every
machine has the same gaits; minutes of one core:

PYTHONPATH=host python -m claims.gait
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulnn_host.base import extras, files

GAIT = Path(__file__).with_name("gait.json")
ACTIONS, OBSERVED = 6, 17
DIRECTIONS, BEST = 16, 8  # tried, and those that count
STEP, SPREAD = 0.02, 0.03
STEPS = 300  # of an episode
ENOUGH = 450.0  # reward of an episode: a gait, about 1500 in the usual 1000 steps
ROUNDS, SEED = 400, 1
Float = NDArray[np.float64]


def cheetah() -> Any:
    """MuJoCo's HalfCheetah-v5, without the wrappers."""
    extras.need("gymnasium", "the HalfCheetah")
    import gymnasium

    # MuJoCo leaves a log of its warnings where it is
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return gymnasium.make("HalfCheetah-v5").unwrapped


class Spread:
    """The standard deviations of what was observed so far."""

    def __init__(self) -> None:
        self.count, self.sum, self.squares = 0, np.zeros(OBSERVED), np.zeros(OBSERVED)

    def see(self, observed: Float) -> None:
        """Count another observation (17,)."""
        self.count += 1
        self.sum += observed
        self.squares += observed**2

    @property
    def value(self) -> Float:
        """(17,)."""
        if self.count < 2:
            return np.ones(OBSERVED)
        mean = self.sum / self.count
        return np.sqrt(np.maximum(self.squares / self.count - mean**2, 1e-6))


def reward(world: Any, matrix: Float, seed: int, seen: Spread | None = None) -> float:
    """Of an episode whose actions are matrix @ observation."""
    observed, _ = world.reset(seed=seed)
    total = 0.0
    for _ in range(STEPS):
        if seen:
            seen.see(observed)
        observed, gained, *_ = world.step(np.clip(matrix @ observed, -1, 1))
        total += float(gained)
    return total


def search() -> tuple[Float, float]:
    """(The matrix, the mean reward of four other episodes)."""
    world, rng, seen = cheetah(), np.random.default_rng(SEED), Spread()
    matrix, reached = np.zeros((ACTIONS, OBSERVED)), 0.0
    for turn in range(1, ROUNDS + 1):
        tried = rng.standard_normal((DIRECTIONS, ACTIONS, OBSERVED))
        scale, now = seen.value, Spread()
        both = np.zeros((DIRECTIONS, 2))
        for k, direction in enumerate(tried):
            seed = int(rng.integers(1 << 30))
            for side, sign in enumerate((1, -1)):
                moved = (matrix + sign * SPREAD * direction) / scale
                both[k, side] = reward(world, moved, seed, now)
        best = np.argsort(-both.max(1))[:BEST]
        gains = both[best, 0] - both[best, 1]
        matrix += STEP / (BEST * both[best].std() + 1e-8) * np.tensordot(gains, tried[best], 1)
        for name in ("count", "sum", "squares"):
            setattr(seen, name, getattr(seen, name) + getattr(now, name))
        policy = matrix / seen.value
        reached = float(np.mean([reward(world, policy, 10**6 + k) for k in range(4)]))
        print(f"round {turn}: {reached:.0f}", flush=True)
        if reached > ENOUGH:
            break
    return policy, reached


if __name__ == "__main__":
    policy, reached = search()
    rows = [[float(f"{value:.5g}") for value in row] for row in policy]
    files.write_json(GAIT, {"reward": round(reached), "steps": STEPS, "matrix": rows})
