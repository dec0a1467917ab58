"""Quantisation-aware training: the forward pass is the integer engine, and it helps."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from ncps.torch import CfC

from support.every_cell import every_cell, torch_models
from ulnn_host.cli.main import app
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines import registry as engines
from ulnn_host.engines.batch import quantise
from ulnn_host.format import container
from ulnn_host.network.float_network import FloatNetwork, arrays
from ulnn_host.quantize import finetune, golden, quantize
from ulnn_host.quantize.calibration import FloatRollout, calibrate

NAMES = (*torch_models(), "keras-default", "keras-no_gate")


@cache
def cells() -> dict[str, FloatNetwork]:
    """By name; made when a test needs them, as Keras takes seconds to import."""
    made = dict(every_cell(gain=1.0))
    assert tuple(made) == NAMES
    return made


def data(inputs: int, count: int = 3, steps: int = 8, seed: int = 1) -> Sequences:
    rng = np.random.default_rng(seed)
    return Sequences(
        x=rng.uniform(-1, 1, (count, steps, inputs)).astype(np.float32),
        dt=rng.uniform(0.1, 1, (count, steps)).astype(np.float32),
        length=rng.integers(1, steps + 1, count),
    )


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", NAMES)
def test_the_forward_pass_is_the_integer_engine_to_the_last_bit(name: str, bits: int) -> None:
    network, sequences = cells()[name], data(cells()[name].input_size)
    options = quantize.Options(bits=bits)
    seen = calibrate(FloatRollout(network, sequences), options)
    net = finetune.IntegerNetwork(seen, options)
    with torch.no_grad():  # weights that no calibration has seen
        for weight in net.weights:
            weight.mul_(1 + 0.1 * torch.rand_like(weight))
    content = container.write(net.model())
    model = container.read(content)
    integers = engines.run(content, quantise(model, sequences), "native").y
    expected = integers * model.output_scale.astype(np.float64) + model.output_offset
    got = net(sequences).detach().numpy()
    unit = model.output_scale
    steps = np.rint((got - model.output_offset) / unit)[sequences.mask]
    assert np.array_equal(steps, integers[sequences.mask])
    assert np.abs(got - expected)[sequences.mask].max() < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_array(name: str) -> None:
    network, sequences = cells()[name], data(cells()[name].input_size)
    options = quantize.Options()
    seen = calibrate(FloatRollout(network, sequences), options)
    net = finetune.IntegerNetwork(seen, options)
    net(sequences)[torch.from_numpy(sequences.mask)].square().sum().backward()
    for label, weight in zip(net.names, net.weights, strict=True):
        assert weight.grad is not None, label
        assert torch.isfinite(weight.grad).all(), label
        assert weight.grad.abs().max() > 0, label


def test_fine_tuning_brings_int8_nearer_to_float() -> None:
    network, sequences = cells()["cfc-default"], data(3, 24, 25)
    options = quantize.Options(bits=8)
    seen = FloatRollout(network, sequences)
    plain = quantize.convert(seen, dataclasses.replace(options, compensate=False))
    plan = finetune.Plan(epochs=8, batch=12, learning_rate=5e-5)
    _, tuned = finetune.finetune(seen, options, plan, quiet=True)
    fresh = seen.on(data(3, 10, 40, seed=9))
    errors = [quantize.rollout_error(fresh, model).rms for model in (tuned, plain)]
    assert errors[0] < 0.8 * errors[1]
    assert tuned.golden is not None


def test_absent_synapses_stay_absent_and_conductances_positive() -> None:
    for name in ("wired", "ltc-wired"):
        network = cells()[name]
        seen = FloatRollout(network, data(network.input_size))
        before = dict(arrays(network.layers))
        plan = finetune.Plan(epochs=2, batch=3, learning_rate=0.05)
        tuned, _ = finetune.finetune(seen, quantize.Options(), plan, quiet=True)
        for label, value in arrays(tuned.layers):
            if value.ndim == 2:
                assert not value[before[label] == 0].any(), label
            if label.endswith((".w", "gleak", "cm")):
                assert (value >= 0).all(), label


def test_the_learning_rate_falls_along_half_a_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    step = torch.optim.Adam.step

    def watched(self: torch.optim.Adam) -> None:
        rates.append(self.param_groups[0]["lr"])
        step(self)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    seen = FloatRollout(cells()["gru-1"], data(3, count=4))
    plan = finetune.Plan(epochs=4, batch=2, learning_rate=0.001)
    finetune.finetune(seen, quantize.Options(), plan, quiet=True)
    shares = [1, 0.96194, 0.85355, 0.69134, 0.5, 0.30866, 0.14645, 0.03806]
    assert rates == pytest.approx([0.001 * share for share in shares], rel=1e-4)


def test_the_same_seed_gives_the_same_model() -> None:
    seen = FloatRollout(cells()["gru-1"], data(3))
    plan = finetune.Plan(epochs=1, batch=3)
    files = [
        container.write(finetune.finetune(seen, quantize.Options(), plan, quiet=True)[1])
        for _ in range(2)
    ]
    assert files[0] == files[1]


def test_the_command_fine_tunes_and_says_what_it_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    state = {key: 0.7 * value for key, value in CfC(3, 6, proj_size=2).state_dict().items()}
    torch.save(state, tmp_path / "net.pt")
    np.savez(
        tmp_path / "train.npz",
        x=rng.uniform(-1, 1, (6, 9, 3)).astype(np.float32),
        dt=rng.uniform(0.5, 1, (6, 9)).astype(np.float32),
        y=rng.integers(0, 2, 6),
    )
    line = f"convert {tmp_path}/net.pt --calib {tmp_path}/train.npz -o {tmp_path}/net.ulnn"
    for towards in ("float", "labels"):
        command = [*line.split(), "--finetune", "1", "--towards", towards, "--json"]
        with pytest.raises(SystemExit) as done:
            app(command)
        assert done.value.code == 0
        report = json.loads(capsys.readouterr().out)
        assert list(report["compared"]) == ["int8, before fine-tuning"]
        assert engines.native_module().load(str(tmp_path / "net.ulnn")).self_test() == golden.STEPS
