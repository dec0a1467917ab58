"""`ulnn mask`, `ulnn new-key`, and host/docs/privacy.md, whose policy and commands are run."""

from __future__ import annotations

import json
import re
import shlex
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from support.paths import ROOT
from ulnn_host.cli.main import main

PAGE = (ROOT / "host" / "docs" / "privacy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
VISITS = "patient,name,what,lat,lon,time,born,age,pulse,note\n" + "".join(
    f"p{k % 7},Anneliese,still,48.{k}137,11.{k}754,2024-05-31T12:{k:02}:00Z,1965-03-17,{k},"
    f"{60 + k},at\n"
    for k in range(40)
)
TAKES = "time_ms,patient,what,ax,ay\n" + "".join(
    f"{20 * k},p{k // 20},{'still' if k < 20 else 'walking'},0.{k},-0.{k}\n" for k in range(40)
)
Ulnn = Callable[..., tuple[str, str]]


@pytest.fixture
def ulnn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ulnn:
    """The command, in a folder with the policy of the page and data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "policy.json").write_text(next(text for kind, text in BLOCKS if kind == "json"))
    (tmp_path / "visits.csv").write_text(VISITS)
    (tmp_path / "takes.csv").write_text(TAKES)

    def run(*words: str, status: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["ulnn", *words])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert (ended.value.code or 0) == status, captured.err
        return captured.out, captured.err

    return run


def test_the_page(ulnn: Ulnn, tmp_path: Path) -> None:
    commands = next(text for kind, text in BLOCKS if text.startswith("ulnn new-key"))
    said = [ulnn(*shlex.split(line)[1:])[0] for line in commands.splitlines()]
    key, check, masked, data = said
    assert "k1-" in key
    assert "not in the policy: 1 field with 40 values" in check
    assert "of persons alike in what, lat, lon, time, born, age" in check
    assert "masked.csv:" in masked
    assert "k1-" in data
    lines = (tmp_path / "masked.csv").read_text().splitlines()
    assert len(lines) == 41
    assert lines[0] == "patient,what,lat,lon,time,born,age,pulse"
    everything = "".join(said) + "\n".join(lines)
    for word in ("Anneliese", "1965-03-17", "2024-05-31T12:01", "p1,", "137,11", "754,20"):
        assert word not in everything
    spent = json.loads((tmp_path / "spent.json").read_text())
    assert len(spent) == 7
    assert all(epsilon <= 5_000_000 for epsilon, _ in spent.values())


def test_json_and_names(ulnn: Ulnn) -> None:
    ulnn("new-key", "keeper.json")
    made = json.loads(ulnn("mask", "--check", "policy.json", "visits.csv", "--json")[0])
    assert (made["records"], made["unknown"], made["output"]) == (40, 1, None)
    assert made["groups"]["of"] == "persons"
    assert "note" not in json.dumps(made)
    assert "not in the policy: note" in ulnn(
        "mask", "--check", "policy.json", "visits.csv", "--names"
    )[0]  # fmt: skip


@pytest.mark.parametrize(("words", "text"), [
    (["visits.csv"], "error: give -o OUT to mask the file, or --check to see what would leave\n"),
    (["visits.csv", "--check", "-o", "x.csv"], "error: give -o OUT to mask the file, or --check"),
    (["visits.csv", "--check", "--for", "sale"], "error: purpose is 'sale', expected one of "),
    (["visits.csv", "--check"], "error: keeper's file keeper.json: no such file\n"),
    (["visits.xls", "--check"], "error: visits.xls: expected a .csv, "),
])  # fmt: skip
def test_one_line_a_mistake(ulnn: Ulnn, words: list[str], text: str) -> None:
    _, error = ulnn("mask", "policy.json", *words, status=1)
    assert error.startswith(text)
    assert error.count("\n") == 1
