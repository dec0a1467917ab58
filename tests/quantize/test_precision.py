"""Widths and ranges are chosen by rollout error, within the budget."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from support.convert_cases import data, network
from ulnn_host.base.errors import UlnnError
from ulnn_host.data.sequences import Sequences
from ulnn_host.format import container
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.quantize import precision, quantize, range_search
from ulnn_host.quantize.calibration import FloatRollout
from ulnn_host.quantize.options import Options
from ulnn_host.quantize.rollouts import halves, rms, sample


def floats(net: FloatNetwork) -> FloatRollout:
    return FloatRollout(net, data(net.input_size))


def size(name: str, options: Options) -> int:
    net = network(name)
    return len(container.write(quantize.convert(floats(net), options)))


@pytest.mark.parametrize("name", ["cfc-default", "cfc-pure", "mixed", "lstm-1-dt", "gru-1"])
def test_the_chosen_model_fits_and_is_better_than_int8(name: str) -> None:
    net = network(name)
    seen = floats(net)
    budget = size(name, Options(16)) - 16
    choice = precision.choose_bits(seen, Options(), budget)
    model = quantize.convert(seen, choice.options)
    assert len(container.write(model)) == choice.bytes <= budget
    assert choice.rms == choice.promotions[-1].rms < choice.rms_int8
    # what was measured, put together of two models, is what `convert` makes
    assert rms(seen.on(sample(seen.data)), model) == pytest.approx(choice.rms, rel=1e-12)
    for step in choice.promotions:
        assert model.layers[step.layer].matrices[step.matrix].weight_bits == 16


def test_each_promotion_is_measured_on_the_model_so_far() -> None:
    net = network("gru-2")
    seen = floats(net)
    budget = size("gru-2", Options(16)) - 1
    choice = precision.choose_bits(seen, Options(), budget)
    assert len(choice.promotions) >= 2
    for k, step in enumerate(choice.promotions):
        widths = {(s.layer, s.matrix): 16 for s in choice.promotions[: k + 1]}
        model = quantize.convert(seen, Options(bits_of=widths))
        assert len(container.write(model)) == step.bytes
        assert rms(seen.on(sample(seen.data)), model) == pytest.approx(step.rms, rel=1e-12)


def test_int16_everywhere_where_it_fits() -> None:
    net = network("cfc-default")
    choice = precision.choose_bits(floats(net), Options(), size("cfc-default", Options(16)))
    assert choice.options.bits == 16
    assert choice.promotions == ()


def test_a_budget_below_int8_is_one_line_with_both_sizes() -> None:
    smallest = size("cfc-default", Options(8))
    with pytest.raises(UlnnError, match=f"--max-bytes 1000: expected at least {smallest}"):
        precision.choose_bits(floats(network("cfc-default")), Options(), 1000)
    exact = precision.choose_bits(floats(network("cfc-default")), Options(), smallest)
    assert exact.bytes == smallest
    assert exact.promotions == ()


def test_an_ltc_has_no_choice() -> None:
    net = network("ltc-wired")
    choice = precision.choose_bits(floats(net), Options(), 100_000)
    assert choice.promotions == ()
    with pytest.raises(UlnnError, match="--max-bytes 100: expected at least"):
        precision.choose_bits(floats(net), Options(), 100)


def test_search_finds_the_least_error_and_is_repeatable() -> None:
    net = network("cfc-pure")
    seen = data(3, count=6)
    seen.x[0, 3] *= 40  # one outlier, which a range had better not cover
    found = range_search.search(FloatRollout(net, seen), Options())
    assert len(found.trials) == len(range_search.MARGINS) * len(range_search.METHODS)
    assert found.best.rms == min(trial.rms for trial in found.trials)
    assert (found.options.ranges, found.options.margin) == (found.best.ranges, found.best.margin)
    assert found == range_search.search(FloatRollout(net, seen), Options())
    default = next(t for t in found.trials if (t.ranges, t.margin) == ("max", 1.5))
    assert found.best.rms < default.rms


def test_an_unknown_calibration_is_one_line() -> None:
    with pytest.raises(UlnnError, match="--calibration best: expected max, percentile, mse or"):
        range_search.with_calibration(Options(), "best")


def test_search_passes_on_what_no_range_can_mend() -> None:
    with pytest.raises(UlnnError, match="--fixed-dt: expected a CfC layer"):
        range_search.search(floats(network("lstm-1")), Options(fixed_dt=1.0))


def test_a_sample_of_everything_is_the_data() -> None:
    every = data(2, count=5)
    assert sample(every) is every
    assert sample(every, steps=100) is not every
    cut = Sequences(every.x, every.dt, length=every.length)
    assert sample(cut, longest=79) is not cut  # the last step of the longest ones is left out


def test_samples_are_whole_sequences_up_to_a_length() -> None:
    every = data(2, count=40, steps=100)
    few = sample(every, steps=1000)
    assert 900 <= few.length.sum() <= 1100
    np.testing.assert_array_equal(few.x[0], every.x[0])
    long = Sequences(np.zeros((1, 5000, 1), np.float32), np.ones((1, 5000), np.float32))
    assert sample(long).length.tolist() == [512] * 8


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_halves_of_one_sequence(steps: int) -> None:
    one = dataclasses.replace(data(2, count=1, steps=2 * steps), length=np.array([steps]), y=None)
    first, second = halves(one)
    assert first.length[0] + second.length[0] == max(steps, 2)
