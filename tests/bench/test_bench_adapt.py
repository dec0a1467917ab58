"""The bench of adaptation: its measures, and the document that it writes."""

from __future__ import annotations

import numpy as np
import pytest

import bench_adapt
from bench_adapt import Found, Windows
from strangers import KINDS, strangers


def test_a_stranger_with_the_larger_score_counts() -> None:
    assert bench_adapt.auroc(np.array([1.0, 2.0]), np.array([3.0, 2.0])) == 0.875
    assert bench_adapt.auroc(np.array([5.0]), np.array([1.0])) == 0


def test_votes_are_those_of_windows_that_ended_before() -> None:
    """Windows of 4 s begin every second, so the votes are 4 and 8 windows back."""
    one = np.array([0, 1, 1, 1, 1, 1, 1, 1, 0, 2, 2])
    place = np.array([*range(9), 0, 1])
    zeros = np.zeros(11, np.int64)
    seen = Windows(np.zeros((11, 3), np.int64), zeros, zeros, place)
    # The last of recording 0: 0, and before it 1 and 0. The other recording has none before.
    assert seen.voted(one).tolist() == [0, 1, 1, 1, 1, 1, 1, 1, 0, 2, 2]
    one[4], one[0] = 2, 1
    assert seen.voted(one)[8] == 0  # all differ: the latest


def test_balanced_accuracy_weighs_classes_alike() -> None:
    truth = np.array([0, 0, 0, 1])
    seen = Windows(np.zeros((4, 2), np.int64), truth, truth, truth)
    assert seen.right(np.array([0, 0, 0, 0])) == 50


def scores(before: float, gain: float) -> dict[str, float]:
    return {"factory": before, "centres": before + gain, "vote": before, "both": before}


def test_the_document_counts_errors_and_those_who_lose() -> None:
    unknown = {f"{kind} {key}": 1.0 for kind in KINDS for key in ("distance", "margin", "found")}
    people = [
        {
            "person": n, "bytes": 20000, "kept": 0.5, "unknown": unknown | {"false": 2.0 * n},
            "splits": {"same": scores(80, g), "cross": scores(90, g), "mirrored": scores(80, g)},
        }
        for n, g in ((1, 10.0), (2, -4.0))
    ]  # fmt: skip
    exercise = dict.fromkeys(
        ("distance", "margin", "other", "found", "false", "other found", "other false"), 0.7
    ) | {f"{kind} other": 0.9 for kind in KINDS}
    text = bench_adapt.page(Found(people, {"ROW": exercise}), 200)
    assert "| rest of the same recordings | centres | 80.0 % | +3.0 " in text
    assert "| 15 % | -4.0 | 1 of 2 (2) |" in text
    assert "| mean of the two, by person | centres | 85.0 % | +3.0 " in text
    assert "| ROW left out | 0.70 | 0.70 | 0.70 | 1 % |" in text
    assert "it makes 3.0 %, 4.0 % for the worst" in " ".join(text.split())
    assert "mirror in time" in text


@pytest.mark.parametrize("kind", KINDS)
def test_strangers_are_the_watchs_sequences(kind: str) -> None:
    data = strangers(kind, 3, 4.0, np.random.default_rng(0))
    assert data.x.shape == (3, 100, 6)
    size = np.linalg.norm(data.x[..., :3].mean(axis=1), axis=1)
    np.testing.assert_allclose(size, 1, atol=0.5)
    quiet = data.x.std(axis=1).max() < 0.05
    assert quiet == (kind == "still")
