"""`ulnn tune`: what it writes and prints, and what it refuses before it trains."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from support.paths import ROOT
from support.training import waves
from ulnn_host.cli.main import app
from ulnn_host.data.npz import save_npz
from ulnn_host.train import recipe, train

TEXT = "[data]\nsource = 'a.npz'\n[model]\nhidden = 4\n[training]\nepochs = 7"


@pytest.fixture
def start(tmp_path: Path) -> Path:
    save_npz(tmp_path / "a.npz", waves(n=24, steps=8))
    (tmp_path / "r.toml").write_text(TEXT)
    return tmp_path / "r.toml"


def tune(start: Path, *words: str | Path) -> Result:
    options = ["tune", str(start), "--epochs", "1", "--trials", "3", *map(str, words)]
    return CliRunner().invoke(app, options)


def test_it_writes_a_recipe_and_a_picture_and_prints_every_trial(start: Path) -> None:
    folder = start.parent
    shown = tune(start)
    assert shown.exit_code == 0
    assert "balanced accuracy, int8, held out" in shown.stdout
    assert re.search(r"^\d \*\* .* [\d,]+$", shown.stdout, re.MULTILINE), "nothing is cut off"
    assert "r_tuned.toml: trial " in shown.stdout.replace("\n", "")
    done = tune(start, "--json", "-o", folder / "sub" / "best.toml")
    facts = json.loads(done.stdout)
    assert [t["trial"] for t in facts["trials"]] == [0, 1, 2]
    (chosen,) = (t for t in facts["trials"] if t["chosen"])
    assert chosen["front"]
    assert {"score", "score_float", "bytes", "cycles", "products", "seconds"} <= set(chosen)
    one, other = (
        recipe.read_recipe(folder / "r_tuned.toml"),
        recipe.read_recipe(folder / "sub" / "best.toml"),
    )
    assert one.model == other.model
    assert one.model.cell == chosen["cell"]
    assert one.training.epochs == 7
    assert (folder / one.data.source).resolve() == (folder / other.data.source).resolve()
    assert (folder / "sub" / "best.png").stat().st_size > 5000


def test_limits_choose_a_smaller_network_of_the_same_study(start: Path) -> None:
    storage = ("--storage", start.with_name("s.journal"), "--cells", "cfc", "--json")
    trials = json.loads(tune(start, *storage).stdout)["trials"]
    least = min(t["cycles"] for t in trials)
    done = tune(start, *storage, "--max-cycles", str(least))
    assert [t["cycles"] for t in json.loads(done.stdout)["trials"] if t["chosen"]] == [least]
    none = tune(start, *storage[:-1], "--max-bytes", "100")
    assert len(re.findall(r"^\d .*cfc", none.stdout, re.MULTILINE)) == 3, "the trials are shown"
    assert "none of 3 trials is a network of at most 100 bytes" in str(none.exception)


def test_ctrl_c_writes_the_best_so_far(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, calls = train.train, []

    def interrupted(*rest, **options):
        calls.append(rest)
        if len(calls) != 1:
            raise KeyboardInterrupt
        return found(*rest, **options)

    monkeypatch.setattr(train, "train", interrupted)
    done = tune(start, "--json")
    assert done.exit_code == 130
    assert "stopped after 1 of 3 trials" in done.stderr
    assert len(json.loads(done.stdout)["trials"]) == 1
    assert recipe.read_recipe(start.with_name("r_tuned.toml")).model.hidden == 4
    again = tune(start, "-o", start.with_name("none.toml"))
    assert again.exit_code == 130
    assert "stopped in the first trial: nothing is written" in again.stderr
    assert not start.with_name("none.toml").exists()


def test_the_commands_of_the_document_and_the_help_are_right() -> None:
    command = typer.main.get_command(app).commands["tune"]  # type: ignore[attr-defined]
    text = (ROOT / "host" / "docs" / "tune.md").read_text() + (command.help or "")
    lines = re.findall(r"^(?:Example: )?ulnn (tune .*)$", text, re.MULTILINE)
    assert len(lines) == 5
    for line in lines:
        made = command.make_context("tune", line.split()[1:])
        assert made.params["recipe"] == Path("recipe.toml")


def test_the_recipe_is_never_the_output(start: Path) -> None:
    refused = tune(start, "-o", start)
    assert "is an input and would be overwritten" in str(refused.exception)
    assert start.read_text() == TEXT
    over = tune(start, "-o", start.with_name("best.png"))
    assert "best.png: expected a recipe (.toml); the picture" in str(over.exception)
