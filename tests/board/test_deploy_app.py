"""`ulnn deploy --app`: what goes to a board, what of its own stays, and what a PC refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from support import app_cases as cases
from support.board_tools import model_file
from support.ram_disk import Disk, forget_modules
from support.unix import needs_micropython
from ulnn_host import api
from ulnn_host.base.errors import UlnnError
from ulnn_host.board.app import App, read_app
from ulnn_host.board.deploy import deploy, make_plan
from ulnn_host.board.deployed import listing, remove, rollback
from ulnn_host.board.link import Board
from ulnn_host.cli.main import app as command
from ulnn_host.data.sequences import Sequences

STARTERS = {"/boot.py", "/main.py"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "watch.ulnn"
    path.write_bytes(cases.model_bytes())
    return path


def write(folder: Path, name: str = "settings.json", **changes: Any) -> Path:
    cases.take_file(folder / "walk.take", 4)
    source = {"kind": "replay", "file": "walk.take", "pace": "fast"}
    path = folder / name
    path.write_text(json.dumps({"source": source} | changes))
    return path


def app_of(folder: Path, model: Path, **changes: Any) -> App:
    return read_app(write(folder, **changes), model.read_bytes())


def text(link: Board, path: str) -> str:
    return link.read_file(path).decode()


# ---- on a board ---------------------------------------------------------------------------------


@needs_micropython
def test_an_app_is_part_of_a_version(
    disk: Callable[..., Disk], pure_only: None, model: Path, tmp_path: Path
) -> None:
    """It stays when a new model comes, follows a rollback, and goes with all the rest."""
    there = disk(1024)
    deploy(there.link, model_file(tmp_path, 1, "other.ulnn"))
    report = deploy(there.link, model, app=app_of(tmp_path, model))
    names = {item.name for item in report.plan.items}
    assert {"ulnn_app/__init__.mpy", "ulnn_app/loop.mpy", "ulnn_sources/replay.mpy"} <= names
    assert "ulnn_sources/lines.mpy" not in names
    files = there.files()
    assert {"/settings.json", "/walk.take", "/lib/ulnn_app/__init__.mpy", *STARTERS} <= set(files)
    settings = json.loads(text(there.link, "/ram/settings.json"))
    assert settings["model"] == "/ram/models/watch.ulnn"
    assert settings["source"]["file"] == "/ram/walk.take"
    assert '"/ram/settings.json"' in text(there.link, "/ram/main.py")

    again = deploy(there.link, model, app=app_of(tmp_path, model))
    assert [item.name for item in again.plan.to_send] == []
    assert not again.plan.changes

    # A model alone: the app is still there, and is asked whether it takes the model.
    later = deploy(there.link, model)
    assert not later.plan.changes
    with pytest.raises(UlnnError, match=r"does not say how to decide.*; the board is back"):
        deploy(there.link, model_file(tmp_path, 2), "/ram/models/watch.ulnn")
    assert listing(there.link)[0].version.app == "/ram/settings.json"

    # Another recording takes the place of the one before.
    (tmp_path / "walk.take").rename(tmp_path / "run.take")
    source = {"kind": "replay", "file": "run.take", "pace": "real"}
    deploy(there.link, model, app=app_of(tmp_path, model, source=source))
    assert "/run.take" in there.files()
    assert "/walk.take" not in there.files()
    assert rollback(there.link).now.app == "/ram/settings.json"
    assert "/walk.take" in there.files()
    assert "/run.take" not in there.files()
    remove(there.link)
    assert not {"/settings.json", "/walk.take", *STARTERS} & set(there.files())
    assert not [name for name in there.files() if name.startswith("/lib/ulnn")]


@needs_micropython
def test_sinks_come_with_the_app_that_names_them(
    disk: Callable[..., Disk], pure_only: None, model: Path, tmp_path: Path
) -> None:
    there = disk(1024)
    file = {"kind": "file", "path": "/ram/e.jsonl"}
    report = deploy(there.link, model, app=app_of(tmp_path, model, sinks=[file]))
    names = {item.name for item in report.plan.items}
    rules = {"ulnn_rules/events.mpy", "ulnn_rules/summary.mpy"}
    sinks = {f"ulnn_sinks/{name}.mpy" for name in ("__init__", "base", "file", "log", "ring")}
    assert rules | sinks <= names
    assert not {"ulnn_sinks/mqtt.mpy", "ulnn_sinks/serial.mpy"} & names
    forget_modules(there)
    there.link.exec("import ulnn_app\nulnn_app.run('/ram/settings.json')", timeout=60)
    assert '"kind":"summary"' in text(there.link, "/ram/e.jsonl")
    assert not deploy(there.link, model).plan.changes  # a model alone leaves them there
    names = {
        item.name for item in deploy(there.link, model, app=app_of(tmp_path, model)).plan.items
    }
    assert not (rules | sinks) & names


POLICY = {
    "fields": {"what": {"do": "pseudonym"}},
    "channels": {name: {"do": "keep"} for name in cases.CHANNELS},
    "key": {"file": "keeper.json"},
}


@needs_micropython
def test_a_policy_comes_with_the_app(
    disk: Callable[..., Disk], pure_only: None, model: Path, tmp_path: Path
) -> None:
    """It is part of the version, with the modules that it takes; the keeper's key is not."""
    there = disk(1024)
    (tmp_path / "policy.json").write_text(json.dumps(POLICY))
    key = json.dumps({"now": "k1", "keys": {"k1": "5e" * 32}}).encode()
    (tmp_path / "keeper.json").write_bytes(key)
    app = app_of(tmp_path, model, policy="policy.json")
    with pytest.raises(UlnnError, match=r"keeper's file /ram/keeper.json: no such file; nothing"):
        deploy(there.link, model, app=app)
    assert "/policy.json" not in there.files()
    there.link.write_file("/ram/keeper.json", key)
    report = deploy(there.link, model, app=app)
    names = {item.name for item in report.plan.items}
    assert {"ulnn_rules/mask.mpy", "ulnn_rules/keeper.mpy", "ulnn_sources/masked.mpy"} <= names
    assert json.loads(text(there.link, "/ram/policy.json")) == POLICY
    assert json.loads(text(there.link, "/ram/settings.json"))["policy"] == "/ram/policy.json"
    forget_modules(there)
    there.link.exec("import ulnn_app\nulnn_app.run('/ram/settings.json')", timeout=60)
    assert not deploy(there.link, model).plan.changes  # a model alone leaves it there
    deploy(there.link, model, app=app_of(tmp_path, model))
    assert "/policy.json" not in there.files()
    rollback(there.link)
    assert "/policy.json" in there.files()
    remove(there.link)
    assert "/policy.json" not in there.files()
    assert there.link.read_file("/ram/keeper.json") == key


