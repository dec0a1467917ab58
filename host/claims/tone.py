"""A task in which time decides: the frequency of a noisy tone, sampled regularly or not."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulnn_host.data.sequences import Sequences
from ulnn_host.experiments.intervals import Tally
from ulnn_host.experiments.measured import MSE

from . import cells
from .claim import Run, Source
from .study import Found, Part, study, tallied

STEPS, DT = 60, 0.05
LOW, HIGH = 0.5, 5.0  # Hz
NOISE = 0.2
FIT, TEST, CLUSTER = 320, 200, 5
REGULAR, MISSING, RANDOM = "regular", "missing", "random"
PATTERNS = {
    REGULAR: "regular, 20 Hz",
    MISSING: "30 % of the samples missing",
    RANDOM: "random times (exponential gaps)",
}
SOURCE = Source("a noisy tone, generated", "none needed")
BUDGET = "5KB"
NAMES = (
    cells.CFC, cells.NO_TIME, cells.BACKBONE, cells.GRU, cells.GRU_DT, cells.LSTM_DT, *cells.FLOAT
)  # fmt: skip
RULE = "periodogram, no network"
WORDS = f"""60 samples of a sine between {LOW:g} and {HIGH:g} Hz with noise of {NOISE:g}, every
50 ms in the mean; the target is the logarithm of its frequency, the measure the mean squared
error. {FIT} sequences to train on, {TEST} others to test on."""


@cache
def tones(pattern: str, count: int, seed: int) -> Sequences:
    """Sequences with one pattern of times; group: CLUSTER sequences each."""
    rng = np.random.default_rng([seed, list(PATTERNS).index(pattern)])
    dt = np.full((count, STEPS), DT)
    if pattern == MISSING:
        dt = DT * rng.geometric(0.7, (count, STEPS))
    elif pattern == RANDOM:
        dt = rng.exponential(DT, (count, STEPS)) + 1e-4
    rng = np.random.default_rng(seed)  # the same tones in all patterns
    frequency = np.exp(rng.uniform(np.log(LOW), np.log(HIGH), count))
    phase = 2 * np.pi * frequency[:, None] * np.cumsum(dt, 1) + rng.uniform(0, 6.3, (count, 1))
    x = np.sin(phase) + NOISE * rng.standard_normal(phase.shape)
    y = np.log(frequency)[:, None].astype(np.float32)
    return Sequences(x[..., None], dt, y=y, per="sequence", group=np.arange(count) // CLUSTER)


def found(run: Run, pattern: str) -> Found:
    """Cells, trained on one pattern and tested on all."""
    fit = tones(pattern, FIT, 1)
    tests = {name: tones(name, TEST, 2) for name in PATTERNS}
    content: dict[str, dict[str, Any]] = {
        "data": {"source": ""},
        "model": {"readout": "last"},
        "training": {"epochs": 2 * run.plan.epochs, "batch": 32},
    }
    made = study(
        run, MSE, [Part(fit, tones(RANDOM, 64, 3), tests)], cells.recipes(NAMES, content),
        BUDGET, f"tone, trained {pattern}:",
    )  # fmt: skip
    made.add(RULE, {name: periodogram(data) for name, data in tests.items()})
    return made


def periodogram(data: Sequences) -> dict[str, Tally]:
    """The squared errors of the frequency at which the data have most power."""
    time = np.cumsum(data.dt, 1, dtype=np.float64)
    grid = np.exp(np.linspace(np.log(LOW), np.log(HIGH), 241))
    x = data.x[..., 0] - data.x[..., 0].mean(1, keepdims=True)
    power = [np.abs((x * np.exp(-2j * np.pi * f * time)).sum(1)) for f in grid]
    best = np.log(grid[np.argmax(power, 0)])[:, None]
    squares: NDArray[np.float64] = (best - np.asarray(data.y)) ** 2
    return tallied(data, squares, np.ones_like(squares))
