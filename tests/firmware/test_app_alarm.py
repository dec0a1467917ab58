"""An alarm in the app: settings, what a person is told and says, and the same bits as on a PC."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from support.paths import FIRMWARE
from support.random_models import Shape, random_model
from support.unix import needs_micropython, unix
from ulnn_host.board import board_code
from ulnn_host.board.app import read_app
from ulnn_host.board.takes import take_bytes
from ulnn_host.data import features
from ulnn_host.data.feature_tracks import Track
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines.reference import Reference
from ulnn_host.format import container
from ulnn_host.format.model import Decision, Names
from ulnn_rules.alarm import Alarm
from ulnn_rules.novelty import Input, Prediction
from ulnn_rules.scaling import Scaling
from ulnn_rules.watch import Between, Watch

app_module = board_code.package("ulnn_app")
board_code.module("ulnn_app.loop")  # with all that it needs

RATE, HOP, SCALE, SECONDS = 1000, 10, 1 / 64, 36
RECIPE = features.FeatureRecipe(
    ("acc",), (Track("acc", size=32, moments=("rms",), edges=(100, 300, 500)),),
    RATE, HOP, (SCALE,),
)  # fmt: skip
CHANNELS = RECIPE.names
ALARM = {"learn_s": 128, "false_alarms_a_day": 100, "look": 16, "smooth": 4, "clear_after": 2,
         "every_s": 1}  # fmt: skip
WHEN = [{"channel": "acc rms", "above": 16.0}]


def model_bytes(outputs: int = 3, values: bool = True) -> bytes:
    made = random_model(1, Shape(inputs=3, hidden=4, backbone=(), outputs=outputs))
    pairs = [np.full(3, v, np.float32) for v in (2.0**-10, 24.0)]
    scales = {}
    if values:
        mean = np.array([19.2, 25.5, 25.3], np.float32)
        scales = {"output_scale": np.full(3, 3e-5, np.float32), "output_offset": mean}
    return container.write(
        replace(
            made, meta={}, features=RECIPE.content, input_scale=pairs[0], input_offset=pairs[1],
            golden=None, decision=Decision("each", values=values),
            names=Names(CHANNELS, ("",) * 3),            **scales,
        )
    )  # fmt: skip


MODEL = model_bytes()


def vibration(seconds: int, seed: int = 1) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Values and dt: healthy; off for some seconds; worse in the end, and well again. Two samples
    come late."""
    n = seconds * RATE
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n) * 12
    t = np.arange(n) / n
    x[(t > 0.3) & (t < 0.35)] *= 0.01
    worse = (t > 0.85) & (t < 0.95)
    x[worse] = x[worse] * 1.8 + 20 * np.sin(np.arange(worse.sum()))
    dt = np.full(n, 1 / RATE)
    dt[[n // 5, n // 2]] = 0.5
    counts = np.rint(x / SCALE)
    return (counts[:, None] * SCALE).astype(np.float32), dt.astype(np.float32)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "m.ulnn").write_bytes(MODEL)
    x, dt = vibration(SECONDS)
    data = Sequences(x, dt, channels=("acc",))
    (tmp_path / "a.take").write_bytes(take_bytes(data, scale=np.array([SCALE], np.float32)))
    return {
        "model": str(tmp_path / "m.ulnn"), "print": "nothing",
        "source": {"kind": "replay", "file": str(tmp_path / "a.take"), "pace": "fast"},
        "alarm": ALARM | {"when": WHEN, "file": str(tmp_path / "alarm.state")},
    }  # fmt: skip


def on_pc(content: bytes, watch: Watch, values: bool = True) -> list[tuple[str, int, int, int]]:
    """(event, seconds, value, level) by the features of the host and the reference engine."""
    x, dt = vibration(SECONDS)
    gaps = [0, *np.flatnonzero(dt > 0.1).tolist(), len(x)]
    model = container.read(content)
    engine, found = Reference(model), []
    y = array("h", bytes(2 * model.output_size))
    for first, end in pairwise(gaps):
        engine.reset()
        part = Sequences(x[first:end], np.float32(1 / RATE), channels=("acc",))
        for k, row in enumerate(model.quantise_input(features.computed(part, RECIPE).x[0])):
            if watch.step(array("h", row.tolist()), y, 10_000, not k) and watch.alarm.event:
                a = watch.alarm
                found.append((a.event, a.seconds, a.value, a.level))
            y[:] = array("h", engine.step(row, 10_000).tolist())
    return found


def predicting() -> Watch:
    low = round((16.0 - 24.0) * 1024)
    alarm = Alarm(128, 100_000, True, "ewma", 4, 1, 2)
    return Watch(Prediction(Scaling(MODEL)), alarm, 16, 1000, (Between(0, low),))


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
    watch = predicting()
    want = on_pc(MODEL, watch)
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
    content = model_bytes(outputs=2, values=False)
    Path(settings["model"]).write_bytes(content)
    settings["alarm"]["score"] = "acc 300-500 Hz"
    watch = Watch(
        Input(2), Alarm(128, 100_000, False, "ewma", 4, 1, 2), 16, 1000,
        (Between(0, round((16.0 - 24.0) * 1024)),),
    )  # fmt: skip
    want = on_pc(content, watch)
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
        read_app(path, MODEL)
    assert text.format(path) in str(error.value)


def test_a_model_that_decides_predicts_nothing(settings: dict[str, Any]) -> None:
    Path(settings["model"]).write_bytes(model_bytes(outputs=3, values=False))
    with pytest.raises(ValueError, match=r"alarm.score: the model decides and predicts nothing"):
        app_module.make(settings)


@needs_micropython
def test_on_unix_micropython(settings: dict[str, Any], tmp_path: Path) -> None:
    """With the engine and features in Python; nothing is allocated once it has learnt."""
    (tmp_path / "s.json").write_text(json.dumps(settings))
    (tmp_path / "run.py").write_text(
        "import gc, ulnn_app\nfound = []\nmemory = [0] * 400\nn = 0\n"
        "def note(app):\n a = app.alarm.watch.alarm\n"
        " found.append((a.event, a.seconds, a.value, a.level))\n"
        "def look(app):\n global n\n if app.samples >= 500 * n:\n"
        "  memory[n] = gc.mem_alloc()\n  n += 1\n"
        "app = ulnn_app.make('s.json')\napp.alarm.on_alarm.append(note)\n"
        "app.on_poll.append(look)\nimport asyncio\napp.begin()\nasyncio.run(app.main())\n"
        "print(found)\nprint(max(memory[47:60]) - min(memory[47:60]), n)\n"
    )
    want = on_pc(MODEL, predicting())
    said = unix("run.py", cwd=tmp_path, path=f"{FIRMWARE}:.frozen").splitlines()
    assert said[0] == str(want)
    grown, n = said[1].split()
    assert (grown, int(n) > 60) == ("0", True)
