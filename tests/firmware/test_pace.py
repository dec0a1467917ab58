"""The times of samples from a sensor with a clock of its own."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from support.ticks import WRAP, Ticks, installed


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ticks]:
    with installed(monkeypatch) as found:
        yield found


def pace(period: int) -> Any:
    return importlib.import_module("ulnn_sources.pace").Pace(period)


def take(
    ticks: Ticks, period: float, nominal: int, polls: Callable[[], float], seconds: float
) -> tuple[list[int], list[float]]:
    """The times between samples, and how far from the truth each was, of a FIFO that is looked
    into every `polls()` microseconds."""
    it = pace(nominal)
    begin = ticks.now
    it.start(ticks.ticks_us())
    first = begin + 0.7 * period
    elapsed, off = [], []
    while ticks.now < begin + seconds * 1e6:
        ticks.now += polls()
        while not it.early(ticks.ticks_us()):
            before = ticks.ticks_us()
            there = int((ticks.now - first) // period) + 1 - len(elapsed)
            ticks.now += 200
            after = ticks.ticks_us()
            if ticks.now < first or there < 1:
                assert not it.nothing(after)
                break
            assert it.look(before, after, there) == 0
            for _ in range(16 if there >= 16 else 4 if there >= 4 else 1):
                true = first + len(elapsed) * period
                elapsed.append(it.next())
                off.append(ticks.ticks_diff(it._us, int(true) % WRAP))
    return elapsed, off


@pytest.mark.parametrize("nominal", [1000, 10000, 250000])
@pytest.mark.parametrize("wrong", [0, 0.01, -0.03, 0.05])
@pytest.mark.parametrize("poll", [0.2, 0.9, 5])
def test_drift_never_adds_up(ticks: Ticks, nominal: int, wrong: float, poll: float) -> None:
    ticks.now = (WRAP - 5e6) if nominal == 10000 else 0  # over a wrap of the ticks
    rnd = random.Random(1)
    period = nominal * (1 + wrong)
    elapsed, off = take(
        ticks, period, nominal, lambda: nominal * poll * rnd.uniform(0.5, 1.5), nominal / 250
    )
    assert len(elapsed) > 2000
    assert elapsed[0] == 0
    assert min(elapsed[1:]) > 0
    # Never off by more than a period: so nothing adds up.
    assert max(map(abs, off)) < period
    half = len(elapsed) // 2
    assert all(0.6 * period < us < 1.3 * period for us in elapsed[half:])
    # Between the corrections samples are as even as microseconds allow.
    steps = [abs(b - a) for a, b in pairwise(elapsed[half:])]
    assert sum(step > 0.05 * period for step in steps) < 0.05 * len(steps)


def test_a_loss_is_a_gap(ticks: Ticks) -> None:
    it = pace(10000)
    it.start(0)
    ticks.now = 10000
    assert it.look(10000, 10000, 1) == 0
    assert it.next() == 0
    it.lose(10000)
    ticks.now = 5e6
    assert it.look(5000000, 5000000, 3) == pytest.approx(496, abs=1)
    assert it.next() == pytest.approx(4.97e6, abs=1e4)
    assert it.next() == it.next() == 10000
    # Longer than the ticks can tell apart.
    it.lose(ticks.ticks_us())
    ticks.now += 800e6
    it.look(ticks.ticks_us(), ticks.ticks_us(), 1)
    assert it.next() == pytest.approx(800e6, rel=1e-3)


def test_samples_that_were_overwritten(ticks: Ticks) -> None:
    it = pace(10000)
    it.start(0)
    lost, total = 0, 0
    for us in (10000, 20000, 50000, 60000):
        ticks.now = us
        lost += it.look_at_one(us, us + 100)
        total += it.next()
    assert lost == 2
    assert total == pytest.approx(50000, abs=100)


def test_a_sensor_that_fell_silent(ticks: Ticks) -> None:
    it = pace(10000)
    it.start(0)
    assert not it.nothing(150000)
    assert it.nothing(250000)
