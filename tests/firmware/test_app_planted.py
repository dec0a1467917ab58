"""Nothing private leaves an app with a policy: identifiers are planted in samples, events and
exceptions, and every byte that is printed, sent or stored is searched, on a PC, under unix
MicroPython and on virtual boards. The loop never stops."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import app_cases, mask_cases, wave_source
from support.board_tools import USUAL, Repl, port_fixture
from support.paths import FIRMWARE
from support.planted_app import OPEN, SAMPLES, STRICT, events, features_model, script, searched
from support.pty_board import PtyBoard
from support.unix import needs_micropython, unix
from ulnn_host.base.errors import UlnnError
from ulnn_host.board.app import read_app
from ulnn_host.board.deploy import deploy
from ulnn_host.board.link import Board
from ulnn_host.board.live import live
from ulnn_host.board.record import record

POLICIES = {"strict": STRICT, "open": OPEN}
ROUNDED = OPEN | {"channels": STRICT["channels"] | {"ay": {"do": "round", "step": 0.01}}}
# Of a source in blocks: (policy, whether it has a channel more, of which the policy knows nothing)
BLOCKS = {
    "as they are": (OPEN, False),
    "rounded": (ROUNDED, False),
    "without one": (STRICT, True),
    "without one, rounded": (ROUNDED, True),
}


def prepare(folder: Path, policy: dict[str, Any] | None, **how: bool) -> None:
    model = features_model() if how.get("blocks") else app_cases.model_bytes()
    (folder / "m.ulnn").write_bytes(model)
    (folder / "keeper.json").write_text(json.dumps(mask_cases.KEYS))
    (folder / "run.py").write_text(script(policy is not None, **how))
    if policy:
        (folder / "policy.json").write_text(json.dumps(policy))


def on_this_pc(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "run.py"], cwd=folder, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(FIRMWARE), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check(said: str, name: str) -> None:
    assert searched(said) == []
    (samples,) = re.findall(r"samples    (\d+),", said)
    assert int(samples) == SAMPLES
    sent = events(said)
    kinds = {event["kind"] for event in sent}
    if name == "strict":
        assert sent == []
        assert "now        withheld, margin 0" in said
        return
    assert {"decision", "fault", "summary"} <= kinds
    assert {event.get("what") for event in sent} <= {None, *OPEN["fields"]["what"]["words"]}
    assert all(re.fullmatch("k1-[0-9a-f]{16}", event["device"]) for event in sent)
    assert "source: KeyError" in said
    assert "source: OSError: ETIMEDOUT" in said
    assert "source: Odd" in said
    assert "withheld by the policy" in said


@pytest.mark.parametrize("name", POLICIES)
def test_on_a_pc(tmp_path: Path, name: str) -> None:
    prepare(tmp_path, POLICIES[name])
    check(on_this_pc(tmp_path), name)


def test_without_a_policy_it_would_be_found(tmp_path: Path) -> None:
    prepare(tmp_path, None)
    hits = set(searched(on_this_pc(tmp_path)))
    assert set(mask_cases.TEXTS) <= hits
    assert any(re.match(r"events/\d: " + mask_cases.NAMES[0], hit) for hit in hits)
    assert any("waveform" in hit for hit in hits)


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_on_a_pc(tmp_path: Path, name: str) -> None:
    policy, private = BLOCKS[name]
    prepare(tmp_path, policy, private=private, blocks=True)
    check(on_this_pc(tmp_path), "strict" if policy is STRICT else "open")


def test_blocks_without_a_policy_would_be_found(tmp_path: Path) -> None:
    prepare(tmp_path, None, private=False, blocks=True)
    hits = searched(on_this_pc(tmp_path))
    assert any("waveform" in hit for hit in hits)
    assert any(re.match(r"events/\d: waveform", hit) for hit in hits)


@needs_micropython
@pytest.mark.parametrize("name", ["as they are", "without one, rounded"])
def test_blocks_on_unix_micropython(tmp_path: Path, name: str) -> None:
    policy, private = BLOCKS[name]
    prepare(tmp_path, policy, private=private, blocks=True)
    check(unix("run.py", cwd=tmp_path, path=f".frozen:{FIRMWARE}"), "open")


@needs_micropython
@pytest.mark.parametrize("name", POLICIES)
def test_on_unix_micropython(tmp_path: Path, name: str) -> None:
    prepare(tmp_path, POLICIES[name])
    check(unix("run.py", cwd=tmp_path, path=f".frozen:{FIRMWARE}"), name)


# ---- the line -----------------------------------------------------------------------------------

SENSOR = f"""
from array import array
from time import ticks_ms, ticks_diff
from ulnn_sources.base import Source
TEXTS, WAVE = {mask_cases.TEXTS!r}, {mask_cases.WAVE!r}
class Sensor(Source):
    def __init__(self, settings, where):
        super().__init__({wave_source.NAMES!r}, {wave_source.UNITS!r}, (1,) * 6, (0,) * 6)
        self.refuse, self.n, self.last = settings.get("refuse"), 0, ticks_ms()
        self.block = array("h", WAVE[:30])
    def take_block(self):
        return 5
    def start(self):
        if self.refuse:
            raise OSError(TEXTS[0])
    def take(self):
        if ticks_diff(ticks_ms(), self.last) < 5:
            return False
        self.last, self.elapsed = ticks_ms(), 5000
        self.n += 1
        if self.n % 40 == 0:
            raise ValueError(TEXTS[self.n // 40 % len(TEXTS)])
        for k in range(6):
            self.raw[k] = WAVE[(self.n + k) % len(WAVE)]
        return True
"""


@needs_micropython
@pytest.mark.parametrize("policy", [True, False])
def test_what_record_puts_on_the_line(tmp_path: Path, policy: bool) -> None:
    modules = wave_source.modules() | {"ulnn_sources/wave.py": SENSOR}
    rule = {"do": "clip", "low": -3, "high": 3, "for": ["send"]}
    allowed = {"ax": rule, "gz": rule}
    left = bytearray()

    def tap(data: bytes) -> bytes:
        left.extend(data)
        return data

    with PtyBoard(tmp_path / "board", modules=modules) as running:
        running.to_host = tap
        (running.folder / "policy.json").write_text(json.dumps({"channels": allowed}))
        settings = {"source": {"kind": "wave"}} | ({"policy": "policy.json"} if policy else {})
        (running.folder / "settings.json").write_text(json.dumps(settings))
        take = record(running.port, folder=tmp_path / "takes", seconds=1)
        refused = {"kind": "wave", "refuse": True}
        with pytest.raises(UlnnError, match=r"the source does not start: ") as error:
            record(running.port, folder=tmp_path / "takes", source=refused)
    assert take.session.faults >= 2
    seen = mask_cases.found(bytes(left) + str(error.value).encode() + take.path.read_bytes())
    seen += mask_cases.found(repr(take.session).encode())
    if policy:
        assert seen == []
        assert (take.session.channels, take.session.fault) == (("ax", "gz"), "ValueError")
    else:
        assert mask_cases.TEXTS[0] in seen
        assert any("waveform" in hit for hit in seen)


# ---- boards -------------------------------------------------------------------------------------

SEND = {
    "fields": {"what": {"do": "keep", "text": True}, "margin": {"do": "keep"}},
    "channels": {name: {"do": "keep"} for name in app_cases.CHANNELS}
    | {"ax": {"do": "round", "step": 0.5, "for": ["network", "send"]}},
}


port = port_fixture(*USUAL)


def put(link: Board, folder: Path, policy: dict[str, Any]) -> None:
    """Deploy an app with a policy."""
    prepare(folder, policy)
    app_cases.take_file(folder / "walk.take", 4)
    source = {"kind": "replay", "file": "walk.take", "pace": "fast", "repeat": 0}
    settings = {"source": source, "policy": "policy.json", "print": "nothing"}
    settings["sinks"] = [{"kind": "serial"}, {"kind": "file", "path": "/e.jsonl"}]
    (folder / "settings.json").write_text(json.dumps(settings))
    model = folder / "m.ulnn"
    app = read_app(folder / "settings.json", model.read_bytes())
    deploy(link, model, app=app)


@pytest.mark.board
def test_on_boards(port: str, tmp_path: Path) -> None:
    with Board.open(port) as link:
        with pytest.raises(UlnnError, match=r"keeper's file /keeper.json: no such file"):
            put(link, tmp_path, OPEN)
        link.write_file("/keeper.json", (tmp_path / "keeper.json").read_bytes())
        put(link, tmp_path, OPEN)
        assert json.loads(link.read_file("/settings.json"))["policy"] == "/policy.json"
    with Repl(port) as repl:
        check(repl.exec(script(True, "/models/m.ulnn")), "open")


@pytest.mark.board
def test_what_record_and_live_send(port: str, tmp_path: Path) -> None:
    """Samples of channels whose waveform may be sent, else none, and one line says which."""
    said: list[str] = []
    with Board.open(port) as link:
        put(link, tmp_path, SEND)
    line = "withheld: ay, az, wx, wy, wz: the policy on the board does not let them be sent"
    take = record(port, folder=tmp_path / "takes", seconds=2, notice=said.append)
    assert (take.session.channels, said) == (("ax",), [line])
    values = [float(row.split(",")[1]) for row in take.path.read_text().splitlines()[1:]]
    assert len(values) >= 50
    step = 0.5
    assert all(abs(v / step - round(v / step)) < 1e-2 for v in values)
    moment = live(port, seconds=2, notice=said.append)
    assert (moment.source.channels, said) == (("ax",), [line, line])
    assert sum(moment.decisions.values()) >= 2

    with Board.open(port) as link:
        link.write_file("/keeper.json", (tmp_path / "keeper.json").read_bytes())
        put(link, tmp_path, OPEN)
    with pytest.raises(UlnnError, match=r"policy /policy.json lets no raw samples be sent \(ax,"):
        record(port, folder=tmp_path / "takes")
    source = {"kind": "replay", "file": "/walk.take"}
    with pytest.raises(UlnnError, match=r"lets no raw samples be sent \(ax, ay, az, wx, wy, wz\)"):
        record(port, folder=tmp_path / "takes", source=source)
    with pytest.raises(UlnnError, match=r"does not let decisions be sent as they are"):
        live(port)
    assert len(list((tmp_path / "takes").glob("*.csv"))) == 1
