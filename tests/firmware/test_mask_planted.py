"""Nothing private leaves: identifiers are planted in records, and every byte that is stored, sent
or logged under random policies is searched, on a PC, under unix MicroPython and on virtual boards.
The loop never stops."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from support import mask_cases
from support.board_tools import SMALL, port_fixture, run_mounted
from support.examples import collect
from support.mask_cases import FREE, TEXTS, WAVE, WORDS, cases, found
from support.paths import FIRMWARE
from support.unix import needs_micropython, unix
from ulnn_rules.keeper import Key, Keys
from ulnn_rules.mask import Policy

LEAVE = ("store", "send", "log")


def keys() -> Keys:
    known = {k: Key(bytes.fromhex(v)) for k, v in mask_cases.KEYS["keys"].items()}  # type: ignore[attr-defined]
    return Keys(known, "k1")


def without_files(policy: dict[str, Any]) -> dict[str, Any]:
    budget = {key: value for key, value in policy["budget"].items() if key != "file"}
    return policy | {"budget": budget}


@settings(max_examples=300)
@given(cases())
def test_nothing_planted_leaves(case: tuple[dict[str, Any], list[Any]]) -> None:
    given, records = case
    policy = Policy(without_files(given), keys(), mask_cases.repeatable())
    for record in records:
        for purpose in LEAVE:
            left = policy.filter(record, purpose)
            content = json.dumps(left, ensure_ascii=False, allow_nan=False)
            assert found(content.encode()) == []
            if isinstance(record, dict) and FREE in record:
                assert left[FREE] == record[FREE]
        left = policy.filter(record, "network")
        assert found(json.dumps(left, ensure_ascii=False).encode(), network=True) == []
    assert policy.counts["records"] == 4 * len(records)
    assert policy.counts["bad"] == 4 * sum(not isinstance(record, dict) for record in records)
    assert found(f"{policy!r} {policy.counts} {policy.keys!r}".encode()) == []


def test_the_search_finds_what_is_there() -> None:
    for text in TEXTS:
        assert text in found(json.dumps({"x": f"at {text}."}).encode())
    assert found(json.dumps(WAVE[4:8]).encode())[0] == "waveform at 4"
    assert found(b"x" + bytes.fromhex(mask_cases.SECRET))
    assert found(b"at 48.1371537") == ["48.1371"]
    assert found(json.dumps({"a": WORDS, "b": 48.14, "c": 1}).encode()) == []


class Odd:
    """An object that fails wherever it is looked at."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("planted")

    def __str__(self) -> str:
        raise RuntimeError("planted")

    __repr__ = __str__


class OddDict(dict[Any, Any]):
    def __getitem__(self, key: Any) -> Any:
        raise RuntimeError("planted")


VALUES: dict[str, Callable[[], Any]] = {
    "odd": Odd, "object": object, "bytes": lambda: b"bytes", "complex": lambda: 1j,
    "nan": lambda: float("nan"), "inf": lambda: float("inf"), "huge": lambda: 10**400,
    "number keys": lambda: {1: 2}, "odd dict": lambda: OddDict(a=1), "lists": lambda: [[1]],
    "list of none": lambda: [None], "half a character": lambda: "\ud800",
}  # fmt: skip


class NoIteration(dict[Any, Any]):
    def __iter__(self) -> Any:
        raise RuntimeError("planted")


@pytest.mark.parametrize("name", VALUES)
def test_no_value_stops_the_loop(name: str) -> None:
    value = VALUES[name]()
    kinds = ("keep", "pseudonym", "round", "clip", "noise")
    more: dict[str, dict[str, Any]] = {
        "round": {"step": 1}, "clip": {"low": 0, "high": 1},
        "noise": {"low": 0, "high": 1, "epsilon": 1}, "keep": {"list": 9},
    }  # fmt: skip
    fields = {kind: {"do": kind} | more.get(kind, {}) for kind in kinds}
    policy = Policy({"fields": fields, "budget": {"epsilon": 5}}, keys(), mask_cases.repeatable())
    for purpose in LEAVE:
        left = policy.filter(dict.fromkeys(kinds, value), purpose)
        assert not left.keys() - {"pseudonym"}, left
        assert policy.filter(OddDict(keep=1), purpose) == {}
        assert policy.filter(NoIteration(keep=1), purpose) == {}
        assert policy.filter({"keep": NoIteration(keep=1)}, purpose) == {}
        assert policy.filter({name: value, 7: 2, None: value}, purpose) == {}


# ---- the same bits everywhere -------------------------------------------------------------------

SCRIPT = (
    mask_cases.RANDOM
    + """
import json
from ulnn_rules.mask import Policy
from ulnn_rules.keeper import read
keys = read("keeper.json")
def ordered(value):
    if isinstance(value, dict):
        return [[k, ordered(value[k])] for k in sorted(value)]
    return value
seen = 0
with open("cases.jsonl") as f:
    for line in f:
        case = json.loads(line)
        if "fields" in case:
            state[0] = 12345
            policy = Policy(case, keys, random)
            continue
        for purpose in ("store", "send", "log"):
            left = policy.filter(case["record"], purpose)
            print(json.dumps(ordered(left)))
        seen += 1
        print(json.dumps(ordered(policy.counts)), policy, policy.keys)
print("end", seen)
"""
)


def prepare(folder: Path, count: int) -> None:
    """The script, the keeper's file and cases."""
    lines = []
    for policy, records in collect(cases(), count):
        lines.append(json.dumps(without_files(policy)))
        lines += [json.dumps({"record": record}) for record in records]
    (folder / "cases.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "keeper.json").write_text(json.dumps(mask_cases.KEYS))
    (folder / "run.py").write_text(SCRIPT)


def on_this_pc(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(compile(SCRIPT, "run.py", "exec"), {})
    return parsed(capsys.readouterr().out)


def parsed(text: str) -> list[Any]:
    """Lines, JSON as what it means: engines write the same number with other spaces."""
    made = []
    for line in text.splitlines():
        end = line.rfind("]") + 1
        made.append((json.loads(line[:end]) if end else None, line[end:]))
    return made


@needs_micropython
def test_on_unix_micropython(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(tmp_path, 150)
    out = unix("run.py", cwd=tmp_path, heap="128k", path=FIRMWARE)
    assert found(out.encode()) == []
    assert parsed(out) == on_this_pc(tmp_path, capsys)


port = port_fixture(*SMALL)


@pytest.mark.board
def test_on_boards(
    port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], full: bool
) -> None:
    """With the package that is frozen in the firmware, on a heap of 64 KB."""
    prepare(tmp_path, 300 if full else 25)
    out = run_mounted(port, tmp_path)
    assert found(out.encode()) == []
    assert parsed(out) == on_this_pc(tmp_path, capsys)
