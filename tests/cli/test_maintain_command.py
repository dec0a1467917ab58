"""`ulnn maintain`: what it prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from support.lives import lives
from ulnn_host.cli.main import app
from ulnn_host.data.npz import save_npz
from ulnn_host.format import container

RECIPE = """
[data]
source = "pumps.npz"
target = "next"
[model]
hidden = 4
readout = "each"
[training]
epochs = 1
"""


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    save_npz(tmp_path / "pumps.npz", lives(machines=3).data)
    (tmp_path / "small.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def maintain(*words: str) -> Result:
    fixed = ["--recipe", "small.toml", "--seeds", "1", "--folds", "3", "--every", "3600"]
    return CliRunner().invoke(app, ["maintain", *words, *fixed, "--healthy", "0.6"])


def test_it_chooses_and_writes_settings(start: Path) -> None:
    words = ("pumps.npz", "--state", "acc rms > 6", "--look", "4")
    done = maintain(*words, "-o", "alarm", "--picture", "warning.png")
    assert done.exit_code == 0, done.output
    assert "days of warning before the failure, on 3 machines held out" in done.stdout
    assert "kurtosis warns" in done.stdout
    assert "note: 3 machines: intervals are too narrow" in done.stdout
    assert (start / "warning.png").stat().st_size > 5000
    settings = json.loads((start / "alarm" / "settings.json").read_text())
    assert [alarm["score"] for alarm in settings["alarm"]] == ["acc kurtosis"]
    assert container.read((start / "alarm" / "model.ulnn").read_bytes()).input_size == 4
    facts = json.loads(maintain(*words, "--json").stdout)
    assert facts["alarm"] == settings["alarm"]
    names = [row["name"] for row in facts["detectors"]]
    assert sorted(names) == ["envelope", "kurtosis", "linear", "rms", "small"]
    assert sorted(facts["detectors"][0]["days_by_machine"]) == ["pump 1", "pump 2", "pump 3"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nothing.npz",), "nothing.npz"),
        (("pumps.npz", "--state", "speed"), "expected a feature and a number"),
        (("pumps.npz", "--learn", "9"), "choose a shorter time"),
        (("pumps.npz", "--picture", "a.txt"), "expected a name that ends in .png"),
    ],
)
def test_errors_are_a_line(start: Path, words: tuple[str, ...], says: str) -> None:
    done = maintain(*words)
    assert done.exit_code != 0
    assert says in str(done.exception)
