"""Models and recordings for tests of the app, and what a PC makes of them without its code."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from support.decider import reference_decider
from ulnn_host import api
from ulnn_host.board.takes import take_bytes
from ulnn_host.data import watch
from ulnn_host.data.sequences import Sequences
from ulnn_host.format import container
from ulnn_host.format.model import Names
from ulnn_host.train.recipe import RECIPES, read_recipe
from ulnn_host.train.train import train

CHANNELS = watch.CHANNELS
UNITS = ("g", "g", "g", "rad/s", "rad/s", "rad/s")
WINDOW = 20


@cache
def model_bytes() -> bytes:
    """A small network after two epochs on the watch's recordings: it decides differently in the
    course of them, and is unsure at times."""
    keys = {"epochs": 2, "hidden": 12, "backbone_units": 16}
    network = train(read_recipe(RECIPES / "watch.toml", keys), quiet=True)
    windows = watch.windows("train")
    seen = replace(windows.take(np.arange(0, len(windows), 10)), channels=CHANNELS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the channels are taken from the data
        model = api.convert(network, seen, votes=3, unsure=0.1).file
    assert model.decision is not None
    rule = replace(model.decision, window=WINDOW)
    named = Names(CHANNELS, UNITS, model.labels)
    return container.write(replace(model, decision=rule, names=named))


def recording(seconds: float) -> Sequences:
    """The first recordings of the watch, one after the other."""
    whole = watch.recordings("unseen")
    x = whole.x[whole.mask][: int(seconds * watch.RATE)]
    return Sequences(x, np.float32(1 / watch.RATE), channels=CHANNELS)


def take_file(path: Path, seconds: float) -> Path:
    """A .take file of them."""
    path.write_bytes(take_bytes(recording(seconds), units=UNITS))
    return path


def rows(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Values (T, 6) and microseconds (T,) of a .take file, read from its description alone."""
    data = path.read_bytes()
    n, texts = data[9], int.from_bytes(data[10:12], "little")
    scale, offset = np.frombuffer(data, "<f4", 2 * n, 12).reshape(n, 2).T.astype(np.float64)
    kind = np.dtype([("us", "<u4"), ("raw", "<i2", (n,))])
    found = np.frombuffer(data, kind, offset=12 + 8 * n + texts)
    return (found["raw"] * scale + offset).astype(np.float32), found["us"].astype(np.int64)


def kept(count: int, drop: float, seed: int) -> NDArray[np.bool_]:
    """Which samples a replay does not leave out."""
    found, state = [], seed
    for _ in range(count):
        state = (state * 1101 + 12345) % (1 << 19)
        found.append(state // 16 >= int(drop * 32768))
    return np.array(found)


@dataclass
class Expected:
    """decisions: (decision, margin) of each; clamped: steps."""

    decisions: list[tuple[int, int]] = field(default_factory=list)
    clamped: int = 0

    def named(self, content: bytes) -> list[tuple[str, int]]:
        """How often each was decided, as an app's figures have it."""
        tally = Counter(decision for decision, _ in self.decisions)
        labels = container.read(content).labels
        return [*((name, tally[k]) for k, name in enumerate(labels)), ("unsure", tally[-1])]


def decide(content: bytes, x: NDArray[np.float32], us: NDArray[np.int64]) -> Expected:
    """Every decision, by the reference engine and the host's own conversions."""
    model, result = container.read(content), Expected()
    decider = reference_decider(content)
    for values, ticks in zip(model.quantise_input(x), us.tolist(), strict=True):
        result.clamped += ticks > model.dt_max
        found = decider.step(values, ticks)
        if found is not None:
            result.decisions.append((found, decider.margin))
    return result


def replay_settings(folder: Path) -> dict[str, Any]:
    """Settings of an app that replays a minute, of which samples are missing; with its files."""
    model = folder / "m.ulnn"
    model.write_bytes(model_bytes())
    take = take_file(folder / "walk.take", 60)
    source = {"kind": "replay", "file": str(take), "pace": "fast", "drop": 0.3, "seed": 7}
    return {"model": str(model), "source": source, "print": "nothing"}


def replayed(settings: dict[str, Any]) -> tuple[Expected, int]:
    """What a PC decides about that recording, and how many samples are left of it."""
    source = settings["source"]
    x, us = rows(Path(source["file"]))
    left = kept(len(us), source["drop"], source["seed"])
    found = decide(model_bytes(), x[left], np.diff(np.cumsum(us)[left], prepend=0))
    return found, int(left.sum())
