"""Sources under a policy: blocks of samples are masked as single samples are, bit for bit, with
their times; nothing is allocated, and what the policy withholds is not there."""

from __future__ import annotations

import json
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from support import app_cases
from support.board_tools import USUAL, port_fixture, run_mounted
from support.paths import FIRMWARE
from support.planted_app import features_model
from support.unix import needs_micropython, unix
from ulnn_host.board import board_code
from ulnn_host.board.link import Board
from ulnn_host.board.takes import take_bytes
from ulnn_host.data.sequences import Sequences
from ulnn_rules.mask import Policy
from ulnn_rules.meaning import Meaning
from ulnn_rules.scaling import Scaling

front = board_code.module("ulnn_app.front")
masked = board_code.module("ulnn_sources.masked")
replay = board_code.module("ulnn_sources.replay")
rules = board_code.module("ulnn_app.settings")

NAMES = ("a", "b", "c")
KEEP, DROP = {"do": "keep"}, {"do": "drop"}
ROUND = {"do": "round", "step": 7}
CLIP = {"do": "clip", "low": -500, "high": 500, "step": 16}
# Rules of a policy, and what they make of counts from -32768 to 32767, whose scale is 1
POLICIES: list[tuple[dict[str, Any], tuple[int, ...]]] = [
    ({"a": KEEP, "b": KEEP, "c": KEEP}, (0, 1, 2)),
    ({"a": ROUND, "b": KEEP, "c": CLIP}, (0, 1, 2)),
    ({"a": DROP, "b": KEEP, "c": KEEP}, (1, 2)),
    ({"a": CLIP, "c": ROUND}, (0, 2)),
    ({"a": KEEP, "b": CLIP | {"for": ["log"]}}, (0,)),
]


