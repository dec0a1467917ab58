"""Several alarms of an app on a virtual board, as on a PC."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support import app_cases as cases
from support.board_tools import port_fixture
from support.random_models import Shape, random_model
from ulnn_host.board import board_code
from ulnn_host.board.app import read_app
from ulnn_host.board.deploy import deploy
from ulnn_host.board.link import Board
from ulnn_host.format import container
from ulnn_host.format.model import Decision, Names

pytestmark = pytest.mark.board
board_code.module("ulnn_app.loop")  # with all that it imports

SECONDS = 40
FILES = ("alarm.state", *(f"alarm.{name}.state" for name in cases.CHANNELS[:2]))
ALARM = {
    "learn_s": 3840, "look": 5, "every_s": 30, "smooth": 2, "clear_after": 2,
    "false_alarms_a_day": 100,
}  # fmt: skip
RUN = """
import ulnn_app
found = []
def note(app):
    a = app.alarm.watch.alarm
    found.append((app.alarm.name, a.event, a.seconds, a.value, a.level))
ulnn_app.run(settings, on_alarm=note)
"""


def model_bytes() -> bytes:
    """A small one that predicts its inputs, after a fashion."""
    n = len(cases.CHANNELS)
    made = random_model(3, Shape(inputs=n, hidden=4, backbone=(), outputs=n))
    return container.write(
        replace(
            made, meta={}, golden=None, decision=Decision("each", values=True),
            names=Names(cases.CHANNELS, cases.UNITS),
        )
    )  # fmt: skip


def on_pc(folder: Path, given: dict[str, Any]) -> list[Any]:
    """Events of the app on this PC, and its figures of alarms."""
    source = given["source"] | {"file": str(folder / "walk.take")}
    settings = given | {"model": str(folder / "m.ulnn"), "source": source}
    space = {"settings": settings, "ulnn_app": board_code.package("ulnn_app")}
    exec(RUN, space)
    return [space["found"], space["ulnn_app"].figures()["alarm"]]  # type: ignore[attr-defined]


port = port_fixture("virtual:rv32+frozen?heap=96k", "virtual:cortex-m7+frozen?heap=96k")


def test_on_a_board_as_on_a_pc(port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is predicted and of two channels, in a heap that has 16 KB to spare."""
    monkeypatch.chdir(tmp_path)
    cases.take_file(tmp_path / "walk.take", SECONDS)
    (tmp_path / "m.ulnn").write_bytes(model_bytes())
    alarms = [ALARM, *(ALARM | {"score": name} for name in cases.CHANNELS[:2])]
    source = {"kind": "replay", "file": "walk.take", "pace": "fast"}
    given = {"source": source, "print": "nothing", "alarm": alarms}
    (tmp_path / "settings.json").write_text(json.dumps(given))
    app = read_app(tmp_path / "settings.json", model_bytes())
    with Board.open(port) as link:
        deploy(link, tmp_path / "m.ulnn", app=app)
        link.soft_reset()
        link.exec("settings = 'settings.json'\n" + RUN, timeout=120)
        found = link.eval("[found, ulnn_app.figures()['alarm']]")
        free = link.whole("__import__('gc').collect() or __import__('gc').mem_free()")
        link.soft_reset()
        kept = {name: link.read_file(f"/{name}") for name in FILES}
    assert free > 16 * 1024
    assert found == on_pc(tmp_path, given)
    assert kept == {name: (tmp_path / name).read_bytes() for name in FILES}
    events = [event for _, event, *_ in found[0]]
    assert events.count("learnt") == 3
    assert events.count("raised") >= 3
