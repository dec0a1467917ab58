"""Policies as a whole: purposes, keys, budgets, and what a wrong policy is told."""

from __future__ import annotations

import json
import math
import os
from array import array
from pathlib import Path
from typing import Any

import pytest

from support.mask_cases import KEYS, SECRET
from support.mask_policies import NOISE, WRONG, one, policy
from ulnn_rules import keeper
from ulnn_rules.budget import Budget
from ulnn_rules.keeper import Key, Keys
from ulnn_rules.mask import Policy, load

# ---- keys --------------------------------------------------------------------------------------


def test_a_key_can_be_rotated(tmp_path: Path) -> None:
    path = tmp_path / "keeper.json"
    rules = {"fields": {"v": {"do": "pseudonym"}}, "key": {"file": "keeper.json"}}
    (tmp_path / "policy.json").write_text(json.dumps(rules))
    names = []
    for now in ("k0", "k1", "k0"):
        path.write_text(json.dumps(KEYS | {"now": now}))
        names.append(load(f"{tmp_path}/policy.json").filter({"v": "p1"}, "send")["v"])
    assert names[0] == names[2] != names[1]
    assert [name[:3] for name in names] == ["k0-", "k1-", "k0-"]
    rules["key"]["id"] = "k1"
    (tmp_path / "policy.json").write_text(json.dumps(rules))
    assert load(f"{tmp_path}/policy.json").filter({"v": "p1"}, "send")["v"] == names[1]


BAD_KEEPERS = [
    "", "[]", "{}", "not JSON " + SECRET, json.dumps(KEYS | {"now": SECRET}),
    json.dumps({"now": "k", "keys": {"k": SECRET + "x"}}),
    json.dumps({"now": "k", "keys": {"k": SECRET[:30]}}),
    json.dumps({"now": SECRET, "keys": {SECRET: SECRET}}),
    json.dumps({"now": "k", "keys": [SECRET]}), json.dumps({"now": 1, "keys": {"k": 7}}),
]  # fmt: skip


@pytest.mark.parametrize("content", BAD_KEEPERS)
def test_no_key_is_in_an_error(content: str, tmp_path: Path) -> None:
    path = tmp_path / "keeper.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="keeper's file") as caught:
        keeper.read(str(path))
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET[:12] not in text
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


IN_POLICIES: list[Any] = [
    SECRET, [SECRET], {"file": SECRET}, {"id": SECRET, "file": "x"},
    {"secret": SECRET, "file": "x"}, {SECRET[:8]: SECRET},
]  # fmt: skip


@pytest.mark.parametrize("key", IN_POLICIES)
def test_a_key_in_a_policy_is_refused_and_not_shown(key: Any) -> None:
    with pytest.raises(ValueError, match=r"policy\.key") as caught:
        Policy({"fields": {"v": {"do": "pseudonym"}}, "key": key})
    assert SECRET not in str(caught.value)


def test_keys_are_in_no_repr() -> None:
    keys = Keys({"k1": Key(bytes.fromhex(SECRET))}, "k1")
    made = Policy({"fields": {"v": {"do": "pseudonym"}}}, keys)
    texts = f"{keys!r} {keys} {Key(bytes.fromhex(SECRET))!r} {made!r} {made.counts}"
    assert SECRET[:12] not in texts
    assert "\\x5e" not in texts


# ---- budgets ------------------------------------------------------------------------------------


def spending(tmp_path: Path, **more: Any) -> Policy:
    budget = {"epsilon": 5, "file": f"{tmp_path}/spent.json", "ahead": 4} | more
    return policy({"v": NOISE, "who": {"do": "drop"}}, budget=budget)


def test_a_budget_is_spent_and_refuses(tmp_path: Path) -> None:
    made = spending(tmp_path)
    left = [made.filter({"v": 5}, "send") for _ in range(12)]
    assert [len(one) for one in left] == [1] * 10 + [0, 0]
    assert made.counts["spent"] == 2
    again = spending(tmp_path)
    assert again.filter({"v": 5}, "store") == {}


def test_a_restart_never_gives_budget_back(tmp_path: Path) -> None:
    given = 0
    for restart in range(8):
        made = spending(tmp_path)
        for _ in range(1 + restart % 3):
            given += len(made.filter({"v": 5}, "send"))
        if restart == 3:
            assert made.budget is not None
            made.budget.save()  # a planned restart gives back what was written ahead
    assert 2 <= given <= 10
    assert spending(tmp_path).filter({"v": 5}, "send") == {}


def test_writes_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = []
    real = os.rename

    def rename(a: str, b: str) -> None:
        writes.append(b)
        real(a, b)

    monkeypatch.setattr(os, "rename", rename)
    made = spending(tmp_path, epsilon=50, ahead=16)
    for _ in range(100):
        made.filter({"v": 5}, "send")
    assert 1 <= len(writes) <= 7


