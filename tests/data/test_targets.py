"""Targets that are said, and names that meet those of a network."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from ulnn_host.base.errors import UlnnError, UlnnWarning
from ulnn_host.data import targets
from ulnn_host.data.joined import joined
from ulnn_host.data.logs import Reading, read
from ulnn_host.data.matched import matched
from ulnn_host.data.npz import from_arrays, save_npz
from ulnn_host.data.scores import score
from ulnn_host.data.sequences import Sequences
from ulnn_host.data.summary import summary
from ulnn_host.format.limits import SIZE_MAX


def make(y=None, n=4, steps=5, **more) -> Sequences:
    x = np.arange(n * steps * 2, dtype=np.float32).reshape(n, steps, 2)
    arrays = {"x": x, "dt": np.full((n, steps), 0.5)} | more
    return from_arrays(arrays if y is None else arrays | {"y": np.asarray(y)})


def saved(path, data: Sequences):
    save_npz(path, data)
    return path


def test_the_limit_is_that_of_the_format():
    assert targets.CLASSES == SIZE_MAX


@pytest.mark.parametrize(
    ("y", "keys", "message"),
    [
        ([0.0, 1, 0, 1], {}, 'say target = "class" or target = "value"'),
        (np.eye(4, 5), {}, 'say target = "class" or target = "value"'),
        ([0, -1, 0, 1], {}, "y holds label -1: a class is 0 or more"),
        ([7, 1_000_000, 7, 7], {}, "y holds label 1000000: at most 1,024 classes"),
        ([0.5, 1, 0, 1], {"target": "class"}, "y holds values that are no classes"),
        ([0, 1, 0, 1], {"per": "step"}, "y has shape (4,), expected (4, 5)"),
        (np.eye(4, 5, dtype=int), {"per": "sequence"}, "y has shape (4, 5), expected (4,)"),
    ],
)
def test_targets_that_do_not_fit(tmp_path, y, keys, message):
    path = saved(tmp_path / "a.npz", make(y))
    with pytest.raises(UlnnError, match=re.escape(message)) as caught:
        read(path, **keys)
    assert str(caught.value).startswith(str(path))


def test_targets_that_are_said(tmp_path):
    path = saved(tmp_path / "a.npz", make([0.0, 1, 0, 1]))
    assert read(path, target="class").y.dtype == np.int64
    assert read(path, target="value").y.dtype == np.float32
    path = saved(tmp_path / "b.npz", make([0, 1, 0, 1]))
    data = read(path, target="value")
    assert (data.y.tolist(), data.y.dtype) == ([0, 1, 0, 1], np.float32)
    data = read(path, target="next")
    assert (data.y.shape, data.length.tolist()) == ((4, 4, 2), [4] * 4)
    assert np.array_equal(data.y[:, :-1], data.x[:, 1:])


def test_values_that_may_be_two_things(tmp_path):
    y = np.random.default_rng(0).normal(size=(4, 5))
    data = make(y)
    with pytest.raises(UlnnError, match='say per = "step" or per = "sequence"'):
        data.windows(1.0, 1.0)
    path = saved(tmp_path / "a.npz", data)
    assert read(path, per="step").windows(1.0, 1.0).y.shape == (8, 2)
    assert read(path, per="sequence").windows(1.0, 1.0).y.shape == (8, 5)
    assert make(y[:, :3]).per_step is False
    assert make(y[..., None]).per_step is True
    assert make(y > 0).per_step is True


def test_nothing_behind_the_length_is_left(tmp_path):
    x, dt = np.zeros((2, 3, 1)), np.ones((2, 3))
    x[1, 2], dt[1, 1:] = np.inf, np.nan
    y = np.ones((2, 3, 2))
    y[1, 1:] = np.nan
    np.savez(tmp_path / "a.npz", x=x, dt=dt, y=y, length=[3, 1])
    data = read(tmp_path / "a.npz")
    assert (data.x[1].tolist(), data.dt[1].tolist()) == ([[0]] * 3, [1, 1, 1])
    assert data.y[1].tolist() == [[1, 1], [0, 0], [0, 0]]


def test_the_first_wrong_value_is_named():
    x = np.zeros((2, 700_000, 2), np.float32)
    x[1, 650_000, 1] = np.nan
    for names, text in (((), "channel 1"), (("gx", "gy"), "channel gy")):
        with pytest.raises(UlnnError, match=f"at sequence 1, step 650000, {text}: clean"):
            Sequences(x, np.ones((2, 700_000), np.float32), channels=names)


def test_channels_in_order():
    data = replace(make(), channels=("ax", "Ay"))
    assert matched(data, (), ()) is data
    assert matched(data, ("ax", "Ay"), ()) is data
    turned = matched(data, ("ay", "ax"), ())
    assert (turned.channels, turned.x.tolist()) == (("ay", "ax"), data.x[..., ::-1].tolist())
    assert matched(make(), ("ay", "ax"), ()).channels == ()
    for wanted, text in (
        (("ax", "az"), "channel az is missing: the data have ax, Ay, expected ax, az"),
        (("ax",), "channel ay is not known: the data have ax, Ay, expected ax"),
        (("ax", "AX"), "channel ax is there twice"),
    ):
        with pytest.raises(UlnnError, match=text):
            matched(data, wanted, ())


def test_names_that_do_not_fit():
    for changes, text in (
        ({"channels": ("a",)}, "channels has 1 names, expected 2"),
        ({"channels": ("a", "a")}, "channels has 'a' twice"),
        ({"labels": ("a", "a")}, "labels has 'a' twice"),
        ({"group": np.array([0, 1, 2, 2]), "groups": ("x", "y")}, "group 0 to 2 has no name"),
        ({"per": "window"}, "per is 'window'"),
    ):
        with pytest.raises(UlnnError, match=text):
            replace(make(), **changes)


def test_labels_in_the_networks_order():
    data = replace(make([0, 1, 1, 2]), labels=("run", "sit", "walk"))
    assert matched(data, (), ("run", "sit", "walk")) is data
    other = matched(data, (), ("walk", "lie", "sit", "run"))
    assert (other.y.tolist(), other.labels) == ([3, 2, 2, 0], ("walk", "lie", "sit", "run"))
    with pytest.raises(UlnnError, match="label 'walk' is not known, expected one of run, sit"):
        matched(data, (), ("run", "sit"))
    with pytest.warns(UlnnWarning, match="no names of classes.* run is 0, sit is 1, walk is 2"):
        assert matched(data, (), ()) is data
    numbers = replace(make([0, 1, 1, 1]), labels=("2", "10"))
    assert matched(numbers, (), ()).y.tolist() == [2, 10, 10, 10]
    steps = replace(make([[0, 1, 1, 1, 1]] * 4), labels=("a", "b"))
    assert matched(steps, (), ("b", "a")).y[0].tolist() == [1, 0, 0, 0, 0]


def test_words_in_arrays():
    data = make(["walk", "run", "walk", "10"], group=np.array(["p2", "p1", "p2", "p10"]))
    assert (data.y.tolist(), data.labels) == ([2, 1, 2, 0], ("10", "run", "walk"))
    assert (data.group.tolist(), data.groups) == ([2, 0, 2, 1], ("p1", "p10", "p2"))


def test_scores_refuse_labels_that_the_network_has_not():
    with pytest.raises(UlnnError, match="y holds label 6, expected 0 to 1, as the network has 2"):
        score(np.zeros((4, 5, 2)), make([0, 6, 1, 1]), "last")


def test_joined():
    a = replace(make([0, 1, 0, 1], group=np.array([0, 0, 1, 1])), labels=("up", "down"),
                channels=("p", "q"), groups=("x", "y"))  # fmt: skip
    b = replace(make([0, 0], n=2, steps=7, group=np.array([0, 0])), labels=("left",),
                channels=("Q", "P"), groups=("w",))  # fmt: skip
    both = joined([a, b])
    assert both.labels == ("down", "left", "up")
    assert both.y.tolist() == [2, 0, 2, 0, 1, 1]
    assert (both.groups, both.group.tolist()) == (("w", "x", "y"), [1, 1, 2, 2, 0, 0])
    assert (both.x.shape, both.length.tolist()) == ((6, 7, 2), [5] * 4 + [7] * 2)
    assert np.array_equal(both.x[4:], b.x[..., ::-1])
    steps = joined([make(np.ones((4, 5), int)), make(np.zeros((2, 7), int), n=2, steps=7)])
    assert steps.y[0].tolist() == [1] * 5 + [0] * 2
    origins = joined([replace(make(), origin=np.array([0, 0, 1, 1]))] * 2).origin
    assert origins.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    for other, text in (
        (from_arrays({"x": np.zeros((1, 5, 3)), "dt": np.ones((1, 5))}), "3 channels beside 2"),
        (make([1, 1, 1, 1]), "some data have targets y, others have none"),
        (replace(make(), channels=("a", "b")), "some data have channels, others have none"),
    ):
        with pytest.raises(UlnnError, match=text):
            joined([make(), other])
    with pytest.raises(UlnnError, match="some targets belong to steps, others to sequences"):
        joined([make([0, 1, 0, 1]), make(np.ones((4, 5), int))])
    with pytest.raises(UlnnError, match="different shapes or types"):
        joined([make([0, 1, 0, 1]), make([0.5, 1, 0, 1])])


def test_several_classes_of_each_sequence_are_aligned_and_counted():
    y = np.array([[0, 1], [1, 1]])
    data = Sequences(np.zeros((2, 4, 1)), 0.1, y, labels=("a", "b"))
    assert targets.aligned(data, ("b", "a")).y.tolist() == [[1, 0], [0, 0]]
    assert summary(Reading(data, (), ())).classes == {"a": 1, "b": 3}
