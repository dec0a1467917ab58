"""An app that watches: a model that predicts features of a vibration, its settings, and the events
of an alarm as a PC has them."""

from __future__ import annotations

from array import array
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from support.random_models import Shape, random_model
from ulnn_host.board.takes import take_bytes
from ulnn_host.data import features
from ulnn_host.data.feature_tracks import Track
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines.reference import Reference
from ulnn_host.format import container
from ulnn_host.format.model import Decision, Names
from ulnn_rules.alarm import Alarm
from ulnn_rules.novelty import Input, Prediction
from ulnn_rules.scaling import Scaling
from ulnn_rules.watch import Between, Watch

RATE, HOP, SCALE, SECONDS = 1000, 10, 1 / 64, 36
RECIPE = features.FeatureRecipe(
    ("acc",), (Track("acc", size=32, moments=("rms",), edges=(100, 300, 500)),),
    RATE, HOP, (SCALE,),
)  # fmt: skip
CHANNELS = RECIPE.names
ALARM = {"learn_s": 128, "false_alarms_a_day": 100, "look": 16, "smooth": 4, "clear_after": 2,
         "every_s": 1}  # fmt: skip
WHEN = [{"channel": "acc rms", "above": 16.0}]
LOW = round((16.0 - 24.0) * 1024)  # the same in units of the input
HIGH = CHANNELS[2]


def model_bytes(outputs: int = 3, values: bool = True) -> bytes:
    made = random_model(1, Shape(inputs=3, hidden=4, backbone=(), outputs=outputs))
    pairs = [np.full(3, v, np.float32) for v in (2.0**-10, 24.0)]
    scales = {}
    if values:
        mean = np.array([19.2, 25.5, 25.3], np.float32)
        scales = {"output_scale": np.full(3, 3e-5, np.float32), "output_offset": mean}
    return container.write(
        replace(
            made, meta={}, features=RECIPE.content, input_scale=pairs[0], input_offset=pairs[1],
            golden=None, decision=Decision("each", values=values),
            names=Names(CHANNELS, ("",) * 3), **scales,
        )
    )  # fmt: skip


MODEL = model_bytes()


def vibration(seconds: int, seed: int = 1) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Values and dt: healthy; off for some seconds; worse in the end, and well again. Two samples
    come late."""
    n = seconds * RATE
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n) * 12
    t = np.arange(n) / n
    x[(t > 0.3) & (t < 0.35)] *= 0.01
    worse = (t > 0.85) & (t < 0.95)
    x[worse] = x[worse] * 1.8 + 20 * np.sin(np.arange(worse.sum()))
    dt = np.full(n, 1 / RATE)
    dt[[n // 5, n // 2]] = 0.5
    counts = np.rint(x / SCALE)
    return (counts[:, None] * SCALE).astype(np.float32), dt.astype(np.float32)


def settings(folder: Path, content: bytes = MODEL) -> dict[str, Any]:
    """Of an app that replays SECONDS of vibration, with files that are put in a folder."""
    (folder / "m.ulnn").write_bytes(content)
    x, dt = vibration(SECONDS)
    data = Sequences(x, dt, channels=("acc",))
    (folder / "a.take").write_bytes(take_bytes(data, scale=np.array([SCALE], np.float32)))
    return {
        "model": str(folder / "m.ulnn"), "print": "nothing",
        "source": {"kind": "replay", "file": str(folder / "a.take"), "pace": "fast"},
        "alarm": ALARM | {"when": WHEN, "file": str(folder / "alarm.state")},
    }  # fmt: skip


def on_pc(content: bytes, watch: Watch, values: bool = True) -> list[tuple[str, int, int, int]]:
    """(event, seconds, value, level) by the features of the host and the reference engine."""
    x, dt = vibration(SECONDS)
    gaps = [0, *np.flatnonzero(dt > 0.1).tolist(), len(x)]
    model = container.read(content)
    engine, found = Reference(model), []
    y = array("h", bytes(2 * model.output_size))
    for first, end in pairwise(gaps):
        engine.reset()
        part = Sequences(x[first:end], np.float32(1 / RATE), channels=("acc",))
        for k, row in enumerate(model.quantise_input(features.computed(part, RECIPE).x[0])):
            if watch.step(array("h", row.tolist()), y, 10_000, not k) and watch.alarm.event:
                a = watch.alarm
                found.append((a.event, a.seconds, a.value, a.level))
            y[:] = array("h", engine.step(row, 10_000).tolist())
    return found


def predicting() -> Watch:
    """By the settings ALARM and WHEN."""
    alarm = Alarm(128, 100_000, True, "ewma", 4, 1, 2)
    return Watch(Prediction(Scaling(MODEL)), alarm, 16, 1000, (Between(0, LOW),))


def high() -> Watch:
    """By the settings ALARM and WHEN, and the score HIGH."""
    alarm = Alarm(128, 100_000, False, "ewma", 4, 1, 2)
    return Watch(Input(CHANNELS.index(HIGH)), alarm, 16, 1000, (Between(0, LOW),))


def two() -> list[dict[str, Any]]:
    """Settings of both side by side; the second has a name of its own."""
    alarm = ALARM | {"when": WHEN}
    return [alarm, alarm | {"score": HIGH, "name": "high"}]
