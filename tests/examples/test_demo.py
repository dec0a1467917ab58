"""The demo: what it picks, and the whole of it on a board with a shortened training."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

import demo
from demo import Candidate, pick
from ulnn_host.base.errors import UlnnError
from ulnn_host.data import degrade, watch
from ulnn_host.data.scores import ClassScores
from ulnn_host.train import recipe, train

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("seglearn") is None, reason="the demo set needs seglearn 1.2.5"
)


def candidate(bits: int, seen: float) -> Candidate:
    shares = [round(1000 * accuracy) for accuracy in (seen, 0.5)]
    marks = [ClassScores(((n, 1000 - n), (0, 0))) for n in shares]
    return Candidate(f"int{bits}" if bits else "float", bits, 1000, marks[0], marks[1])


@pytest.mark.parametrize(("int8", "want"), [(0.90, 8), (0.886, 8), (0.884, 16), (0.95, 8)])
def test_picks_the_smallest_that_keeps_the_accuracy(int8, want):
    offered = (candidate(0, 0.9), candidate(8, int8), candidate(16, 0.9))
    assert pick(offered).bits == want


def few(split: watch.Split):
    """Some windows of every class."""
    data = watch.recordings(split).windows(watch.WINDOW, watch.WINDOW)
    chosen = np.concatenate([np.flatnonzero(data.y == k)[:3] for k in range(7)])
    return degrade.drop(data.take(chosen), watch.DROP, np.random.default_rng(3))


@pytest.mark.board
def test_all_of_it(monkeypatch, tmp_path, request, capsys):
    monkeypatch.setattr(watch, "windows", few)
    (tmp_path / "report.html").write_text("of an older run")
    result = demo.run_demo(request.config.getoption("--port"), tmp_path, epochs=2)
    assert result.validation.equal
    assert result.validation.sequences == 21
    on_board = result.validation.score_board
    assert on_board is not None
    assert on_board.accuracy == result.picked.unseen.accuracy
    assert result.validation.different_decisions == 0
    assert result.as_float > 0.9
    page = (tmp_path / "report.html").read_text()
    assert "Accuracy on the PC" in page
    assert "bit for bit" in page
    facts = json.loads((tmp_path / "demo.json").read_text())
    assert facts["equal"]
    assert list(facts["candidates"]) == ["float", "int8", "int16"]
    assert json.loads((tmp_path / "validation.json").read_text())["equal"]
    picked = (tmp_path / f"{result.picked.name}.ulnn").read_bytes()
    assert (tmp_path / "model.ulnn").read_bytes() == picked
    shown = capsys.readouterr().out
    for text in (
        "3/6 training",
        "int16",
        "picked",
        "self test: 32 steps equal",
        "decisions 21, all",
    ):
        assert text in shown


def test_failing_leaves_no_old_report(monkeypatch, tmp_path):
    monkeypatch.setattr(watch, "windows", few)
    for name in ("report.html", "demo.json"):
        (tmp_path / name).write_text("of an older run")
    with pytest.raises(UlnnError, match="none"):
        demo.run_demo(str(tmp_path / "none"), tmp_path, epochs=1)
    assert not (tmp_path / "report.html").exists()
    assert not (tmp_path / "demo.json").exists()


@pytest.mark.slow
def test_accuracy_that_is_promised(full, tmp_path):
    if not full:
        pytest.skip("a whole training: --full")
    trained = train.train(recipe.read_recipe(recipe.RECIPES / "watch.toml"), quiet=True)
    trained.save(tmp_path / "watch.safetensors")
    found = demo._candidates(trained, watch.windows("train"), watch.windows("unseen"), tmp_path)
    real, int8, int16 = (c.unseen.accuracy for c in found)
    assert real >= 0.85
    assert int8 >= real - 0.015
    assert int16 >= real - 0.005
