"""Recipes of features: read from TOML, applied to recordings, written into models."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ulnn
import ulnn_host as uh
from support.paths import ROOT
from ulnn_host.base.errors import UlnnError
from ulnn_host.cli.main import app
from ulnn_host.data import features
from ulnn_host.data.feature_tracks import section
from ulnn_host.data.npz import save_npz
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines.batch import quantise
from ulnn_host.format.model import Mode
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.network.layers import CfC, Linear
from ulnn_rules.features import Features, Recipe

RATE = 1000.0
TEXT = """
channels = ["ax", "ay"]
rate = 1000
hop = 64
scale = [0.001]

[[tracks]]
channel = "ax"
size = 128
moments = ["rms", "mean"]
edges = [5, 20, 80, 320, 500]
filters = [{kind = "high-pass", frequency = 2}, {kind = "notch", frequency = 50, quality = 10}]

[[tracks]]
channel = "ay"
filters = [{kind = "band-pass", frequency = 200, quality = 2}]
envelope = true
decimate = 4
size = 64
lines = [20, 40]
"""
NAMES = (
    *("ax mean", "ax rms", "ax 5-20 Hz", "ax 20-80 Hz", "ax 80-320 Hz", "ax 320-500 Hz"),
    *("ay envelope 20 Hz", "ay envelope 40 Hz"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "features.toml"
    target.write_text(TEXT)
    return target


def raw(count: int = 4, length: int = 700, seed: int = 0) -> Sequences:
    """ax: a tone of 10 or 150 Hz; ay: 200 Hz with an envelope of 20 or 40 Hz."""
    rng = np.random.default_rng(seed)
    t = np.arange(length) / RATE
    x = np.empty((count, length, 2))
    for n in range(count):
        x[n, :, 0] = np.sin(2 * np.pi * (150 if n % 2 else 10) * t)
        swing = 1 + np.sin(2 * np.pi * (40 if n % 2 else 20) * t)
        x[n, :, 1] = np.sin(2 * np.pi * 200 * t) * swing
    x += rng.normal(size=x.shape) * 0.05
    y = np.arange(count) % 2
    return Sequences(x, np.float32(1 / RATE), y, channels=("ax", "ay"), labels=("slow", "fast"))


def test_a_recipe_as_integers(path: Path) -> None:
    recipe = features.read_recipe(path)
    assert recipe.names == NAMES
    made = Recipe(recipe.content, len(NAMES))
    assert (made.channels, made.rate, made.hop) == (2, 1_000_000, 64)
    assert made.reach == 256
    first, second = (list(track) for track in made.tracks)
    assert first[:9] == [2, 0, 7, 1, 0, 1, 2, 3, 4]
    assert first[9:18] == section("high-pass", 2, 0.5**0.5, RATE)
    # Bins of 7.8125 Hz: from the first at or above an edge to the last below the next
    assert first[27:] == [1, 2, 3, 10, 11, 40, 41, 64]
    assert second[:9] == [2, 1, 6, 1, 1, 4, 1, 0, 2]
    assert second[18:] == [4, 6, 9, 11]  # bins of 3.90625 Hz, three of them around a line


def test_features_see_what_is_in_the_signals(path: Path) -> None:
    data = features.computed(raw(), features.read_recipe(path))
    assert data.channels == NAMES
    assert data.x.shape == (4, 7, 8)  # ends at 256, 320 ... 640
    np.testing.assert_allclose(data.dt, 0.064)
    assert data.y is not None
    assert data.y.tolist() == [0, 1, 0, 1]
    mean = dict(zip(NAMES, data.x.mean(axis=1).T, strict=True))
    slow, fast = slice(0, None, 2), slice(1, None, 2)
    assert (mean["ax 5-20 Hz"][slow] > mean["ax 80-320 Hz"][slow] + 5).all()
    assert (mean["ax 80-320 Hz"][fast] > mean["ax 5-20 Hz"][fast] + 5).all()
    assert (mean["ay envelope 20 Hz"][slow] > mean["ay envelope 40 Hz"][slow] + 3).all()
    assert (mean["ay envelope 40 Hz"][fast] > mean["ay envelope 20 Hz"][fast] + 3).all()
    # A tone of amplitude 1 is 1000 counts: the mean square is 2 ** 18.93
    np.testing.assert_allclose(mean["ax rms"], 18.93, atol=0.2)


def test_the_native_and_the_python_one_are_equal(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = features.read_recipe(path)
    native = features.computed(raw(2), recipe)
    monkeypatch.setattr(features, "_make", features.bands.Bands)
    np.testing.assert_array_equal(features.computed(raw(2), recipe).x, native.x)


def test_targets_of_steps_are_those_of_the_last_sample(path: Path) -> None:
    data = raw(1)
    data = replace(data, y=np.arange(700)[None], per="step", labels=())
    found = features.computed(data, features.read_recipe(path))
    assert found.y is not None
    assert found.y.tolist() == [[255, 319, 383, 447, 511, 575, 639]]


def test_channels_in_another_order(path: Path) -> None:
    recipe = features.read_recipe(path)
    data = raw(2)
    other = replace(data, x=data.x[..., ::-1], channels=("ay", "ax"))
    np.testing.assert_array_equal(
        features.computed(other, recipe).x, features.computed(data, recipe).x
    )


def test_short_recordings_are_left_out(path: Path) -> None:
    recipe = features.read_recipe(path)
    data = replace(raw(3), length=np.array([255, 700, 300]))
    found = features.computed(data, recipe)
    assert found.length.tolist() == [7, 1]
    assert found.y is not None
    assert found.y.tolist() == [1, 0]
    short = replace(raw(2), length=np.array([255, 100]))
    with pytest.raises(UlnnError, match=r"no recording has 256 samples, 0\.256 s"):
        features.computed(short, recipe)


def with_dt(change: Callable[[np.ndarray], None]) -> Sequences:
    data = raw(2)
    dt = data.dt.copy()
    change(dt)
    return replace(data, dt=dt)


def test_samples_at_another_rate_are_refused(path: Path) -> None:
    recipe = features.read_recipe(path)

    def slower(dt: np.ndarray) -> None:
        dt *= 2

    with pytest.raises(UlnnError, match="have 500 samples a second, expected 1000 as the recipe"):
        features.computed(with_dt(slower), recipe)

    def gap(dt: np.ndarray) -> None:
        dt[1, 300] = 0.5

    with pytest.raises(UlnnError, match=r"two are 0\.5 s apart, expected 0\.001 s; .*--gap"):
        features.computed(with_dt(gap), recipe)

    def first(dt: np.ndarray) -> None:
        dt[:, 0] = 10

    features.computed(with_dt(first), recipe)


BROKEN = {
    "hop = 64": ("", "key hop is missing"),
    "rate = 1000": ("rate = 0", "rate is 0.0, expected a number above 0"),
    "size = 128": ("size = 100", "size of a frame is 100, expected one of"),
    'channel = "ay"': ('channel = "az"', "channel 'az', expected one of ax, ay"),
    "decimate = 4": ("decimat = 4", "unknown key tracks.decimat, expected tracks.decimate"),
    '"rms", "mean"': ('"peak"', "moments is 'peak', expected one of mean, rms, kurtosis"),
    "frequency = 200": ("frequency = 0.2", "band-pass at 0.2 Hz: expected 0.244 to 490 Hz"),
    "quality = 2": ("quality = 0.1", "quality is 0.1, expected 0.5 to 1000"),
    "edges = [5, 20,": ("edges = [5, 5,", "edges are [5.0, 5.0, 80.0, 320.0, 500.0]"),
    "20, 80, 320, 500]": ("6]", "a band of ax 5 to 6 Hz holds no bin: they are 7.812 Hz apart"),
    "lines = [20, 40]": ("lines = [125]", "a band of ay around 125 Hz holds no bin"),
    "scale = [0.001]": ("scale = [1, 2, 3]", "scale has 3 numbers, expected one for all"),
    "lines = [20, 40]\n": ("", "a track of ay has no moments, edges or lines"),
    '"notch"': ('"comb"', "kind is 'comb', expected one of low-pass"),
}


@pytest.mark.parametrize("old", BROKEN)
def test_broken_recipes(old: str, tmp_path: Path) -> None:
    new, text = BROKEN[old]
    path = tmp_path / "broken.toml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(UlnnError) as raised:
        features.read_recipe(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert text in str(raised.value)


def test_the_recipe_of_the_document(tmp_path: Path) -> None:
    text = (ROOT / "host" / "docs" / "features.md").read_text()
    path = tmp_path / "features.toml"
    path.write_text(text.partition("```toml\n")[2].partition("```")[0])
    assert len(features.read_recipe(path).names) == 7


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UlnnError, match="no such file; expected a recipe of features"):
        features.read_recipe(tmp_path / "none.toml")


def network(inputs: int, data: Sequences) -> FloatNetwork:
    """Any one that takes the features; trained ones are nothing else."""
    rng = np.random.default_rng(1)
    heads = {
        name: Linear(rng.normal(size=(2, inputs + 2)) * 0.3, np.zeros(2))
        for name in ("ff1", "ff2", "time_a", "time_b")
    }
    layer = CfC(Mode.DEFAULT, "lecun_tanh", (), heads)
    x = data.x[data.mask].astype(np.float64)
    return FloatNetwork((layer,), x.mean(0), x.std(0) + 0.01)


def test_a_model_gives_a_board_the_inputs_of_the_computer(path: Path, tmp_path: Path) -> None:
    save_npz(tmp_path / "raw.npz", raw())
    data = uh.read(tmp_path / "raw.npz", features=str(path))
    assert data.channels == NAMES
    model = uh.convert(network(8, data), data)
    assert model.file.features == features.read_recipe(path).content
    assert model.content[5] == 3
    assert model.facts()["features"]["raw samples a step"] == 64
    batch = quantise(model.file, data)
    counts = np.rint(raw().x * 1000).astype("<i2")
    for native in (ulnn, None):
        f = Features(model.content, native)
        for x, want in zip(counts, batch.x, strict=True):
            f.reset()
            found, first = [], 0
            while first < len(x):
                first = f.add(array("h", x.tobytes()), first)
                if f.ready:
                    found.append(list(f.x))
            np.testing.assert_array_equal(found, want)
    assert (np.abs(batch.x) < 32767).all()
    assert np.abs(batch.x).max() > 8000


def test_raw_samples_are_refused_by_a_model_of_features(path: Path) -> None:
    data = features.computed(raw(), features.read_recipe(path))
    model = uh.convert(network(8, data), data)
    with pytest.raises(UlnnError, match="have 2 channels, and the model takes 8 features of raw"):
        model.run(raw())


def test_features_are_not_saved_without_their_recipe(path: Path, tmp_path: Path) -> None:
    save_npz(tmp_path / "raw.npz", raw())
    words = ["data", str(tmp_path / "raw.npz"), "--features", str(path)]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "made.npz")])
    assert "-o writes raw samples: leave --features away" in str(done.exception)
    assert not (tmp_path / "made.npz").exists()
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert "ay envelope 40 Hz" in shown.output


def test_features_of_another_recipe_are_refused(path: Path) -> None:
    data = features.computed(raw(), features.read_recipe(path))
    model = uh.convert(network(8, data), data)
    path.write_text(TEXT.replace("frequency = 2}", "frequency = 3}"))
    other = features.computed(raw(), features.read_recipe(path))
    with pytest.raises(UlnnError, match="of another recipe than the model's"):
        model.run(other)