@needs_micropython
def test_a_persons_programs_stay(
    disk: Callable[..., Disk], pure_only: None, model: Path, tmp_path: Path
) -> None:
    there = disk(1024)
    there.link.write_file("/ram/main.py", b"print(1)")
    report = deploy(there.link, model, app=app_of(tmp_path, model))
    assert any("main.py is another program and stays" in line for line in report.plan.warnings)
    assert text(there.link, "/ram/main.py") == "print(1)"
    there.link.exec("import os\nos.remove('/ram/main.py')")
    deploy(there.link, model, app=app_of(tmp_path, model, poll_ms=5))
    assert "ulnn_app.run" in text(there.link, "/ram/main.py")
    there.link.write_file("/ram/main.py", b"print(2)")
    plan = make_plan(there.link, model, app=app_of(tmp_path, model, poll_ms=6))
    assert not [item for item in plan.items if item.name.endswith("main.py")]
    deploy(there.link, model, app=app_of(tmp_path, model, poll_ms=6))
    rollback(there.link)
    assert text(there.link, "/ram/main.py") == "print(2)"
    remove(there.link)
    assert "/main.py" in there.files()
    assert "/boot.py" not in there.files()


# ---- on a PC ------------------------------------------------------------------------------------


def test_a_recording_becomes_one_to_replay(model: Path, tmp_path: Path) -> None:
    """Of any kind that `ulnn data` reads."""
    x = cases.recording(4).x[0]
    rows = [f"{k / 25:.2f}," + ",".join(f"{v:.5f}" for v in row) for k, row in enumerate(x)]
    (tmp_path / "walk.csv").write_text("\n".join(["time," + ",".join(cases.CHANNELS), *rows]))
    source = {"kind": "replay", "file": "walk.csv"}
    app = app_of(tmp_path, model, source=source)
    assert list(app.recordings) == ["walk.take"]
    (tmp_path / "walk.take").write_bytes(app.recordings["walk.take"])
    values, us = cases.rows(tmp_path / "walk.take")
    assert np.abs(values - x).max() < np.abs(x).max() / 32767
    assert set(us) == {40_000}
    settings = json.loads(app.content("/models/m.ulnn", "/flash"))
    assert settings["source"]["file"] == "/flash/walk.take"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"poll_ms": "2"}, "settings.json.poll_ms: expected a whole number from 1 to 60000"),
        ({"source": {"kind": "imu"}}, "settings.json.source.kind: expected one of"),
        (
            {"source": {"kind": "replay", "file": "no.csv"}},
            "source.file: no .*no.csv; a path",
        ),
        ({"source": {"kind": "lines", "channels": [{"name": "a"}]}}, "no channel ax: the source"),
        ({"model": "/m.ulnn"}, "model is /m.ulnn, and --to says /models/a.ulnn"),
        ({"policy": "no.json"}, "settings.json: policy: no file .*no.json; a path that begins"),
        ({"policy": "settings.json"}, "settings.json: '.*' is not a key of it; it has budget"),
        ({"policy": "ax.json"}, "no channel ay: the source has ax; the policy keeps ay, az, wx"),
    ],
)
def test_mistakes_are_found_before_a_board_is_touched(
    changes: dict[str, Any], said: str, model: Path, tmp_path: Path
) -> None:
    path = write(tmp_path, **changes)
    (tmp_path / "ax.json").write_text('{"channels": {"ax": {"do": "keep"}}}')
    with pytest.raises(UlnnError, match=said):
        api.deploy(model, "/dev/no-such-port", to="/models/a.ulnn", app=path)


