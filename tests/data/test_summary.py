"""Sampling in words, outliers, and the summary of what was read."""

from __future__ import annotations

import numpy as np
import pytest

from ulnn_host.base.errors import UlnnError
from ulnn_host.data.logs import read_logs
from ulnn_host.data.npz import from_arrays
from ulnn_host.data.options import DataOptions
from ulnn_host.data.outliers import ranges
from ulnn_host.data.sampling import duration, sampling
from ulnn_host.data.summary import summary

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("dt", "words"),
    [
        (np.full(100, 0.02), "50 Hz"),
        ([*[0.02] * 100, 2.1], "50 Hz, gaps to 2.1 s"),
        (np.full(9, 960.0), "a sample every 16 min"),
        ([2.0], "a sample every 2 s"),
        (np.full(9, 5e-5), "20,000 Hz"),
        (np.linspace(0.018, 0.022, 101), "about 50 Hz (18.4 to 21.6 ms)"),
        ([*[0.02] * 90, *[0.1] * 6], "50 Hz, gaps to 100 ms"),
        (
            [*np.linspace(1, 60, 100), 86400.0],
            "irregular, 6.96 to 54.6 s, median 30.8 s, gaps to 24 h",
        ),
        (np.full(3, 0.5 * 365.25 * 86400), "a sample every 183 days"),
        ([1e-6], "1,000,000 Hz"),
    ],
)
def test_sampling(dt, words):
    assert sampling(np.asarray(dt)) == words


def test_sampling_of_nothing():
    with pytest.raises(ValueError, match="no elapsed times"):
        sampling([])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1e-9, "1 ns"), (5e-5, "50 us"), (0.35, "350 ms"), (1, "1 s"), (59, "59 s"),
        (119, "119 s"), (120, "2 min"), (3600, "60 min"), (7200, "2 h"), (3e5, "3.47 days"),
        (1e9, "31.7 years"),
    ],
)  # fmt: skip
def test_duration(seconds, text):
    assert duration(seconds) == text


def data(values, length=None):
    x = np.asarray(values, np.float32)[..., None]
    arrays = {"x": x, "dt": np.full(x.shape[:-1], 0.02)}
    return from_arrays(arrays | ({} if length is None else {"length": np.array(length)}))


@pytest.mark.parametrize("value", [-9999, 65535, -99999, 1e6, -500])
def test_an_outlier_is_found(value):
    values = RNG.normal(size=(4, 2000))
    values[2, 777] = value
    (found,) = ranges(data(values))
    assert (found.outliers, found.first, found.value) == (1, (2, 777), value)
    assert found.outlier.startswith(f"{value:g} in sequence 2, sample 777, where -2.")
    assert ("missing_values" in found.warning) == (value in (-9999, 65535, -99999))
    assert (found.low, found.high) == (min(value, values.min()), max(value, values.max())) or True


def test_sentinels_may_be_many():
    values = RNG.normal(size=1000)
    values[::10] = -9999
    (found,) = ranges(data(values))
    assert (found.outliers, found.first) == (100, (0, 0))
    assert found.outlier.startswith("-9999 in sample 0, where -2")


@pytest.mark.parametrize(
    "values",
    [
        RNG.normal(size=5000),
        RNG.standard_cauchy(size=5000).clip(-50, 50),
        np.sin(np.arange(5000)),
        np.arange(5000.0),
        np.r_[np.zeros(4999), 1],
        RNG.integers(-32768, 32768, 5000),
        np.r_[RNG.normal(size=4000) * 0.01, RNG.normal(size=200) * 4],
        np.full(100, -9999.0),
    ],
)
def test_what_is_no_outlier(values):
    (found,) = ranges(data(values))
    assert found.outliers == 0
    assert (found.low, found.high) == (np.float32(values.min()), np.float32(values.max()))
    assert found.mean == pytest.approx(values.mean(), abs=1e-3)


def test_padding_is_no_outlier():
    values = RNG.normal(size=(3, 50_000))
    values[1, 100:] = 1e9
    (found,) = ranges(data(values, [50_000, 100, 50_000]))
    assert (found.outliers, found.high < 10) == (0, True)


def test_summary(tmp_path):
    rows = [f"{k / 50 + 2 * (k >= 60)},{k},{k % 7},{'ab'[k // 40]},{k // 60}" for k in range(80)]
    rows[5] = rows[5].replace(",5,5,", ",,5,")
    (tmp_path / "a.csv").write_text("t;x;y;what;who\n".replace(";", ",") + "\n".join(rows))
    options = DataOptions(label="what", per="step", group="who", missing="drop")
    made = summary(read_logs(tmp_path / "a.csv", options))
    assert (made.recordings, made.samples, made.shortest, made.longest) == (2, 79, 20, 59)
    assert (made.sampling, made.gaps) == ("50 Hz", 0)
    assert (made.missing, made.dropped) == ({"x": 1}, 1)
    assert (made.targets, made.classes) == ("a class for each step", {"a": 39, "b": 40})
    assert (made.groups, [c.name for c in made.channels]) == ({"0": 1, "1": 1}, ["x", "y"])
    whole = summary(read_logs(tmp_path / "a.csv", DataOptions(channels=("y",))))
    assert (whole.sampling, whole.gaps) == ("50 Hz, gaps to 2.02 s", 1)
    assert whole.longest_gap == pytest.approx(2.02)
    assert (whole.targets, whole.left_out) == ("", ("x", "what", "who"))
    values = summary(read_logs(tmp_path / "a.csv", DataOptions(target="next", channels=("y",))))
    assert values.targets == "a value for each step"
    with pytest.raises(UlnnError, match="1 in all"):
        read_logs(tmp_path / "a.csv", DataOptions(label="what", per="step", group="who"))
