"""What a command says beside its results."""

from __future__ import annotations

import sys
import warnings

import pytest
import typer

from ulnn_host.base import console
from ulnn_host.base.errors import UlnnAssumption, UlnnWarning

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def doubtful() -> None:
    """Warns twice of the same, and of what it assumes."""
    for _ in range(2):
        warnings.warn("a step of 3 h\x1b[2J", UlnnWarning, stacklevel=1)
    warnings.warn("times are in seconds", UlnnAssumption, stacklevel=1)


def test_every_warning_and_assumption_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["doubtful"])
    with warnings.catch_warnings(), pytest.raises(SystemExit) as end:
        console.run(app, "doubtful")
    assert end.value.code == 0
    assert capsys.readouterr().err.splitlines() == [
        "warning: a step of 3 h[2J",
        "warning: a step of 3 h[2J",
        "assumed: times are in seconds",
    ]
