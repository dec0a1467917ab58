"""Recipes, training, checkpoints, scores."""

from __future__ import annotations

import re
import tomllib
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from support.training import SMALL, plan, waves
from ulnn_host.base import toml_text
from ulnn_host.base.errors import UlnnError, UlnnWarning
from ulnn_host.cli.train import train as cli_train
from ulnn_host.data import scores, sets
from ulnn_host.data.npz import from_arrays, save_npz
from ulnn_host.data.sequences import Sequences, Statistics
from ulnn_host.train import augment, recipe, target, train
from ulnn_host.train.model_recipe import WiringRecipe
from ulnn_host.train.recipe import AugmentRecipe, DataRecipe


def test_learns_and_comes_back(tmp_path):
    data = waves()
    result = train.train(plan(tmp_path, data, training={"epochs": 40}), quiet=True)
    assert train.evaluate(result, waves(seed=1)).accuracy > 0.9
    result.save(tmp_path / "deep" / "net.safetensors")
    again = train.read_trained(tmp_path / "deep" / "net.safetensors")
    assert np.array_equal(again.outputs(data), result.outputs(data))
    assert again.hyper["time_scale"] == result.hyper["time_scale"]
    assert not list((tmp_path / "deep").glob("*.part"))


def test_what_is_in_the_padding_does_not_matter(tmp_path):
    data = waves()
    length = np.where(np.arange(len(data)) % 3, 20, 13)
    padding = np.arange(20) >= length[:, None]
    found = []
    for number, value in enumerate((0.0, np.nan, np.inf)):
        folder = tmp_path / str(number)
        planned = plan(folder, data, training={"epochs": 2})
        x, dt = data.x.copy(), data.dt.copy()
        x[padding], dt[padding] = value, value or 1.0
        np.savez(folder / "a.npz", x=x, dt=dt, y=data.y, length=length)
        found.append(train.train(planned, quiet=True).state)
    for state in found[1:]:
        assert all(torch.equal(state[key], value) for key, value in found[0].items())


def test_converter_reads_the_checkpoint(tmp_path):
    data = waves()
    result = train.train(plan(tmp_path, data, seed=3), quiet=True)
    result.save(tmp_path / "net.safetensors")
    from ulnn_host.importers import checkpoint

    loaded = checkpoint.read_checkpoint(tmp_path / "net.safetensors")
    assert loaded.assumed == ()
    assert loaded.network.meta["readout"] == "mean"
    trace = loaded.network.run(data.x, data.dt, data.length)
    assert np.abs(trace.y - result.outputs(data)).max() < 1e-4


WIRES = {"units": 8, "outputs": 3}
CELLS = {
    "wired": {"cell": "wired", "wiring": WIRES},
    "wired as ncps": {"cell": "wired", "wiring": WIRES | {"dialect": "ncps"}},
    "wired pure": {"cell": "wired", "mode": "pure", "wiring": WIRES},
    "ltc": {"cell": "ltc", "unfolds": 2, "wiring": WIRES | {"kind": "random"}},
    "lstm": {"cell": "lstm", "hidden": 6, "dt_input": True},
    "gru": {"cell": "gru", "hidden": 6, "layers": 2},
    "mixed": {"cell": "mixed", "hidden": 6, "backbone_layers": 0},
    "stacked": {"cell": "cfc", "hidden": 6, "layers": 2, "backbone_units": 5},
}


@pytest.mark.parametrize("kind", CELLS)
def test_every_cell_learns_and_comes_back(tmp_path, kind):
    from ulnn_host.importers import checkpoint

    data = waves(n=24, steps=12)
    save_npz(tmp_path / "a.npz", data)
    training = SMALL["training"] | {"average": 0.0, "weight_limit": 3.0}
    content = {"data": {"source": "a.npz"}, "model": CELLS[kind], "training": training}
    made = recipe.parse(content)
    made = replace(made, data=replace(made.data, source=str(tmp_path / "a.npz")))
    result = train.train(made, quiet=True)
    losses = [line["loss"] for line in result.hyper["history"]]
    assert losses[-1] < losses[0] - 0.01
    assert result.hyper["metrics"]["largest_weight"] <= 3.0
    if kind == "ltc":
        assert result.state["rnn_cell.sigma"].max() > 3.0
    result.save(tmp_path / "net.safetensors")
    again = train.read_trained(tmp_path / "net.safetensors")
    assert np.array_equal(again.outputs(data), result.outputs(data))
    loaded = checkpoint.read_checkpoint(tmp_path / "net.safetensors")
    assert loaded.assumed == ()
    assert loaded.network.dialect == result.hyper["dialect"]
    trace = loaded.network.run(data.x, data.dt, data.length)
    assert np.abs(trace.y - result.outputs(data)).max() < 1e-4


