"""An app whose model takes beats: decisions as a PC makes them, and "no reading" where the lead is
off, in what is printed, counted and sent."""

from __future__ import annotations

import itertools
import json
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.decider import reference_decider
from support.paths import FIRMWARE, ROOT
from support.unix import needs_micropython, unix
from ulnn_host import api
from ulnn_host.board import board_code
from ulnn_host.board.app import read_app
from ulnn_host.board.takes import take_bytes
from ulnn_host.data import beats, ecg
from ulnn_host.format import container
from ulnn_host.toolchain import natmod
from ulnn_host.train.recipe import read_recipe
from ulnn_host.train.train import train
from ulnn_rules import features
from ulnn_rules.beats import Recipe

EXAMPLE = ROOT / "host" / "examples" / "wrist_ecg"
RECIPE = beats.BeatRecipe("ecg", 180, low=-3.2, high=3.2)
SECONDS = 30
app_module = board_code.package("ulnn_app")
board_code.module("ulnn_app.loop")


@cache
def model_bytes() -> bytes:
    """A small network after some epochs: it decides differently in the course of a recording."""
    data = beats.computed(ecg.sequences(ecg.patient(k, 40, 180) for k in range(4, 8)), RECIPE)
    keys = {"hidden": 8, "backbone_units": 8, "epochs": 15}
    network = train(read_recipe(EXAMPLE / "recipe.toml", keys), data, quiet=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the channels are taken from the data
        return api.convert(network, data).content


@cache
def patient() -> ecg.Patient:
    """One whose lead is off from 12 s to 16 s."""
    one = ecg.patient(4, SECONDS, 180)
    one.signal[12 * 180 : 16 * 180] = ecg.RAIL
    return one


@cache
def wanted(scale: float = 0.001) -> tuple[list[tuple[int, int, int]], int]:
    """us, decision and margin of each beat, and when the lead was off, as samples."""
    recipe = Recipe(RECIPE.content, len(RECIPE.names))
    us = np.rint(np.full(SECONDS * 180, 1 / 180, np.float32).astype(np.float64) * 1e6)
    raw = np.rint(patient().signal.astype(np.float64) / np.float32(scale)).astype(np.int16)
    found = beats.find(raw, us.astype(np.int64), recipe)
    file = container.read(model_bytes())
    decider = reference_decider(model_bytes())
    rows = []
    x = file.quantise_input(found.values.astype(np.float32) / features.UNIT)
    for values, gap in zip(x, found.us.tolist(), strict=True):
        decider.step(values, gap)
        rows.append((gap, decider.decision, decider.margin))
    return rows, int((found.problem == 2).sum())


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "m.ulnn").write_bytes(model_bytes())
    data = ecg.sequences([patient()])
    (tmp_path / "p.take").write_bytes(take_bytes(data, scale=0.001, units=("mV",)))
    return {
        "model": str(tmp_path / "m.ulnn"), "print": "changes",
        "source": {"kind": "replay", "file": str(tmp_path / "p.take"), "pace": "fast"},
        "sinks": [{"kind": "file", "path": str(tmp_path / "e.jsonl")}],
        "events": {"folder": str(tmp_path / "events"), "files": 40, "summary_s": 0},
    }  # fmt: skip


def test_decisions_and_no_reading(
    settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, off = wanted()
    assert len(rows) > 15
    assert len({decision for _, decision, _ in rows}) > 1
    assert off > 600
    said: list[Any] = []

    def note(app: Any) -> None:
        if app.problem:
            assert (app.decision, app.label, app.margin) == (-2, "no reading", 0)
            said.append(app.label)
        else:
            said.append((app.front.us, app.decision, app.margin))

    app_module.run(settings, on_decision=note)
    assert [one for one in said if one != "no reading"] == rows
    first = said[0]
    assert first == "no reading"  # it starts
    assert said.count("no reading") == 2
    figures = app_module.figures()
    assert figures["faults"] == 0
    assert figures["state"] == "ended"
    assert sum(n for _, n in figures["decisions"]) == len(rows)
    assert figures["decision"] != "no reading"
    printed = capsys.readouterr().out
    assert printed.count("no reading margin 0") == 2
    events = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    labels = [e["what"] for e in events]
    assert labels.count("no reading") == 2
    assert labels[0] == "no reading"
    assert all(a != b for a, b in itertools.pairwise(labels))


def test_the_shipped_policy_lets_class_and_rounded_time_out(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    settings |= {"policy": str(EXAMPLE / "policy.json"), "device": "anna's wrist"}
    app_module.run(settings)
    events = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert len(events) > 5
    for event in events:
        assert event["what"] in (*ecg.CLASSES, "unsure", "no reading")
        assert event.get("t", 0) % 3_600_000 == 0
        assert event["margin"] == 0
        assert "anna" not in json.dumps(event)
        assert not {"mean", "std", "samples"} & set(event)


def test_the_source_needs_one_channel(settings: dict[str, Any], tmp_path: Path) -> None:
    data = ecg.sequences([patient()])
    two = replace(data, x=np.repeat(data.x, 2, 2), channels=("ecg", "ppg"))
    (tmp_path / "p.take").write_bytes(take_bytes(two, scale=0.001))
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"source": {"kind": "replay", "file": "p.take"}}))
    with pytest.raises(Exception, match="2 channels"):
        read_app(path, model_bytes())
    path.write_text(
        json.dumps({"source": {"kind": "replay", "file": "p.take"}, "channels": ["ecg"]})
    )
    assert read_app(path, model_bytes()).recordings


SCRIPT = """
import gc, ulnn_app
from array import array
rows = array("i", bytes(12 * 200))
memory = array("i", bytes(4 * 200))
n = 0
def note(app):
    global n
    if not app.problem:
        rows[3 * n] = app.front.us
        rows[3 * n + 1] = app.decision
        rows[3 * n + 2] = app.margin
    memory[n] = gc.mem_alloc()
    n += not app.problem
ulnn_app.run(SETTINGS, on_decision=note)
print()
print(list(rows[:3 * n]), max(memory[2:n]) - min(memory[2:n]))
"""


@needs_micropython
@pytest.mark.parametrize("engine", ["natmod", "pure"])
def test_under_unix_micropython(engine: str, settings: dict[str, Any], tmp_path: Path) -> None:
    del settings["sinks"]
    settings["print"] = "nothing"
    (tmp_path / "run.py").write_text(f"SETTINGS = {settings!r}\n" + SCRIPT)
    path = f"{FIRMWARE}:.frozen"
    if engine == "natmod":
        path = f"{natmod.build('x64').parent}:{path}"
    made = unix("run.py", cwd=tmp_path, heap="1M", path=path)
    flat = [v for row in wanted()[0] for v in row]
    rows, _, rest = made.splitlines()[-1].partition("]")
    assert rows + "]" == repr(flat)
    assert int(rest.split()[0]) == 0
