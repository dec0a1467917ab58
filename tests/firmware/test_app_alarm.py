"""An alarm in the app: settings, what a person is told and says, and the same bits as on a PC."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import app_alarm_cases as cases
from support.paths import FIRMWARE
from support.unix import needs_micropython, unix
from ulnn_host.board import board_code
from ulnn_host.board.app import read_app

app_module = board_code.package("ulnn_app")
board_code.module("ulnn_app.loop")  # with all that it needs


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return cases.settings(tmp_path)


def run(settings: dict[str, Any]) -> list[tuple[str, int, int, int]]:
    """The events of an app."""
    found = []

    def note(app: Any) -> None:
        a = app.alarm.watch.alarm
        found.append((a.event, a.seconds, a.value, a.level))

    app_module.run(settings, on_alarm=note)
    return found


def test_alarms_are_those_of_a_pc(
    settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    watch = cases.predicting()
    want = cases.on_pc(cases.MODEL, watch)
    assert [event for event, *_ in want] == ["learnt", "raised", "cleared"]
    assert run(settings) == want
    held = bytearray(watch.size)
    watch.pack(held)
    state = Path(settings["alarm"]["file"]).read_bytes()
    assert bytes(held) in state
    capsys.readouterr()
    app_module.status()
    said = capsys.readouterr().out
    level, seconds, highest = want[1][3], want[1][1], watch.alarm.history()[0][4]
    assert f"alarm      watching, {watch.alarm.value} of {level}, 1 so far\n" in said
    assert f" {seconds} s after start 1: " in said
    assert f" up to {highest} over {level}\n" in said
    assert "decisions" not in said


def test_a_start_goes_on_with_what_was_learnt(settings: dict[str, Any]) -> None:
    first = run(settings)
    again = run(settings)
    assert [event for event, *_ in again] == ["raised", "cleared"]
    assert again[0][3] == first[1][3]
    figures = app_module.figures()["alarm"]
    assert (figures["start"], figures["alarms"]) == (1, 2)
    assert [entry[0] for entry in figures["history"]] == [0, 1]
    # Another score is another alarm; so is another model.
    other = settings | {"alarm": settings["alarm"] | {"score": "acc rms"}}
    assert [event for event, *_ in run(other)][:2] == ["learnt", "raised"]


def test_a_feature_alone_and_a_model_that_decides(settings: dict[str, Any]) -> None:
    content = cases.model_bytes(outputs=2, values=False)
    Path(settings["model"]).write_bytes(content)
    settings["alarm"]["score"] = cases.HIGH
    want = cases.on_pc(content, cases.high())
    assert want[0][0] == "learnt"
    assert run(settings) == want
    assert sum(count for _, count in app_module.figures()["decisions"]) > 500


def test_what_a_person_says(settings: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    said = []

    def note(app: Any) -> None:
        event = app.alarm.watch.alarm.event
        said.append(event)
        if event == "raised" and len(said) == 2:
            assert app_module.acknowledge()
            assert not app_module.acknowledge()
            said.append(app_module.figures()["alarm"]["state"])
            assert app_module.snooze(0.07)
            said.append(app_module.figures()["alarm"]["state"])

    settings["print"] = "changes"
    app_module.run(settings, on_alarm=note)
    assert said == ["learnt", "raised", "acknowledged", "snoozed", "raised", "cleared"]
    assert " s alarm raised margin " in capsys.readouterr().out
    assert app_module.relearn()
    assert app_module.figures()["alarm"]["state"] == "learning"
    assert len(app_module.figures()["alarm"]["history"]) == 2
    found = app_module.forget()
    assert found == [settings["alarm"]["file"]]
    assert not Path(found[0]).exists()
    assert app_module.figures()["alarm"]["history"] == []


@pytest.mark.parametrize("without", [{}, {"alarm": {}}])
def test_without_an_alarm(settings: dict[str, Any], without: dict[str, Any]) -> None:
    del settings["alarm"]
    settings |= without
    app_module.run(settings)
    assert app_module.figures()["alarm"] == {}
    with pytest.raises(ValueError, match="no app with an alarm has run here"):
        app_module.acknowledge()


def test_events_go_to_sinks(settings: dict[str, Any], tmp_path: Path) -> None:
    settings |= {
        "sinks": [{"kind": "file", "path": str(tmp_path / "out")}], "device": "pump",
        "events": {"folder": str(tmp_path / "events"), "summary_s": 0},
    }  # fmt: skip
    want = run(settings)
    lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    _, _, value, level = want[1]
    ((_, _, utc, *_),) = app_module.figures()["alarm"]["history"]
    assert 0 <= lines[1]["t"] // 1000 - utc <= 1
    assert [(line["kind"], line["what"], line.get("margin")) for line in lines] == [
        ("note", "alarm learnt", None),
        ("alarm", "raised", value - level),
        ("note", "alarm cleared", None),
    ]


def test_under_a_policy(
    settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = {"what": {"do": "keep", "words": ["raised"]}, "margin": {"do": "round", "step": 100}}
    (tmp_path / "p.json").write_text(
        json.dumps({"fields": rules, "channels": {"acc": {"do": "keep"}}})
    )
    settings |= {
        "sinks": [{"kind": "file", "path": str(tmp_path / "out")}], "print": "changes",
        "events": {"folder": str(tmp_path / "events"), "summary_s": 0},
        "policy": str(tmp_path / "p.json"),
    }  # fmt: skip
    events = [event for event, *_ in run(settings)]
    assert events == ["learnt", "raised", "cleared"]
    said = capsys.readouterr().out
    assert re.search(r" s alarm raised margin -?\d*00\n|margin 0\n", said)
    assert said.count(" s alarm withheld margin ") == 2
    lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [line.get("what") for line in lines if "what" in line] == ["raised"]
    a = app_module.figures()["alarm"]
    assert a["state"] == "withheld"
    assert [entry[4] % 100 for entry in a["history"]] == [0]
    assert [line["kind"] for line in lines] == ["alarm"]


def test_settings_that_were_checked_can_be_checked_again(settings: dict[str, Any]) -> None:
    """As `ulnn_live` does."""
    rules = board_code.module("ulnn_app.settings")
    for given in (settings, {key: settings[key] for key in ("model", "source")}):
        found = rules.read(given)
        assert rules.read(found) == found


def changed(**keys: Any) -> Callable[[dict[str, Any]], None]:
    return lambda s: s["alarm"].update(keys)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (changed(lok=1), "{}.alarm: 'lok' is not a key of it; it has clear_after, every_s, "),
        (changed(learn_s=100), "{}.alarm.learn_s: expected a whole number from 128 to 31536000"),
        (changed(score="acc"), "{}.alarm.score: expected prediction or an input of the model "
                               "(acc rms, acc 100-300 Hz, acc 300-500 Hz), got 'acc'"),
        (changed(when=[{"channel": "speed"}]), "{}.alarm.when[0].channel: expected an input"),
        (changed(when=[{"channel": "acc rms", "over": 1}]), "{}.alarm.when[0]: 'over' is not"),
        (changed(rule="max"), "{}.alarm.rule: expected one of ewma, cusum, got 'max'"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_on_the_board_and_on_the_pc(
    settings: dict[str, Any], tmp_path: Path, change: Callable[[dict[str, Any]], None], text: str
) -> None:
    change(settings)
    path = tmp_path / "s.json"
    path.write_text(json.dumps(settings))
    with pytest.raises(ValueError) as error:  # noqa: PT011 - its text follows
        app_module.make(str(path))
    assert text.format(path) in str(error.value)
    with pytest.raises(Exception, match=r"alarm") as error:
        read_app(path, cases.MODEL)
    assert text.format(path) in str(error.value)


def test_a_model_that_decides_predicts_nothing(settings: dict[str, Any]) -> None:
    Path(settings["model"]).write_bytes(cases.model_bytes(outputs=3, values=False))
    with pytest.raises(ValueError, match=r"alarm.score: the model decides and predicts nothing"):
        app_module.make(settings)


SCRIPT = """
import asyncio, gc, ulnn_app
found = []
memory = [0] * 400
n = 0
def note(app):
    a = app.alarm.watch.alarm
    found.append((a.event, a.seconds, a.value, a.level, app.alarm.name))
