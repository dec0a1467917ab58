"""How beats are judged: the quick form of `make bench-ecg`, without a person's recording."""

from __future__ import annotations

import numpy as np
import pytest

import bench_ecg
import record_208
from bench_ecg import NOISES, Person, matched
from ulnn_host.data import ecg


@pytest.mark.parametrize(
    ("found", "true", "pairs"),
    [
        ([10, 20, 30], [11, 19, 30], [(0, 0), (1, 1), (2, 2)]),
        ([10, 30], [11, 20, 30], [(0, 0), (1, 2)]),
        ([10, 20, 30], [30], [(2, 0)]),
        ([10], [7, 11], [(0, 1)]),
        ([10, 11], [10], [(0, 0)]),
        ([10], [14], []),
        ([], [5], []),
    ],
)
def test_a_beat_is_in_one_pair(
    found: list[int], true: list[int], pairs: list[tuple[int, int]]
) -> None:
    i, j = matched(np.array(found, np.int64), np.array(true, np.int64), 3)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == pairs


def test_the_reference_finds_what_is_known() -> None:
    one = ecg.patient(1, 60, 360)
    found = record_208.reference(one.signal.astype(np.float64), 360)
    i, _ = matched(found, one.r, 0.15 * 360)
    assert len(i) >= 0.97 * len(one.r)
    assert len(i) == len(found)


def test_two_groups() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0, 1, (40, 3)), rng.normal(8, 1, (10, 3))])
    found = record_208.two_means(points)
    assert len(set(found[:40])) == len(set(found[40:])) == 1
    assert found[0] != found[-1]
    # the larger is the usual one, wherever it is
    assert record_208.kinds(points).tolist() == [0] * 40 + [1] * 10
    assert record_208.kinds(points[35:]).tolist() == [1] * 5 + [0] * 10


def test_the_page_says_what_was_found(full: bool) -> None:
    noises = NOISES if full else list(NOISES)[1:3]
    found = [bench_ecg.detection(250, noise, 20 if full else 2) for noise in noises]
    for each in found:
        assert each.sensitivity > 0.98
        assert each.predictive > 0.98
        assert 0.7 < each.reading < 0.97
        assert each.beats < each.all
        assert each.blind == 0
    data = bench_ecg.of_patients(5, 30)
    named = bench_ecg.draws(data, count=1, unseen=2, epochs=3)
    assert len(named[0].whole.by_group) == 2
    one = Person((180, 250), (400, 401), (410, 411), (420, 421), 0.99, 0.75, 150)
    text = bench_ecg.page(found, named, one, 5)
    assert "**This is no medical device.**" in text
    assert "**Labels by clustering give no verdict**" in text
    assert text.count("\n| ") == 3 * 2 + len(noises) + 2 + 2
    assert "| 180 | 410 | 420 | 400 | 95.2 % | 97.6 % |" in text
    assert max(len(line) for line in bench_ecg.wrapped(text).split("\n") if line[:1] != "|") <= 100