def test_a_budget_for_each_person(tmp_path: Path) -> None:
    made = spending(tmp_path, per="who", epsilon=1)
    for who in ("Anneliese", "Bert", "Anneliese", "Anneliese", "Bert", "Bert"):
        made.filter({"v": 5, "who": who}, "send")
    assert made.counts["spent"] == 2
    assert made.filter({"v": 5}, "send") == {}  # of nobody
    content = (tmp_path / "spent.json").read_text()
    assert "Anneliese" not in content
    assert len(json.loads(content)) == 2


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"": 5}', '{"": ["a", 1]}'])
def test_a_damaged_budget_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "spent.json").write_text(content)
    with pytest.raises(ValueError, match="damaged, so what is spent is not known"):
        spending(tmp_path)


def test_a_power_cut_while_a_budget_is_written(tmp_path: Path) -> None:
    """Whatever a write leaves: half a temporary file, or a whole one that is not yet renamed."""
    path = tmp_path / "spent.json"
    budget = Budget(10_000_000, path=str(path), ahead=1)
    assert budget.take(3_000_000)
    whole = path.read_text()
    temporary = tmp_path / "spent.json.tmp"
    for cut in range(len(whole)):
        temporary.write_text(whole[:cut])
        assert Budget(10_000_000, path=str(path)).spent() == (3_000_000, 0)
    temporary.write_text(whole.replace("3000000", "4000000"))
    assert Budget(10_000_000, path=str(path)).spent() == (4_000_000, 0)
    path.unlink()  # FAT: removed before the new one has its name
    assert Budget(10_000_000, path=str(path)).spent() == (4_000_000, 0)


def test_what_cannot_be_written_down_is_not_given(tmp_path: Path) -> None:
    made = spending(tmp_path, file=f"{tmp_path}/no/such/folder/spent.json")
    assert made.filter({"v": 5}, "send") == {}
    assert made.counts["spent"] == 1


# ---- what a policy says -------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "text"), WRONG, ids=[text[:50] for _, text in WRONG])
def test_a_wrong_policy_is_told_in_one_line(given: Any, text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011, the text is compared
        Policy(given)
    assert str(caught.value) == text


def test_noise_needs_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "urandom")
    with pytest.raises(ValueError, match=r"noise needs os\.urandom, which is not on this board"):
        Policy({"fields": {"v": NOISE}, "budget": {"epsilon": 1}})


def test_files_of_policies(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.json: no such file"):
        load("nowhere.json")
    (tmp_path / "p.json").write_text("{")
    with pytest.raises(ValueError, match=r"p\.json: not JSON"):
        load(f"{tmp_path}/p.json")
    (tmp_path / "p.json").write_text("{}")
    with pytest.raises(ValueError, match=r"p\.json: expected fields or channels"):
        load(f"{tmp_path}/p.json")


def test_purposes() -> None:
    made = policy(
        {"a": {"do": "keep", "for": ["store"]}, "b": {"do": "keep"}},
        channels={"ax": {"do": "keep"}, "ay": {"do": "round", "step": 10, "for": ["store"]}},
    )
    record = {"a": 1, "b": 2, "ax": [1, 2, 3], "ay": array("h", [14, 16]), "c": 3}
    assert made.filter(record, "store") == {"a": 1, "b": 2, "ay": [10, 20]}
    assert made.filter(record, "send") == {"b": 2}
    assert made.filter(record, "network") == {"b": 2, "ax": [1, 2, 3]}
    counts = {"purpose": 2, "waveform": 4, "unknown": 3}
    assert {key: made.counts[key] for key in counts} == counts
    with pytest.raises(ValueError, match="purpose: expected one of store, send, log, network"):
        made.filter(record, "sale")


def test_what_is_kept() -> None:
    word = {"do": "keep", "words": ["still", 1]}
    assert [one(word, v) for v in ("still", 1, None)] == ["still", 1, None]
    assert [one(word, v) for v in ("Anna", True, 1.0, 2, "1")] == [...] * 5
    assert [one({"do": "keep"}, v) for v in (4711, 1.5, True, None)] == [4711, 1.5, True, None]
    assert [one({"do": "keep"}, v) for v in ("text", [1], math.nan)] == [...] * 3
    assert one({"do": "keep", "text": True}, "text") == "text"
    assert one({"do": "keep", "list": 3}, [1, 2, 3]) == [1, 2, 3]
    assert one({"do": "keep", "list": 3}, [1, 2, 3, 4]) is ...
    nested = policy({"gps.alt": {"do": "round", "step": 100}, "gps": {"do": "keep"}})
    assert nested.filter({"gps": {"alt": 519, "fix": 3}}, "log") == {"gps": {"alt": 500}}
    assert nested.counts["unknown"] == 1
