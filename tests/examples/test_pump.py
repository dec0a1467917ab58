"""The pump that says when it is not as it was, with a third of its life: on a virtual board as on
the PC."""

from __future__ import annotations

from pathlib import Path

import pytest

import pump


@pytest.mark.board
def test_the_alarm_on_a_board_is_that_of_the_pc(tmp_path: Path) -> None:
    outcome = pump.run(folder=tmp_path, stride=3)
    assert outcome.same
    events = [event for event, *_ in outcome.events]
    assert events[:2] == ["learnt", "raised"]
    first = outcome.at[1]
    assert outcome.onset < first < outcome.failure
    assert outcome.model <= 32 * 1024
    assert outcome.seconds < 300
