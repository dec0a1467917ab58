"""The README's way from logs to a proven board runs as it is printed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.paths import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8").partition("## From your logs")[2]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run([sys.executable, str(ROOT / "host" / "examples" / "takes.py")], tmp_path)
    return tmp_path


def run(words: list[str], folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def share(name: str, text: str) -> float:
    """A share in a table, such as accuracy, in the last column."""
    (line,) = re.findall(rf"^{name} .*?([\d.]+)%$", text, re.MULTILINE)
    return float(line)


@pytest.mark.board
def test_five_commands(folder: Path) -> None:
    kind, block = BLOCKS[0]
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert (kind, len(commands), {words[0] for words in commands}) == ("", 5, {"ulnn"})
    said = [run([sys.executable, "-m", "ulnn_host", *words[1:]], folder) for words in commands]
    assert "a class for each step: rest 5,000, run 5,000, walk 5,000" in said[0]
    assert "groups: anna 1, bob 1, cem 1, dora 1, eve 1" in said[0]
    assert share("accuracy", said[2].partition("on test data")[2]) > 95
    assert "60% lost" in said[3]
    assert "equal     all 9,000 outputs of 3,000 steps" in said[4]
    assert share("accuracy", said[4]) > 95


@pytest.mark.board
def test_the_same_in_python(folder: Path) -> None:
    (kind, block) = BLOCKS[1]
    assert kind == "python"
    said = run([sys.executable, "-c", block], folder)
    assert "on virtual:cortex-m7: equal, 3,000 steps" in said
    assert (folder / "net.ulnn").exists()
