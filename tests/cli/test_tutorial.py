"""The commands of host/docs/tutorial.md, as they are printed, from nothing to decisions."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.board_tools import need_tools
from support.paths import ROOT
from ulnn_host.board.virtual import VirtualBoard

TEXT = (ROOT / "host" / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
DECISIONS = ["nod", "shake", "nod", "shake"]


def run(script: str, folder: Path) -> str:
    """Its output. `ulnn`, `python` and `mpremote` are those of this environment."""
    python = f'"{sys.executable}"'
    words = {
        "python": python,
        "ulnn": f"{python} -m ulnn_host",
        "mpremote": f"{python} -m mpremote",
    }
    known = "".join(f'{name}() {{ {word} "$@"; }}\n' for name, word in words.items())
    done = subprocess.run(
        ["sh", "-euc", known + script],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "host")},
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.board
def test_from_nothing_to_a_gesture(tmp_path: Path) -> None:
    need_tools("cortex-m7")
    assert [line for line in TEXT.splitlines() if "ulnn boards run" in line]
    (tmp_path / "host").symlink_to(ROOT / "host")
    start, record, train, deploy, app = BLOCKS
    with VirtualBoard("cortex-m7") as board:
        port, found = re.subn(r"^PORT=.*$", f"PORT={board.port}", start, flags=re.MULTILINE)
        assert found == 1
        said = run(port + record, tmp_path)
        assert said.count("250 samples in 4.98 s, 50 Hz") == 6
        assert said.count("0 gaps, 0 lost") == 6
        sessions = [json.loads(p.read_text()) for p in (tmp_path / "takes").glob("*.json")]
        assert {(s["label"], s["group"]) for s in sessions} == {
            (what, who) for what in ("nod", "shake") for who in ("p1", "p2", "p3")
        }
        said = run(train, tmp_path)
        assert "a class for each sequence: nod 3, shake 3" in said
        assert "groups: p1 2, p2 2, p3 2" in said
        said = run(f"PORT={board.port}\n{deploy}", tmp_path)
        assert re.findall(r"^ +[\d.]+ s  (\w+)  margin \d+$", said, re.MULTILINE) == DECISIONS
        assert "1,000 samples  50 Hz  0 gaps  0 lost" in said
        said = run(f"PORT={board.port}\n{app}", tmp_path)
        assert re.findall(r"^\d+ s (\w+) margin \d+\r?$", said, re.MULTILINE) == DECISIONS
        assert "decisions  nod 2, shake 2, unsure 0" in said
