"""The claim about speed: the work of attention, and what a heap behind a cache adds."""

from __future__ import annotations

import pytest

from claims.attention import TIMES, Attention, like
from claims.speed import HEAD, Cost, _row
from ulnn_host.format import cache


def test_the_work_of_attention() -> None:
    """By hand: queries, keys, values and output 4 d², the feed-forward 2 d f, scores and values
    2 T d for each sample that is looked from."""
    net = Attention(1, 32, 64)
    assert net.weights == 4 * 32**2 + 2 * 32 * 64 + 32 * 13
    assert net.cached() == (net.weights + 2 * 100 * 32, 100)
    assert net.window() == (100 * net.cached()[0], 100 * 100)
    most = like(net.weights)
    assert (most.width, most.weights) == (32, net.weights)
    assert like(net.weights - 1).width == 28


@pytest.mark.parametrize("net", [Attention(2, 64, 256), Attention(4, 64, 256)])
def test_what_is_larger_than_the_cache_streams_through_it(net: Attention) -> None:
    """By hand: weights, keys and values of a sample, each once; vectors stay, or nearly."""
    once = (net.weights + 2 * net.layers * TIMES * net.width) / cache.LINE
    assert once <= net.cached_misses() <= 1.1 * once


def test_what_fits_the_cache_stays_in_it() -> None:
    net = Attention(1, 16, 32)
    assert (net.cached_misses(), net.window_misses()) == (0, 0)


def test_a_window_is_fetched_less_often_than_its_samples() -> None:
    net = Attention(1, 64, 128)
    assert net.cached_misses() < net.window_misses() < TIMES * net.cached_misses()


def test_a_line_from_the_heap_costs_cycles() -> None:
    cost = Cost.mean([Cost(1000, 10), Cost(3000, 30)])
    assert cost == Cost(2000, 20)
    low, likely, high = cache.PENALTY
    heap = cost.from_heap
    assert (heap.low, heap.value, heap.high) == tuple(2000 + 20 * p for p in (low, likely, high))
    row = dict(zip(HEAD, _row("CfC", "every sample", 5000, cost), strict=True))
    assert row["lines fetched"] == "20"
    assert row["cycles, default heap"] == "2,500 (2,300 to 2,800)"
    assert row["steps a second"] == "240,000"
    assert row["steps a second, default heap"] == "192,000"
    same = _row("CfC", "every sample", 5000, Cost(1000, 0))
    assert same[HEAD.index("cycles, default heap")] == "1,000"
