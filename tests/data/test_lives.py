import dataclasses

import numpy as np
import pytest

from support.lives import lives
from ulnn_host.base.errors import UlnnError
from ulnn_host.data import lives as room
from ulnn_host.data import machines, sets
from ulnn_host.data.features import read_recipe
from ulnn_host.data.options import DataOptions
from ulnn_host.train.recipe import RECIPES

FEATURES = RECIPES / "machines_features.toml"


def test_generated_machines_have_their_lives(monkeypatch):
    monkeypatch.setitem(machines.COUNT, "development", 1)
    (machine,) = machines.machines("development")
    chosen = np.arange(0, len(machine), 8)  # an eighth of the time to make them
    short = {"at", "running", "speed", "load", "drift", "severity"}
    short = {name: getattr(machine, name)[chosen] for name in short}
    monkeypatch.setattr(
        machines, "machines", lambda split: (dataclasses.replace(machine, **short),)
    )
    state = room.State.parse("acc rms > 9")
    made = room.generated("development", read_recipe(FEATURES), state)
    assert made.names == ("development 1",)
    # the level alone says when it runs
    assert made.running.tolist() == short["running"].tolist()
    assert made.onset[0] == machine.onset
    assert made.end[0] == machine.life
    assert made.data.features == read_recipe(FEATURES).content
    assert made.healthy().sum() == (short["at"] < machine.onset).sum()
    late = made.running & (short["at"] > machine.onset + 0.9 * (machine.life - machine.onset))
    kurtosis = made.data.x[:, :, made.data.channels.index("acc kurtosis")].mean(1)
    calm = made.running & made.healthy()
    assert kurtosis[late].mean() > kurtosis[calm].max()


def test_the_set_is_healthy_time_for_training(monkeypatch):
    four = lives(machines=4)
    monkeypatch.setattr(room, "generated", lambda *_: four)
    options = DataOptions(features=str(FEATURES), target="next")
    fit, held = (sets.read_source("machines", options, held_out=h) for h in (False, True))
    assert np.unique(fit.group).tolist() == [0]
    assert np.unique(held.group).tolist() == [1, 2, 3]
    assert len(fit) == (four.healthy() & four.running)[four.machine == 0].sum()
    assert fit.y is not None
    with pytest.raises(UlnnError, match="name a recipe of features"):
        sets.read_source("machines")


def test_some_machines_of_lives():
    four = lives(machines=4)
    made = four.of([2, 0])
    assert made.names == ("pump 3", "pump 1")
    assert made.data.x[0].tolist() == four.data.x[four.machine == 2][0].tolist()
    assert np.unique(made.machine).tolist() == [0, 1]
