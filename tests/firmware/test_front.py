"""From samples to steps: features of frames in an app are those of a PC, one sample at a time or
many, and time reaches the network over gaps and faults."""

from __future__ import annotations

from array import array
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from support.random_models import Shape, random_model
from ulnn_host.board import board_code
from ulnn_host.board.takes import take_bytes
from ulnn_host.data import features
from ulnn_host.data.feature_tracks import Track
from ulnn_host.data.sequences import Sequences
from ulnn_host.format import container
from ulnn_host.format.model import Decision
from ulnn_rules.meaning import Meaning
from ulnn_rules.scaling import Scaling

front = board_code.module("ulnn_app.front")
rules = board_code.module("ulnn_app.settings")
replay = board_code.module("ulnn_sources.replay")

RATE, HOP = 1000, 20
RECIPE = features.FeatureRecipe(
    ("acc",),
    (Track("acc", size=32, moments=("rms", "kurtosis")), Track("acc", size=16, edges=(100, 500))),
    RATE,
    HOP,
    (1 / 64,),
)
SCALE = 1 / 64


def model_bytes() -> bytes:
    made = random_model(1, Shape(inputs=3, hidden=4, backbone=(), outputs=2))
    pairs = [np.full(3, v, np.float32) for v in (2.0**-10, 8.0)]
    return container.write(
        replace(
            made, meta={}, features=RECIPE.content, input_scale=pairs[0], input_offset=pairs[1],
            golden=None, decision=Decision("each"),
        )
    )  # fmt: skip


MODEL = model_bytes()


def raw(count: int, seed: int = 1) -> NDArray[np.float32]:
    values = np.random.default_rng(seed).normal(size=(count, 1)) * 3000
    return (np.rint(values) * SCALE).astype(np.float32)


def take(path: Path, x: NDArray[np.float32], us: NDArray[np.int64] | int) -> Path:
    dt = np.broadcast_to(np.asarray(us, float) * 1e-6, len(x)).astype(np.float32)
    data = Sequences(x, dt, channels=("acc",))
    path.write_bytes(take_bytes(data, scale=np.array([SCALE], np.float32)))
    return path


def made(source: Any, **keys: Any) -> Any:
    given = rules.read({"model": "?"} | keys)
    return front.make(given, source, MODEL, Meaning(MODEL), Scaling(MODEL), blocks=True)


def steps(frames: Any) -> list[tuple[int, bool, list[int]]]:
    """(us, fresh, inputs) of all steps of a source that ends."""
    found = []
    try:
        while frames.take():
            frames.arrive(0)
            while frames.step():
                found.append((frames.us, frames.fresh, list(frames.x)))
    except StopIteration:
        return found
    raise AssertionError("a fast replay has always a sample")


def played(path: Path, one_by_one: bool = False, **keys: Any) -> list[tuple[int, bool, list[int]]]:
    source = replay.Sensor({"file": str(path), "pace": "fast"})
    source.start()
    given = rules.read({"model": "?"} | keys)
    frames = front.make(
        given, source, MODEL, Meaning(MODEL), Scaling(MODEL), blocks=not one_by_one
    )
    return steps(frames)


def on_pc(x: NDArray[np.float32]) -> list[list[int]]:
    """Inputs of the steps, as training and `ulnn validate` have them."""
    data = features.computed(Sequences(x, np.float32(1 / RATE), channels=("acc",)), RECIPE)
    return container.read(MODEL).quantise_input(data.x[0]).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("one_by_one", [False, True])
def test_inputs_are_those_of_a_pc(tmp_path: Path, one_by_one: bool) -> None:
    x = raw(1000)
    found = played(take(tmp_path / "a.take", x, 1000), one_by_one)
    assert [inputs for _, _, inputs in found] == on_pc(x)
    assert [us for us, _, _ in found] == [20_000] * len(found)
    assert [fresh for _, fresh, _ in found] == [True] + [False] * (len(found) - 1)
    assert len(found) == 49


@pytest.mark.parametrize("one_by_one", [False, True])
def test_a_gap_begins_frames_again_and_is_time(tmp_path: Path, one_by_one: bool) -> None:
    x = raw(600)
    us = np.full(600, 1000)
    us[330] = 70_000  # in the middle of a hop
    found = played(take(tmp_path / "a.take", x, us), one_by_one)
    before, after = on_pc(x[:330]), on_pc(x[330:])
    assert [inputs for _, _, inputs in found] == before + after
    times = [us for us, _, _ in found]
    assert times[len(before)] == 10_000 + 70_000 + 39_000
    assert times[: len(before)] + times[len(before) + 1 :] == [20_000] * (len(found) - 1)
    assert [k for k, (_, fresh, _) in enumerate(found) if fresh] == [0, len(before)]


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("us", [400, 500, 1300, 2000])
def test_another_rate_is_refused(tmp_path: Path, one_by_one: bool, us: int) -> None:
    path = take(tmp_path / "a.take", raw(200), us)
    with pytest.raises(ValueError, match=f"a sample every {us} us, the model's .* every 1000 us"):
        played(path, one_by_one)


def test_a_clock_that_is_off_is_not_refused(tmp_path: Path) -> None:
    found = played(take(tmp_path / "a.take", raw(200), 1040))
    assert [us for us, _, _ in found] == [20_000] * 9


class Counts:
    """A source of another scale, with a channel more."""

    names, units = ("speed", "acc"), ("", "")
    scale, offset = (1.0, SCALE / 2), (0.0, SCALE)

    def __init__(self, x: NDArray[np.float32]) -> None:
        self.raw = array("h", [0, 0])
        self.elapsed = 0
        self._rows = iter(np.rint((x[:, 0] - self.offset[1]) / self.scale[1]).astype(int).tolist())

    def take(self) -> bool:
        self.raw[1] = next(self._rows)
        self.elapsed = 1000
        return True


def test_counts_of_another_scale_are_converted() -> None:
    x = raw(300)
    found = steps(made(Counts(x), channels=["acc"]))
    assert [inputs for _, _, inputs in found] == on_pc(x)
    with pytest.raises(ValueError, match=r"settings: the source has 2 channels \(speed, acc\)"):
        made(Counts(x))
    with pytest.raises(ValueError, match=r"settings: no channel acc2: the source has speed, acc"):
        made(Counts(x), channels=["acc2"])


def test_a_fault_begins_frames_again(tmp_path: Path) -> None:
    source = replay.Sensor(
        {"file": str(take(tmp_path / "a.take", raw(600), 1000)), "pace": "fast"}
    )
    source.start()
    frames = made(source)
    seen = 0
    while not seen:
        frames.take()
        frames.arrive(0)
        while frames.step():
            seen += 1
    frames.lost()
    found = steps(frames)
    assert found[0][1]
    assert found[0][0] > 20_000
    assert sum(us for us, _, _ in found[1:]) == 20_000 * (len(found) - 1)
