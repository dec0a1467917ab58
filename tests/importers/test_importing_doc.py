"""The code in host/docs/importing.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from support.every_cell import keras_cfc
from support.originals import Row, cfc, seeded
from ulnn_host.importers import check, checkpoint
from ulnn_host.importers.checkpoint_toml import CheckpointToml

TEXT = (Path(__file__).parents[2] / "host" / "docs" / "importing.md").read_text()
TORCH, KERAS, MODULE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
HYPER = {"mode": "default", "activation": "lecun_tanh", "time_scale": 1.0}


def test_pairs_of_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seeded()
    model = Row(rnn=cfc(3, 8), fc=nn.Linear(8, 2))
    names = {"torch": torch, "np": np, "model": model}
    exec(TORCH, names)
    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    loaded = checkpoint.from_weights(weights, HYPER)
    assert check.check_file(loaded, Path("pairs.npz")).steps == 200
    exec(MODULE, names)
    assert str(names["agreement"]).startswith("against the original over 200 steps: max error")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_pairs_of_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    layer = keras_cfc()
    import keras

    model = keras.Sequential([keras.Input((None, 3)), layer, keras.layers.Dense(2)])
    model.save("net.keras")
    exec(KERAS, {"np": np, "model": model})
    loaded = checkpoint.read_checkpoint(Path("net.keras"))
    assert check.check_file(loaded, Path("pairs.npz")).max_error < 1e-5


def test_the_keys_are_those_of_the_toml() -> None:
    table = TEXT.partition("| key | option |")[2].partition("\n\n")[0]
    keys = {key for line in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", line[:80])}
    assert keys <= set(CheckpointToml.__dataclass_fields__)
    assert {"order", "weights", "mean", "std", "time_scale", "labels", "motor_neurons"} <= keys
