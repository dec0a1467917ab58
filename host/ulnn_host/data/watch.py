"""The demo set: smartwatch recordings of seven shoulder exercises, from the package `seglearn`
1.2.5.

Burns et al., "Shoulder physiotherapy exercise recognition: machine learning the inertial signals
from a smartwatch", Physiological Measurement 39 (2018), arXiv 1802.01489. 140 recordings of 10
people, acceleration (g) and rate of turn (rad/s) at 50 Hz, both wrists. The data stay in that
package (BSD licence); nothing is copied.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..base import extras
from ..base.errors import UlnnError
from . import degrade
from .sequences import Sequences

RATE = 25.0  # Hz; two samples of the 50 Hz recordings are averaged into one
WINDOW = 4.0
DROP = 0.3
TRAIN_PEOPLE = (1, 2, 3, 4, 5, 6, 7)
UNSEEN_PEOPLE = (8, 9, 10)
CHANNELS = ("ax", "ay", "az", "wx", "wy", "wz")
SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"

Split = Literal["train", "unseen", "all"]
_PEOPLE = {
    "train": TRAIN_PEOPLE, "unseen": UNSEEN_PEOPLE, "all": (*TRAIN_PEOPLE, *UNSEEN_PEOPLE)
}  # fmt: skip
_SEEDS = {"train": 1, "unseen": 2, "all": 3}


@cache
def _content() -> dict[str, Any]:
    """What the package holds."""
    extras.need("seglearn", "the demo set")
    spec = importlib.util.find_spec("seglearn")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "data" / "watch_dataset.npy"
    try:
        content = path.read_bytes()
    except OSError:
        raise UlnnError(
            "the package seglearn has no watch data: pip install seglearn==1.2.5"
        ) from None
    # it is a pickle, so only the known file is opened
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise UlnnError(
            "the watch data are not those of seglearn 1.2.5: pip install seglearn==1.2.5"
        )
    return dict(np.load(io.BytesIO(content), allow_pickle=True).item())


def _chosen(split: Split) -> list[int]:
    subject = _content()["subject"]
    return [k for k in range(len(subject)) if int(subject[k]) in _PEOPLE[split]]


@cache
def recordings(split: Split) -> Sequences:
    """Whole recordings of the people to train on, of the unseen ones, or of all; group: the
    person.

    Raises UlnnError when the package or its file is missing or not the known one.
    """
    held, chosen = _content(), _chosen(split)
    length = np.array([len(held["X"][k]) // 2 for k in chosen], np.int64)
    x = np.zeros((len(chosen), int(length.max()), len(CHANNELS)), np.float32)
    for row, (k, steps) in enumerate(zip(chosen, length, strict=True)):
        x[row, :steps] = held["X"][k][: 2 * steps].reshape(steps, 2, -1).mean(1)
    return Sequences(
        x=x,
        dt=np.full(x.shape[:2], 1 / RATE, np.float32),
        length=length,
        y=np.array([int(held["y"][k]) for k in chosen], np.int64),
        group=np.array([int(held["subject"][k]) for k in chosen], np.int64),
        labels=tuple(str(name) for name in held["y_labels"]),
    )


def wrists(split: Split) -> NDArray[np.int64]:
    """The wrist, 0 or 1, of each recording of `recordings`."""
    side = _content()["side"]
    return np.array([int(side[k]) for k in _chosen(split)], np.int64)


def windows(split: Split, window: float = WINDOW, drop: float = DROP) -> Sequences:
    """Windows without overlap, `drop` of their samples left out at random, always the same ones.

    group: the person; origin: the recording.
    """
    rng = np.random.default_rng(_SEEDS[split])
    return degrade.drop(recordings(split).windows(window, window), drop, rng)
