"""Ranges chosen by what they do: the method and the margin with the least rollout error."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from ..base.errors import UlnnError
from .calibration import FloatRollout, calibrate
from .options import METHODS, Method, Options
from .quantize import build
from .rollouts import halves, rms, sample

MARGINS = (1.0, 1.25, 1.5, 2.0)
SEARCH_STEPS = 20_000


@dataclass(frozen=True)
class RangeTrial:
    """A way to take ranges and the rms rollout error (real units of the output) with it."""

    ranges: Method
    margin: float
    rms: float


@dataclass(frozen=True)
class Found:
    """The options with the least error, and every trial in the order in which it was made."""

    options: Options
    trials: tuple[RangeTrial, ...]

    @property
    def best(self) -> RangeTrial:
        """The trial that won: the first of those with the least error."""
        return min(self.trials, key=lambda trial: trial.rms)


def search(
    rollout: FloatRollout,
    options: Options,
    progress: Callable[[RangeTrial], None] = lambda trial: None,
) -> Found:
    """Try every method with every margin. Ranges are taken from one half of the sequences and
    measured on the other: on its own values the smallest range would always win.

    Deterministic. Raises UlnnError when the network cannot be converted with any of them.
    """
    first, second = halves(sample(rollout.data, SEARCH_STEPS))
    calibrated, measured = rollout.on(first), rollout.on(sample(second))
    trials: list[RangeTrial] = []
    problem: UlnnError | None = None
    for ranges in METHODS:
        for margin in MARGINS:
            tried = dataclasses.replace(options, ranges=ranges, margin=margin)
            try:
                model = build(rollout.network, calibrate(calibrated, tried), tried)
            except UlnnError as error:
                problem = error
                continue
            trials.append(RangeTrial(ranges, margin, rms(measured, model)))
            progress(trials[-1])
    if not trials:
        assert problem is not None
        raise problem
    best = min(trials, key=lambda trial: trial.rms)
    found = dataclasses.replace(options, ranges=best.ranges, margin=best.margin)
    return Found(found, tuple(trials))


def with_calibration(options: Options, name: str) -> Options:
    """The options with a named calibration other than `search`. Raises UlnnError for a name that
    is not known."""
    for method in METHODS:
        if method == name:
            return dataclasses.replace(options, ranges=method)
    raise UlnnError(f"--calibration {name}: expected {', '.join(METHODS)} or search")