def by_the_book(rule: dict[str, Any], raw: NDArray[np.int64]) -> NDArray[np.int64]:
    step = rule.get("step", 1)
    found = (raw + step // 2) // step * step
    low, high = rule.get("low", -32768), rule.get("high", 32767)
    return np.clip(found, low, high)


def recording() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts (T, 3), and microseconds from sample to sample, of which some are late."""
    rng = np.random.default_rng(5)
    raw = rng.integers(-32768, 32768, (150, 3))
    raw[::5] //= 64
    us = np.full(len(raw), 250)
    us[[40, 41, 90]] = (400, 5000, 250_000)
    return raw, us


def take(path: Path, raw: NDArray[np.int64], us: NDArray[np.int64]) -> Path:
    x, dt = raw.astype(np.float32), (us * 1e-6).astype(np.float32)
    path.write_bytes(take_bytes(Sequences(x, dt, channels=NAMES), scale=1.0))
    return path


# What a source under each policy gives: in blocks, then one by one. Under heap_lock on a board.
SCRIPT = """
import json
from ulnn_rules.mask import Policy
from ulnn_sources.masked import Masked
from ulnn_sources.replay import Sensor
try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    heap_lock = heap_unlock = int
def play(policy, blocks):
    raw, us, ends = [], [], 0
    source = Masked(
        Sensor({"file": FILE, "pace": "fast"}), Policy({"channels": policy}), "network")
    source.start()
    n = len(source.names)
    try:
        while True:
            heap_lock()
            try:
                count = source.take_block() if blocks else source.take()
                elapsed, rest = source.elapsed, source.rest if blocks else 0
            finally:
                heap_unlock()
            raw += list(source.block if blocks else source.raw)[:n * count]
            us.append((int(count), elapsed - rest, rest))
    except StopIteration:
        return list(source.names), source.withheld, raw, us
with open("policies.json") as f:
    for policy in json.load(f):
        for blocks in (True, False):
            print(json.dumps(play(policy, blocks)))
"""


def prepare(folder: Path, file: str = "a.take") -> None:
    """file: the recording, as the script opens it."""
    take(folder / "a.take", *recording())
    (folder / "policies.json").write_text(json.dumps([policy for policy, _ in POLICIES]))
    (folder / "run.py").write_text(f"FILE = {file!r}\n{SCRIPT}")


def check(said: str) -> None:
    raw, us = recording()
    rows = [json.loads(line) for line in said.splitlines()]
    assert len(rows) == 2 * len(POLICIES)
    for k, (policy, left) in enumerate(POLICIES):
        want = [by_the_book(policy[NAMES[c]], raw[:, c]) for c in left]
        for names, withheld, found, _ in rows[2 * k : 2 * k + 2]:
            assert names == [NAMES[c] for c in left]
            assert sorted(names + withheld) == list(NAMES)
            assert found == np.stack(want, 1).ravel().tolist()
        blocks, singles = rows[2 * k][3], rows[2 * k + 1][3]
        assert [gap for _, gap, _ in singles] == us.tolist()
        assert max(count for count, _, _ in blocks) > 5
        at = 0
        for count, gap, rest in blocks:
            assert (gap, rest) == (us[at], us[at + 1 : at + count].sum())
            at += count


def test_on_a_pc(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    board_code.package("ulnn_sources")
    exec(SCRIPT, {"FILE": "a.take"})
    check(capsys.readouterr().out)


@needs_micropython
def test_on_unix_micropython(tmp_path: Path) -> None:
    prepare(tmp_path)
    check(unix("run.py", cwd=tmp_path, heap="256k", path=f".frozen:{FIRMWARE}"))


port = port_fixture(*USUAL)


@pytest.mark.board
def test_on_boards(port: str, tmp_path: Path) -> None:
    prepare(tmp_path, "/a.take")
    with Board.open(port) as link:  # a file that is mounted allocates
        link.write_file("/a.take", (tmp_path / "a.take").read_bytes())
    (tmp_path / "ulnn_sources").mkdir()
    for name in ("__init__", "base", "masked", "replay"):
        content = (FIRMWARE / "ulnn_sources" / f"{name}.py").read_text()
        (tmp_path / "ulnn_sources" / f"{name}.py").write_text(content)
    check(run_mounted(port, tmp_path))


# ---- in an app ----------------------------------------------------------------------------------

STEP = 40
RULES: dict[str, Any] = {
    "keep": dict.fromkeys(app_cases.CHANNELS, KEEP),
    "round": {name: {"do": "round", "step": STEP / 4096} for name in app_cases.CHANNELS},
}


def played(source: Any, blocks: bool = True) -> list[tuple[int, bool, list[int]]]:
    """(us, fresh, inputs) of all steps of a source; faults are met as the app meets them."""
    model, found = features_model(), []
    given = rules.read({"model": "?"})
    made = front.make(given, source, model, Meaning(model), Scaling(model), blocks=blocks)
    source.start()
    while True:
        try:
            taken = made.take()
        except StopIteration:
            source.stop()
            return found
        except OSError:
            made.lost()
            continue
        assert taken
        made.arrive(0)
        while made.step():
            found.append((made.us, made.fresh, list(made.x)))


def walk(path: Path, raw: NDArray[np.int64], names: tuple[str, ...]) -> Any:
    dt = np.where(np.arange(len(raw)) % 90 == 70, 0.5, 0.04).astype(np.float32)
    data = Sequences((raw / 4096).astype(np.float32), dt, channels=names)
    path.write_bytes(take_bytes(data, scale=1 / 4096))
    return replay.Sensor({"file": str(path), "pace": "fast"})


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("rule", RULES)
def test_features_of_blocks(tmp_path: Path, rule: str, private: bool) -> None:
    """Steps are those of samples that were masked before they were recorded."""
    names = app_cases.CHANNELS
    raw = np.random.default_rng(2).integers(-9000, 9000, (300, 7))
    raw[:200] //= 100
    seen = raw[:, :6]
    if rule == "round":
        seen = by_the_book({"step": STEP}, seen)
    want = played(walk(tmp_path / "w.take", seen, names), blocks=False)
    assert len(want) > 50
    assert [fresh for _, fresh, _ in want].count(True) == 4
    bare = walk(tmp_path / "a.take", raw, (*names, "heart"))
    if not private:
        bare = walk(tmp_path / "a.take", raw[:, :6], names)
    policy = Policy({"channels": RULES[rule]})
    source = masked.Masked(bare, policy, "network")
    assert source.withheld == ["heart"] * private
    assert (source.block is bare.block) == (not private)
    assert (source.take_block == bare.take_block) == (not private and rule == "keep")
    assert played(source) == want
    assert played(source, blocks=False) == want


def test_a_fault_in_the_middle_of_a_block(tmp_path: Path) -> None:
    """The samples that were there are not seen; frames begin again."""
    raw = np.random.default_rng(2).integers(-9000, 9000, (60, 7))
    bare = walk(tmp_path / "a.take", raw, (*app_cases.CHANNELS, "heart"))
    take_block, lost = bare.take_block, []

    def failing() -> int:
        count: int = take_block()
        if not lost:
            lost.append(count)
            raise OSError("ETIMEDOUT")
        return count

    bare.take_block = failing
    source = masked.Masked(bare, Policy({"channels": RULES["round"]}), "network")
    found = played(source)
    rest = by_the_book({"step": STEP}, raw[lost[0] :, :6])
    want = played(walk(tmp_path / "w.take", rest, app_cases.CHANNELS), blocks=False)
    assert lost[0] > 1
    assert len(want) > 5
    assert [x for _, _, x in found] == [x for _, _, x in want]


def test_a_channel_that_the_model_needs_is_withheld(tmp_path: Path) -> None:
    raw = np.zeros((99, 6), np.int64)
    policy = Policy({"channels": RULES["keep"] | {"az": DROP}})
    source = masked.Masked(walk(tmp_path / "a.take", raw, app_cases.CHANNELS), policy, "network")
    text = r"settings: .*the policy keeps az from the network"
    with pytest.raises(ValueError, match=text):
        played(source)


def test_a_source_without_blocks_has_none() -> None:
    class Plain:
        names, units, scale, offset = ("a",), ("",), (1.0,), (0.0,)
        raw = array("h", [0])

    source = masked.Masked(Plain(), Policy({"channels": {"a": KEEP}}), "network")
    assert not hasattr(source, "take_block")
