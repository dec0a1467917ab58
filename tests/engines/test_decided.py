"""What an integer model decides on data: in its windows, unsure below its margins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ulnn_host.data.scores import pool, score
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines import decided
from ulnn_host.format.model import Decision, ModelFile

LABELS = ("a", "b", "c")


def model(rule: Decision | None, outputs: int = 3) -> ModelFile:
    """Scales and a rule alone."""
    one, none = np.ones(1, np.float32), np.zeros(outputs, np.float32)
    scale = np.full(outputs, 0.001, np.float32)
    return ModelFile(one, one, scale, none, 1000, 1, (), (), decision=rule)


def data(lengths: list[int], steps: int, **changes: object) -> Sequences:
    """Sequences of these lengths, a sample each millisecond."""
    count = len(lengths)
    made = Sequences(
        np.arange(count * steps, dtype=np.float32).reshape(count, steps, 1),
        np.full((count, steps), 0.001, np.float32), np.zeros(count, np.int64),
        np.array(lengths, np.int64), labels=LABELS,
    )  # fmt: skip
    return replace(made, **changes)


OUTPUTS = st.integers(-3, 3) | st.integers(-32768, 32767)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_without_thresholds_it_is_the_largest_pooled_output(draw: st.DataObject) -> None:
    """What a float network is scored by, of the same outputs."""
    readout = draw.draw(st.sampled_from(("each", "last", "mean", "vote")))
    lengths = draw.draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    steps = max(lengths)
    rows = st.lists(OUTPUTS, min_size=3, max_size=3)
    y = np.array([[draw.draw(rows) for _ in range(steps)] for _ in lengths], np.int16)
    found = data(lengths, steps)
    pooled = pool(y, found.length, readout)
    if readout == "each":
        found = replace(found, y=np.zeros((len(lengths), steps), np.int64))
    for rule in (Decision(readout, reset=readout != "each"), None):
        made = model(rule)
        made = made if rule else replace(made, meta={"readout": readout})
        got = decided.decisions(made, y, found)
        if readout == "each":
            assert np.array_equal(got[found.mask], pooled.argmax(-1)[found.mask])
            assert (got[~found.mask] == decided.NONE).all()
        else:
            assert np.array_equal(decided.of_sequences(got), pooled.argmax(-1))
            assert (got != decided.NONE).sum() == len(lengths)
        assert decided.score(made, y, found) == score(y, found, readout)


@pytest.mark.parametrize("ticks", [False, True])
def test_long_sequences_are_cut_into_windows(ticks: bool) -> None:
    rule = Decision("mean", ticks=ticks, reset=True, window=4000 if ticks else 4)
    found = data([9, 3, 4], 9, y=np.array([1, 2, 0]))
    cut = decided.windows(rule, 1000, found)
    assert cut.length.tolist() == [4, 4, 3, 4]
    assert cut.y is not None
    assert cut.y.tolist() == [1, 1, 2, 0]
    assert cut.x[:, 0, 0].tolist() == [0, 4, 9, 18]
    assert cut.origin is not None
    assert cut.origin.tolist() == [0, 0, 1, 2]


def test_other_data_stay_as_they_are() -> None:
    found = data([4, 3], 4)
    whole = data([9, 9], 9)
    window = Decision("mean", reset=True, window=4)
    assert decided.windows(window, 1000, found) is found
    for rule in (None, Decision("mean", reset=True), replace(window, reset=False)):
        assert decided.windows(rule, 1000, whole) is whole
    for y in (None, np.zeros((2, 9), np.int64)):
        other = replace(whole, y=y)
        assert decided.windows(window, 1000, other) is other


def test_unsure_is_no_class() -> None:
    rule = Decision("last", reset=True, window=1, enter=10)
    y = np.array([[[9, 0, 0]], [[0, 20, 0]], [[0, 0, 10]], [[0, 5, 0]]], np.int16)
    found = data([1] * 4, 1, y=np.array([0, 1, 1, 1]), group=np.array([0, 1, 1, 2]))
    scores = decided.score_classes(model(rule), y, found)
    assert (scores.count, scores.unsure, scores.decided) == (2, 2, 0.5)
    assert scores.figures()["decided"] == 0.5
    assert scores.accuracy == 0.5  # of those that are decided
    assert scores.to_dict()["unsure"] == 2
    assert {name: s.count for name, s in scores.by_group.items()} == {"0": 0, "1": 2, "2": 0}
    sure = decided.score_classes(model(replace(rule, enter=0)), y, found)
    assert sure.unsure is None
    assert "decided" not in sure.figures()


def test_windows_of_one_recording_vote() -> None:
    rule = Decision("last", reset=True, window=1, votes=3)
    won = [0, 0, 1, 0, 2, 2, 2]
    y = np.zeros((7, 1, 3), np.int16)
    y[np.arange(7), 0, won] = 5
    found = data([1] * 7, 1, origin=np.array([3, 3, 3, 3, 4, 4, 4]))
    got = decided.of_sequences(decided.decisions(model(rule), y, found))
    assert got.tolist() == [0, 0, 0, 0, 2, 2, 2]
    alone = decided.of_sequences(decided.decisions(model(rule), y, replace(found, origin=None)))
    assert alone.tolist() == won


def test_outputs_of_several_scales_decide_as_real_values() -> None:
    scale = np.array([0.001, 1, 0.001], np.float32)
    made = replace(model(Decision("last", reset=True)), output_scale=scale)
    y = np.array([[[900, 1, 0]]], np.int16)
    assert decided.of_sequences(decided.decisions(made, y, data([1], 1))).tolist() == [1]
