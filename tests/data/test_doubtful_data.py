"""Data that look right and are not: sentinels, units and targets of other kinds."""

from __future__ import annotations

import numpy as np
import pytest

import ulnn_host as uh
from ulnn_host.base.errors import UlnnError, UlnnWarning
from ulnn_host.data.logs import read, read_logs
from ulnn_host.data.sequences import Sequences, Statistics

X = np.random.default_rng(0).normal(size=(24, 20, 3)).astype(np.float32)
QUICK = {"cell": "cfc", "hidden": 2, "backbone_units": 2, "epochs": 1}


def flat(tmp_path, x):
    np.savez(tmp_path / "a.npz", x=x, dt=np.full(len(x), 0.02))
    return tmp_path / "a.npz"


@pytest.mark.parametrize("value", [1e30, -9999.0, 65535.0, -1e6])
def test_one_outlier_in_few_samples_is_named(value, tmp_path):
    x = X[:3].reshape(60, 3).copy()
    x[7, 1] = value
    with pytest.warns(UlnnWarning, match=r"channel 1: 1 outlier, .* in sample 7"):
        read(flat(tmp_path, x))


def test_a_sentinel_in_a_constant_channel_is_named(tmp_path):
    x = X[:3].reshape(60, 3).copy()
    x[:, 2] = 5
    x[9, 2] = 65535
    with pytest.warns(UlnnWarning, match="channel 2: 1 outlier, 65535 in sample 9"):
        read(flat(tmp_path, x))
    x[9, 2] = 6  # a button
    assert not read_logs(flat(tmp_path, x)).warnings


def test_missing_values_of_whole_numbers(tmp_path):
    x = (X[0] * 1000).astype(np.int16)
    x[4, 1] = -32768
    path = flat(tmp_path, x)
    with pytest.raises(UlnnError, match=r"1 missing values, the first at \[4, 1\]: missing = "):
        read(path, missing_values=-32768)
    dropped = read(path, missing_values=-32768, missing="drop")
    assert dropped.x.shape == (1, 19, 3)
    assert dropped.dt[0, 4] == np.float32(0.04)
    held = read(path, missing_values=(-32768,), missing="hold")
    assert held.x[0, 4, 1] == x[3, 1]


@pytest.mark.parametrize("name", ["time_min", "Minutes", "elapsed (h)", "day"])
def test_a_time_that_is_named_after_another_unit_is_refused(name, tmp_path):
    rows = [f"{k * 0.01},{k}" for k in range(30)]
    (tmp_path / "a.csv").write_text("\n".join([f"{name},ax", *rows]))
    with pytest.raises(UlnnError, match=r"is named after the unit .* write the times in seconds"):
        read(tmp_path / "a.csv", time=name)
    assert read(tmp_path / "a.csv", time=name, unit="s").x.shape == (1, 30, 1)


def test_one_name_of_a_channel_is_a_name(tmp_path):
    (tmp_path / "a.csv").write_text("t,xy,x,y\n0,1,2,3\n1,4,5,6\n")
    assert read(tmp_path / "a.csv", channels="xy").channels == ("xy",)


@pytest.mark.parametrize("size", [1e-30, 1e-9, 1.0, 1e9])
def test_small_units_are_no_constant_channels(size):
    found = Statistics.of(Sequences(X * np.float32(size), 0.02))
    assert found.std / size == pytest.approx(X.std((0, 1)), rel=1e-3)


@pytest.mark.parametrize("value", [0.0, 5.3, -1e7, 1e-20])
def test_a_constant_channel_has_std_1(value):
    x = X.copy()
    x[..., 1] = value
    assert Statistics.of(Sequences(x, 0.02)).std[1] == 1


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"x": X + 1j}, "x holds complex64, expected numbers"),
        ({"x": [["a"]]}, "x holds <U1, expected numbers"),
        ({"y": [None] * 24}, "y holds object, expected numbers"),
        ({"y": np.array(["2020-01-01"] * 24, "M8[D]")}, "y holds datetime64"),
        ({"length": np.full(24, 9.7)}, "length holds numbers that are not whole"),
        ({"group": np.full(24, np.nan)}, "group holds numbers that are not whole"),
    ],
)
def test_sequences_of_no_numbers_are_refused(keys, text):
    with pytest.raises(UlnnError, match=text):
        Sequences(**({"x": X, "dt": 0.02} | keys))


def test_words_are_classes_and_groups():
    data = Sequences(X, 0.02, np.array(["b", "a"] * 12), group=np.array(["p", "q"] * 12))
    assert (data.labels, data.groups) == (("a", "b"), ("p", "q"))
    assert data.y.tolist() == [1, 0] * 12
    assert data.group.tolist() == [0, 1] * 12


def train(y, **keys):
    return uh.train(Sequences(X, 0.02, y), **QUICK, **keys)


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.array([0, 7] * 12), "no label is 1, though labels reach 7"),
        (np.array([0.0, 1.0] * 12), "2 different whole numbers of a float type, read as values"),
        (np.eye(2)[[0, 1] * 12], "y looks one-hot"),
    ],
)
def test_targets_that_are_doubtful_are_said(y, text):
    with pytest.warns(UlnnWarning, match=text):
        train(y)


def test_targets_that_are_said_are_no_doubt(recwarn):
    assert train(np.array([0.0, 1.0] * 12), target="value").hyper["output_size"] == 1
    assert train(np.array([0.0, 1.0] * 12), target="class").hyper["output_size"] == 2
    assert not [w for w in recwarn if "whole numbers" in str(w.message)]


def test_one_class_of_any_number_is_refused():
    with pytest.raises(UlnnError, match="one class only"):
        train(np.full(24, 3))


def test_a_pattern_of_losses_that_is_none_is_refused():
    from ulnn_host.data import degrade

    with pytest.raises(UlnnError, match="pattern is 'x', expected samples or bursts"):
        degrade.drop(Sequences(X, 0.02), 0.3, np.random.default_rng(0), pattern="x")
