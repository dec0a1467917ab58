"""The HalfCheetah task: the next observation of a running robot, of noisy ones with gaps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulnn_host.base.errors import UlnnError
from ulnn_host.data.sequences import Sequences
from ulnn_host.experiments.intervals import Tally
from ulnn_host.experiments.measured import MSE
from ulnn_host.quantize.rollouts import sample

from . import cells, gait
from .claim import Run, Source
from .study import Found, Part, study, tallied

SHA256 = "99e16d2698a17c00089ad69a96180b9afa03543a1daccc5cdc9844d0a478583d"
FIT, TEST = 30, 20  # episodes
STEPS, WINDOW = 300, 100
DT = 0.05  # s
LOST = 0.1  # share of the frames
WANDER = 0.1  # of the actions, so that no two strides are the same
LEVELS = (0.0, 0.1, 0.3, 0.5)  # of the noise, in standard deviations
SEEN = 0.3  # in training
GAPS = (0.3, 0.6)  # shares of the frames that are lost in tests without noise
BUDGET = "10KB"
NAMES = (cells.CFC, cells.GRU_DT, cells.LSTM, cells.LSTM_DT, *cells.FLOAT)
RULE = "linear, of the last four frames"
FRAMES = 4
SOURCE = Source(
    "MuJoCo's HalfCheetah-v5 (gymnasium), gaits of a linear policy found here (gait.py)",
    "MIT and Apache-2.0; the data are made on the spot",
)
WORDS = f"""A HalfCheetah runs {STEPS} steps of {DT * 1000:g} ms an episode, and {100 * LOST:.0f} %
of the frames are lost. A network sees the 17 observations with noise and predicts the next frame
without noise; the measure is the mean squared error in units of each observation's variance. {FIT}
episodes to train on, in windows of {WINDOW} frames, {TEST} to test on. Noise is in standard
deviations."""


@cache
def _episodes() -> NDArray[np.float32]:
    """(FIT + TEST, STEPS, 17). Raises UlnnError where the gait is not the known one."""
    content = gait.GAIT.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise UlnnError(f"{gait.GAIT.name} is not the gait that the figures were made with")
    matrix, world = np.array(json.loads(content)["matrix"]), gait.cheetah()
    made = np.zeros((FIT + TEST, STEPS, gait.OBSERVED), np.float32)
    for k, episode in enumerate(made):
        rng = np.random.default_rng(k)
        observed, _ = world.reset(seed=k)
        for row in episode:
            row[:] = observed
            action = matrix @ observed + WANDER * rng.standard_normal(gait.ACTIONS)
            observed = world.step(np.clip(action, -1, 1))[0]
    return made


@cache
def frames(level: float, test: bool, lost: float = LOST) -> Sequences:
    """Episodes in units of their spread with noise, and the next frame without; group: episode.
    lost: share of the frames."""
    made = _episodes()
    middle, spread = (f(made[:FIT], axis=(0, 1)) for f in (np.mean, np.std))
    clean = (made[FIT:] if test else made[:FIT]) - middle
    clean /= spread + 1e-6
    rng = np.random.default_rng([round(100 * level), test])
    count = len(clean)
    kept = np.random.default_rng(7).random(clean.shape[:2]) >= lost
    whole = Sequences(
        clean, np.full(clean.shape[:2], DT, np.float32), group=np.arange(count)
    ).keep_steps(kept)
    follow = np.roll(whole.x, -1, 1)
    x = whole.x + np.float32(level) * rng.standard_normal(whole.x.shape, np.float32)
    length = whole.length - 1
    steps = int(length.max())
    return Sequences(
        x[:, :steps], whole.dt[:, :steps], follow[:, :steps], length, group=whole.group,
        per="step",
    )  # fmt: skip


def name_of(level: float) -> str:
    """Of a test."""
    return f"noise {level:g}"


def name_of_gaps(lost: float) -> str:
    """Of a test without noise."""
    return f"{100 * lost:.0f} % lost"


def found(run: Run, noise: float, rates: Mapping[str, float] | None = None) -> Found:
    """Cells, trained with noise or without, and tested with all levels. rates: as of `study`."""
    fit = frames(0.0, False)
    tests = {name_of(level): frames(level, True) for level in LEVELS}
    tests |= {name_of_gaps(lost): frames(0.0, True, lost) for lost in GAPS}
    content: dict[str, dict[str, Any]] = {
        "data": {"source": "", "window": WINDOW * DT, "windows_per_sequence": 3},
        "model": {"readout": "each"},
        "training": {"epochs": run.plan.epochs, "batch": 16},
        "augment": {"noise": noise},
    }
    part = Part(fit, sample(frames(noise, False, GAPS[-1])), tests)
    words = f"cheetah, trained with noise {noise:g}:"
    made = study(run, MSE, [part], cells.recipes(NAMES, content), BUDGET, words, rates)
    made.add(RULE, _linear(noise, tests))
    return made


def _linear(noise: float, tests: Mapping[str, Sequences]) -> dict[str, dict[str, Tally]]:
    """Least squares on the last frames and their elapsed times."""
    fit = frames(noise, False)
    a, y = _stacked(fit), np.asarray(fit.y)[fit.mask]
    weights = np.linalg.solve(a.T @ a + 1.0 * np.eye(a.shape[1]), a.T @ y)
    rows = {}
    for name, data in tests.items():
        squares = np.zeros((len(data), y.shape[1]))
        error = (_stacked(data) @ weights - np.asarray(data.y)[data.mask]) ** 2
        of = np.repeat(np.arange(len(data)), data.length)
        np.add.at(squares, of, error)
        rows[name] = tallied(data, squares, np.repeat(data.length[:, None], y.shape[1], 1))
    return rows


def _stacked(data: Sequences) -> NDArray[np.float64]:
    """(steps, features): frames before the first are as the first."""
    steps = np.arange(data.x.shape[1])
    parts = [data.x[:, np.maximum(steps - k, 0)] for k in range(FRAMES)]
    parts += [data.dt[:, np.maximum(steps - k, 0), None] for k in range(FRAMES)]
    parts.append(np.ones_like(parts[-1]))
    return np.concatenate(parts, 2)[data.mask].astype(np.float64)