def test_settings_that_are_none(model: Path, tmp_path: Path) -> None:
    for content, said in (("{", "not JSON"), ("[]", "expected an object"), ("\udcff", "utf-8")):
        path = tmp_path / "settings.json"
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
        with pytest.raises(UlnnError, match=said):
            read_app(path, model.read_bytes())
    with pytest.raises(UlnnError, match="No such file"):
        read_app(tmp_path / "none.json", model.read_bytes())


def test_the_command_says_it_in_one_line(model: Path, tmp_path: Path) -> None:
    path = write(tmp_path, sleep="deep")
    words = ["deploy", str(model), "--port", "/dev/no-such-port", "--app", str(path)]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 1
    words = ["deploy", "--list", "--port", "/dev/no-such-port", "--app", str(path)]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 2
    assert "--app: expected a model file, too" in done.output


def test_recordings_that_fit_no_take(tmp_path: Path) -> None:
    from ulnn_host.board.takes import take_bytes

    data = Sequences(np.array([[1.0], [-3.0]], np.float32), np.float32(0.1))
    with pytest.raises(UlnnError, match=r"out of the range that the scale of a .take file has"):
        take_bytes(data, scale=1e-5)
    with pytest.raises(UlnnError, match=r"a scale of a .take file is 0 or not finite"):
        take_bytes(data, scale=0)
    wide = Sequences(np.ones((2, 256), np.float32), np.float32(0.1))
    with pytest.raises(UlnnError, match=r"256 channels, a .take file holds 255 at most"):
        take_bytes(wide)
