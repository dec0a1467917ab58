"""Which epoch is kept, Ctrl-C, and what is printed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from support.training import plan, waves
from ulnn_host.base.errors import UlnnError
from ulnn_host.cli.main import app
from ulnn_host.data.npz import save_npz
from ulnn_host.data.scores import ClassScores
from ulnn_host.train import train

HELD_OUT = {"valid_fraction": 0.5}


def test_the_best_epoch_is_kept(tmp_path, monkeypatch):
    """The weights of the best epoch come back, as its scores say."""
    states = {}
    validated = train._Training._validated

    def remembered(self, epoch, loss):
        states[epoch] = validated(self, epoch, loss)
        return states[epoch]

    monkeypatch.setattr(train._Training, "_validated", remembered)
    # a rate at which later epochs are often worse
    training = {"epochs": 15, "learning_rate": 0.3, "average": 0.0}
    done = train.train(plan(tmp_path, waves(), data=HELD_OUT, training=training), quiet=True)
    best = max(states, key=lambda k: (states[k].score, -states[k].loss, -k))
    assert best < 15
    metrics = done.hyper["metrics"]
    assert (metrics["kept_epoch"], metrics["score"]) == (best, states[best].score)
    assert metrics["kept_by"] == "balanced accuracy, then loss"
    assert done.validation == states[best].scores
    assert f"balanced accuracy {done.validation.balanced:.4g} held out" in repr(done)
    assert metrics["validation"]["accuracy"] == done.validation.accuracy
    for key, value in done.state.items():
        assert torch.equal(value, states[best].state[key])


def test_without_validation_the_last_epoch_is_kept(tmp_path):
    done = train.train(plan(tmp_path, waves(), training={"epochs": 3}), quiet=True)
    assert done.hyper["metrics"].keys() == {"kept_epoch", "loss", "largest_weight"}
    assert done.hyper["metrics"]["kept_epoch"] == 3
    assert done.hyper["metrics"]["loss"] == done.hyper["history"][-1]["loss"]
    assert done.validation is None


def test_labels_of_validation_that_training_has_not(tmp_path):
    made = plan(tmp_path, waves())
    save_npz(tmp_path / "v.npz", waves(y=np.arange(48) % 3))
    made = replace(made, data=replace(made.data, valid=str(tmp_path / "v.npz")))
    with pytest.raises(UlnnError, match="y holds label 2, expected 0 to 1, as the network has 2"):
        train.train(made, quiet=True)


def stop_in(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of an epoch."""
    update = train._Training._after_update

    def stopped(self):
        update(self)
        if len(self.history) == epoch - 1 and self.updates % 3 == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(train._Training, "_after_update", stopped)


@pytest.mark.parametrize("data", [{}, HELD_OUT])
def test_ctrl_c_keeps_the_best_so_far(tmp_path, monkeypatch, data):
    # as many epochs as the schedule of the learning rate, of which only some are run
    made = plan(tmp_path, waves(), data=data, training={"epochs": 12, "batch": 8})
    whole = train.train(made, quiet=True)
    stop_in(5, monkeypatch)
    with pytest.raises(train.Stopped) as stopped:
        train.train(made, quiet=True)
    network = stopped.value.network
    assert isinstance(stopped.value, KeyboardInterrupt)
    assert network.hyper["history"] == whole.hyper["history"][:4]
    assert network.hyper["training"]["stopped"] is True
    kept = network.hyper["metrics"]["kept_epoch"]
    if data:
        lines = [(h["valid_balanced"], -h["valid_loss"]) for h in network.hyper["history"]]
        assert kept == lines.index(max(lines)) + 1
        assert isinstance(network.validation, ClassScores)
    else:
        assert kept == 4


def write_recipe(path):
    save_npz(path / "a.npz", waves(n=24, steps=8))
    text = '[data]\nsource = "a.npz"\nvalid_fraction = 0.25\n'
    text += '[model]\nhidden = 4\nreadout = "mean"\n[training]\nepochs = 6\nbatch = 4\n'
    (path / "r.toml").write_text(text)
    return str(path / "r.toml")


def test_command_writes_what_was_kept(tmp_path, monkeypatch):
    start = ["train", write_recipe(tmp_path), "-o", str(tmp_path / "n.safetensors")]
    done = CliRunner().invoke(app, start)
    assert done.exit_code == 0
    lines = done.stderr.splitlines()
    # no terminal: a line for each epoch
    assert [line.split()[1] for line in lines[:6]] == [f"{k}/6" for k in range(1, 7)]
    assert "valid balanced 0." in lines[0] or "valid balanced 1." in lines[0]
    assert "6 epochs in" in lines[6]
    assert "the best by balanced accuracy, then loss" in lines[6]
    assert "on validation data, readout mean" in lines[7]
    assert any(line.startswith("balanced accuracy") for line in lines)
    stop_in(4, monkeypatch)
    done = CliRunner().invoke(app, start)
    assert done.exit_code == 130
    assert "stopped after 3 of 6 epochs; " in done.stderr
    assert len(train.read_trained(tmp_path / "n.safetensors").hyper["history"]) == 3


def test_ctrl_c_in_the_first_epoch_writes_nothing(tmp_path, monkeypatch):
    stop_in(1, monkeypatch)
    target = tmp_path / "n.safetensors"
    done = CliRunner().invoke(app, ["train", write_recipe(tmp_path), "-o", str(target)])
    assert done.exit_code == 130
    assert done.stderr == "stopped in the first epoch: nothing is written\n"
    assert not target.exists()
