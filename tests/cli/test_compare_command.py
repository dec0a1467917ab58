"""`ulnn compare`: what it prints and writes, and its document."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from support.paths import ROOT
from support.training import waves
from ulnn_host.cli.main import app
from ulnn_host.data.npz import save_npz
from ulnn_host.train import recipe, train

TEXT = "[data]\nsource = 'a.npz'\n[model]\ncell = '{}'\nhidden = 4\n[training]\nepochs = 1\n"
DOCUMENT = ROOT / "host" / "docs" / "compare.md"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    data = waves(n=16, steps=6, group=np.arange(16) // 4, groups=("anna", "bob", "cem", "dora"))
    save_npz(tmp_path / "a.npz", data)
    for cell in ("cfc", "gru", "ltc"):
        text = TEXT.format(cell)
        if cell == "ltc":
            text = text.replace("hidden = 4\n", "")
        (tmp_path / f"{cell}.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compare(*words: str) -> Result:
    return CliRunner().invoke(app, ["compare", *words, "--folds", "2"])


def test_it_prints_tables_and_draws_a_picture(start: Path) -> None:
    recipes = ("cfc.toml", "gru.toml", "--seeds", "2")
    done = compare(*recipes, "--picture", "c.png")
    assert done.exit_code == 0, done.output
    assert "balanced accuracy, held out: 4 groups, 2 seeds" in done.stdout
    assert re.search(r"^gru - cfc +int8 +[+-]\d", done.stdout, re.MULTILINE)
    assert "note: 2 seeds: intervals are too narrow" in done.stdout
    assert "note: 4 groups: intervals are too narrow" in done.stdout
    assert (start / "c.png").stat().st_size > 5000
    facts = json.loads(compare(*recipes, "--json").stdout)
    rows = {row["name"]: row for row in facts["networks"]}
    assert rows["cfc"]["cell"] == "cfc"
    assert sorted(rows["gru"]["by_cluster"]) == ["anna", "bob", "cem", "dora"]
    assert f"{rows['gru']['integers']['value']:.2%}" in done.stdout
    assert (start / "compare.cache").is_dir()


def test_rates_budget_and_three_recipes(start: Path) -> None:
    words = ("--seeds", "1", "--rates", ".01,.02", "--budget", "4000cycles", "--cache", "kept")
    done = compare("gru.toml", "cfc.toml", "ltc.toml", *words)
    assert "at most 4,000 cycles" in done.stdout
    assert "no verdict" in done.stdout
    assert len(re.findall(r"0\.0[12], 0\.0[12]$", done.stdout, re.MULTILINE)) == 3
    assert {p.suffix for p in (start / "kept").iterdir()} == {".json", ".safetensors"}


def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(
    start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = train.train, []

    def interrupted(*rest, **options):
        calls.append(rest)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*rest, **options)

    monkeypatch.setattr(train, "train", interrupted)
    recipes = ("cfc.toml", "gru.toml", "--seeds", "1")
    done = compare(*recipes)
    assert done.exit_code == 130
    assert done.stdout == ""
    assert "stopped after 2 of 4 trainings; the same command goes on" in done.stderr
    assert compare(*recipes).exit_code == 0
    assert len(calls) == 5


def test_it_refuses_before_it_trains(start: Path) -> None:
    for words, text in (
        (("cfc.toml",), "expected two different recipes or more"),
        (("cfc.toml", "gru.toml", "--budget", "12"), "budget '12': expected bytes"),
        (("cfc.toml", "gru.toml", "--picture", "cfc.toml"), "expected a name that ends in .png"),
        (("cfc.toml", "gru.toml", "--rates", "x"), "--rates x: expected numbers"),
        (("cfc.toml", "gru.toml", "--leave-out", "x"), "leave_out is 'x', expected one of group"),
    ):
        assert text in str(compare(*words).exception)
    assert not (start / "compare.cache").exists()


def test_the_commands_and_the_recipe_of_the_document_are_right() -> None:
    command = typer.main.get_command(app).commands["compare"]  # type: ignore[attr-defined]
    text = DOCUMENT.read_text()
    lines = re.findall(
        r"^(?:Example: |\$ )?ulnn (compare .*)$", text + (command.help or ""), re.MULTILINE
    )
    assert len(lines) == 5
    for line in lines:
        made = command.make_context("compare", shlex.split(line)[1:])
        assert made.params["recipes"][:2] == [Path("cfc.toml"), Path("gru.toml")]
    (content,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert recipe.parse(tomllib.loads(content)).model.cell == "cfc"
