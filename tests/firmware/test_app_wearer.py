"""An app that a wearer teaches: it decides as the rules on a PC do, before and after, what is
learnt is kept, and can be undone, reset and forgotten."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support import app_cases as cases
from support.decider import reference_decider
from support.paths import FIRMWARE
from support.unix import needs_micropython, unix
from support.wearer_cases import model_bytes
from ulnn_host.board import board_code
from ulnn_host.format import container
from ulnn_rules.centres import Centres
from ulnn_rules.session import Session

app_module = board_code.package("ulnn_app")
words = board_code.module("ulnn_app.words")
SECONDS = 120
TAUGHT = {40: 0, 44: 3, 48: 5}  # after so many decisions the wearer does this
ENOUGH = 52


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    model = tmp_path / "m.ulnn"
    model.write_bytes(model_bytes())
    take = cases.take_file(tmp_path / "walk.take", SECONDS)
    source = {"kind": "replay", "file": str(take), "pace": "fast"}
    adapt = str(tmp_path / "his.centres")
    return {"model": str(model), "source": source, "print": "nothing", "adapt": adapt}


def by_the_rules(take: Path) -> tuple[list[list[int]], list[int]]:
    """Decisions and margins on a PC, and how many examples were learnt."""
    model, centres = container.read(model_bytes()), Centres(model_bytes())
    decider = reference_decider(model_bytes(), centres)
    session = Session(centres, decider, 84)
    x, us = cases.rows(take)
    found = []
    for values, ticks in zip(model.quantise_input(x), us.tolist(), strict=True):
        if not ticks:
            continue
        decision = decider.step(values, ticks)
        if len(found) < ENOUGH:
            session.add(decider.y, ticks, decision is not None)
        if decision is None:
            continue
        found.append([decision, decider.margin])
        if len(found) in TAUGHT:
            decider.reset()
            session.begin(TAUGHT[len(found)])
        if len(found) == ENOUGH:
            session.finish()
    return found, list(centres.counts)


class Wearer:
    """Teaches the app that runs, as a button would."""

    def __init__(self) -> None:
        self.found: list[list[int]] = []

    def __call__(self, app: Any) -> None:
        self.found.append([app.decider.decision, app.decider.margin])
        if len(self.found) in TAUGHT:
            app_module.teach(TAUGHT[len(self.found)])
        if len(self.found) == ENOUGH:
            app_module.taught()


def test_it_decides_as_on_a_pc_before_and_after(
    settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    wearer = Wearer()
    app_module.run(settings, on_decision=wearer)
    want, counts = by_the_rules(Path(settings["source"]["file"]))
    assert wearer.found == want
    assert sum(counts) > 6
    names = container.read(model_bytes()).labels
    learnt = ", ".join(f"{n} {c}" for n, c in zip(names, counts, strict=True) if c)
    assert capsys.readouterr().out.startswith(f"by {learnt}\n")
    assert app_module.figures()["adapt"]["examples"] == list(zip(names, counts, strict=True))
    # The next start takes what was kept.
    again = app_module.make(settings)
    assert list(again.wearer.centres.counts) == counts
    assert f"adapted    by {learnt}" in words.status(again.figures())


def test_it_is_undone_reset_and_forgotten(
    settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    app_module.run(settings, on_decision=Wearer())
    path = Path(settings["adapt"])
    first = app_module._app.wearer.centres.keep()
    app_module.run(settings, on_decision=Wearer())
    assert app_module._app.wearer.centres.keep() != first
    assert app_module.undo()
    assert not app_module.undo()
    assert app_module.make(settings).wearer.centres.keep() == first
    app_module.reset()
    assert not app_module.make(settings).wearer.centres.active
    capsys.readouterr()
    assert app_module.forget(settings=settings) == [str(path)]
    assert capsys.readouterr().out == f"removed: {path}\n"
    assert not path.exists()


def test_examples_at_the_prompt(
    settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    settings["source"]["pace"] = "real"
    app_module.make(settings)
    app_module.teach(2, 2)
    app_module.teach("ROW", 2)
    f = app_module.figures()
    assert f["state"] == "ended"
    assert f["adapt"]["teaching"] == "ROW"
    assert 12 <= f["adapt"]["pieces"] <= 24
    assert " wait for taught(); now ROW" in words.status(f)
    assert app_module.undo()
    assert app_module.figures()["adapt"]["pieces"] == 0
    assert not app_module.taught()
    assert "nothing learnt" in capsys.readouterr().out


def test_mistakes(settings: dict[str, Any], tmp_path: Path) -> None:
    app_module.make({k: v for k, v in settings.items() if k != "adapt"})
    with pytest.raises(ValueError, match='no "adapt" in its settings'):
        app_module.teach(1)
    app = app_module.make(settings)
    for wrong in ("jumping", 7, -1):
        with pytest.raises(ValueError, match=f"no class {wrong}: the model has PEN, "):
            app_module.teach(wrong)
    assert app.wearer.teaching == -1
    plain = tmp_path / "plain.ulnn"
    plain.write_bytes(cases.model_bytes())
    with pytest.raises(ValueError, match=r"settings.adapt: centres: the file has none; convert"):
        app_module.make(settings | {"model": str(plain)})


def test_another_models_file_is_not_taken(settings: dict[str, Any]) -> None:
    model = container.read(model_bytes())
    other = container.write(replace(model, model_version=7))
    Centres(other).save(settings["adapt"])
    app = app_module.make(settings)
    assert "adapted    no: the file belongs to another model" in words.status(app.figures())
    app_module.reset()
    assert app_module.make(settings).wearer.problem == ""


SCRIPT = """
import json
import ulnn_app
settings, taught, enough = json.loads(open("given.json").read())
found = []
def decided(app):
    found.append([app.decider.decision, app.decider.margin])
    if str(len(found)) in taught:
        ulnn_app.teach(taught[str(len(found))])
    if len(found) == enough:
        ulnn_app.taught()
ulnn_app.run(settings, on_decision=decided)
print(json.dumps(found))
"""


@needs_micropython
def test_on_unix_micropython(settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "given.json").write_text(json.dumps([settings, TAUGHT, ENOUGH]))
    (tmp_path / "run.py").write_text(SCRIPT)
    printed = unix("run.py", cwd=tmp_path, path=f"{FIRMWARE}:.frozen").splitlines()
    assert json.loads(printed[-1]) == by_the_rules(Path(settings["source"]["file"]))[0]
