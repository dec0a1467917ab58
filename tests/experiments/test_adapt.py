"""`ulnn adapt`: a wearer's examples move decisions on other recordings of his, by the rules of the
board; the model stays what it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ulnn_host as uh
from support.training import plan, waves
from ulnn_host.base.errors import UlnnError
from ulnn_host.cli.main import app
from ulnn_host.data.npz import from_arrays, save_npz
from ulnn_host.data.scores import pool
from ulnn_host.data.sequences import Sequences
from ulnn_host.experiments.adapt import read_centres
from ulnn_host.experiments.personal import personal
from ulnn_host.train import train
from ulnn_rules.centres import Centres

NAMES = ("slow", "fast")


def wearer(n: int, seed: int) -> Sequences:
    """Somebody whose slow waves are nearly as fast as the fast ones of others."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    dt = rng.uniform(0.05, 0.15, (n, 20)).astype(np.float32)
    phase = np.cumsum(dt, 1) * np.where(y, 12.0, 6.0)[:, None] + rng.uniform(0, 6, (n, 1))
    x = np.stack([np.sin(phase), np.cos(phase)], -1).astype(np.float32)
    return from_arrays({"x": x, "dt": dt, "y": y, "labels": np.array(NAMES)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """m.ulnn with centres, plain.ulnn without, his.npz and later.npz of one wearer."""
    path = tmp_path_factory.mktemp("adapt")
    data = waves(labels=NAMES, group=np.arange(48) // 4 % 3)
    trained = train.train(plan(path, data, training={"epochs": 40}), quiet=True)
    trained.save(path / "n.safetensors")
    uh.convert(trained, data, centres=2).save(path / "m.ulnn")
    uh.convert(trained, data).save(path / "plain.ulnn")
    save_npz(path / "all.npz", data)
    save_npz(path / "his.npz", wearer(24, 1))
    save_npz(path / "later.npz", wearer(60, 2))
    return path


def test_centres_are_the_mean_results_of_groups(folder: Path) -> None:
    data = waves(labels=NAMES, group=np.arange(48) // 4 % 3)
    network = uh.importers.checkpoint.read_checkpoint(folder / "n.safetensors").network
    results = pool(network.run(data.x, data.dt, data.length).y, data.length, "mean")
    model = uh.load(folder / "m.ulnn").file
    assert model.centres is not None
    assert model.centres.weight == 2
    assert data.y is not None
    assert data.group is not None
    for c in range(2):
        of_group = [results[(data.y == c) & (data.group == g)].mean(axis=0) for g in range(3)]
        want = (np.mean(of_group, axis=0) - model.output_offset) / model.output_scale
        np.testing.assert_allclose(model.centres.values[c], want, atol=0.51)


def test_a_wearer_is_learnt(folder: Path) -> None:
    model = uh.load(folder / "m.ulnn")
    found = model.adapt(uh.read(folder / "his.npz"), test=uh.read(folder / "later.npz"))
    assert found.kept
    assert found.examples == {"slow": 12, "fast": 12}
    assert found.before is not None
    assert found.after is not None
    assert found.after.accuracy > found.before.accuracy + 0.05
    path = found.save(folder / "his.centres")
    assert list(read_centres(model.content, path).counts) == [12, 12]
    more = model.adapt(uh.read(folder / "his.npz"), start=path)
    assert more.examples == {"slow": 24, "fast": 24}
    assert Centres(model.content).load(str(more.save(folder / "his.centres")))


def test_the_command(folder: Path) -> None:
    out = folder / "c.centres"
    called = ["adapt", str(folder / "m.ulnn"), str(folder / "his.npz"), "-o", str(out)]
    done = CliRunner().invoke(app, [*called, "--test", str(folder / "later.npz")])
    assert done.exit_code == 0, done.output
    assert "examples learnt: slow 12, fast 12" in done.output
    assert "adapted" in done.output
    done = CliRunner().invoke(app, [*called, "--json"])
    assert json.loads(done.output)["examples"] == {"slow": 12, "fast": 12}


def test_what_cannot_be_adapted(folder: Path) -> None:
    his = uh.read(folder / "his.npz")
    with pytest.raises(UlnnError, match="convert it again with --centres"):
        uh.load(folder / "plain.ulnn").adapt(his)
    model = uh.load(folder / "m.ulnn")
    (folder / "junk").write_bytes(b"junk" * 300)
    with pytest.raises(UlnnError, match="expected a file that ulnn adapt or a board wrote"):
        model.adapt(his, start=folder / "junk")
    other = uh.convert(folder / "n.safetensors", waves(labels=NAMES), centres=4)
    other.adapt(his).save(folder / "other.centres")
    with pytest.raises(UlnnError, match="belongs to another model"):
        model.adapt(his, start=folder / "other.centres")


def test_centres_need_every_class(folder: Path) -> None:
    data = waves(labels=NAMES)
    assert data.y is not None
    with pytest.raises(UlnnError, match="expected data of every class, found none of fast"):
        uh.convert(folder / "n.safetensors", data.take(np.flatnonzero(data.y == 0)), centres=2)


def test_a_model_of_his_own(folder: Path) -> None:
    out = folder / "own.ulnn"
    called = ["adapt", str(folder / "m.ulnn"), str(folder / "his.npz"), "-o", str(out)]
    made = ["--from", str(folder / "n.safetensors"), "--calib", str(folder / "all.npz")]
    done = CliRunner().invoke(app, [*called, *made, "--test", str(folder / "later.npz"), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["kept"]
    assert found["after"]["balanced"] > found["before"]["balanced"] + 0.03
    model, old = uh.load(out).file, uh.load(folder / "m.ulnn").file
    assert model.sha256 != old.sha256
    assert model.decision == old.decision
    assert model.centres is not None
    for more in (made, [*made[:2], "--test", str(folder / "later.npz")]):
        done = CliRunner().invoke(app, [*called, *more])
        assert done.exit_code
        assert "expected --from, --calib and --test" in str(done.exception or done.output)


def test_back_to_the_start(folder: Path) -> None:
    """Recordings of the wearer that have the wrong names."""
    his, later = uh.read(folder / "his.npz"), uh.read(folder / "later.npz")
    assert his.y is not None
    wrong = replace(his, y=1 - his.y)
    content = (folder / "m.ulnn").read_bytes()
    network = uh.importers.checkpoint.read_checkpoint(folder / "n.safetensors").network
    everybody = uh.read(folder / "all.npz")
    found = personal(content, network, everybody, wrong, later, epochs=20, quiet=True)
    assert not found.kept
    assert found.content == content
    with pytest.raises(UlnnError, match="the model was not converted from this checkpoint with"):
        personal(content, network, replace(his, x=2 * his.x), his, later, epochs=1, quiet=True)
