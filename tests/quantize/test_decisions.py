"""What a converted file says about its inputs, outputs and decisions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from support import convert_cases
from ulnn_host.base.errors import UlnnError
from ulnn_host.data.sequences import Sequences
from ulnn_host.format import container
from ulnn_host.format.model import Decision, ModelFile, Names
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.quantize import quantize
from ulnn_host.quantize.calibration import FloatRollout
from ulnn_host.quantize.options import Options

STEPS = 30


def network(**meta: object) -> FloatNetwork:
    return dataclasses.replace(convert_cases.network("cfc-default"), meta=meta)


def data(**changes: object) -> Sequences:
    """Four sequences of 30 samples, 0.1 s apart, with a class each."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (4, STEPS, 3)).astype(np.float32)
    made = Sequences(x, np.full((4, STEPS), 0.1, np.float32), np.arange(4) % 2)
    return dataclasses.replace(made, **changes)


def made(net: FloatNetwork, found: Sequences, **options: object) -> ModelFile:
    model = quantize.convert(FloatRollout(net, found), Options(**options))
    return container.read(container.write(model))


def decided(net: FloatNetwork, found: Sequences) -> Decision | None:
    return made(net, found).decision


def test_names_and_units() -> None:
    meta = {"channels": ["a", "b", "c"], "units": ["V", "", "°C"], "labels": ["x", "y"]}
    model = made(network(**meta), data(), model_version=7)
    assert model.names == Names(("a", "b", "c"), ("V", "", "°C"), ("x", "y"))
    assert model.model_version == 7
    assert not {"channels", "labels", "readout", "name"} & set(model.meta)
    assert made(network(), data()).names is None
    named = made(network(), data(channels=("u", "v", "w")))
    assert named.names == Names(("u", "v", "w"), ("", "", ""))


def test_windows_are_as_long_as_the_sequences() -> None:
    net = network(readout="mean")
    assert decided(net, data()) == Decision("mean", reset=True, window=STEPS)
    assert decided(network(), data()) == Decision("last", reset=True, window=STEPS)
    # As many seconds, in different numbers of samples: ticks.
    lengths = np.array([30, 15, 30, 10])
    dt = np.repeat((3 / lengths)[:, None], STEPS, 1).astype(np.float32)
    found = data(length=lengths, dt=dt)
    assert decided(net, found) == Decision("mean", ticks=True, reset=True, window=3_000_000)
    # Neither: a sequence is a whole one. So is a single one.
    assert decided(net, data(length=lengths)) == Decision("mean", reset=True)
    assert decided(net, data().take([0])) == Decision("mean", reset=True)


def test_targets_of_steps_and_values() -> None:
    rng = np.random.default_rng(2)
    each = rng.integers(0, 2, (4, STEPS))
    assert decided(network(), data(y=each)) == Decision("each")
    values = rng.normal(size=(4, 2)).astype(np.float32)
    assert decided(network(), data(y=values)) is None
    want = Decision("last", values=True, reset=True, window=STEPS)
    assert decided(network(readout="last"), data(y=values)) == want
    assert decided(network(), data(y=None)) is None
    assert decided(network(readout="mean"), data(y=None)) == Decision("mean", reset=True)


@pytest.mark.parametrize("version", [-1, 2**32])
def test_a_version_is_a_number_of_32_bits(version: int) -> None:
    with pytest.raises(UlnnError, match="expected 0 to 4294967295"):
        Options(model_version=version)


def test_votes_and_thresholds() -> None:
    net, found = network(readout="mean"), data()
    model = made(net, found, votes=3, unsure=0.25, least=6.0)
    rule = model.decision
    assert rule is not None
    assert (rule.votes, rule.least, rule.window) == (3, 60, STEPS)
    assert rule.enter > 0
    assert rule.leave == rule.enter // 2
    # the share of the calibration's own decisions, in float
    y = FloatRollout(net, found).y.mean(1)
    margin = np.abs(y[:, 0] - y[:, 1]) / model.output_scale[0]
    assert (margin < rule.enter).sum() == 1


def test_a_step_holds_for_ticks() -> None:
    each = np.arange(4 * STEPS).reshape(4, STEPS) % 2
    rule = made(network(), data(y=each), least=0.5).decision
    assert rule == Decision("each", ticks=True, least=500_000)


@pytest.mark.parametrize("option", [{"votes": 2}, {"unsure": 0.1}, {"least": 1.0}])
def test_values_cannot_vote(option: dict[str, float]) -> None:
    values = np.zeros((4, 2), np.float32)
    for net, y in ((network(readout="last"), values), (network(), None)):
        with pytest.raises(UlnnError, match="are for decisions: expected data with classes"):
            made(net, data(y=y), **option)


def test_a_vote_of_steps_is_for_classes() -> None:
    net = network(readout="vote")
    assert decided(net, data()) == Decision("vote", reset=True, window=STEPS)
    with pytest.raises(UlnnError, match="is for classes"):
        decided(net, data(y=np.zeros((4, 2), np.float32)))
