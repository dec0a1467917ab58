"""Golden vectors (SPEC.md 2.6): made from a seed, never from anybody's data.

They reach what an engine may get wrong: inputs at both ends of the calibrated ranges, at 0 and in
between, elapsed times from one tick to longer ones than the model knows, blocks in which inputs
are held so that states and gates get far.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..engines.reference import Reference
from ..format.limits import TICKS_MAX
from ..format.model import Golden, Int, Int16, ModelFile

STEPS = 32
BLOCK = 4
SEED = 20261


def with_golden(model: ModelFile, room: float) -> ModelFile:
    """The model with golden vectors. room: how many times larger than the calibrated range of an
    input the range of its integers is, 1 or more."""
    x, dt = stimulus(model.input_size, model.dt_max, room)
    engine = Reference(model)
    y = engine.run(x, dt)
    return dataclasses.replace(model, golden=Golden(dt, x, y, engine.state))


def stimulus(inputs: int, dt_max: int, room: float) -> tuple[Int16, Int]:
    """Inputs x (STEPS, inputs) and dt (STEPS,) in ticks, the same at every call."""
    rng = np.random.default_rng(SEED)
    top = max(1, int(32767 / room))
    x = rng.integers(-top, top + 1, (STEPS, inputs))
    for block in range(BLOCK, STEPS, 2 * BLOCK):
        held = rng.choice(np.array([-top, 0, top]), inputs)
        x[block : block + BLOCK] = held
    ends = rng.random(x.shape) < 0.1
    x[ends] = rng.choice(np.array([-top, top]), int(ends.sum()))
    dt = np.exp(rng.uniform(0, np.log(dt_max), STEPS)).astype(np.int64)
    dt[rng.random(STEPS) < 0.5] += dt_max // 3
    places = rng.permutation(STEPS)[:4]
    dt[places] = 1, dt_max, dt_max + 1, 3 * dt_max
    return x.astype(np.int16), np.clip(dt, 1, TICKS_MAX)
