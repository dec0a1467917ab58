"""Recipes of beats: read from TOML, applied to recordings, written into models."""

from __future__ import annotations

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
from ulnn_host.data import beats, ecg
from ulnn_host.data.npz import save_npz
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines.batch import quantise
from ulnn_host.format.model import Mode
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.network.layers import CfC, Linear
from ulnn_rules.beats import Beats, Recipe

TEXT = """
channel = "ecg"
rate = 250
scale = 0.001
mains = 50
low = -3.2
high = 3.2
extras = ["rhythm", "size"]
filters = [{kind = "high-pass", frequency = 5}, {kind = "low-pass", frequency = 15}]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "beats.toml"
    target.write_text(TEXT)
    return target


def raw(count: int = 2, seconds: float = 20, **noise: float) -> Sequences:
    kind = ecg.Noise(**noise)
    return ecg.sequences(ecg.patient(number, seconds, noise=kind) for number in range(count))


def test_a_recipe_as_integers(path: Path) -> None:
    recipe = beats.read_recipe(path)
    assert recipe.names[:2] == ("ecg -240 ms", "ecg -220 ms")
    assert recipe.names[12] == "ecg +0 ms"
    assert recipe.names[-3:] == ("ecg +160 ms", "rhythm", "size")
    made = Recipe(recipe.content, len(recipe.names))
    assert (made.rate, made.hop, made.step, made.before, made.after) == (250_000, 4, 5, 12, 8)
    assert (made.low, made.high, made.flat, made.noisy) == (-3200, 3200, 20, 768)
    assert (made.extras, made.track[6]) == (9, 3)  # the notch is a filter, too
    without = replace(recipe, mains=0.0)
    assert Recipe(without.content, len(without.names)).track[6] == 2


@pytest.mark.parametrize("rate", [180.0, 250.0, 360.0])
def test_beats_are_found_where_they_are(rate: float, path: Path) -> None:
    recipe = replace(beats.read_recipe(path), rate=rate)
    found = total = extra = 0
    for number in range(3):
        one = ecg.patient(number, 25, rate, seed=5)
        made = Recipe(recipe.content, len(recipe.names))
        us = np.diff(np.rint(np.arange(len(one.signal) + 1) * 1e6 / rate)).astype(np.int64)
        r = beats.find(np.rint(one.signal * 1000).astype(np.int16), us, made, ulnn).r
        true = one.r[one.seen & (one.r > 3 * rate)]
        apart = np.abs(true[:, None] - r).min(1)
        found += int((apart < 0.06 * rate).sum())
        total += len(true)
        extra += int((np.abs(r[:, None] - one.r).min(1) > 0.15 * rate).sum())
    assert total > 70
    assert found >= total - 1
    assert extra == 0


def test_a_step_is_a_beat_with_its_class_and_time(path: Path) -> None:
    data = raw()
    found = beats.computed(data, beats.read_recipe(path))
    assert found.channels == beats.read_recipe(path).names
    assert found.beats == beats.read_recipe(path).content
    assert found.labels == ecg.CLASSES
    assert found.per_step
    for row in range(2):
        one = ecg.patient(row, 20)
        at = np.cumsum(found.dt[row, : found.length[row]].astype(np.float64))
        near = np.abs(one.r / 250 - at[:, None])
        assert near.min(1).max() < 0.05
        assert found.y is not None
        assert np.array_equal(found.y[row, : len(at)], one.classes[near.argmin(1)])
    shape = found.x[found.mask][:, :21]
    assert np.abs(shape).max() == pytest.approx(32, abs=0.01)
    np.testing.assert_allclose(shape.sum(1), 0, atol=0.2)


def test_missing_samples_are_time(path: Path) -> None:
    recipe = beats.read_recipe(path)
    data = raw(1, 30, muscle=0.01)
    rng = np.random.default_rng(0)
    chosen = rng.random(data.x.shape[:2]) > 0.2
    chosen[:, 0] = True
    whole, thin = (beats.computed(d, recipe) for d in (data, data.keep_steps(chosen)))
    assert thin.length.tolist() == whole.length.tolist()
    times = [np.cumsum(d.dt[0].astype(np.float64)) for d in (whole, thin)]
    assert np.abs(times[0] - times[1]).max() < 0.02
    assert (whole.y == thin.y).all()  # type: ignore[union-attr]


def test_recordings_without_a_beat_are_left_out(path: Path) -> None:
    recipe = beats.read_recipe(path)
    data = raw(3)
    x = data.x.copy()
    x[1] = 0
    found = beats.computed(replace(data, x=x), recipe)
    assert found.group is not None
    assert found.group.tolist() == [0, 2]
    with pytest.raises(UlnnError, match="no beat was found in the data: is the lead on"):
        beats.computed(replace(data, x=np.zeros_like(x)), recipe)


def test_other_data_are_refused(path: Path) -> None:
    recipe = beats.read_recipe(path)
    slow = replace(raw(1), dt=raw(1).dt * 2)
    with pytest.raises(UlnnError, match="have 125 samples a second, expected 250 as the recipe"):
        beats.computed(slow, recipe)
    with pytest.raises(UlnnError, match="ecg"):
        beats.computed(replace(raw(1), channels=("ppg",)), recipe)
    two = Sequences(np.zeros((900, 2)), np.float32(0.004))
    with pytest.raises(UlnnError, match="have 2 channels, expected one, ecg"):
        beats.computed(two, recipe)


BROKEN = {
    "rate = 250": ("", "key rate is missing"),
    "rate = 250\n": ("rate = 20\n", "rate is 20, expected 50 to 1999 samples a second"),
    "low = -3.2": ("low = 3.2", "low is 3.2, expected less than high, 3.2"),
    '"rhythm"': ('"tempo"', "extras is 'tempo', expected one of rhythm, to mean, to last, size"),
    "mains = 50": ("main = 50", "unknown key main, expected"),
    "frequency = 15": ("frequency = 150", "low-pass at 150 Hz: expected 0.061 to 122.5 Hz"),
    "high = 3.2": ("high = 3.2\nafter = 0.3", "beats: 12 and 15 values around R do not fit"),
    "scale = 0.001": ("scale = 0", "scale is 0.0, expected a number above 0"),
}


@pytest.mark.parametrize("old", BROKEN)
def test_broken_recipes(old: str, tmp_path: Path) -> None:
    new, text = BROKEN[old]
    path = tmp_path / "broken.toml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(UlnnError) as raised:
        beats.read_recipe(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert text in str(raised.value)


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UlnnError, match="no such file; expected a recipe of beats"):
        beats.read_recipe(tmp_path / "none.toml")


def test_the_recipe_of_the_document() -> None:
    text = (ROOT / "host" / "docs" / "ecg.md").read_text()
    shown = text.partition("```toml\n")[2].partition("```")[0]
    assert shown == (ROOT / "host" / "examples" / "wrist_ecg" / "beats.toml").read_text()


def network(inputs: int, data: Sequences) -> FloatNetwork:
    """Any one that takes the beats; trained ones are nothing else."""
    rng = np.random.default_rng(1)
    heads = {
        name: Linear(rng.normal(size=(2, inputs + 2)) * 0.3, np.zeros(2))
        for name in ("ff1", "ff2", "time_a", "time_b")
    }
    x = data.x[data.mask].astype(np.float64)
    layer = CfC(Mode.DEFAULT, "lecun_tanh", (), heads)
    return FloatNetwork((layer,), x.mean(0), x.std(0) + 0.01)


def test_a_model_gives_a_board_the_inputs_of_the_computer(path: Path, tmp_path: Path) -> None:
    save_npz(tmp_path / "raw.npz", raw())
    data = uh.read(tmp_path / "raw.npz", beats=str(path), per="step")
    assert data.beats == beats.read_recipe(path).content
    data = replace(data, y=None, per="", labels=())
    model = uh.convert(network(data.x.shape[2], data), data)
    assert (model.file.beats, model.content[5]) == (data.beats, 4)
    assert model.facts()["beats"]["samples a second"] == 250
    batch = quantise(model.file, data)
    counts = np.rint(raw().x[..., 0] * 1000).astype(int)
    us = np.rint(raw().dt[0].astype(np.float64) * 1e6).astype(int)
    for native in (ulnn, None):
        b = Beats(model.content, native)
        rows = range(2) if native else range(1)
        for row in rows:
            b.reset()
            found, times = [], []
            for v, gap in zip(counts[row].tolist(), us.tolist(), strict=True):
                if b.add(v, gap):
                    found.append(list(b.x))
                    times.append(b.us)
            np.testing.assert_array_equal(found, batch.x[row, : data.length[row]])
            np.testing.assert_array_equal(times, batch.dt[row, : data.length[row]])
    assert (np.abs(batch.x) < 32767).all()
    assert np.abs(batch.x).max() > 8000


def test_raw_samples_and_other_recipes_are_refused(path: Path) -> None:
    data = beats.computed(replace(raw(), y=None, per="", labels=()), beats.read_recipe(path))
    model = uh.convert(network(data.x.shape[2], data), data)
    with pytest.raises(UlnnError, match="have 1 channels, and the model takes 23 values of each"):
        model.run(raw())
    path.write_text(TEXT + "noisy = 4\n")
    other = beats.computed(raw(), beats.read_recipe(path))
    with pytest.raises(UlnnError, match="the beats of the data are of another recipe than the"):
        model.run(other)


def test_the_command_shows_beats_and_saves_samples(path: Path, tmp_path: Path) -> None:
    save_npz(tmp_path / "raw.npz", raw())
    words = ["data", str(tmp_path / "raw.npz"), "--beats", str(path)]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "made.npz")])
    assert "-o writes raw samples: leave --beats away" in str(done.exception)
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert "rhythm" in shown.output
    both = CliRunner().invoke(app, [*words, "--features", str(path)])
    assert "features and beats are two recipes of the inputs" in str(both.exception)
