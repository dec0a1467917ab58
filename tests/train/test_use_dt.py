"""Training without the elapsed time, and with samples lost."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from support.training import plan, waves
from ulnn_host.base.errors import UlnnError
from ulnn_host.data.npz import save_npz
from ulnn_host.engines import registry as engines
from ulnn_host.engines.batch import quantise
from ulnn_host.format import container
from ulnn_host.importers import checkpoint
from ulnn_host.quantize.options import Options
from ulnn_host.report.conversion import Wishes, convert_network
from ulnn_host.train import recipe, train

HELD_OUT = {"valid_fraction": 0.5}


@pytest.mark.parametrize(
    "model", [{}, {"cell": "wired", "wiring": {"units": 8, "outputs": 3}}, {"cell": "mixed"}]
)
def test_a_network_without_dt_is_the_same_everywhere(tmp_path, model):
    """Training, import, export to integers and running: none of them sees dt."""
    model = {"cell": "cfc", "use_dt": False} | model
    data = waves(n=24, steps=12)
    save_npz(tmp_path / "a.npz", data)
    made = recipe.parse({"data": {"source": "a.npz"}, "model": model, "training": {"epochs": 2}})
    made = replace(made, data=replace(made.data, source=str(tmp_path / "a.npz")))
    trained = train.train(made, quiet=True)
    assert trained.hyper["fixed_dt"] == data.tick
    other = replace(data, dt=data.dt[:, ::-1] * 3)
    assert np.array_equal(trained.outputs(data), trained.outputs(other))
    trained.save(tmp_path / "n.safetensors")
    again = train.read_trained(tmp_path / "n.safetensors")
    assert np.array_equal(again.outputs(other), trained.outputs(data))
    network = checkpoint.read_checkpoint(tmp_path / "n.safetensors").network
    assert network.fixed_dt == data.tick
    for dt in (data.dt, other.dt):
        assert np.abs(network.run(data.x, dt).y - trained.outputs(data)).max() < 1e-5
    done = convert_network(network, other, Options(bits=16), Wishes(bits=16))
    assert done.report.model.clamped_steps == 0
    integers = container.read(done.content)
    y = [
        engines.run(done.content, quantise(integers, d), engine).y
        for d in (data, other)
        for engine in ("reference", "native")
    ]
    assert all(np.array_equal(y[0], more) for more in y[1:])
    assert np.abs(integers.dequantise_output(y[0]) - trained.outputs(data)).max() < 0.01


def test_use_dt_decides_whether_times_are_learnt(tmp_path):
    """The waves differ in their elapsed times alone."""
    scores = []
    for use_dt in (True, False):
        # dt doubles with the frequency, so that the samples say nothing
        base = waves()
        factor = np.where(base.y, 1.0, 3.0)[:, None].astype(np.float32)
        phase = np.cumsum(np.full((48, 20), 0.9), 1) + np.arange(48)[:, None]
        data = replace(
            base, x=np.stack([np.sin(phase), np.cos(phase)], -1).astype(np.float32),
            dt=0.1 * factor * np.ones((48, 20), np.float32),
        )  # fmt: skip
        made = plan(tmp_path, data, model={"use_dt": use_dt}, training={"epochs": 30})
        scores.append(train.evaluate(train.train(made, quiet=True), data).accuracy)
    assert scores[0] == 1.0
    assert scores[1] < 0.7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\ncell = 'ltc'\nuse_dt = false", "model.use_dt is not for cell 'ltc'"),
        ("[model]\ncell = 'gru'\nuse_dt = false", "model.use_dt is not for cell 'gru'"),
        ("[model]\nmode = 'pure'\nuse_dt = false", 'is not for mode "pure"'),
        ("drop = [0.6, 0.2]", "data.drop is [0.6, 0.2], expected a share, or the lowest and"),
        ("drop = [0.6]", "data.drop is [0.6], expected a share, or the lowest and"),
        ("drop = [0, 1]", "data.drop is 1.0, expected 0 to 0.99"),
        ("drop = 'all'", "data.drop is 'all', expected a number"),
        ("fill = 'zero'", "data.fill is 'zero', expected one of skip, hold, mean"),
        (
            "drop_pattern = 'burst'",
            "data.drop_pattern is 'burst', expected one of samples, bursts",
        ),
    ],
)
def test_recipes_that_are_refused(tmp_path, text, message):
    (tmp_path / "r.toml").write_text(f"[data]\nsource = 'a.npz'\n{text}")
    with pytest.raises(UlnnError) as caught:
        recipe.read_recipe(tmp_path / "r.toml")
    assert message in str(caught.value)


def test_fixed_dt_is_for_cells_that_can_have_one(tmp_path):
    done = train.train(plan(tmp_path, waves(), model={"mode": "pure"}), quiet=True)
    with pytest.raises(UlnnError, match="fixed_dt is for CfC layers of mode default or no_gate"):
        done.float_network(fixed_dt=0.1)
    made = train.train(plan(tmp_path, waves(), model={"use_dt": False}), quiet=True)
    network = made.float_network()
    with pytest.raises(UlnnError, match=r"--fixed-dt 0\.3: the network has a fixed dt of"):
        convert_network(network, waves(), Options(fixed_dt=0.3), Wishes())


def test_every_way_of_losing_samples_trains(tmp_path):
    seen = []
    for data in (
        {"drop": [0, 0.6]},
        {"drop": [0, 0.6], "drop_pattern": "bursts"},
        {"drop": 0.3, "fill": "hold"},
        {"drop": [0.1, 0.3], "fill": "mean", "drop_pattern": "bursts"},
    ):
        made = plan(tmp_path, waves(), data=data | HELD_OUT, training={"epochs": 2})
        done = train.train(made, quiet=True)
        seen.append(done.hyper["history"][0]["loss"])
        low, high = made.data.drop_range
        stretch = 1 / (1 - (low + high) / 2) if made.data.fill == "skip" else 1
        tick = np.median(waves().dt)
        assert done.hyper["time_scale"] == pytest.approx(tick * stretch, rel=0.05)
        text = recipe.dump(made, tmp_path)
        (tmp_path / "again.toml").write_text(text)
        assert recipe.read_recipe(tmp_path / "again.toml") == made
        json.dumps(done.hyper["metrics"])
    assert len(set(seen)) == 4
