"""Files, checks, windows, dropped samples, statistics; the demo set where its package is there."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ulnn_host.base.errors import UlnnError
from ulnn_host.data import degrade, watch
from ulnn_host.data.npz import from_arrays, load_npz, save_npz
from ulnn_host.data.sequences import Sequences, Statistics


def make(n=3, steps=10, channels=2, seed=0, **changes) -> Sequences:
    rng = np.random.default_rng(seed)
    values = {
        "x": rng.normal(size=(n, steps, channels)).astype(np.float32),
        "dt": rng.uniform(0.01, 0.1, (n, steps)).astype(np.float32),
        "length": np.full(n, steps),
        "y": np.arange(n) % 2,
    }
    return Sequences(**(values | changes))


def same(a: Sequences, b: Sequences) -> bool:
    pairs = [(getattr(a, k), getattr(b, k)) for k in ("x", "dt", "length", "y", "group", "origin")]
    equal = [(p is None) == (q is None) and (p is None or np.array_equal(p, q)) for p, q in pairs]
    return all(equal) and (a.labels, a.flat) == (b.labels, b.flat)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"y": None},
        {"length": np.array([10, 1, 5])},
        {"y": np.zeros((3, 10), np.int64)},
        {"y": np.zeros((3, 10, 4), np.float32)},
        {"group": np.array([4, 5, 4]), "origin": np.array([0, 0, 1]), "labels": ("a", "b")},
    ],
)
def test_npz_round_trip(tmp_path, changes):
    data = make(**changes)
    save_npz(tmp_path / "deep" / "data.npz", data)
    assert same(load_npz(tmp_path / "deep" / "data.npz"), data)


def test_one_sequence_without_leading_axis(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", x=rng.normal(size=(7, 2)), dt=np.full(7, 0.5), y=np.arange(7))
    data = load_npz(tmp_path / "a.npz")
    assert (data.flat, data.x.shape, data.y.shape) == (True, (1, 7, 2), (1, 7))
    save_npz(tmp_path / "b.npz", data)
    assert np.load(tmp_path / "b.npz")["x"].shape == (7, 2)
    assert same(load_npz(tmp_path / "b.npz"), data)
    label = from_arrays({"x": np.zeros((7, 2)), "dt": np.ones(7), "y": np.array(3)})
    assert label.y.tolist() == [3]


BAD = [
    ({}, "key 'x' is missing, found nothing"),
    ({"x": np.zeros((3, 2))}, "key 'dt' is missing, found x"),
    ({"x": np.zeros(3), "dt": np.ones(3)}, "x has shape (3,), expected (T, I) or (N, T, I)"),
    ({"x": np.zeros((0, 2)), "dt": np.ones(0)}, "none of them 0"),
    ({"x": np.zeros((3, 2)), "dt": np.ones(4)}, "dt has shape (1, 4), expected (1, 3)"),
    ({"x": np.array([["a"]]), "dt": np.ones(1)}, "x holds <U1, expected numbers"),
    ({"x": np.full((3, 2), np.nan), "dt": np.ones(3)}, "x is not a finite number at step 0"),
    ({"x": np.zeros((2, 3, 1)), "dt": [[1, 1, 1], [1, 0, 1]]}, "at sequence 1, step 1"),
    ({"x": np.zeros((3, 2)), "dt": [1, np.inf, 1]}, "dt is not a finite number at step 1"),
    ({"x": np.zeros((3, 2)), "dt": [1, -1, 1]}, "dt is not above 0 seconds at step 1"),
    ({"x": np.zeros((2, 3, 1)), "dt": np.ones((2, 3)), "length": [3, 4]}, "length of sequence 1"),
    ({"x": np.zeros((2, 3, 1)), "dt": np.ones((2, 3)), "length": [3]}, "length has shape (1,)"),
    ({"x": np.zeros((2, 3, 1)), "dt": np.ones((2, 3)), "y": [1]}, "y has shape (1,)"),
    ({"x": np.zeros((2, 3, 1)), "dt": np.ones((2, 3)), "y": [1.0, np.nan]}, "y holds values"),
    ({"x": np.zeros((2, 3, 1)), "dt": np.ones((2, 3)), "group": [1]}, "group has shape (1,)"),
]  # fmt: skip


@pytest.mark.parametrize(("arrays", "text"), BAD)
def test_bad_arrays(tmp_path, arrays, text):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UlnnError, match=re.escape(text)) as caught:
        load_npz(tmp_path / "bad.npz")
    assert "\n" not in str(caught.value)
    assert "bad.npz: " in str(caught.value)


def test_padding_may_hold_anything():
    x = np.zeros((1, 3, 1), np.float32)
    x[0, 2] = np.nan
    data = from_arrays({"x": x, "dt": np.array([[1, 1, 0]]), "length": np.array([2])})
    assert data.length.tolist() == [2]
    assert data.x.tolist() == [[[0.0], [0.0], [0.0]]]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_padding_reaches_no_network(bad):
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.normal(size=(6, 12, 2)),
        "dt": rng.uniform(0.1, 1.0, (6, 12)),
        "length": np.array([12, 9, 7, 12, 8, 10]),
        "y": np.array([0, 1, 0, 1, 0, 1]),
    }
    clean = from_arrays(arrays)
    padding = np.arange(12) >= arrays["length"][:, None]
    arrays["x"][padding] = bad
    arrays["dt"][padding] = bad
    data = from_arrays(arrays)
    assert np.isfinite(data.x).all()
    assert (data.dt > 0).all()
    assert np.array_equal(data.x[data.mask], clean.x[clean.mask])
    assert np.array_equal(data.dt[data.mask], clean.dt[clean.mask])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x93NUMPY nonsense", b"text"])
def test_bad_npz(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(UlnnError, match=r"not a readable \.npz file"):
        load_npz(tmp_path / "bad.npz")


def test_no_pickles(tmp_path):
    np.savez(tmp_path / "bad.npz", x=np.array([{}], object), dt=np.ones(1))
    with pytest.raises(UlnnError, match=r"not a readable \.npz file"):
        load_npz(tmp_path / "bad.npz")


@settings(max_examples=50)
@given(st.integers(1, 5), st.integers(1, 12), st.floats(0, 0.95), st.integers(0, 99))
def test_dropping_keeps_time_and_order(n, steps, fraction, seed):
    rng = np.random.default_rng(seed)
    length = rng.integers(1, steps + 1, n)
    y = np.arange(n * steps).reshape(n, steps)
    data = make(n, steps, 1, seed, length=length, y=y)
    less = degrade.drop(data, fraction, rng)
    assert less.length.tolist() == np.maximum(1, np.rint(length * (1 - fraction))).tolist()
    for k in range(n):
        kept = less.y[k, : less.length[k]] - k * steps
        assert (np.diff(kept) > 0).all()
        assert kept.max() < length[k]
        assert np.array_equal(less.x[k, : less.length[k]], data.x[k, kept])
        time = np.cumsum(data.dt[k], dtype=np.float64)[kept]
        assert np.allclose(np.cumsum(less.dt[k, : less.length[k]]), time, rtol=1e-5)


def test_dropping_depends_on_the_generator_alone():
    data = make(4, 50)
    pick = [degrade.drop(data, 0.3, np.random.default_rng(s)).x for s in (1, 1, 2)]
    assert np.array_equal(pick[0], pick[1])
    assert not np.array_equal(pick[0], pick[2])
    for fraction in (-0.1, 1.0):
        with pytest.raises(UlnnError, match="expected 0 up to below 1"):
            degrade.drop(data, fraction, np.random.default_rng(0))


def test_windows():
    data = make(2, 10, dt=np.full((2, 10), 0.1, np.float32), length=np.array([10, 7]))
    cut = data.windows(0.4, 0.3)
    assert cut.origin.tolist() == [0, 0, 0, 1, 1]
    assert cut.y.tolist() == [0, 0, 0, 1, 1]
    assert np.array_equal(cut.x[1], data.x[0, 3:7])
    assert np.array_equal(cut.x[4], data.x[1, 3:7])
    with pytest.raises(UlnnError, match="no sequence has 20 samples"):
        data.windows(2, 1)
    with pytest.raises(UlnnError, match="shorter than a sample"):
        data.windows(0.01, 1)


def test_split_by_group():
    data = make(4, group=np.array([1, 2, 1, 3]))
    rest, held = data.split((1,))
    assert (rest.group.tolist(), held.group.tolist()) == ([2, 3], [1, 1])
    assert np.array_equal(held.x[1], data.x[2])
    with pytest.raises(UlnnError, match="group 9 is not in the data"):
        data.split((9,))
    with pytest.raises(UlnnError, match="no sequence is left"):
        data.split((1, 2, 3))
    with pytest.raises(UlnnError, match="have no group"):
        make().split((1,))


def test_statistics_use_valid_steps_only():
    data = make(2, 5, length=np.array([5, 2]))
    x = data.x.copy()
    x[1, 2:] = 1e9
    x[..., 1] = 4
    found = Statistics.of(replace(data, x=x))
    assert np.allclose(found.mean, [x[..., 0][data.mask].mean(), 4])
    assert np.allclose(found.std, [x[..., 0][data.mask].std(), 1])
    scaled = found.apply(x)[data.mask]
    assert np.allclose(scaled.mean(0), 0, atol=1e-6)


needs_set = pytest.mark.skipif(
    importlib.util.find_spec("seglearn") is None, reason="the demo set needs seglearn 1.2.5"
)


@needs_set
def test_watch():
    seen, unseen = watch.recordings("train"), watch.recordings("unseen")
    assert (len(seen), len(unseen), seen.x.shape[2]) == (98, 42, 6)
    assert set(seen.group.tolist()).isdisjoint(unseen.group.tolist())
    assert np.bincount(unseen.y).tolist() == [6] * 7
    windows = watch.windows("unseen")
    assert same(windows, watch.windows("unseen"))
    assert windows.x.shape[1] == windows.length.min() == 70
    assert set(windows.origin.tolist()) == set(range(42))
    gaps = np.rint(windows.dt[:, 1:] * watch.RATE)
    assert np.allclose(gaps / watch.RATE, windows.dt[:, 1:], atol=1e-6)
    assert gaps.max() >= 4
    assert (windows.dt.sum(1) <= watch.WINDOW + 1e-4).all()


def test_watch_without_its_package(monkeypatch):
    watch.recordings.cache_clear()
    watch._content.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UlnnError, match="pip install"):
        watch.recordings("train")


@needs_set
def test_watch_refuses_another_file(monkeypatch, tmp_path):
    folder = tmp_path / "seglearn" / "data"
    folder.mkdir(parents=True)
    (folder / "watch_dataset.npy").write_bytes(b"not the data")
    spec = importlib.util.spec_from_file_location("seglearn", folder.parent / "__init__.py")
    watch.recordings.cache_clear()
    watch._content.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(UlnnError, match="not those of seglearn"):
        watch.recordings("train")