def test_same_seed_same_weights(tmp_path):
    data = waves()
    first, second, other = (
        train.train(
            plan(tmp_path, data, seed=seed, data={"drop": 0.3}, augment={"noise": 0.1}), quiet=True
        ).state
        for seed in (5, 5, 6)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_leaves_torch_as_it_was(tmp_path):
    torch.manual_seed(9)
    want = torch.rand(1)
    torch.manual_seed(9)
    before = torch.get_num_threads()
    train.train(plan(tmp_path, waves(), training={"epochs": 1}), quiet=True)
    assert torch.equal(torch.rand(1), want)
    assert torch.get_num_threads() == before
    assert not torch.are_deterministic_algorithms_enabled()


def test_early_stopping_returns_the_best(tmp_path):
    steps = {"epochs": 60, "patience": 3, "average": 0.0}
    made = plan(tmp_path, waves(), data={"valid_fraction": 0.5}, training=steps)
    hyper = train.train(made, quiet=True).hyper
    lines = [(line["valid_balanced"], -line["valid_loss"]) for line in hyper["history"]]
    best = lines.index(max(lines))
    assert hyper["metrics"]["kept_epoch"] == best + 1
    assert hyper["metrics"]["score"] == pytest.approx(lines[best][0], abs=1e-4)
    assert len(lines) == min(60, best + 1 + 3)


def test_validation_by_group_and_by_file(tmp_path):
    data = waves(group=np.arange(48) % 4)
    by_group = train.train(plan(tmp_path, data, data={"valid_groups": [1, 2]}), quiet=True)
    assert by_group.hyper["training"]["sequences"] == 24
    save_npz(tmp_path / "v.npz", waves(seed=4))
    made = plan(tmp_path, data, data={"valid": "v.npz"})
    made = replace(made, data=replace(made.data, valid=str(tmp_path / "v.npz")))
    assert train.train(made, quiet=True).hyper["history"][0].keys() == {
        "epoch", "loss", "valid_loss", "valid_balanced",
    }  # fmt: skip


@pytest.mark.parametrize("readout", ["last", "mean", "each"])
@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
def test_every_kind_of_target(tmp_path, readout, mode):
    rng = np.random.default_rng(0)
    base = waves(length=rng.integers(5, 21, 48))
    per_step = np.repeat(base.y[:, None], 20, 1)
    model = {"readout": readout, "mode": mode, "backbone_layers": 0}
    y = per_step if readout == "each" else base.y
    result = train.train(
        plan(tmp_path, replace(base, y=y), model=model, training={"epochs": 2}), quiet=True
    )
    assert 0 <= train.evaluate(result, replace(base, y=y)).accuracy <= 1
    for targets in (y.astype(np.float32), np.stack([y, -y], -1).astype(np.float32)):
        data = {"target": "value", "valid_fraction": 0.25}
        made = plan(
            tmp_path, replace(base, y=targets), data=data, model=model, training={"epochs": 2}
        )
        result = train.train(made, quiet=True)
        assert result.hyper["output_size"] == (1 if targets.ndim == y.ndim else 2)
        metrics = result.hyper["metrics"]
        assert metrics["score"] == -metrics["valid_loss"] < 0
        assert len(metrics["validation"]["outputs"]) == result.hyper["output_size"]


def test_padding_changes_nothing(tmp_path):
    base = waves(length=np.full(48, 12))
    dirty = replace(base, x=np.where(base.mask[..., None], base.x, 1e6).astype(np.float32))
    for readout in ("last", "mean"):
        states = [
            train.train(plan(tmp_path, d, model={"readout": readout}), quiet=True).state
            for d in (base, dirty)
        ]
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_weight_limit_and_class_weights(tmp_path):
    y = np.array([0] * 40 + [1] * 8)
    made = plan(tmp_path, waves(y=y), training={"weight_limit": 0.25, "average": 0.0})
    result = train.train(made, quiet=True)
    assert result.hyper["metrics"]["largest_weight"] <= 0.25
    weights = target.target_of(waves(y=y), "mean").weights
    assert np.allclose(weights, [0.6, 3.0])


def test_consistency_makes_outputs_steadier(tmp_path):
    data = waves(length=np.random.default_rng(0).integers(8, 21, 48))
    noise = np.random.default_rng(1).normal(size=data.x.shape) * data.mask[..., None]
    other = replace(data, x=(data.x + 0.1 * noise).astype(np.float32))
    moved = []
    for weight in (0.0, 3.0):
        steps = {"epochs": 30, "consistency": weight}
        result = train.train(plan(tmp_path, data, training=steps), quiet=True)
        y = result.outputs(data)[data.mask]
        moved.append(np.square(result.outputs(other)[data.mask] - y).mean() / np.square(y).mean())
    assert moved[1] < 0.7 * moved[0]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"y": None}, "no targets y"),
        ({"y": np.zeros(48, np.int64)}, "one class only"),
        ({"y": np.full(48, -1)}, "y holds label -1: a class is 0 or more"),
        ({"y": np.zeros((48, 20), np.int64)}, "y has shape (48, 20), expected (48,)"),
    ],
)
def test_refuses_targets(tmp_path, changes, text):
    with pytest.raises(UlnnError, match=re.escape(text)):
        train.train(plan(tmp_path, waves(**changes)), quiet=True)


