"""Both ways to read a text table."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(params=["pyarrow", "plain"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With pyarrow, and as without it."""
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "ulnn_host.data.arrow", None)
    else:
        pytest.importorskip("pyarrow")
    return request.param
