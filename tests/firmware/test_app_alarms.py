"""Several alarms of an app, side by side: each is what a single one is, has a name, and keeps its
own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import app_alarm_cases as cases
from ulnn_host.base.errors import UlnnError
from ulnn_host.board import board_code
from ulnn_host.board.app import read_app

app_module = board_code.package("ulnn_app")
board_code.module("ulnn_app.loop")  # with all that it needs

Event = tuple[str, str, int, int, int]
SECOND = "alarm.high.state"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two alarms: of what the model predicts, and of a feature. Files are in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    return cases.settings(tmp_path) | {"alarm": cases.two()}


def run(settings: dict[str, Any]) -> list[Event]:
    """The events of an app."""
    found = []

    def note(app: Any) -> None:
        a = app.alarm.watch.alarm
        found.append((app.alarm.name, a.event, a.seconds, a.value, a.level))

    app_module.run(settings, on_alarm=note)
    return found


def of(name: str, events: list[Event]) -> list[tuple[str, int, int, int]]:
    return [event[1:] for event in events if event[0] == name]


def figures() -> dict[str, Any]:
    """By name."""
    return {f["name"]: f for f in app_module.figures()["alarm"]}


def test_each_is_that_of_a_pc(
    settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watches = {"prediction": cases.predicting(), "high": cases.high()}
    want = {name: cases.on_pc(cases.MODEL, watch) for name, watch in watches.items()}
    events = run(settings)
    for name, file in (("prediction", "alarm.state"), ("high", SECOND)):
        assert of(name, events) == want[name]
        assert [event for event, *_ in want[name]][:2] == ["learnt", "raised"]
        held = bytearray(watches[name].size)
        watches[name].pack(held)
        assert bytes(held) in (tmp_path / file).read_bytes()
    assert len(events) == sum(map(len, want.values()))
    capsys.readouterr()
    app_module.status()
    said = capsys.readouterr().out
    for name, watch in watches.items():
        a = watch.alarm
        assert f"alarm      {name}: {a.state}, {a.value} of {a.level}, {a.alarms} so far" in said


def test_the_first_goes_on_with_what_a_single_one_has_learnt(settings: dict[str, Any]) -> None:
    one = settings["alarm"][0]
    app_module.run(settings | {"alarm": one})
    assert [event for event, *_ in of("prediction", run(settings))][:1] == ["raised"]
    assert [f["start"] for f in figures().values()] == [1, 0]
    app_module.run(settings | {"alarm": one})
    assert app_module.figures()["alarm"]["start"] == 2
    assert "name" not in app_module.figures()["alarm"]


@pytest.mark.parametrize("torn", ["slot", "file"])
def test_a_power_cut_at_one_file_leaves_the_other(
    settings: dict[str, Any], tmp_path: Path, torn: str
) -> None:
    """A cut while a slot is written, and a file that is lost."""
    run(settings)
    before = (tmp_path / "alarm.state").read_bytes()
    path = tmp_path / SECOND
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    newer = max((0, half), key=lambda at: content[at + 8 : at + 12][::-1])
    content[newer + 60 : newer + half] = b"\xff" * (half - 60)
    path.write_bytes(content if torn == "slot" else b"")
    app_module.make(settings)
    first, second = figures().values()
    assert (tmp_path / "alarm.state").read_bytes() == before
    assert (first["start"], first["alarms"], first["state"]) == (1, 1, "watching")
    assert (second["start"], second["alarms"]) == ((1, 1) if torn == "slot" else (0, 0))
    # The slot before is that of the alarm that was still on.
    assert second["state"] == ("raised" if torn == "slot" else "learning")


def test_what_a_person_says_to_one_or_to_all(settings: dict[str, Any]) -> None:
    said = []

    def states() -> list[str]:
        return [f["state"] for f in app_module.figures()["alarm"]]

    def note(app: Any) -> None:
        if app.alarm.watch.alarm.event != "raised" or len(said) > 1:
            return
        name, other = app.alarm.name, {"prediction": "high", "high": "prediction"}[app.alarm.name]
        if not said:
            said.append(app_module.acknowledge(other))
        elif app_module.acknowledge(name):
            said.append(states())

    app_module.run(settings, on_alarm=note)
    assert said[0] is False
    assert "acknowledged" in said[1]
    assert said[1].count("acknowledged") == 1
    assert app_module.snooze(5, "high")
    assert states()[1] == "snoozed" != states()[0]
    assert app_module.relearn("prediction")
    assert states() == ["learning", "snoozed"]
    assert app_module.snooze(5)  # the other one still learns
    assert app_module.relearn()
    assert states() == ["learning"] * 2
    with pytest.raises(ValueError, match="called 'low', expected one of prediction, high"):
        app_module.acknowledge("low")
    assert app_module.forget() == ["alarm.state", SECOND]
    assert [f["history"] for f in app_module.figures()["alarm"]] == [[], []]


def test_events_have_names(settings: dict[str, Any], tmp_path: Path) -> None:
    settings |= {
        "sinks": [{"kind": "file", "path": "out"}], "events": {"summary_s": 0},
    }  # fmt: skip
    want = run(settings)
    lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [(line["kind"], line["what"], line.get("margin")) for line in lines] == [
        ("alarm", f"raised: {name}", value - level) if event == "raised"
        else ("note", f"alarm {event}: {name}", None)
        for name, event, _, value, level in want
    ]  # fmt: skip


def test_a_single_one_may_have_a_name(
    settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    settings |= {"print": "changes", "alarm": settings["alarm"][1] | {"file": "x"}}
    assert {event[0] for event in run(settings)} == {"high"}
    assert " s alarm learnt: high margin " in capsys.readouterr().out
    app_module.status()
    assert "alarm      high: " in capsys.readouterr().out
    assert app_module.relearn("high")
    with pytest.raises(ValueError, match="no alarm is called 'low', expected 'high'"):
        app_module.relearn("low")


def test_under_a_policy(
    settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Words that it does not keep leave nowhere, names of alarms either."""
    rules = {"what": {"do": "keep", "words": ["raised: prediction", "prediction"]}}
    policy = {"fields": rules, "channels": {"acc": {"do": "keep"}}}
    (tmp_path / "p.json").write_text(json.dumps(policy))
    settings |= {
        "sinks": [{"kind": "file", "path": "out"}], "events": {"summary_s": 0},
        "policy": "p.json", "print": "changes",
    }  # fmt: skip
    events = run(settings)
    assert len(of("high", events)) >= 2
    app_module.status()
    said = capsys.readouterr().out + (tmp_path / "out").read_text() + str(app_module.figures())
    assert "high" not in said
    lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [line["what"] for line in lines] == ["raised: prediction"]
    assert [f["name"] for f in app_module.figures()["alarm"]] == ["prediction", "withheld"]
    assert " s alarm raised: prediction margin 0\n" in said
    assert said.count(" s alarm withheld margin 0\n") == len(events) - 1


