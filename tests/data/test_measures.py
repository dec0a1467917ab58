"""Measures are those of scikit-learn, on random decisions and values, absent classes included."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from ulnn_host.base import toml_text
from ulnn_host.base.errors import UlnnError
from ulnn_host.data.measures import Decisions, Errors
from ulnn_host.data.npz import from_arrays
from ulnn_host.data.scores import ClassScores, ValueScores, score, score_classes
from ulnn_host.data.sequences import Sequences


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 9), count=st.integers(1, 60))
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true:UserWarning")
@pytest.mark.filterwarnings("ignore:A single label was found:UserWarning")
def test_decisions_are_measured_as_by_scikit_learn(seed, classes, count):
    rng = np.random.default_rng(seed)
    # some classes are never true, some never decided
    truth = rng.choice(rng.permutation(classes)[: rng.integers(1, classes + 1)], count)
    decided = rng.choice(rng.permutation(classes)[: rng.integers(1, classes + 1)], count)
    found = Decisions.of(truth, decided, classes)
    every = range(classes)
    assert np.array_equal(found.counts, metrics.confusion_matrix(truth, decided, labels=every))
    theirs = metrics.precision_recall_fscore_support(truth, decided, labels=every, zero_division=0)
    ours = (found.precision, found.recall, found.f1, found.support)
    for mine, other in zip(ours, theirs, strict=True):
        assert np.allclose(mine, other, rtol=1e-12, atol=0)
    assert found.count == count
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, decided), rel=1e-12)
    balanced = metrics.balanced_accuracy_score(truth, decided)
    assert found.balanced == pytest.approx(balanced, rel=1e-12)
    macro = metrics.f1_score(truth, decided, average="macro", zero_division=0)
    assert found.macro_f1 == pytest.approx(macro, rel=1e-12)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 40), outputs=st.integers(1, 4))
def test_values_are_measured_as_by_scikit_learn(seed, count, outputs):
    rng = np.random.default_rng(seed)
    truth = rng.normal(5.0, 3.0, (count, outputs))
    found = truth + rng.normal(0, rng.uniform(0, 4), (count, outputs))
    # a constant target, once missed and once met
    truth[:, 0] = 2.0
    if seed % 2:
        found[:, 0] = 2.0
    errors = Errors.of(truth, found)
    for ours, theirs, way in (
        (errors.rmse, metrics.root_mean_squared_error, "RMSE"),
        (errors.mae, metrics.mean_absolute_error, "MAE"),
        (errors.r2, metrics.r2_score, "R2"),
    ):
        assert np.allclose(ours, theirs(truth, found, multioutput="raw_values"), rtol=1e-9)
        assert errors.figures()[way] == pytest.approx(theirs(truth, found), rel=1e-9)


def test_one_value_has_no_r2():
    errors = Errors.of(np.array([[2.0]]), np.array([[5.0]]))
    assert (errors.rmse, errors.mae) == ((3.0,), (3.0,))
    assert math.isnan(errors.r2[0])
    assert ValueScores(1, errors.rmse, errors.mae, errors.r2).to_dict() == {
        "count": 1, "rmse": 3.0, "mae": 3.0, "outputs": [{"rmse": 3.0, "mae": 3.0}],
    }  # fmt: skip


def make(y, n=4, steps=5, **more) -> Sequences:
    arrays = {"x": np.zeros((n, steps, 1)), "dt": np.ones((n, steps)), "y": np.asarray(y)}
    return from_arrays(arrays | {key: np.asarray(value) for key, value in more.items()})


def test_scores_of_groups():
    data = make([0, 1, 1, 0], group=np.array(["bob", "ann", "bob", "bob"]))
    y = np.zeros((4, 5, 2))
    y[:, :, 1] = np.array([1.0, 1.0, 1.0, -1.0])[:, None]
    found = score_classes(y, replace(data, labels=("off", "on")), "last")
    assert {k: (v.count, v.accuracy) for k, v in found.by_group.items()} == {
        "ann": (1, 1.0), "bob": (3, pytest.approx(2 / 3)),
    }  # fmt: skip
    content = json.loads(json.dumps(found.to_dict()))
    assert content["classes"][1] == {
        "label": "on", "precision": pytest.approx(2 / 3), "recall": 1.0, "f1": 0.8, "support": 2,
    }  # fmt: skip
    assert content["by_group"]["1"]["balanced"] == 0.75
    assert found.to_dict(named=True)["by_group"]["bob"]["balanced"] == 0.75
    assert tomllib.loads(toml_text.dumps(found.to_dict())) == content
    # each step of a sequence is of its group
    steps = make(
        np.tile([0, 1, 1, 0], (5, 1)).T, group=np.array([3, 3, 4, 4]), length=[5, 4, 3, 2]
    )
    each = score_classes(y, steps, "each")
    assert {k: v.count for k, v in each.by_group.items()} == {"3": 9, "4": 5}
    assert each.by_group["4"].accuracy == 1.0


@pytest.mark.parametrize(("readout", "expected"), [("last", 8.0), ("mean", 6.0)])
def test_scores_of_values_of_sequences(readout, expected):
    y = np.arange(10.0).reshape(1, 5, 2).repeat(3, 0)
    data = make([[expected, expected + 1]] * 2 + [[expected + 3, expected]], n=3, length=[5, 5, 5])
    if readout == "mean":
        y = y + 2
    found = score(y, data, readout)
    assert isinstance(found, ValueScores)
    assert found.mae == (1.0, pytest.approx(1 / 3))
    assert found.rmse == (pytest.approx(3**0.5), pytest.approx(3**-0.5))


def test_scores_of_values_of_steps():
    y = np.arange(8.0).reshape(2, 4, 1)
    data = make(y[..., 0] + 0.5, n=2, steps=4, length=[4, 2], group=np.array([0, 1]))
    found = score(y, data, "each")
    assert (found.count, found.rmse, found.mae) == (6, (0.5,), (0.5,))
    assert {k: v.count for k, v in found.by_group.items()} == {"0": 4, "1": 2}
    with pytest.raises(UlnnError, match=r"y has shape \(2, 4\), expected \(2, 1\) for readout"):
        score(y, data, "last")


def test_names_of_classes():
    assert ClassScores(((1, 0), (0, 1)), ("a", "b")).names == ("a", "b")
    assert ClassScores(((1, 0), (0, 1)), ("a",)).names == ("0", "1")
