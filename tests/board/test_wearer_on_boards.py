"""A wearer who teaches virtual boards: power cuts at any write leave what was learnt before or
after, whole."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from support import app_cases as cases
from support.board_tools import need_tools
from support.cut_board import NEVER, CutBoard
from support.wearer_cases import model_bytes
from ulnn_host.base.errors import UlnnError
from ulnn_host.board import board_code
from ulnn_host.board.app import read_app
from ulnn_host.board.deploy import deploy
from ulnn_host.board.virtual import BOARDS, VirtualBoard

pytestmark = pytest.mark.board
board_code.module("ulnn_app.loop")  # with all that it imports

SECONDS = 40
EVERY = 6  # decisions from one session to the next
KEPT = "/his.centres"

TEACH = """
def teach(app):
    global made
    made += 1
    if made % EVERY == 0:
        ulnn_app.teach(made // EVERY % 7)
    if made % EVERY == 3 and made > EVERY:
        states.append(ulnn_app.taught() and app.wearer.centres.keep())
"""
RUN = """
import ulnn_app
EVERY, made, states = {every}, 0, []
{teach}
settings = {settings}
ulnn_app.run(settings, on_decision=teach)
"""
LEARNT = """
from ulnn_rules.centres import Centres
c = Centres({model!r})
found = c.load({kept!r}) and [list(part) for part in c.keep()]
"""


def states_on_pc(folder: Path) -> list[Any]:
    """What is learnt after each session that is kept, by the app on this PC."""
    (folder / "pc.ulnn").write_bytes(model_bytes())
    source = {"kind": "replay", "file": str(folder / "walk.take"), "pace": "fast"}
    settings = {"model": str(folder / "pc.ulnn"), "source": source, "print": "nothing"}
    settings["adapt"] = str(folder / "pc.centres")
    space: dict[str, Any] = {"ulnn_app": board_code.package("ulnn_app")}
    space |= {"EVERY": EVERY, "made": 0, "states": []}
    exec(TEACH, space)
    space["ulnn_app"].run(settings, on_decision=space["teach"])
    return [[list(part) for part in kept] for kept in space["states"] if kept]


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_a_power_cut_leaves_what_was_learnt_before_or_after(
    name: str, tmp_path: Path, full: bool
) -> None:
    """With --full, thirty cuts."""
    need_tools(name)
    cases.take_file(tmp_path / "walk.take", SECONDS)
    states = states_on_pc(tmp_path)
    assert len(states) >= 4
    model = tmp_path / "m.ulnn"
    model.write_bytes(model_bytes())
    source = {"kind": "replay", "file": "walk.take", "pace": "fast"}
    given = {"source": source, "print": "nothing", "adapt": KEPT}
    (tmp_path / "settings.json").write_text(json.dumps(given))
    rng = random.Random(5)
    seen = []
    with VirtualBoard(name) as virtual:
        board = CutBoard(virtual)
        with board.open() as link:
            report = deploy(link, model, app=read_app(tmp_path / "settings.json", model_bytes()))
            link.exec("open('stop', 'w').close()")  # the app does not start with the board
        path = report.plan.model_path
        there = given | {"model": path, "source": source | {"file": "/walk.take"}}
        run = RUN.format(every=EVERY, teach=TEACH, settings=there)

        def played(cut: int) -> int:
            """Run it with a cut at a write; how many writes there were."""
            with board.open() as link:
                link.exec(f"import os\nif {KEPT[1:]!r} in os.listdir('/'): os.remove({KEPT!r})")
                link.soft_reset()
                board.cut(link, cut)
                link.exec(run, timeout=120)
                left = board.left(link)
                board.cut(link, 0)
            return cut - left

        def learnt() -> Any:
            with board.open() as link:
                board.cut(link, 0)
                link.soft_reset()
                link.exec(LEARNT.format(model=path, kept=KEPT))
                return link.eval("found")

        writes = played(NEVER)
        assert writes > len(states)
        assert learnt() == states[-1]
        for _ in range(30 if full else 3):
            with contextlib.suppress(UlnnError):
                played(rng.randrange(1, writes))
            found = learnt()
            assert found is False or found in states
            seen.append(states.index(found) if found else -1)
    print(name, writes, "writes,", seen)
    assert len(set(seen)) > 1
