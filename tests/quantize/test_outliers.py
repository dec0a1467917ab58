"""A bad sample in the calibration data: what it costs, and who is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.conversions import convert_to_file
from support.ncps_models import Spec, data, network
from ulnn_host.base.errors import UlnnError
from ulnn_host.data.sequences import Sequences
from ulnn_host.quantize import quantize
from ulnn_host.quantize.calibration import FloatRollout, Ranges, calibrate
from ulnn_host.quantize.options import Options
from ulnn_host.report.conversion import Wishes

SPEC = Spec(inputs=3, hidden=12)
CLEAN = data(SPEC, 3, 400, 5)


def seen(*bad: tuple[int, int, float]) -> Sequences:
    """8,000 steps; each bad value at (step, channel)."""
    whole = data(SPEC, 1, 8000, 1)
    x = whole.x.copy()
    for step, channel, value in bad:
        x[0, step, channel] = value
    return replace(whole, x=x, channels=("ax", "ay", "az"), flat=True)


def error(calibrated: Sequences, method: str, bits: int) -> float:
    """On clean data."""
    rollout = FloatRollout(network(SPEC), calibrated)
    model = quantize.convert(rollout, Options(bits=bits, ranges=method))
    clean = replace(CLEAN, channels=("ax", "ay", "az"))
    return quantize.rollout_error(rollout.on(clean), model).largest


SPIKES = [
    [(4000, 1, -9999.0)],
    [(100, 2, 65535.0), (5000, 2, 65535.0), (7999, 2, 65535.0)],
    [(0, 0, 1e9), (1, 1, -1e9)],
]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("bad", SPIKES)
def test_percentiles_leave_a_bad_sample_out(bad, bits):
    limit = {8: 0.01, 16: 0.001}[bits]
    assert error(seen(), "percentile", bits) < limit
    assert error(seen(*bad), "percentile", bits) < limit


def test_offset_and_scale_come_from_the_same_percentiles():
    x = np.random.default_rng(0).normal(20, 1, (8000, 1)).astype(np.float32)
    whole = replace(seen(), x=np.repeat(x, 3, 1)[None])
    one = calibrate(FloatRollout(network(SPEC), whole), Options(ranges="percentile"))
    whole.x[0, 77, 1] = -9999
    other = calibrate(FloatRollout(network(SPEC), whole), Options(ranges="percentile"))
    assert np.allclose(one.input_offset, 20, atol=0.5)
    assert np.allclose(one.input_offset, other.input_offset, atol=0.15)  # ranges have two digits
    assert np.allclose(one.input_scale, other.input_scale, rtol=0.05)


def test_ranges_of_max_are_the_extremes():
    x = np.array([[1.0, -2], [5, 2], [3, 0]])
    assert [m.tolist() for m in Ranges(1.0, "max").middles(x)] == [[3, 0]]
    assert len(Ranges(1.0, "mse").middles(x)) == 2


def test_the_input_is_named(tmp_path):
    with pytest.raises(UlnnError) as caught:
        convert_to_file(network(SPEC), seen(*SPIKES[1]), Options(), Wishes(), tmp_path / "m.ulnn")
    text = str(caught.value)
    assert text.startswith("weights too large: they need a shift of ")
    assert "because of input az: 65535 in sample 100, where -" in text
    assert "--calibration percentile" in text
    big = replace(seen(), x=seen().x * np.float32([1, 1e7, 1]))
    with pytest.raises(UlnnError, match=r"because of input ay: it reaches from -.*e\+0"):
        quantize.convert(FloatRollout(network(SPEC), big), Options())


def test_an_outlier_in_a_range_is_warned_of(tmp_path):
    convert = [network(SPEC), seen((4000, 1, -400.0)), Options(bits=16)]
    done = convert_to_file(*convert, Wishes(bits=16), tmp_path / "m.ulnn")
    assert next(line for line in done.warnings if "outlier" in line).startswith(
        "the range of input ay comes from an outlier, -400 in sample 4000, where -"
    )
    done = convert_to_file(
        *convert, Wishes(bits=16, calibration="percentile"), tmp_path / "m.ulnn"
    )
    assert not [line for line in done.warnings if "outlier" in line]


def test_large_weights_inside_are_of_a_layer():
    net = network(SPEC)
    last = net.layers[0]
    heads = {k: replace(h, weight=h.weight * 1e9) for k, h in last.heads.items()}
    broken = replace(net, layers=(replace(last, heads=heads), *net.layers[1:]))
    with pytest.raises(UlnnError, match=r"weights too large: .* in layer 0 \(CfC\)"):
        quantize.convert(FloatRollout(broken, seen()), Options())


def test_names_of_channels_reach_the_model(tmp_path):
    rollout = FloatRollout(network(SPEC), seen())
    assert rollout.network.channels == ("ax", "ay", "az")
    assert quantize.convert(rollout, Options()).channels == ("ax", "ay", "az")
    turned = replace(CLEAN, channels=("az", "ay", "ax"))
    assert np.array_equal(rollout.on(turned).data.x, CLEAN.x[..., ::-1])
    with pytest.raises(UlnnError, match="channel az is missing"):
        rollout.on(replace(CLEAN, channels=("ax", "ay", "gx")))
