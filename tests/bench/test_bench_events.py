"""Bytes and missed events beside raw streaming: the quick form of `make bench-events`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bench_events
from support.paths import ROOT
from ulnn_host.data.sequences import Sequences


def test_events_are_less_than_raw(tmp_path: Path, full: bool) -> None:
    names = list(bench_events.STREAMS) if full else ["ecg"]
    minutes, epochs = (bench_events.MINUTES, None) if full else (2.0, 3)
    found = {name: bench_events.measure(name, tmp_path / name, minutes, epochs) for name in names}
    for changes, every in found.values():
        assert (changes.missed, every.missed) == (0, 0)
        assert changes.raw == every.raw
        assert 2 < changes.events < every.events
        assert changes.gathered < changes.single < every.single
        assert every.gathered < 0.6 * every.single
        assert changes.gathered < 0.1 * changes.raw
        assert changes.changes == every.changes > 1
    (_, ecg) = found["ecg"]
    assert ecg.raw == 120_000 * minutes / 10
    # a decision a second but for the last, and the summaries
    assert abs(ecg.events - 60 * minutes) <= 3
    text = bench_events.page(found, minutes)
    assert text.count("\n| ") == 2 + 5 * len(found)
    assert "* ecg: every decision, one in a message\n" in text


def sequence(*truth: int) -> Sequences:
    """A sample a second."""
    y = np.array(truth)
    x = np.zeros((len(y), 1), np.float32)
    return Sequences(x, np.float32(1), y=y, per="step", labels=("still", "walking"))


# true: still in the samples of 1 to 10 s, walking from 11 to 20 s, still to 30 s
DAY = sequence(*[0] * 10, *[1] * 10, *[0] * 10)


@pytest.mark.parametrize(
    ("seen", "unseen", "false"),
    [
        ([(2, "still"), (12, "walking"), (22, "still")], 0, 0),
        ([(2, "still")], 1, 0),  # the walk; that it ended was never unknown
        ([(2, "still"), (15, "walking"), (22, "still")], 1, 0),  # too late
        ([(2, "still"), (12, "walking")], 1, 0),  # its end
        ([(2, "still"), (12, "walking"), (22, "still"), (28, "walking")], 0, 1),
        ([(2, "unsure"), (8, "walking")], 1, 2),  # too early: false then, and true from 11 s on
        ([], 2, 0),
    ],
)
def test_what_is_missed_and_what_is_false(
    seen: list[tuple[float, str]], unseen: int, false: int
) -> None:
    assert bench_events.judged(seen, DAY, 3.0) == (2, unseen, false)


def test_the_document_is_of_all_streams() -> None:
    text = (ROOT / bench_events.TARGET).read_text()
    for name, stream in bench_events.STREAMS.items():
        assert f"* {name}: {stream.what}"[:60] in text
        assert text.count(f"| {name} | ") == 5
