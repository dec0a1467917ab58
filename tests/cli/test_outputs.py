"""No command writes over what it reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ulnn_host.base.errors import UlnnError
from ulnn_host.cli.main import app


@pytest.mark.parametrize(
    "line",
    [
        "convert net.pt --calib a.npz -o net.pt",
        "convert net.pt --calib a.npz -o a.npz",
        "convert net.pt --calib a.npz -o m.ulnn --report a.png",
    ],
)
def test_an_input_as_output_is_refused_and_stays(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("net.pt", "a.npz"):
        (tmp_path / name).write_text(name)
    (tmp_path / "a.png").symlink_to("a.npz")
    done = CliRunner().invoke(app, line.split())
    assert isinstance(done.exception, UlnnError)
    assert "is an input and would be overwritten" in str(done.exception)
    assert {name: (tmp_path / name).read_text() for name in ("net.pt", "a.npz")} == {
        name: name for name in ("net.pt", "a.npz")
    }
