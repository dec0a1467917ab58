"""NAME.toml beside a checkpoint is checked like a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ncps.torch import LTC
from torch import nn

from support.originals import Row, cfc, seeded
from support.training import plan, waves
from ulnn_host.base.errors import UlnnError
from ulnn_host.format.model import Mode
from ulnn_host.importers import checkpoint
from ulnn_host.network.layers import CfC
from ulnn_host.train import train

SCALES = "mean = [0.0, 1.0, 2.0]\nstd = [1.0, 2.0, 3.0]\n"


def read(folder: Path, text: str, model: nn.Module | None = None) -> checkpoint.Loaded:
    seeded()
    model = model or Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2))
    torch.save(model.state_dict(), folder / "net.pt")
    (folder / "net.toml").write_text(text)
    return checkpoint.read_checkpoint(folder / "net.pt")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("timescale = 0.02", "net.toml: unknown key timescale, expected time_scale"),
        ("activaton = 'relu'", "net.toml: unknown key activaton, expected activation"),
        ("xyz = 1", "net.toml: unknown key xyz, expected one of dialect, cell, mode, "),
        ("readout = 'lats'", "net.toml: readout is 'lats', expected one of last, mean, each"),
        (
            "mode = 'defualt'",
            "net.toml: mode is 'defualt', expected one of default, no_gate, pure",
        ),
        ("mode = 1", "net.toml: mode is 1, expected a string"),
        ("time_scale = 0", "net.toml: time_scale is 0.0, expected a number above 0"),
        ("time_scale = nan", "net.toml: time_scale is nan, expected a finite number"),
        ("time_scale = '1 s'", "net.toml: time_scale is '1 s', expected a number"),
        ("mean = [0, 0, 0]", "net.toml: mean without std: expected both"),
        ("std = [1, 1, 1]", "net.toml: std without mean: expected both"),
        ("mean = [0, 0]\nstd = [1, 1]", "net.pt: mean has 2 entries, expected 3, one for each of"),
        ("mean = [0]\nstd = [1, 1, 1]", "net.toml: mean has 1 numbers and std 3"),
        ("mean = [0, 0, inf]\nstd = [1, 1, 1]", "net.toml: mean is inf, expected a finite number"),
        ("mean = [0, 0, 0]\nstd = [1, 0, 1]", "net.toml: std is 0.0, expected a number above 0"),
        ("mean = 0\nstd = 1", "net.toml: mean is 0, expected a list"),
        ("labels = ['a', 'b', 'c', 'd']", "net.pt: labels has 4 entries, expected 2, one for"),
        ("labels = ['a']", "net.pt: labels has 1 entries, expected 2"),
        ("labels = ['a', 'a']", "net.toml: labels holds 'a', expected names that differ"),
        ("labels = ['a', ' ']", "net.toml: labels holds ' ', expected names that differ"),
        ("labels = [0, 1]", "net.toml: labels is 0, expected a string"),
        ("channels = ['x', 'y']", "net.pt: channels has 2 entries, expected 3, one for each of"),
        ("inputs = ['ax', 'ay']", "net.pt: channels has 2 entries, expected 3, one for each of"),
        ("channels = ['x', 'x', 'y']", "net.toml: channels holds 'x', expected names that differ"),
        ("channels = []\ninputs = []", "net.toml: channels and inputs are the same"),
        ("input_size = 4", "net.pt: input_size is 4, but the weights have 3"),
        ("output_size = 4", "net.pt: output_size is 4, but the weights have 2"),
        ("ode_unfolds = 4", "net.pt: ode_unfolds is for other cells than this network has"),
        ("motor_neurons = 2", "net.pt: motor_neurons is for other cells"),
        ("dt_input = 1", "net.toml: dt_input is 1, expected true or false"),
        ("order = 'rnn,fc'", "net.toml: order is 'rnn,fc', expected a list"),
        ("= 1", "net.toml: not valid TOML"),
        (
            "[data]\nsource = 'x.npz'",
            "net.toml is a training recipe; expected the hyper-parameters",
        ),
    ],
)
def test_what_is_wrong_is_named(text: str, match: str, tmp_path: Path) -> None:
    with pytest.raises(UlnnError) as caught:
        read(tmp_path, text)
    message = str(caught.value).replace(str(tmp_path) + "/", "")
    assert message.startswith(match)
    assert "\n" not in message


def test_keys_of_other_cells_are_refused(tmp_path: Path) -> None:
    lstm = Row(rnn=nn.LSTM(3, 8, batch_first=True), fc=nn.Linear(8, 2))
    for text in ("mode = 'pure'", "activation = 'relu'", "implicit_param_constraints = true"):
        with pytest.raises(UlnnError, match="is for other cells than this network has"):
            read(tmp_path, text, lstm)
    assert read(tmp_path, "dt_input = true", lstm).network.input_size == 2
    ltc = LTC(3, 6)
    with pytest.raises(UlnnError, match=r"net.pt: mode is for other cells"):
        read(tmp_path, "mode = 'default'", ltc)
    with pytest.raises(UlnnError, match=r"motor_neurons 4, but rnn_cell.output_w has 6"):
        read(tmp_path, "motor_neurons = 4", ltc)
    read(tmp_path, "ode_unfolds = 4\nimplicit_param_constraints = true\nmotor_neurons = 6", ltc)


def test_what_is_right_is_used(tmp_path: Path) -> None:
    loaded = read(
        tmp_path,
        SCALES + "mode = 'no_gate'\nactivation = 'swish'\ntime_scale = 2\nreadout = 'mean'\n"
        "labels = ['a', 'b']\nchannels = ['x', 'y', 'z']\norder = ['rnn', 'relu', 'fc']\n",
    )
    network = loaded.network
    assert loaded.assumed == ()
    assert network.mean.tolist() == [0.0, 1.0, 2.0]
    assert network.std.tolist() == [1.0, 2.0, 3.0]
    assert network.time_scale == 2.0
    assert network.meta == {"labels": ["a", "b"], "readout": "mean", "channels": ["x", "y", "z"]}
    assert network.channels == ("x", "y", "z")
    layer = network.layers[0]
    assert isinstance(layer, CfC)
    assert layer.activation == "silu"
    assert len(network.layers) == 3


def test_options_override_the_toml(tmp_path: Path) -> None:
    with pytest.raises(UlnnError, match="rnn has 3 inputs"):
        read(tmp_path, "mode = 'no_gate'\norder = ['fc', 'rnn']\n")
    path = tmp_path / "net.pt"
    loaded = checkpoint.read_checkpoint(path, "default", order=["rnn", "fc"])
    layer = loaded.network.layers[0]
    assert isinstance(layer, CfC)
    assert layer.mode is Mode.DEFAULT


def test_names_of_inputs_as_older_files_have_them(tmp_path: Path) -> None:
    assert read(tmp_path, "inputs = ['x', 'y', 'z']\n").network.channels == ("x", "y", "z")


def test_channels_that_training_names_come_back(tmp_path: Path) -> None:
    """What `ulnn train` writes about data with named channels is read."""
    names = ("ax", "gy")
    data = waves(channels=names)
    result = train.train(plan(tmp_path, data, training={"epochs": 1}), quiet=True)
    result.save(tmp_path / "net.safetensors")
    loaded = checkpoint.read_checkpoint(tmp_path / "net.safetensors")
    assert loaded.network.meta["channels"] == list(names)
    assert loaded.assumed == ()