def look(app):
    global n
    if app.samples >= 500 * n:
        memory[n] = gc.mem_alloc()
        n += 1
app = ulnn_app.make("s.json")
app.alarm.on_alarm.append(note)
app.on_poll.append(look)
app.begin()
asyncio.run(app.main())
for name in NAMES:
    print([event[:4] for event in found if event[4] == name])
print(max(memory[47:60]) - min(memory[47:60]), n)
"""


@needs_micropython
@pytest.mark.parametrize("alarms", [1, 2])
def test_on_unix_micropython(settings: dict[str, Any], tmp_path: Path, alarms: int) -> None:
    """With the engine and features in Python; nothing is allocated once it has learnt."""
    want, names = [cases.on_pc(cases.MODEL, cases.predicting())], [""]
    if alarms == 2:
        want.append(cases.on_pc(cases.MODEL, cases.high()))
        settings["alarm"], names = cases.two(), ["prediction", "high"]
    (tmp_path / "s.json").write_text(json.dumps(settings))
    (tmp_path / "run.py").write_text(f"NAMES = {names}\n{SCRIPT}")
    *said, memory = unix("run.py", cwd=tmp_path, path=f"{FIRMWARE}:.frozen").splitlines()
    assert said == [str(events) for events in want]
    grown, n = memory.split()
    assert (grown, int(n) > 60) == ("0", True)
