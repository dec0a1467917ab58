"""Scores on degraded data: of float and integers side by side, deterministic, as the command."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import ulnn_host as uh
from support.training import plan, waves
from ulnn_host.base.errors import UlnnError
from ulnn_host.cli.main import app
from ulnn_host.data import degrade
from ulnn_host.data.npz import save_npz
from ulnn_host.data.scores import score
from ulnn_host.experiments.robustness import Condition, conditions, robustness
from ulnn_host.train import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """n.safetensors, n.ulnn, and test.npz of two groups."""
    path = tmp_path_factory.mktemp("score")
    made = plan(path, waves(labels=("slow", "fast")), training={"epochs": 40})
    trained = train.train(made, quiet=True)
    trained.save(path / "n.safetensors")
    uh.convert(trained, waves(), name="n").save(path / "n.ulnn")
    test = waves(seed=5, n=40, group=np.arange(40) // 20, groups=("ann", "bob"))
    save_npz(path / "test.npz", test)
    return path


@pytest.fixture(scope="module")
def recordings(folder):
    return uh.read(folder / "test.npz")


def network(folder):
    from ulnn_host.importers import checkpoint

    return checkpoint.read_checkpoint(folder / "n.safetensors").network


def test_both_networks_get_the_same_data(folder, recordings):
    real, model = network(folder), uh.load(folder / "n.ulnn")
    tried = conditions([0.5], [0.3])
    assert [(c.drop, c.noise) for c in tried] == [(0, 0), (0.5, 0), (0, 0.3), (0.5, 0.3)]
    found = robustness(recordings, network=real, model=model.content, tried=tried, seed=4)
    again = robustness(recordings, network=real, model=model.content, tried=tried, seed=4)
    other = robustness(recordings, network=real, model=model.content, tried=tried, seed=5)
    assert found == again
    assert found.results[0].scores == other.results[0].scores
    assert found.to_dict() != other.to_dict()
    # the clean figures are those of the networks alone
    clean = found.results[0].scores
    labelled = replace(recordings, labels=("slow", "fast"))
    assert clean["int8"] == model.report(recordings)
    trace = real.run(recordings.x, recordings.dt)
    assert clean["float"] == score(trace.y, labelled, "mean")
    assert set(clean["float"].by_group) == {"ann", "bob"}
    assert clean["float"].accuracy > 0.9
    # and those of lost samples are those of data without them
    less = degrade.drop(recordings, 0.5, np.random.default_rng([4, 1]))
    assert found.results[1].scores["int8"] == model.report(less)
    assert found.results[1].samples == less.length.sum()
    assert model.score(recordings, [0.5], [0.3], network=real, seed=4) == found


@pytest.mark.parametrize("fill", degrade.FILLS)
@pytest.mark.parametrize("pattern", degrade.PATTERNS)
def test_every_way_of_losing_samples(folder, recordings, pattern, fill):
    tried = (Condition(0.6, pattern=pattern, fill=fill),)
    real = network(folder)
    result = robustness(recordings, network=real, tried=tried, seed=2).results[0]
    rng = np.random.default_rng([2, 1])
    less = degrade.drop(recordings, 0.6, rng, pattern=pattern, fill=fill)
    y = real.run(less.x, less.dt, less.length).y
    assert result.scores["float"] == score(y, replace(less, labels=("slow", "fast")), "mean")
    assert result.samples == 40 * (8 if fill == "skip" else 20)


def test_steps_beyond_the_calibration_are_counted(folder, recordings):
    late = replace(recordings, dt=recordings.dt * np.where(np.arange(20) % 4, 1, 100))
    model = uh.load(folder / "n.ulnn")
    result = robustness(late, network=network(folder), model=model.content).results[0]
    assert result.clamped == {"int8": 40 * 5}


def test_values(tmp_path):
    base = waves()
    y = (20 + 3 * base.y).astype(np.float32)
    made = plan(tmp_path, replace(base, y=y), data={"target": "value"}, training={"epochs": 40})
    model = uh.convert(train.train(made, quiet=True), replace(base, y=y))
    clean, noisy = model.score(replace(base, y=y), noises=[2.0]).results
    assert clean.scores["int8"].rmse[0] < 0.8
    assert clean.scores["int8"].r2[0] > 0.7
    assert noisy.scores["int8"].r2[0] < clean.scores["int8"].r2[0] - 0.1
    assert model.report(replace(base, y=y)) == clean.scores["int8"]
    assert model.conversion.model.scores == clean.scores["int8"]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ({"y": None}, {}, "the data have no targets y"),
        ({"y": np.arange(48) % 3}, {}, "y holds label 2, expected 0 to 1"),
        ({"labels": ("slow", "quick")}, {}, "label 'quick' is not known"),
        ({}, {"drops": [1.0]}, "share of dropped samples is 1.0, expected 0 up to below 1"),
        ({}, {"noises": [-0.5]}, "noise is -0.5, expected 0 standard deviations"),
    ],
)
def test_what_does_not_fit(folder, data, options, message):
    with pytest.raises(UlnnError) as caught:
        uh.load(folder / "n.ulnn").score(waves(**data), **options)
    assert message in str(caught.value)


def run(*arguments, status=0):
    done = CliRunner().invoke(app, ["score", *map(str, arguments)])
    assert (done.exit_code, done.exception if status == 0 else None) == (status, None)
    return done


def test_command(folder, tmp_path):
    model, real, data = (folder / name for name in ("n.ulnn", "n.safetensors", "test.npz"))
    picture = tmp_path / "p.png"
    options = ["--drop", "0,.5", "--noise", ".2", "--bursts", "--fill", "hold"]
    done = run(model, data, "--float", real, *options, "--picture", picture)
    for text in (
        "readout mean",
        "0 slow",
        "1 fast",
        "ann",
        "50% lost, noise 0.2",
        "in bursts, the",
    ):
        assert text in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    facts = json.loads(run(model, data, "--float", real, *options, "--json").stdout)
    shown = [(c["drop"], c["noise"], c["fill"]) for c in facts["conditions"]]
    assert shown == [(0, 0, "hold"), (0.5, 0, "hold"), (0, 0.2, "hold"), (0.5, 0.2, "hold")]
    assert facts["conditions"][0]["scores"].keys() == {"float", "int8"}
    alone = json.loads(run(real, data, "--json").stdout)
    assert alone["conditions"][0]["scores"] == {"float": facts["conditions"][0]["scores"]["float"]}
    assert json.loads(run(model, data, "--json").stdout)["conditions"][0]["scores"].keys() == {
        "int8"
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fill", "zero"], "--fill zero: expected skip, hold, mean"),
        (["--drop", "a,b"], "--drop a,b: expected numbers, such as 0,.3,.6"),
        (["--picture", "p.png"], "--picture shows what --drop or --noise changes"),
        (["--drop", ".5", "--picture", "p.gif"], "expected a name that ends in .png"),
    ],
)
def test_options_that_are_refused(folder, options, message):
    done = CliRunner().invoke(app, ["score", f"{folder}/n.ulnn", f"{folder}/test.npz", *options])
    assert isinstance(done.exception, UlnnError)
    assert message in str(done.exception)


def test_a_checkpoint_has_no_other_beside_it(folder):
    real = str(folder / "n.safetensors")
    done = CliRunner().invoke(app, ["score", real, f"{folder}/test.npz", "--float", real])
    assert "--float is for a model (.ulnn)" in str(done.exception)
