"""`import ulnn_host as uh`: from a module of torch to a proven board, in a dozen names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ncps import wirings
from ncps.torch import LTC, CfC
from torch import Tensor, nn

import ulnn_host as uh
from ulnn_host.data.npz import save_npz

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 20, 3)).astype(np.float32)
DT = RNG.uniform(0.05, 0.2, (6, 20)).astype(np.float32)
DATA = uh.Sequences(X, DT)


class Around(nn.Module):
    """A module around a cell, as people write it. trick: what is done beside the modules."""

    def __init__(self, trick: Callable[[Tensor], Tensor] = lambda y: y) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn = CfC(3, 8, backbone_units=12, activation="tanh")
        self.fc = nn.Linear(8, 2)
        self.trick = trick

    def forward(self, x: Tensor, timespans: Tensor) -> Tensor:
        y, _ = self.rnn(x, timespans=timespans)
        out: Tensor = self.fc(self.trick(y))
        return out


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(1)
    return make()


MODULES: dict[str, Callable[[], nn.Module]] = {
    "around": Around,
    "cfc": lambda: CfC(3, 8, proj_size=2, backbone_units=12, mode="no_gate", activation="silu"),
    "pure": lambda: CfC(3, 8, backbone_units=12, mode="pure"),
    "mixed memory": lambda: CfC(3, 8, mixed_memory=True, backbone_units=12),
    "wired": lambda: CfC(3, wirings.AutoNCP(12, 2)),
    "ltc": lambda: LTC(3, wirings.AutoNCP(10, 2)),
    "lstm": lambda: nn.LSTM(3, 8, batch_first=True),
    "gru": lambda: nn.GRU(3, 8, batch_first=True),
}


@pytest.fixture(scope="module")
def model() -> uh.Model:
    return uh.convert(Around(), DATA)


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_converted_and_compared_with_themselves(name: str) -> None:
    made = uh.convert(seeded(MODULES[name]), DATA)
    assert made.original is not None
    assert made.original.max_error <= made.original.allowed
    assert made.original.steps == DATA.dt.size
    assert np.array_equal(made.run(X, DT), made.run(X, DT, engine="native"))


def test_what_modules_do_not_show_is_noticed() -> None:
    with pytest.raises(uh.UlnnError, match="between rnn and fc, from step 0 on"):
        uh.convert(Around(torch.relu), DATA)


def test_a_model_is_what_its_file_says(model: uh.Model, tmp_path: Path) -> None:
    again = uh.load(model.save(tmp_path / "net.ulnn"))
    assert again.content == model.content
    assert again.sha256 == model.sha256
    assert again.info() == model.info()
    assert again.info()["labels"] == again.labels == model.labels
    assert again.info()["decision"] == again.facts()["decision"]
    assert repr(again) == (
        f"<Model net: CfC > dense, 3 inputs, 2 outputs, int8, {len(model.content):,} bytes, "
        f"sha256 {model.sha256[:12]}>"
    )


def test_steps_are_the_run(model: uh.Model) -> None:
    model.reset()
    first = [model.step(X[0, t], DT[0, t]) for t in range(10)]
    middle = model.state
    rest = [model.step(X[0, t], DT[0, t]) for t in range(10, 20)]
    whole = model.run(X[0], DT[0])
    assert np.array_equal([*first, *rest], whole)
    model.state = middle
    assert np.array_equal(model.step(X[0, 10], DT[0, 10]), rest[0])
    assert np.array_equal(model.run(X, DT)[0], whole)
    assert np.array_equal(model.run(X, 0.1), model.run(X, np.full(DT.shape, 0.1)))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda m: m.run(X), "dt: expected seconds"),
        (lambda m: m.run(X[..., :2], DT), "2 inputs"),
        (lambda m: m.run(X, DT[:, :3]), r"dt has shape \(6, 3\)"),
        (lambda m: m.run(X, DT, engine="gpu"), "engine 'gpu': expected one of"),
        (lambda m: m.step(X[0, 0, :2], 0.1), r"x has shape \(2,\), expected \(3,\)"),
        (lambda m: m.step(X[0, 0], 0.0), "dt"),
        (lambda m: uh.convert(3, DATA), "got int, expected a path"),
        (lambda m: uh.load("none.ulnn"), "none.ulnn"),
    ],
)
def test_errors_are_one_line(
    model: uh.Model, wrong: Callable[[uh.Model], None], text: str
) -> None:
    with pytest.raises(uh.UlnnError, match=text) as caught:
        wrong(model)
    assert "\n" not in str(caught.value)


def test_a_recipe_is_trained_converted_and_scored(tmp_path: Path) -> None:
    y = (np.arange(6) % 2).astype(np.int64)
    save_npz(tmp_path / "a.npz", uh.Sequences(X + y[:, None, None], DT, y))
    (tmp_path / "r.toml").write_text(
        '[data]\nsource = "a.npz"\n[model]\nhidden = 4\n[training]\nepochs = 3\nbatch = 3\n'
    )
    net = uh.train(tmp_path / "r.toml")
    assert callable(uh.train)
    data = uh.read(tmp_path / "a.npz")
    made = uh.convert(net, data, bits=16)
    assert made.info()["weight_bits"] == 16
    assert 0 <= made.report(data).accuracy <= 1


@pytest.mark.board
def test_a_board_is_proven(model: uh.Model) -> None:
    assert uh.validate(model, DATA, "virtual:cortex-m7").equal
    assert uh.deploy(model, "virtual:cortex-m7").self_test > 0


def test_importing_is_quick() -> None:
    code = "import sys, ulnn_host; print(sorted({'torch', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_training_on_data_by_keys(tmp_path: Path) -> None:
    data = uh.Sequences(X, DT, np.arange(6) % 2)
    trained = uh.train(data, hidden=5, backbone_units=6, epochs=2, seed=3)
    assert trained.hyper["hidden_size"] == 5
    assert repr(trained) == "<TrainedNetwork cfc: 3 inputs, 2 outputs, 206 weights>"
    save_npz(tmp_path / "d.npz", data)
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        'seed = 3\n[data]\nsource = "d.npz"\n[model]\nhidden = 9\nbackbone_units = 6\n'
        "[training]\nepochs = 2\n"
    )
    again = uh.train(recipe, hidden=5)
    assert all(torch.equal(again.state[key], value) for key, value in trained.state.items())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"epoch": 3}, "unknown key epoch, expected epochs"),
        ({"hidden": 0}, "model.hidden is 0, expected 1 to 1024"),
        ({"cell": "ltc", "hidden": 3}, "model.hidden is not for cell 'ltc'"),
        ({"source": "d.npz"}, "got data and the key source, expected one of them"),
    ],
)
def test_wrong_keys_of_a_training(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(uh.UlnnError, match=message):
        uh.train(uh.Sequences(X, DT, np.arange(6) % 2), **keys)


def test_data_show_themselves_in_one_line() -> None:
    data = uh.Sequences(X, DT, np.arange(6) % 2, labels=("a", "b"), channels=("x", "y", "z"))
    assert repr(data) == (
        "<Sequences 6 recordings, 120 samples, 3 channels (x, y, z), labels, classes a, b>"
    )
