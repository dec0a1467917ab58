"""Measures in what `ulnn convert` and `ulnn validate` show: which data, which classes."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

import ulnn_host as uh
from support.convert_cases import data, network
from support.every_cell import scaled, torch_models
from ulnn_host.base.errors import UlnnError, UlnnWarning
from ulnn_host.cli.main import app
from ulnn_host.data.measures import Errors
from ulnn_host.data.npz import save_npz
from ulnn_host.data.scores import ClassScores, ValueScores, score
from ulnn_host.data.sequences import Sequences
from ulnn_host.quantize.calibration import FloatRollout
from ulnn_host.quantize.options import Options
from ulnn_host.report import scores_text
from ulnn_host.report.conversion import Wishes, convert_network
from ulnn_host.report.convert_report import Reporter
from ulnn_host.report.page import Page, add_scores

NAMED = ("low", "high")


def unseen(**changes: object) -> Sequences:
    made = data(3, count=12, seed=9)
    return replace(made, group=np.arange(12) // 4, groups=("ann", "bob", "eve"), **changes)  # type: ignore[arg-type]


def shown(scores: dict[str, ClassScores | ValueScores], width: int = 60) -> str:
    out = Console(width=width, file=io.StringIO())
    scores_text.show(scores, "on some data", out)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_scores_are_those_of_the_test_data() -> None:
    net, calib = network("cfc-default"), data(3)
    net = replace(net, meta=net.meta | {"labels": list(NAMED)})
    wishes = Wishes(compare=True)
    done = convert_network(net, calib, Options(), wishes, test=unseen(labels=NAMED))
    report = done.report
    assert report.measured_on == "test data"
    y = net.run(unseen().x, unseen().dt, unseen().length).y
    assert report.scores == score(y, unseen(labels=NAMED), "last")
    model = uh.Model(done.content, report=report)
    assert report.model.scores == model.report(unseen(labels=NAMED))
    error = (model.run(unseen()) - y)[unseen().mask]
    assert report.model.test_rms == pytest.approx(float(np.sqrt(np.mean(error**2))), rel=1e-4)
    int16 = report.compared[0]
    assert int16.scores is not None
    assert int16.scores.count == 12
    facts = json.loads(json.dumps(report.to_dict()))
    assert facts["float_scores"]["classes"][1]["label"] == "high"
    assert facts["scores"]["by_group"].keys() == {"0", "1", "2"}
    assert facts["float_accuracy"] == report.accuracy
    # without test data, that it is calibration data is said
    seen = convert_network(net, calib, Options(), Wishes()).report
    assert seen.measured_on == seen.to_dict()["measured_on"] == "calibration data"
    assert seen.model.test_rms is None
    assert seen.scores != report.scores


def test_targets_that_do_not_fit_are_never_swallowed() -> None:
    floats = FloatRollout(network("cfc-default"), data(3))
    wrong = unseen(y=np.full(12, 5))
    with pytest.raises(UlnnError, match="test data: y holds label 5, expected 0 to 1"):
        Reporter(floats, wrong)
    with pytest.raises(UlnnError, match="the test data have no targets y"):
        Reporter(floats, unseen(y=None))
    with pytest.warns(UlnnWarning, match="no measures: y holds label 5, expected 0 to 1"):
        assert Reporter(FloatRollout(network("cfc-default"), wrong)).scores is None
    steps = unseen(y=np.zeros((12, 3), np.float32))
    with pytest.warns(UlnnWarning, match="no measures: y has shape"):
        assert Reporter(FloatRollout(network("cfc-default"), steps)).scores is None


def test_values_are_measured_in_their_unit() -> None:
    net = network("cfc-default")
    y = net.run(unseen().x, unseen().dt, unseen().length).y[np.arange(12), unseen().length - 1]
    report = convert_network(
        net, data(3), Options(), Wishes(), test=unseen(y=(y + 0.5).astype(np.float32))
    ).report
    assert isinstance(report.scores, ValueScores)
    assert report.scores.rmse == pytest.approx((0.5, 0.5), rel=1e-5)
    assert report.accuracy is None
    text = shown({"float": report.scores})
    lines = [line.split() for line in text.splitlines()]
    assert ["RMSE", "0.5"] in lines
    assert ["output", "RMSE", "MAE", "R2"] in lines


def test_text_has_names_and_nothing_is_cut_off() -> None:
    names = tuple(f"a quite long name of class {k}" for k in range(12))
    truth = np.arange(120) % 12
    y = np.zeros((120, 1, 12))
    y[np.arange(120), 0, np.where(truth == 3, 4, truth)] = 1
    made = Sequences(
        np.zeros((120, 1, 1)), np.ones((120, 1)), y=truth, labels=names, group=truth % 2
    )
    found = score(y, made, "last")
    text = shown({"float": found, "int8": found})
    lines = text.splitlines()
    assert lines[0] == "on some data"
    row = next(line for line in lines if names[3] in line)
    assert row.split()[-12:] == ["."] * 4 + ["10"] + ["."] * 7
    assert "91.67%" in next(line for line in lines if line.startswith("accuracy"))
    assert lines[-1].split() == ["1", "60", "83.33%", "83.33%", "83.33%", "83.33%"]


def test_many_classes_have_no_matrix_in_text() -> None:
    many = ClassScores(tuple(tuple(int(i == j) for j in range(40)) for i in range(40)))
    text = shown({"float": many})
    assert "the confusion matrix of 40 classes is in the JSON" in text
    assert len([line for line in text.splitlines() if "100.0%" in line]) == 40


def test_pages_have_names_of_classes_and_no_names_of_people() -> None:
    by_group = {"<ann>": ClassScores(((1, 0), (0, 1))), "bob": ClassScores(((2, 1), (0, 2)))}
    found = ClassScores(((3, 1), (0, 3)), ("rest", "a < b"), None, by_group)
    page = Page("p")
    add_scores(page, {"reference": found, "board": found}, "readout last")
    text = page.html()
    for part in ("7 decisions, readout last", "a &lt; b", "precision", "85.71%"):
        assert part in text
    assert "ann" not in text
    assert text.count("<figure>") == 1
    values = ValueScores(5, (0.25,), (0.2,), (0.9,), {"x": Errors(5, (0.25,), (0.2,), (0.9,))})
    page = Page("p")
    add_scores(page, {"reference": values, "board": values}, "readout last")
    assert "0.25" in page.html()
    assert "<figure>" not in page.html()


def test_the_command(tmp_path: Path) -> None:
    module, _ = torch_models()["cfc-default"]
    torch.save(scaled(module.state_dict(), 0.7), tmp_path / "net.pt")
    save_npz(tmp_path / "d.npz", data(3))
    save_npz(tmp_path / "t.npz", unseen(labels=NAMED))
    start = ["convert", str(tmp_path / "net.pt"), "--calib", str(tmp_path / "d.npz"), "-o"]
    start += [str(tmp_path / "m.ulnn")]
    done = CliRunner().invoke(app, [*start, "--test", str(tmp_path / "t.npz")])
    assert done.exit_code == 0
    for part in ("accuracy on test data", "on test data, readout last", "1 high"):
        assert part in done.stdout
    assert "eve" not in done.stdout  # nor any other name of a person
    done = CliRunner().invoke(app, start)
    assert "on calibration data, readout last" in done.stdout
    (tmp_path / "m.ulnn").unlink()
    done = CliRunner().invoke(app, [*start, "--test", str(tmp_path / "d.npz")])
    assert "is the calibration data: expected others" in str(done.exception)
    assert not (tmp_path / "m.ulnn").exists()
