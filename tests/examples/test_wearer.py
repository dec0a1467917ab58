"""A wearer teaches a board: a short form of the example, with all its proofs."""

from __future__ import annotations

import importlib.util
import json

import pytest

import wearer

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("seglearn") is None, reason="the watch's recordings need seglearn"
)


@pytest.mark.board
def test_all_of_it(tmp_path, request, full):
    port = request.config.getoption("--port") or wearer.PORT
    short = {} if full else {"epochs": 2, "rest": 4.0, "person": 9}
    done = wearer.run_wearer(port, tmp_path, **short)
    assert done.equal
    assert set(done.learnt.values()) == {2}
    assert done.size < wearer.MOST_BYTES
    assert done.unknown == 1
    assert done.adapted > done.factory
    assert json.loads((tmp_path / "wearer.json").read_text())["equal"]
    if full:
        assert done.seconds < 300