# ---- settings -----------------------------------------------------------------------------------


def test_names_and_files_by_default() -> None:
    given = [{}, {"score": "acc 300-500 Hz"}, {"name": "Öl/é 2"}, {"name": "x", "file": "/y/x"}]
    rules = board_code.module("ulnn_app.settings")
    found = rules.read({"model": "m", "alarm": given})
    assert [(s["name"], s["file"]) for s in found["alarm"]] == [
        ("prediction", "alarm.state"), ("acc 300-500 Hz", "alarm.acc_300_500_Hz.state"),
        ("Öl/é 2", "alarm._l___2.state"), ("x", "/y/x"),
    ]  # fmt: skip
    assert rules.read(found) == found
    assert rules.read({"model": "m", "alarm": []})["alarm"] == []


def second(**keys: Any) -> Callable[[list[Any]], object]:
    return lambda alarms: alarms[1].update(keys)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (second(lok=1), "{}.alarm[1]: 'lok' is not a key of it; it has clear_after, every_s, "),
        (second(score="acc"), "{}.alarm[1].score: expected prediction or an input of the model"),
        (second(when=[{"channel": "speed"}]), "{}.alarm[1].when[0].channel: expected an input"),
        (second(name="prediction"), "{}.alarm[1].name: 'prediction' is taken by alarm[0]: "),
        (second(name="n" * 49), "{}.alarm[1].name: expected a text of length of at most 48, got "),
        (second(file="/ALARM.state"), "{}.alarm[1].file: '/ALARM.state' is taken by alarm[0]: "),
        (second(file="./alarm.state"), "{}.alarm[1].file: './alarm.state' is taken by alarm[0]: "),
        (lambda alarms: alarms.append(3), "{}.alarm[2]: expected an object, got 3"),
        (lambda alarms: alarms.extend([{}] * 7), "{}.alarm: expected 8 alarms at most, got 9"),
    ],
)
def test_mistakes_are_one_line_on_the_board_and_on_the_pc(
    settings: dict[str, Any], tmp_path: Path, change: Callable[[list[Any]], object], text: str
) -> None:
    change(settings["alarm"])
    path = tmp_path / "s.json"
    path.write_text(json.dumps(settings))
    for check in (app_module.make, lambda name: read_app(Path(name), cases.MODEL)):
        with pytest.raises((ValueError, UlnnError)) as error:
            check(str(path))
        assert str(error.value).startswith(text.format(path))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("given", [3, 0, "", "prediction", False, None])
def test_what_is_neither_an_object_nor_a_list_is_refused(given: object) -> None:
    rules = board_code.module("ulnn_app.settings")
    with pytest.raises(ValueError, match=r"^settings\.alarm: expected an object, got "):
        rules.read({"model": "m", "alarm": given})
