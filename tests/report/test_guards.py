"""What a conversion refuses, and what it warns of: times, promises, saturation, cost."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import ulnn_host as uh
from support.convert_cases import data, network
from ulnn_host.base.errors import UlnnError
from ulnn_host.board.bench import bench_model
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines.reference import BEFORE_TABLE
from ulnn_host.format import cost
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.quantize.finetune import Plan
from ulnn_host.quantize.options import Options
from ulnn_host.report import convert_text
from ulnn_host.report.conversion import Wishes, convert_network
from ulnn_host.report.convert_report import ConvertReport

NAN, INF = float("nan"), float("inf")


def timed(name: str = "cfc-default", time_scale: float = 0.02) -> FloatNetwork:
    return dataclasses.replace(network(name), time_scale=time_scale, timed=True)


def steady(dt: float = 0.02, spread: float = 0.1) -> Sequences:
    """200 steps of three inputs."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 3))
    return Sequences(x, dt * rng.uniform(1 - spread, 1 + spread, 200))


def report_of(net: FloatNetwork, seen: Sequences, **options: Any) -> ConvertReport:
    wishes = {k: options.pop(k) for k in ("bits", "calibration") if k in options}
    return convert_network(net, seen, Options(**options), Wishes(**wishes)).report


# ---- option values ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [("tick_ns", value) for value in (0, -5, 5_000_000_000, 1.5, INF, "1")]
    + [("fixed_dt", value) for value in (NAN, INF, -1, 0, -INF)]
    + [("longest_gap", value) for value in (NAN, INF, -1, 0)]
    + [("learning_rate", value) for value in (NAN, INF, -1, 0, 1e9)]
    + [("finetune", value) for value in (-1, 0.5)]
    + [("max_bytes", value) for value in (0, -1)]
    + [("bits", value) for value in (0, 4, 32)]
    + [("towards", "x"), ("sparse", "x"), ("calibration", "x")],
)
def test_an_option_that_cannot_be_meant_is_one_line(key: str, value: Any) -> None:
    with pytest.raises(UlnnError, match=key.replace("_", ".")) as refused:
        uh.convert(timed(), steady(), **{key: value})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", ["epochs", "batch", "learning_rate", "clip", "average", "seed"])
@pytest.mark.parametrize("value", [NAN, INF, -1])
def test_a_plan_that_cannot_be_meant_is_one_line(key: str, value: float) -> None:
    with pytest.raises(UlnnError, match=f"{key} is"):
        Plan(**{key: value})


def test_numbers_of_numpy_are_numbers() -> None:
    assert Options(tick_ns=np.int64(10), fixed_dt=np.float32(0.5)).dt_fixed == 50_000_000  # type: ignore[arg-type]
    assert Options(fixed_dt=1).dt_fixed == 1_000_000


def test_gaps_that_no_clock_of_the_model_can_count() -> None:
    for gap in (1e9, 1e300, 1.7e308):
        with pytest.raises(UlnnError, match="choose a longer tick with --tick-ns"):
            uh.convert(timed(), steady(), longest_gap=gap)


# ---- times --------------------------------------------------------------------------------------


def test_a_time_scale_that_was_said_is_held_against_the_data() -> None:
    assert report_of(timed(), steady()).warnings == ()
    line = report_of(timed(), steady(20.0)).warnings[0]
    assert line.endswith("against 20 ms of time_scale, 992 times longer: milliseconds?")
    guessed = dataclasses.replace(timed(time_scale=1.0), timed=False)
    assert report_of(guessed, steady()).warnings == ()


def test_an_error_that_another_unit_explains_says_so_first() -> None:
    for tick, cause in ((1000, "elapsed time of"), (1_000_000, "elapsed times up to")):
        with pytest.raises(UlnnError, match=rf"microseconds\? Else: {cause}"):
            uh.convert(timed(), steady(20_000.0), tick_ns=tick)


def test_the_file_knows_the_median_dt() -> None:
    model = uh.convert(timed(), steady(0.0123456, spread=0.0))
    assert model.file.meta["dt_median"] == 0.012


def test_room_for_gaps() -> None:
    near = uh.convert(timed(), steady())
    wide = uh.convert(timed(), steady(), longest_gap=10)
    assert (near.file.dt_max, wide.file.dt_max) == (2**15 - 1, 2**24 - 1)
    assert uh.convert(timed(), steady(), longest_gap=0.001).file.dt_max == near.file.dt_max
    assert wide.conversion is not None
    assert wide.conversion.warnings == ()  # a CfC does not lose by it
    gap = Sequences(np.zeros((4, 3)), np.array([0.02, 0.02, 0.02, 9.0]))
    real = timed().run(gap.x, gap.dt).y[0]
    np.testing.assert_allclose(wide.run(gap), real, atol=0.01)


