"""What the tests of the line and of boards share."""

from __future__ import annotations

from pathlib import Path

import pytest

from ulnn_host.base.errors import UlnnError
from ulnn_host.toolchain import natmod


@pytest.fixture
def pure_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No native module can be built."""

    def none(arch: str) -> Path:
        raise UlnnError(f"no compiler for {arch} here")

    monkeypatch.setattr(natmod, "build", none)
