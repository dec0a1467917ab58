"""What data have that a model does not know: times and inputs, counted and in words."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ulnn_host as uh
from support.convert_cases import data, network
from ulnn_host.base.errors import UlnnWarning
from ulnn_host.cli.main import app
from ulnn_host.data.npz import save_npz
from ulnn_host.data.sampling import far_off
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines.coverage import coverage, known_dt
from ulnn_host.engines.reference import Reference
from ulnn_host.format.model import ModelFile
from ulnn_host.quantize import quantize
from ulnn_host.quantize.calibration import FloatRollout
from ulnn_host.quantize.options import Options

STEPS = 200


def steady(dt: float = 0.02, channels: tuple[str, ...] = (), seed: int = 0) -> Sequences:
    """200 steps of three inputs in -1 .. 1, dt within 10 %."""
    rng = np.random.default_rng(seed)
    times = dt * rng.uniform(0.9, 1.1, STEPS)
    return Sequences(rng.uniform(-1, 1, (STEPS, 3)), times, channels=channels)


def made(options: Options | None = None, **changes: object) -> ModelFile:
    net = dataclasses.replace(network("cfc-default"), time_scale=0.02, timed=True)
    model = quantize.convert(FloatRollout(net, steady()), options or Options())
    return dataclasses.replace(model, **changes)  # type: ignore[arg-type]


MODEL = made()


def late(gap: float) -> Sequences:
    seen = steady()
    seen.dt[0, 10:160:10] = gap
    return seen


def test_what_is_known_is_silent() -> None:
    found = coverage(MODEL, steady(seed=1))
    assert (found.steps, found.late_steps, found.clipped, found.warnings) == (STEPS, 0, {}, ())
    assert found.sampling.startswith("about 50")
    assert found.known_dt == {"the calibration": pytest.approx(0.02, 0.05), "time_scale": 0.02}


def test_steps_that_are_too_long_are_counted() -> None:
    found = coverage(MODEL, late(0.1))
    assert found.late_steps == 15
    assert found.dt_max == pytest.approx(0.032767)
    assert found.facts == (
        "15 of 200 steps were longer than the 32.8 ms that the model knows (the longest 100 ms)",
    )
    assert found.warnings == (f"{found.facts[0]}: convert with --longest-gap 0.1",)
    engine = Reference(MODEL)
    batch = late(0.1)
    engine.run(MODEL.quantise_input(batch.x[0]), MODEL.ticks(batch.dt[0]))
    assert engine.clamped == found.late_steps


def test_padding_is_not_counted() -> None:
    seen = late(0.1)
    seen.dt[0, 150:] = 9
    seen.x[0, 150:] = 99
    short = dataclasses.replace(seen, length=np.array([100]))
    found = coverage(MODEL, short)
    assert (found.steps, found.late_steps, found.clipped) == (100, 9, {})


def test_clipped_inputs_are_counted_by_channel() -> None:
    seen = steady(channels=("ax", "ay", "gz"))
    seen.x[0, :7, 1] = 5
    seen.x[0, 3:5, 2] = -50
    found = coverage(MODEL, seen)
    assert found.clipped == {"ay": 7, "gz": 2}
    (line,) = found.warnings
    assert line == (
        "9 of 600 input values (1.5 %) lie outside the range that the model knows, and were "
        "clipped: ay 7, gz 2"
    )
    milli = dataclasses.replace(seen, x=seen.x * 1000)
    found = coverage(MODEL, milli)
    assert sum(found.clipped.values()) > 0.98 * 600
    assert found.warnings[0].endswith("is their unit right?")
    assert all(name in found.warnings[0] for name in ("ax ", "ay ", "gz "))


def test_inputs_that_hardly_move_are_in_another_unit() -> None:
    seen = steady()
    (line,) = coverage(MODEL, dataclasses.replace(seen, x=seen.x / 1000)).warnings
    assert line.startswith("no input moves over more than a hundredth")
    one = seen.x.copy()
    one[..., 1:] = 0.5  # one that moves is enough
    assert coverage(MODEL, dataclasses.replace(seen, x=one)).warnings == ()


@pytest.mark.parametrize(
    ("factor", "unit"),
    [(1e3, "milliseconds?"), (1e6, "microseconds?"), (1e9, "nanoseconds?"), (1 / 60, "minutes?")],
)
def test_another_unit_of_time_is_named(factor: float, unit: str) -> None:
    warned = coverage(MODEL, steady(0.02 * factor)).warnings
    assert warned[0].endswith(unit)
    assert "of the calibration" in warned[0]
    assert "--longest-gap" not in " ".join(warned)


def test_a_median_within_three_times_is_right() -> None:
    assert far_off(0.05, 0.02, "x") == far_off(0.007, 0.02, "x") == ""
    assert far_off(0.1, 0.02, "time_scale") == (
        "median dt 100 ms against 20 ms of time_scale, 5 times longer: is the unit of dt right?"
    )
    assert "5 times shorter" in far_off(0.004, 0.02, "x")


@pytest.mark.parametrize("value", [None, "0.02", [1], float("nan"), -1, 0, 10**400, {}])
def test_metadata_of_strangers_is_no_trouble(value: object) -> None:
    strange = dataclasses.replace(MODEL, meta={"dt_median": value, "time_scale": value})
    assert known_dt(strange) == {}
    assert coverage(strange, steady(20.0)).late_steps == STEPS


def test_a_promised_dt_that_is_not_kept() -> None:
    fixed = made(Options(fixed_dt=0.02))
    every = steady()
    every.dt[:] = 0.02
    assert coverage(fixed, every).warnings == ()
    every.dt[0, :15] = 0.1
    found = coverage(fixed, every)
    assert found.other_steps == 15
    assert found.facts == ("15 of 200 steps were not the 20 ms that the model was promised",)


def test_where_dt_is_no_input_nothing_is_too_long() -> None:
    net = network("lstm-1")
    seen = data(net.input_size)
    model = quantize.convert(FloatRollout(net, seen), Options())
    long = dataclasses.replace(seen, dt=seen.dt * 2.9)
    assert coverage(model, long).warnings == ()


def test_the_python_api_warns() -> None:
    net = dataclasses.replace(network("cfc-default"), time_scale=0.02, timed=True)
    model = uh.convert(net, steady())
    with pytest.warns(UlnnWarning, match="15 of 200 steps were longer than the 32.8 ms"):
        y = model.run(late(0.1))
    assert y.shape == (STEPS, model.file.output_size)
    assert model.coverage(late(0.1)).late_steps == 15
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.run(steady(seed=2))
    wide = uh.convert(net, steady(), longest_gap=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wide.run(late(0.1))


def test_run_says_it(tmp_path: Path) -> None:
    net = dataclasses.replace(network("cfc-default"), time_scale=0.02, timed=True)
    model = uh.convert(net, steady()).save(tmp_path / "m.ulnn")
    save_npz(tmp_path / "late.npz", late(10.0))
    command = ["run", str(model), str(tmp_path / "late.npz"), "-o", str(tmp_path / "y.npz")]
    with pytest.warns(UlnnWarning, match=r"15 of 200 .*--longest-gap 10$"):
        done = CliRunner().invoke(app, [*command, "--json"])
    found = json.loads(done.stdout)["coverage"]
    assert (found["late_steps"], found["steps"]) == (15, STEPS)
    assert found["longest_dt"] == 10
    assert len(found["warnings"]) == 1
    with pytest.warns(UlnnWarning):
        assert "gaps to 10 s" in CliRunner().invoke(app, command).stdout
