"""Steps of machines for tests of alarms: inputs, outputs of a model that predicts them, times."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from support.random_models import Shape, random_model
from ulnn_host.format import container
from ulnn_host.format.model import Decision
from ulnn_rules.alarm import Alarm
from ulnn_rules.novelty import Input, Prediction
from ulnn_rules.scaling import Scaling
from ulnn_rules.watch import Between, Watch

INPUTS = 3
Steps = NDArray[np.int16]


def model_bytes() -> bytes:
    """A model with as many outputs as inputs, in other units, that says so."""
    made = random_model(4, Shape(inputs=INPUTS, hidden=4, backbone=(), outputs=INPUTS))
    scales = {
        "input_scale": np.array([2.0**-9, 2.0**-10, 0.3], np.float32),
        "input_offset": np.array([8, 4.5, -1], np.float32),
        "output_scale": np.array([0.0021, 0.0007, 0.29], np.float32),
        "output_offset": np.array([8.1, 4.4, -1], np.float32),
    }
    return container.write(
        replace(made, meta={}, decision=Decision("each", values=True), golden=None, **scales)
    )


MODEL = model_bytes()


@dataclass(frozen=True)
class Life:
    """Steps of a machine: x, y (T, INPUTS): inputs, and what the step before predicted; us, fresh
    (T,). It is healthy but for a part of the last third."""

    x: Steps
    y: Steps
    us: NDArray[np.int64]
    fresh: NDArray[np.bool_]


def life(seed: int, steps: int, bad: float = 6.0) -> Life:
    rng = np.random.default_rng(seed)
    wrong = rng.normal(size=(steps, INPUTS)) * (60, 300, 2)
    late = slice(steps * 7 // 10, steps * 9 // 10)
    wrong[late] *= bad
    y = rng.integers(-9000, 9000, (steps, INPUTS))
    pairs = Scaling(MODEL)
    real = np.empty((steps, INPUTS))
    for k in range(INPUTS):
        (a, b), (c, d) = pairs.output_pair(k), pairs.input_pair(k)
        real[:, k] = (y[:, k] * a + b - d) / c
    x = np.clip(np.rint(real + wrong), -32768, 32767)
    us = rng.integers(95_000, 105_000, steps)
    fresh = rng.random(steps) < 0.01
    fresh[0] = True
    us[fresh] = rng.integers(10**6, 2**29, int(fresh.sum()))
    return Life(x.astype(np.int16), y.astype(np.int16), us, fresh)


# What watches: by number, alike on every engine (`WATCHES` in a script of MicroPython, too).
WATCHES = (
    '(Prediction(Scaling(MODEL)), Alarm(128, 2000000, True, "ewma", 8, 2, 3), 4)',
    '(Prediction(Scaling(MODEL)), Alarm(200, 1000000, True, "cusum", 8, 1, 3), 5, 1500)',
    '(Input(1), Alarm(128, 20000000, False, "ewma", 4, 1, 2), 2, 0, (Between(0, -8000, 8500),), '
    "30)",
)


def watch(number: int) -> Watch:
    """The one of WATCHES."""
    names = {
        "Prediction": Prediction, "Input": Input, "Alarm": Alarm, "Scaling": Scaling,
        "Between": Between, "MODEL": MODEL,
    }  # fmt: skip
    return Watch(*eval(WATCHES[number], names))