def test_says_that_training_diverged(tmp_path, monkeypatch):
    monkeypatch.setattr(train._Training, "_epoch", lambda *_: float("nan"))
    with pytest.raises(UlnnError, match="training diverged in epoch 1: lower"):
        train.train(plan(tmp_path, waves()), quiet=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "key data is missing"),
        ("[data]\n", "key data.source is missing"),
        ("[data]\nsource = 'a'\nwidnow = 1", "unknown key data.widnow, expected data.window"),
        ("sead = 1\n[data]\nsource = 'a'", "unknown key sead, expected seed"),
        ("[data]\nsource = 1", "data.source is 1, expected a string"),
        ("data = 1", "data is 1, expected a table [data]"),
        ("[data]\nsource = 'a'\ndrop = 2", "data.drop is 2.0, expected 0 to 0.99"),
        ("[data]\nsource = 'a'\n[model]\nhidden = 0", "model.hidden is 0, expected 1 to 1024"),
        ("[data]\nsource = 'a'\n[model]\nhidden = 1.5", "model.hidden is 1.5, expected a whole"),
        (
            "[data]\nsource = 'a'\n[model]\nmode = 'x'",
            "model.mode is 'x', expected one of",
        ),
        ("[data]\nsource = 'a'\n[training]\nclass_weights = 1", "expected true or false"),
        (
            "[data]\nsource = 'a'\n[model]\ncell = 'rnn'",
            "model.cell is 'rnn', expected one of ",
        ),
        (
            "[data]\nsource = 'a'\n[model]\ncell = 'gru'\nmode = 'pure'",
            "model.mode is not for cell 'gru', which has cell, readout, time_scale, hidden",
        ),
        (
            "[data]\nsource = 'a'\n[model]\ncell = 'ltc'\nwiring = { unit = 4 }",
            "unknown key model.wiring.unit, expected model.wiring.units",
        ),
        ("[data]\nsource = 'a'\n[augment]\nmirror = 1", "augment.mirror is 1, expected a list"),
        (
            "[data]\nsource = 'a'\n[augment]\nscale = [-1]",
            "augment.scale is -1.0, expected",
        ),
        ("[data]\nsource = 'a'\nvalid = 'b'\nvalid_groups = [1]", "give one of valid,"),
        ("[data]\nsource = 'a'\n[training]\npatience = 2", "needs something to validate on"),
        ("[data\n", "not valid TOML"),
    ],
)
def test_bad_recipes(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UlnnError, match=re.escape(message)) as caught:
        recipe.read_recipe(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_recipe_files(tmp_path):
    with pytest.raises(UlnnError, match="no such file"):
        recipe.read_recipe(tmp_path / "none.toml")
    with pytest.raises(UlnnError, match=re.escape(f"{tmp_path} cannot be read: is a directory")):
        recipe.read_recipe(tmp_path)
    (tmp_path / "a.toml").write_text("[data]\nsource = 'sub/a.npz'\nwindow = 2")
    found = recipe.read_recipe(tmp_path / "a.toml")
    assert found.data == DataRecipe(source=str(tmp_path / "sub" / "a.npz"), window=2.0)


def test_valid_names_a_set_of_a_package(tmp_path):
    """The held-out part of the set, and not a file of that name beside the recipe."""
    (tmp_path / "vowels").write_text("no data")
    for source in ("vowels", "a.npz"):
        (tmp_path / "r.toml").write_text(f"[data]\nsource = '{source}'\nvalid = 'vowels'")
        assert recipe.read_recipe(tmp_path / "r.toml").data.valid == "vowels"
    fit, valid = (sets.read_source("vowels", held_out=held) for held in (False, True))
    assert (len(fit), len(valid)) == (270, 370)
    made = recipe.parse(
        {
            "data": {"source": "vowels", "valid": "vowels"},
            "model": {"hidden": 2},
            "training": {"epochs": 1},
        }
    )
    history = train.train(made, quiet=True).hyper["history"]
    assert "valid_loss" in history[0]
    again = tmp_path / "again.toml"
    again.write_text(recipe.dump(made, tmp_path))
    assert recipe.read_recipe(again) == made


def test_recipes_of_the_package():
    assert recipe.read_recipe(recipe.RECIPES / "watch.toml").data.source == "watch"
    example = recipe.read_recipe(recipe.RECIPES / "own_data.toml")
    data = DataRecipe(source=str(recipe.RECIPES / "train.npz"), valid_fraction=0.2)
    # it shows the defaults
    assert example == recipe.Recipe(data)
    paths = [p for p in recipe.RECIPES.glob("*.toml") if not p.stem.endswith("_features")]
    found = {path.stem: recipe.read_recipe(path) for path in paths}
    assert {r.model.cell for r in found.values()} == {"cfc", "wired", "ltc", "gru"}
    assert found["wired"].model.wiring == found["ltc"].model.wiring == WiringRecipe()


def test_recipes_are_written(tmp_path):
    for name in ("watch", "own_data", "wired", "ltc", "gru"):
        made = recipe.read_recipe(recipe.RECIPES / f"{name}.toml")
        (tmp_path / "sub").mkdir(exist_ok=True)
        path = tmp_path / "sub" / f"{name}.toml"
        path.write_text(recipe.dump(made, path.parent))
        again = recipe.read_recipe(path)
        source = Path(again.data.source).resolve() if name == "own_data" else "watch"
        assert replace(again, data=made.data) == made
        assert source == ("watch" if name != "own_data" else Path(made.data.source).resolve())


def test_bad_checkpoints(tmp_path):
    with pytest.raises(UlnnError, match="no such file"):
        train.read_trained(tmp_path / "a.safetensors")
    result = train.train(plan(tmp_path, waves(), training={"epochs": 1}), quiet=True)
    with pytest.raises(UlnnError, match=r"ends in \.safetensors"):
        result.save(tmp_path / "a.pt")
    result.save(tmp_path / "a.safetensors")
    with pytest.raises(UlnnError, match="the data have 3 channels, the network 2"):
        train.read_trained(tmp_path / "a.safetensors").outputs(
            from_arrays({"x": np.zeros((4, 3)), "dt": np.ones(4)})
        )
    (tmp_path / "a.safetensors").write_bytes(b"broken")
    with pytest.raises(UlnnError, match="not a readable checkpoint"):
        train.read_trained(tmp_path / "a.safetensors")


def test_toml_writer():
    content = {
        "text": 'quote " and \\ and é',
        "numbers": [1, 2.5, float("inf"), -1e-30],
        "none": None,
        "flags": [True, False],
        "empty": [],
        "table": {"a": 1, "inner": {"b": "c"}},
        "rows": [{"a": 1}, {"a": 2}],
    }
    want = {key: value for key, value in content.items() if value is not None}
    assert tomllib.loads(toml_text.dumps(content)) == want


def test_scores():
    y = np.zeros((3, 4, 2), np.float32)
    y[0, :, 1] = [5, 1, -9, 0]
    y[1, :, 0] = 1
    y[2, -1, 1] = 1
    data = from_arrays({"x": np.zeros((3, 4, 1)), "dt": np.ones((3, 4)), "y": np.array([0, 0, 1])})
    found = scores.score(y, data, "last")
    assert (found.accuracy, found.confusion, found.by_recording) == (1.0, ((2, 0), (0, 1)), None)
    short = replace(data, length=np.array([2, 4, 4]), origin=np.array([7, 7, 8]))
    assert scores.score(y, short, "last").accuracy == pytest.approx(2 / 3)
    found = scores.score(y, short, "mean")
    assert (found.accuracy, found.balanced) == (pytest.approx(2 / 3), 0.75)
    assert found.by_recording == 0.5
    steps = replace(data, y=np.array([[1, 1, 0, 0], [0] * 4, [0, 0, 0, 1]]))
    assert scores.score(y, steps, "each").count == 12
    for bad, readout in ((data, "each"), (replace(data, y=None), "last"), (data, "median")):
        with pytest.raises(UlnnError):
            scores.score(y, bad, readout)


def change(data: Sequences, **changes) -> Sequences:
    rng = np.random.default_rng(0)
    return augment.change(data, AugmentRecipe(**changes), Statistics.of(data), rng)


def test_augmentation():
    data = from_arrays(
        {"x": np.random.default_rng(1).normal(size=(40, 5, 6)), "dt": np.ones((40, 5))}
    )
    signs = np.array([-1, 1, 1, 1, -1, -1], np.float32)
    mirrored = change(data, mirror=tuple(signs)).x
    flipped = (mirrored == data.x * signs).all((1, 2))
    assert 8 < flipped.sum() < 32
    assert np.array_equal(mirrored[~flipped], data.x[~flipped])
    turned = change(data, rotate=30.0).x
    for part in (slice(0, 3), slice(3, 6)):
        norms = [np.linalg.norm(x[..., part], axis=-1) for x in (turned, data.x)]
        assert np.allclose(*norms, rtol=1e-4)
    assert np.abs(turned - data.x).max() > 0.5
    faster = change(data, speed=0.3, rates=(3, 4, 5))
    factor = data.dt[:, 0] / faster.dt[:, 0]
    assert np.allclose(faster.x[..., 3:], data.x[..., 3:] * factor[:, None, None], rtol=1e-4)
    assert np.array_equal(faster.x[..., :3], data.x[..., :3])
    scaled = change(data, scale=(0.0, 0.0, 0.0, 0.2, 0.2, 0.2)).x / data.x
    assert np.allclose(scaled[..., :3], 1)
    assert np.allclose(scaled[..., 3:], scaled[:, :1, 3:4], rtol=1e-4)
    assert np.abs(change(data, noise=0.1).x - data.x).std() == pytest.approx(0.06, rel=0.2)
    for bad in ({"mirror": (1.0,)}, {"scale": (0.1,)}, {"speed": 0.1, "rates": (6,)}):
        with pytest.raises(UlnnError, match="augment"):
            change(data, **bad)
    with pytest.raises(UlnnError, match="in threes"):
        change(waves(), rotate=3.0)


def test_epochs_are_cut_afresh():
    data = waves(n=4, steps=50, dt=np.full((4, 50), 0.1, np.float32))
    made = DataRecipe(source="", window=1.0, windows_per_sequence=3, drop=0.3)
    rng = np.random.default_rng(0)
    first, second = (
        augment.epoch(data, made, AugmentRecipe(), Statistics.of(data), rng) for _ in range(2)
    )
    assert first.x.shape == (12, 7, 2)
    assert sorted(first.origin.tolist()) == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert not np.array_equal(first.x, second.x)
    with pytest.raises(UlnnError, match=r"the 9 s of data\.window"):
        augment.epoch(data, replace(made, window=9.0), AugmentRecipe(), Statistics.of(data), rng)


def test_command(tmp_path, capsys):
    save_npz(tmp_path / "a.npz", waves())
    (tmp_path / "r.toml").write_text(
        "[data]\nsource = 'a.npz'\nvalid_fraction = 0.2\n"
        "[model]\nhidden = 4\n[training]\nepochs = 2"
    )
    cli_train(tmp_path / "r.toml", tmp_path / "out" / "net.safetensors")
    assert "net.safetensors: 2 epochs in" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["net.safetensors"]
    assert str(tmp_path).encode() not in (tmp_path / "out" / "net.safetensors").read_bytes()


def test_times_that_are_not_those_of_the_time_scale_are_warned_of(tmp_path):
    planned = plan(tmp_path, waves(), model={"time_scale": 0.1}, training={"epochs": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained = train.train(planned)
    assert trained.hyper["training"]["sampling"] == "about 9.75 Hz (61.9 to 140 ms)"
    slow = replace(planned, model=replace(planned.model, time_scale=100.0))
    with pytest.warns(UlnnWarning, match="of model.time_scale, 975 times shorter"):
        train.train(slow)
    guessed = replace(planned, model=replace(planned.model, time_scale=0.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train.train(guessed)


def test_validation_in_another_unit_of_time_is_warned_of(tmp_path):
    planned = plan(tmp_path, waves(), training={"epochs": 1})
    other = waves(seed=1)
    save_npz(tmp_path / "b.npz", replace(other, dt=other.dt / 60))
    valid = replace(planned, data=replace(planned.data, valid=str(tmp_path / "b.npz")))
    with pytest.warns(UlnnWarning, match=r"validation: median dt .* shorter: minutes\?"):
        train.train(valid)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_windows_of_no_length_are_one_line(value):
    for seconds, stride in ((value, 0.1), (1.0, value)):
        with pytest.raises(UlnnError, match="expected a finite number, 0 or more"):
            waves().windows(seconds, stride)
