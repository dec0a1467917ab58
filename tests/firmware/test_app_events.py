"""What leaves an app: events of decisions, faults and inputs, by its settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support import app_cases as cases
from support.paths import FIRMWARE
from support.unix import needs_micropython, unix
from ulnn_host.board import board_code, needed
from ulnn_host.board.app import read_app
from ulnn_host.data import events

LINES = {"kind": "lines", "channels": [{"name": "ax"}]}

app_module = board_code.package("ulnn_app")
words = board_code.module("ulnn_app.words")


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return cases.replay_settings(tmp_path) | {
        "device": "wrist-1", "sinks": [{"kind": "file", "path": str(tmp_path / "e.jsonl")}],
        "events": {"folder": str(tmp_path / "events"), "files": 40},
    }  # fmt: skip


def lines(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("which", ["all", "changes", "none"])
def test_decisions_are_events(settings: dict[str, Any], tmp_path: Path, which: str) -> None:
    settings["events"] |= {"decisions": which, "summary_s": 0}
    made: list[tuple[str, int]] = []
    app_module.run(settings, on_decision=lambda app: made.append(
        (app.decider.label, app.decider.margin)))  # fmt: skip
    found = lines(tmp_path) if which != "none" else []
    if which == "changes":
        made = [d for k, d in enumerate(made) if not k or d[0] != made[k - 1][0]]
    if which == "none":
        made = []
        assert not (tmp_path / "e.jsonl").exists()
    else:
        assert len(made) > 5
    assert [(e["what"], e["margin"]) for e in found] == made
    assert {e["device"] for e in found} <= {"wrist-1"}
    model = app_module.figures()["sha256"]
    assert {e["model"] for e in found} <= {model[:16]}


def test_a_summary_of_the_inputs(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["events"]["decisions"] = "none"
    app_module.run(settings)
    figures = app_module.figures()
    (event,) = lines(tmp_path)  # all at once: the recording is replayed in less than 5 minutes
    assert event["kind"] == "summary"
    assert event["samples"] == figures["samples"]
    assert event["clamped"] == figures["clamped"]
    assert event["lost"] == figures["dropped"]
    assert len(event["mean"]) == len(event["std"]) == 6
    assert max(event["std"]) > 1000
    text = words.status(figures)
    assert "events     1 delivered, 0 waiting, 0 missed, 0 dropped" in text
    raw = 12 * event["samples"]
    assert f" % of the {raw} of the samples\n" in text
    print(text)


def test_faults_are_events(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["events"] |= {"decisions": "none", "summary_s": 0}
    app = app_module.make(settings)
    take, count = app.source.take, 0

    def fail() -> bool:
        nonlocal count
        count += 1
        if count in (10, 11, 40):
            raise OSError(5, "EIO" if count < 40 else "other")
        return bool(take())

    app.source.take = fail
    app.begin()
    while app.state != "ended":
        app._pause = 0
        app.poll()
    app.close()
    assert [e["what"] for e in lines(tmp_path)] == [
        "source: OSError: [Errno 5] EIO", "source: OSError: [Errno 5] other",
    ]  # fmt: skip
    app.close()  # a second time changes nothing
    assert len(lines(tmp_path)) == 2


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"sinks": [{"kind": "fax"}]}, "settings.sinks[0].kind: expected one of file, mqtt"),
        ({"sinks": [{"kind": "mqtt"}]}, "settings.sinks[0].host is missing"),
        ({"sinks": ["file"]}, "settings.sinks[0].kind: expected one of"),
        ({"device": "a/b"}, "settings.events: device: expected 1 to 64 letters, digits or ._-"),
        ({"events": {"file": 3}}, "settings.events: 'file' is not a key of it"),
        ({"events": {"folder": "none/none"}}, "settings.events: [Errno 2]"),
        (
            {"source": LINES, "sinks": [{"kind": "serial"}]},
            "settings.sinks[0]: the source reads the same port; set acknowledged to false",
        ),
    ],
)  # fmt: skip
def test_mistakes(settings: dict[str, Any], changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - its text follows
        app_module.make(settings | changes)
    assert str(error.value).startswith(text)


def test_a_board_gets_the_sinks_that_it_uses(settings: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    mqtt = {"kind": "mqtt", "host": "192.168.1.5"}
    path.write_text(json.dumps(settings | {"sinks": [mqtt]}))
    model = (tmp_path / "m.ulnn").read_bytes()
    brought = needed.of_app(read_app(path, model).settings)
    assert {"ulnn_rules/events", "ulnn_sinks/mqtt", "ulnn_sources/replay"} < brought
    assert not {"ulnn_sinks/file", "ulnn_sources/mpu"} & brought
    path.write_text(json.dumps({k: settings[k] for k in ("source", "model")}))
    brought = needed.of_app(read_app(path, model).settings)
    assert not [name for name in brought if name.startswith("ulnn_sinks")]
    path.write_text(json.dumps(settings | {"sinks": [], "policy": "/policy.json"}))
    brought = needed.of_app(read_app(path, model).settings)
    assert {"ulnn_rules/mask", "ulnn_rules/keeper", "ulnn_sources/masked"} < brought
    assert "ulnn_rules/events" not in brought


POLICY = {
    "fields": {
        "device": {"do": "keep", "text": True}, "what": {"do": "keep", "words": ["IR", "TRAP"]},
        "t": {"do": "round", "bucket": "1 h", "unit": "ms"}, "samples": {"do": "keep"},
        "margin": {"do": "round", "step": 100},
    },
    "channels": {name: {"do": "keep"} for name in cases.CHANNELS},
}  # fmt: skip


def test_a_policy_comes_first(settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text(json.dumps(POLICY))
    settings["policy"] = str(tmp_path / "policy.json")
    settings["events"] |= {"decisions": "all"}
    app_module.run(settings)
    *decisions, summary = lines(tmp_path)
    assert {e.get("what") for e in decisions} == {"TRAP", None}
    assert all(e["margin"] % 100 == 0 for e in decisions)
    assert all((e["t"] % 3_600_000 == 0 and "up" not in e) or e["up"] == 0 for e in decisions)
    assert summary["mean"] == summary["std"] == []
    assert summary["samples"] > 1000
    assert summary["lost"] == 0  # the policy does not have it
    stored = b"".join(path.read_bytes() for path in (tmp_path / "events").iterdir())
    assert b"unsure" not in stored
    settings["policy"] = "none.json"
    with pytest.raises(ValueError, match=r"settings.policy: none.json: no such file"):
        app_module.make(settings)


@needs_micropython
def test_under_unix_micropython(settings: dict[str, Any], tmp_path: Path) -> None:
    """The events are those of the app on a PC."""
    app_module.run(settings)
    want = lines(tmp_path)
    (tmp_path / "e.jsonl").unlink()
    settings["events"]["folder"] += "2"
    (tmp_path / "s.json").write_text(json.dumps(settings))
    unix("-c", "import ulnn_app; ulnn_app.run('s.json')", cwd=tmp_path, path=f".frozen:{FIRMWARE}")
    found = lines(tmp_path)
    own = ("log", "t", "up")
    assert [{k: v for k, v in e.items() if k not in own} for e in found] == [
        {k: v for k, v in e.items() if k not in own} for e in want
    ]
    assert all(events.row(e, 0) for e in found)
