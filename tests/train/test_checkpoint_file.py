"""A checkpoint is one file: hyper-parameters are in its metadata; older pairs are still read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file
from typer.testing import CliRunner

from support.training import plan, waves
from ulnn_host.base import toml_text
from ulnn_host.base.errors import UlnnError, UlnnWarning
from ulnn_host.cli.main import app
from ulnn_host.data.npz import save_npz
from ulnn_host.importers import checkpoint
from ulnn_host.train import train

RECIPE = """[data]
source = "a.npz"
valid_fraction = 0.2
[model]
hidden = 4
[training]
epochs = 1
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> train.TrainedNetwork:
    folder = tmp_path_factory.mktemp("trained")
    return train.train(plan(folder, waves(), training={"epochs": 1}), quiet=True)


def old_pair(trained: train.TrainedNetwork, path: Path, **changed: object) -> None:
    """What `ulnn train` wrote before hyper-parameters moved into the metadata."""
    save_file(trained.state, path)
    path.with_suffix(".toml").write_text(toml_text.dumps(trained.hyper | changed))


def test_training_writes_beside_its_recipe_and_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_npz(tmp_path / "a.npz", waves())
    Path("exp.toml").write_text(RECIPE)
    done = CliRunner().invoke(app, ["train", "exp.toml", "-o", "exp.safetensors"])
    assert done.exit_code == 0, done.output
    assert Path("exp.toml").read_text() == RECIPE
    assert {path.name for path in tmp_path.iterdir()} == {"a.npz", "exp.toml", "exp.safetensors"}
    loaded = checkpoint.read_checkpoint(Path("exp.safetensors"))
    assert loaded.assumed == ()
    words = ["convert", "exp.safetensors", "--calib", "a.npz", "-o", "exp.ulnn"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "warning" not in done.output


def test_the_metadata_are_what_the_toml_file_was(
    trained: train.TrainedNetwork, tmp_path: Path
) -> None:
    trained.save(tmp_path / "new.safetensors")
    old_pair(trained, tmp_path / "old.safetensors")
    new, old = (train.read_trained(tmp_path / f"{name}.safetensors") for name in ("new", "old"))
    assert new.hyper == old.hyper
    assert new.hyper["time_scale"] == trained.hyper["time_scale"]
    assert new.hyper["recipe"]["training"]["epochs"] == 1
    loaded = [checkpoint.read_checkpoint(tmp_path / f"{n}.safetensors") for n in ("new", "old")]
    assert loaded[0].network.meta == loaded[1].network.meta
    assert loaded[0].network.std.tolist() == loaded[1].network.std.tolist()


def test_metadata_win_over_a_toml_file_beside_them_and_say_it(
    trained: train.TrainedNetwork, tmp_path: Path
) -> None:
    """Such as the rest of an older pair, whose weights were trained once more."""
    path = tmp_path / "net.safetensors"
    old_pair(trained, path, time_scale=77.0)
    trained.save(path)
    with pytest.warns(UlnnWarning, match=r"net\.toml is not read: net\.safetensors holds its"):
        assert train.read_trained(path).hyper["time_scale"] == trained.hyper["time_scale"]
    with pytest.warns(UlnnWarning, match=r"net\.toml is not read"):
        loaded = checkpoint.read_checkpoint(path)
    assert loaded.network.time_scale == trained.hyper["time_scale"]


def test_options_win_over_metadata(trained: train.TrainedNetwork, tmp_path: Path) -> None:
    trained.save(tmp_path / "net.safetensors")
    modes = [
        checkpoint.read_checkpoint(tmp_path / "net.safetensors", mode=mode).network.layers[0].mode
        for mode in (None, "no_gate")
    ]
    assert [mode.name.lower() for mode in modes] == ["default", "no_gate"]


def test_metadata_of_others_change_nothing(trained: train.TrainedNetwork, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    old_pair(trained, path, time_scale=77.0)
    save_file(trained.state, path, {"format": "pt"})
    assert checkpoint.read_checkpoint(path).network.time_scale == 77.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("= 1", "metadata: not valid TOML"),
        ("timescale = 0.02", "metadata: unknown key timescale, expected time_scale"),
        ("time_scale = -1", "metadata: time_scale is -1.0, expected a number above 0"),
        ("mean = [0, 0]", "metadata: mean without std"),
    ],
)
def test_metadata_are_checked_like_a_toml_file(
    trained: train.TrainedNetwork, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "net.safetensors"
    save_file(trained.state, path, {"ulnn": text})
    for read in (checkpoint.read_checkpoint, train.read_trained):
        with pytest.raises(UlnnError) as caught:
            read(path)  # type: ignore[operator]
        assert message in str(caught.value)
        assert str(caught.value).startswith(str(path))


def test_weights_without_hyper_parameters_are_no_checkpoint_of_training(
    trained: train.TrainedNetwork, tmp_path: Path
) -> None:
    save_file(trained.state, tmp_path / "net.safetensors")
    with pytest.raises(UlnnError, match="holds no hyper-parameters"):
        train.read_trained(tmp_path / "net.safetensors")


def test_a_damaged_header_is_one_line(trained: train.TrainedNetwork, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    header = json.dumps({"__metadata__": {"ulnn": 1}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"0")
    with pytest.raises(UlnnError, match="cannot be read") as caught:
        checkpoint.read_checkpoint(path)
    assert "\n" not in str(caught.value)
