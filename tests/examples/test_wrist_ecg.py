"""An ECG on a wrist, end to end, with few patients and a shortened training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import wrist_ecg
from ulnn_host.data import ecg


@pytest.mark.board
def test_all_of_it(tmp_path: Path, request: pytest.FixtureRequest, full: bool) -> None:
    """With --full, as the command runs it, on both virtual boards."""
    port = request.config.getoption("--port") or wrist_ecg.PORT
    if full:
        found = [wrist_ecg.run(name, tmp_path / name[-4:]) for name in (port, "virtual:rv32")]
        assert all(result.balanced > 0.85 for result in found)
        assert all(result.seconds < 300 for result in found)
    else:
        found = [wrist_ecg.run(port, tmp_path, patients=3, seconds=30, epochs=2, quiet=True)]
    for result in found:
        assert result.equal
        assert result.beats > 10
        assert result.silent >= 2
        assert result.size <= wrist_ecg.MOST_BYTES
        assert len(result.events) >= 2
    for line in result.events:
        event = json.loads(line)
        assert event["what"] in (*ecg.CLASSES, "unsure", "no reading")
        assert event["margin"] == 0
        assert event.get("t", 0) % 3_600_000 == 0
