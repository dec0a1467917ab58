"""The code in host/docs/measures.md runs, and its commands have the options it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ulnn_host as uh
from support.paths import ROOT
from support.training import plan, waves
from ulnn_host.cli.main import app
from ulnn_host.data.npz import save_npz
from ulnn_host.train import train

TEXT = (ROOT / "host" / "docs" / "measures.md").read_text()


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    trained = train.train(plan(tmp_path, waves(), training={"epochs": 2}), quiet=True)
    trained.save(tmp_path / "net.safetensors")
    uh.convert(trained, waves()).save("net.ulnn")
    save_npz("test.npz", waves(seed=1))
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(code, {"uh": uh})
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" {")[0] for line in lines[1:]] == [
        "as it is", "30% lost", "60% lost",
        "noise 0.1", "30% lost, noise 0.1", "60% lost, noise 0.1",
    ]  # fmt: skip
    (command,) = re.findall(r"^ulnn (score .*)$", TEXT, re.MULTILINE)
    done = CliRunner().invoke(app, command.split(), catch_exceptions=False)
    assert done.exit_code == 0
    assert Path("s.png").exists()
