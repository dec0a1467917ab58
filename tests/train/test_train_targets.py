"""Targets that are said, and names of channels, classes and groups, in training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from support.training import plan, waves
from ulnn_host.base.errors import UlnnError
from ulnn_host.data.npz import save_npz
from ulnn_host.train import train


def test_values_are_learnt_in_their_unit(tmp_path):
    base = waves()
    y = (20_000 + 3_000 * base.y).astype(np.float32)
    scaled = np.stack([y, -y / 1e6], -1)
    for targets, limit in ((y, 700.0), (scaled, [700.0, 7e-4])):
        made = plan(
            tmp_path, replace(base, y=targets), data={"target": "value"}, training={"epochs": 40}
        )
        outputs = train.train(made, quiet=True).outputs(base)
        assert (np.abs(outputs.mean(1).squeeze() - targets).mean(0) < limit).all()


def test_the_next_sample_is_learnt(tmp_path):
    model = {"readout": "each", "hidden": 12}
    made = plan(
        tmp_path, waves(y=None), data={"target": "next"}, model=model, training={"epochs": 30}
    )
    trained = train.train(made, quiet=True)
    data = waves(seed=3)
    error = trained.outputs(data)[:, 5:-1] - data.x[:, 6:]
    assert trained.hyper["output_size"] == 2
    assert (error**2).mean() < 0.5 * (np.diff(data.x[:, 5:], axis=1) ** 2).mean()
    with pytest.raises(UlnnError, match=r'data\.target = "next".* model\.readout = "each"'):
        plan(tmp_path, waves(), data={"target": "next"})


def test_nan_behind_the_length_changes_nothing(tmp_path):
    base = waves(length=np.arange(48) % 9 + 12)
    states = []
    for filler in (0.0, np.nan):
        arrays = {
            "x": np.where(base.mask[..., None], base.x, filler),
            "dt": np.where(base.mask, base.dt, filler),
            "y": base.y,
            "length": base.length,
        }
        for readout in ("last", "mean"):
            made = plan(tmp_path, base, model={"readout": readout})
            np.savez(tmp_path / "a.npz", **arrays)
            states.append(train.train(made, quiet=True).state)
    for zero, nan in zip(states[:2], states[2:], strict=True):
        assert all(torch.equal(zero[key], nan[key]) for key in zero)


def test_channels_and_classes_by_name(tmp_path):
    names = {"channels": ("sin", "cos"), "labels": ("slow", "fast")}
    base = waves(**names)
    made = plan(tmp_path, base)
    trained = train.train(made, quiet=True)
    trained.save(tmp_path / "n.safetensors")
    again = train.read_trained(tmp_path / "n.safetensors")
    assert again.hyper["channels"] == ["sin", "cos"]
    turned = replace(
        base, x=base.x[..., ::-1].copy(), channels=("COS", "sin"), y=1 - base.y,
        labels=("fast", "slow"),
    )  # fmt: skip
    assert np.array_equal(again.outputs(turned), again.outputs(base))
    assert train.evaluate(again, turned) == train.evaluate(again, base)
    with pytest.raises(UlnnError, match="channel cos is missing"):
        again.outputs(replace(base, channels=("sin", "tan")))
    with pytest.raises(UlnnError, match="label 'slower' is not known, expected one of"):
        train.evaluate(again, replace(turned, labels=("fast", "slower")))
    save_npz(tmp_path / "v.npz", turned)
    made = replace(made, data=replace(made.data, valid=str(tmp_path / "v.npz")))
    assert train.train(made, quiet=True).hyper["metrics"]["score"] > 0.9


def test_groups_held_out_by_name(tmp_path):
    groups = {"group": np.arange(48) % 3, "groups": ("ann-maria", "bob", "eve")}
    made = plan(tmp_path, waves(**groups), data={"valid_groups": ["ann-maria"]})
    trained = train.train(made, quiet=True)
    assert trained.hyper["training"]["sequences"] == 32
    trained.save(tmp_path / "n.safetensors")
    for path in tmp_path.glob("n.*"):
        assert b"ann-maria" not in path.read_bytes()


def test_values_that_may_be_per_step(tmp_path):
    y = np.random.default_rng(0).normal(size=(48, 20)).astype(np.float32)
    with pytest.raises(UlnnError, match='say per = "step" or per = "sequence"'):
        train.train(plan(tmp_path, waves(y=y), data={"window": 0.8}), quiet=True)
    made = plan(
        tmp_path, waves(y=y), data={"window": 0.8, "per": "sequence"}, training={"epochs": 1}
    )
    assert train.train(made, quiet=True).hyper["output_size"] == 20
    with pytest.raises(UlnnError, match="a target for each step, which does not fit"):
        train.train(plan(tmp_path, waves(y=y), data={"per": "step"}), quiet=True)
    made = plan(
        tmp_path, waves(y=y), data={"window": 0.8}, model={"readout": "each"},
        training={"epochs": 1},
    )  # fmt: skip
    assert train.train(made, quiet=True).hyper["output_size"] == 1
