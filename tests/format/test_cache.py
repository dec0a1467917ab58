"""The lines that a step fetches through the data cache of an STM32H743."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import fit_cost
from ulnn_host.board.bench import bench_model
from ulnn_host.format import cache, cost, facts, layout
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.quantize.calibration import FloatRollout
from ulnn_host.quantize.options import Options
from ulnn_host.quantize.quantize import convert

LINES = cache.SIZE // cache.LINE


def test_what_fits_is_never_fetched_again() -> None:
    assert cache.misses(range(LINES)) == 0
    assert cache.misses([*range(100), *range(100)] * 3) == 0


def test_lines_of_one_set_push_each_other_out() -> None:
    sets = LINES // cache.WAYS
    assert cache.misses(range(0, 4 * sets, sets)) == 0
    assert 1 <= cache.misses(range(0, 5 * sets, sets)) <= 5


@pytest.mark.parametrize(("times", "share"), [(1.5, 0.72), (2, 0.86), (4, 0.98)])
def test_what_is_larger_streams(times: float, share: float) -> None:
    # m = 1 - (3/4)^(4 times m), but for chance: a set of four after as many misses
    count = int(times * LINES)
    expected = 0.5
    for _ in range(200):
        expected = 1 - 0.75 ** (4 * times * expected)
    assert expected == pytest.approx(share, abs=0.15)
    assert cache.misses(range(count)) == pytest.approx(expected * count, rel=0.15)
    assert cache.misses(range(count)) == cache.misses(range(count))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_step_touches_its_streams_once_and_nothing_of_the_golden_vectors(bits: int) -> None:
    model = bench_model(bits, 64)
    lines = set(cache.trace(model))
    stream = sum(layout.matrix_size(m) for m in model.layers[0].matrices)
    assert stream / cache.LINE <= len(lines) <= stream / cache.LINE + 150


def test_estimates_have_a_range_behind_the_cache() -> None:
    small, large = (cost.estimates(bench_model(16, hidden))[0] for hidden in (32, 64))
    assert (small.misses, small.cached) == (0, (small.count,) * 3)
    assert large.misses > 1000
    assert large.cached == tuple(large.count + large.misses * p for p in (15, 25, 40))
    assert large.memory == "TCM"
    assert cost.estimates(bench_model(16, 64))[1].cached == ()
    shown = facts.of_cost(bench_model(16, 64))
    assert shown["Cortex-M7, cycles from AXI SRAM behind 16 KB of D-cache"] == list(large.cached)


def test_int8_is_advised_where_int16_streams() -> None:
    wide = bench_model(16, 64)
    narrow = cost.better_narrow(wide)
    assert narrow is not None
    assert narrow.misses == pytest.approx(cost.estimates(bench_model(8, 64))[0].misses, rel=0.02)
    assert cost.better_narrow(bench_model(16, 32)) is None  # it stays in the cache
    assert cost.better_narrow(bench_model(8, 128)) is None  # it is int8
    assert cost.better_narrow(dataclasses.replace(wide, golden=None)) == narrow


def test_an_ltc_that_fits_is_fetched_once_and_one_that_does_not_at_every_unfold() -> None:
    make = fit_cost._Maker(np.random.default_rng(0))
    found = {}
    for neurons in (30, 90):
        for unfolds in (6, 64):
            layer = dataclasses.replace(make.ltc(4, neurons, 0.6, 1), unfolds=unfolds)
            net = FloatNetwork((layer,), np.zeros(4), np.ones(4))
            seen = FloatRollout(net, make.data(4))
            model = convert(seen, Options(compensate=False))
            found[neurons, unfolds] = cache.model_misses(model)
    assert found[30, 6] == found[30, 64] == 0
    stream = 0.6 * 90 * 90 * 14 / cache.LINE
    assert found[90, 6] == pytest.approx(6 * stream, rel=0.15)
    assert found[90, 64] == pytest.approx(64 * stream, rel=0.15)


def test_a_very_large_model_streams_without_being_simulated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = bench_model(16, 256)
    simulated = cache.model_misses(model)
    monkeypatch.setattr(cache, "LONG", 8)
    assert cache.model_misses(model) == pytest.approx(simulated, rel=0.06)
