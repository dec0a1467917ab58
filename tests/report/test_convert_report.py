"""The report of `ulnn convert`: what is in it is what the models do; text, JSON and picture."""

from __future__ import annotations

import dataclasses
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from support.conversions import convert_to_file
from support.convert_cases import NAMES, chaotic, data, model, network
from support.every_cell import scaled, torch_models
from ulnn_host.base.errors import UlnnError
from ulnn_host.cli.main import app
from ulnn_host.data.npz import save_npz
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines.reference import Reference
from ulnn_host.format import container
from ulnn_host.quantize import quantize, rollouts
from ulnn_host.quantize.calibration import FloatRollout
from ulnn_host.quantize.options import Options
from ulnn_host.report import convert_picture, convert_text, pictures
from ulnn_host.report.conversion import Wishes
from ulnn_host.report.convert_report import ConvertReport, Reporter

KEYS = {"bytes", "bits", "macs", "max_error", "rms_error", "steps", "clamped_steps"}


def converted(tmp_path: Path, name: str = "cfc-default", **wishes: object) -> ConvertReport:
    net = network(name)
    done = Wishes(**wishes)  # type: ignore[arg-type]
    return convert_to_file(net, data(net.input_size), Options(), done, tmp_path / "m.ulnn")


def text_of(report: ConvertReport) -> str:
    out = Console(width=120, record=True, file=io.StringIO())
    convert_text.show(report, out)
    return out.export_text()


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_has_a_report(name: str, tmp_path: Path) -> None:
    report = converted(tmp_path, name)
    content = (tmp_path / "m.ulnn").read_bytes()
    made, seen = report.model, data(network(name).input_size)
    error = quantize.rollout_error(FloatRollout(network(name), seen), container.read(content))
    assert (made.max_error, made.rms_error) == pytest.approx((error.largest, error.rms))
    assert (made.steps, made.clamped_steps) == (error.steps, error.clamped)
    assert made.curve.largest.max() == pytest.approx(error.largest)
    assert sum(made.sections.values()) <= made.file_bytes == len(content)
    parsed = json.loads(json.dumps(report.to_dict()))
    assert parsed.keys() >= KEYS
    assert {s["layer"] for s in parsed["saturation"]} >= {None, *range(len(made.widths))}
    assert report.warnings == ()
    assert "MACs a step" in text_of(report)


def test_accuracy_is_that_of_the_labels(tmp_path: Path) -> None:
    report = converted(tmp_path)
    assert report.readout == "last"
    assert report.accuracy is not None
    assert report.model.accuracy == pytest.approx(report.accuracy, abs=0.3)
    assert "points" in text_of(report)
    bare = dataclasses.replace(data(3), y=None)
    assert Reporter(FloatRollout(network("cfc-default"), bare)).scores is None


def test_compare_puts_int8_and_int16_side_by_side(tmp_path: Path) -> None:
    report = converted(tmp_path, compare=True)
    (other,) = report.compared
    assert (report.model.name, other.name) == ("int8", "int16")
    assert other.rms_error < report.model.rms_error
    assert other.file_bytes > report.model.file_bytes
    assert "int16" in text_of(report)


def test_a_budget_is_reported(tmp_path: Path) -> None:
    report = converted(tmp_path, max_bytes=4900, calibration="mse")
    assert report.model.name == "int8 and int16"
    assert report.model.file_bytes <= 4900
    assert {bits for layer in report.model.widths for bits in layer} == {8, 16}
    assert "widths for at most 4,900 bytes: int8" in text_of(report)
    assert report.to_dict()["promotions"]


def test_steps_with_another_dt_than_the_fixed_one_are_counted() -> None:
    net, seen = network("cfc-default"), data(3)
    seen.dt[:, ::3] = 0.25
    floats = FloatRollout(net, seen)
    fixed = quantize.convert(floats, Options(fixed_dt=0.25))
    other = int((seen.dt[seen.mask] != 0.25).sum())
    assert Reporter(floats).measure("int8", container.write(fixed)).clamped_steps == other
    assert quantize.rollout_error(floats, fixed).clamped == other


def test_growing_errors_are_warned_of(tmp_path: Path) -> None:
    report = convert_to_file(chaotic(), data(3), Options(), Wishes(), tmp_path / "m.ulnn")
    (line,) = report.warnings
    assert line.startswith("layer 0 (CfC no_gate) is not contractive")