def test_what_room_for_gaps_costs_is_said() -> None:
    net = dataclasses.replace(network("lstm-1-dt"), time_scale=0.5, timed=True)
    (line,) = report_of(net, data(net.input_size, 2, 60), longest_gap=100).warnings
    before, after = (
        report_of(net, data(net.input_size, 2, 60), **more).model.rms_error
        for more in ({}, {"longest_gap": 100})
    )
    assert line == (
        f"room for gaps to 2.24 min costs resolution: rms error {after:.3g}, {before:.3g} with "
        "room to 2.1 s"
    )
    assert after > 20 * before


def test_what_a_rare_gap_of_the_data_costs_is_said() -> None:
    net = dataclasses.replace(network("lstm-1-dt"), time_scale=0.5, timed=True)
    seen = data(net.input_size, 4, 60)
    assert report_of(net, seen).warnings == ()
    seen.dt[2, 30] = 1200
    (line,) = report_of(net, seen).warnings
    assert line.startswith("room for gaps to 35.8 min costs resolution")
    assert line.endswith("with room to 2.1 s: --gap SECONDS splits recordings there")


def test_a_promise_that_no_sample_keeps_is_refused() -> None:
    for far in (5.0, 0.2, 1e-3, 1e300):
        with pytest.raises(UlnnError, match=r"no sample .*\d Hz.*; expected 0\.0"):
            uh.convert(timed(), steady(), fixed_dt=far)


def test_a_promise_that_few_keep_is_counted() -> None:
    seen = steady(spread=0.0)
    assert report_of(timed(), seen, fixed_dt=0.02).warnings == ()
    seen.dt[0, 30:] = 0.05
    (line,) = report_of(timed(), seen, fixed_dt=0.02).warnings
    assert line.startswith("170 of 200 steps were not the 20 ms that the model was promised")


# ---- saturation ---------------------------------------------------------------------------------


def gate(report: ConvertReport) -> Any:
    name = "gate" + BEFORE_TABLE
    return next(s for s in report.model.saturation if s.tensor == name)


def test_a_saturated_gate_is_harmless_where_the_outputs_say_so() -> None:
    found = gate(report_of(timed(), steady(2.0)))
    assert found.share > 0.5
    assert found.error < 0.05
    assert found.harmless


def test_a_saturated_gate_that_spoils_the_outputs_is_warned_of() -> None:
    report = report_of(timed(), steady(10.0))
    found = gate(report)
    assert found.share > 0.85
    assert not found.harmless
    lines = [line for line in report.warnings if line.startswith("layer 0: gate saturates")]
    assert len(lines) == 1
    assert f"{found.error:.0%} of their spread" in lines[0]
    assert "time_scale near 9.92 s" in lines[0]
    shown = json.loads(json.dumps(report.to_dict()))
    assert lines[0] in shown["warnings"]
    assert shown["coverage"]["sampling"].startswith("about a sample every")


# ---- inputs and cost ----------------------------------------------------------------------------


def test_inputs_in_another_unit_than_in_training() -> None:
    net = dataclasses.replace(timed(), std=np.full(3, 0.5), mean=np.zeros(3))
    assert report_of(net, steady()).warnings == ()
    seen = steady()
    seen.x[..., 1] *= 1000
    lines = [line for line in report_of(net, seen).warnings if "is its unit right" in line]
    assert len(lines) == 1
    assert lines[0].startswith("input x1 lies ")


def test_int8_is_advised_where_int16_streams() -> None:
    made = report_of(timed(), steady(), bits=16).model
    assert made.advice == ()
    wide, narrow = (cost.estimates(bench_model(bits, 64))[0] for bits in (16, 8))
    made = dataclasses.replace(made, costs=(wide,), narrow=narrow)
    (line,) = made.advice
    assert f"about {wide.likely:,} cycles a step; int8 needs about {narrow.likely:,}" in line


def test_the_text_has_the_sampling_and_where_cycles_hold() -> None:
    model = uh.convert(timed(), steady())
    assert model.conversion is not None
    out = Console(record=True, width=120)
    convert_text.show(model.conversion, out)
    text = out.export_text()
    assert "elapsed times: about 50.4 Hz (18.5 to 21.6 ms);" in text
    assert "longer ones than 32.8 ms are shortened to it (--longest-gap)" in text
    assert "Cortex-M7, cycles a step in TCM" in text