@pytest.mark.parametrize(("suffix", "steps"), [(".png", 60), (".svg", 1)])
def test_pictures(suffix: str, steps: int, tmp_path: Path) -> None:
    picture = tmp_path / "new" / f"report{suffix}"
    net = network("cfc-default")
    seen = data(3, steps=steps)
    wishes = Wishes(compare=True)
    report = convert_to_file(net, seen, Options(), wishes, tmp_path / "m.ulnn")
    pictures.save(convert_picture.figure(report), picture)
    assert picture.read_bytes()[:4] in (b"\x89PNG", b"<?xm")


def test_a_picture_has_no_box_for_what_is_not_there(tmp_path: Path) -> None:
    report = convert_to_file(network("cfc-default"), data(3), Options(), Wishes(), tmp_path / "m")
    for clipped, axes in ((1, 3), (0, 2)):
        saturation = tuple(replace(s, clipped=clipped) for s in report.model.saturation)
        made = replace(report, model=replace(report.model, saturation=saturation))
        figure = convert_picture.figure(made)
        assert len(figure.axes) == axes
        texts = [text.get_text() for ax in figure.axes for text in ax.texts]
        assert "none" not in texts
    said = figure.axes[-1].get_xlabel()
    assert said == f"No value saturates in {len(report.model.saturation)} tensors."


# ---- saturation ---------------------------------------------------------------------------------


def test_saturation_is_counted_over_the_valid_steps() -> None:
    wild = data(3)
    wild.x[0, 5, 1] = 1e6
    wild.x[-1, -1, 0] = 1e6  # behind the valid steps
    wild.dt[1, 7] = 1e5
    found = {s.name: s for s in rollouts.observed_run(model("cfc-default"), wild).saturation}
    steps = int(wild.length.sum())
    assert (found["inputs"].clipped, found["inputs"].values) == (1, 3 * steps)
    assert (found["elapsed time"].clipped, found["elapsed time"].values) == (1, steps)
    assert found["layer 0: backbone 0 before the table"].values == 16 * steps
    assert found["layer 0: heads before the table"].values == 2 * 12 * steps
    assert found["layer 1: rows"].values == 2 * steps


def test_what_does_not_fit_is_seen_to_saturate() -> None:
    narrow = quantize.convert(FloatRollout(network("cfc-pure"), data(3)), Options(margin=0.02))
    found = {s.name: s for s in rollouts.observed_run(narrow, data(3)).saturation}
    assert found["inputs"].share > 0.5
    assert found["layer 0: heads"].clipped > 0


def test_an_observer_changes_nothing() -> None:
    for name in NAMES:
        engine = model(name)
        x, dt = engine.quantise_input(data(engine.input_size).x[0, :20]), np.full(20, 300_000)
        counter = rollouts.SaturationCounter(np.array(True))
        observed = Reference(engine, observe=counter)
        np.testing.assert_array_equal(observed.run(x, dt), Reference(engine).run(x, dt))
        assert {s.layer for s in counter.totals} == set(range(len(engine.layers)))


# ---- bad input, and the command -----------------------------------------------------------------


def test_wishes_that_contradict_each_other_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UlnnError, match="expected --bits or --max-bytes, not both"):
        converted(tmp_path, bits=8, max_bytes=9000)
    with pytest.raises(UlnnError, match=r"r\.txt: expected a name that ends in \.png"):
        pictures.check_picture(tmp_path / "r.txt")
    with pytest.raises(UlnnError, match="bits: expected 8 or 16, got 4"):
        converted(tmp_path, bits=4)
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path: Path) -> None:
    module, _ = torch_models()["cfc-default"]
    torch.save(scaled(module.state_dict(), 0.7), tmp_path / "net.pt")
    seen: Sequences = data(3)
    save_npz(tmp_path / "d.npz", seen)
    words = ["convert", str(tmp_path / "net.pt"), "--calib", str(tmp_path / "d.npz")]
    words += ["-o", str(tmp_path / "m.ulnn"), "--mode", "default"]
    done = CliRunner().invoke(app, [*words, "--json", "--report", str(tmp_path / "r.svg")])
    assert done.exit_code == 0
    facts = json.loads(done.stdout)
    assert facts["bits"] == 8
    assert facts.keys() >= KEYS | {"model", "saturation", "contraction", "costs", "ram"}
    assert (tmp_path / "r.svg").stat().st_size > 10_000
    done = CliRunner().invoke(app, [*words, "--max-bytes", "5000"])
    assert done.exit_code == 0
    assert "against float over" in done.stdout
