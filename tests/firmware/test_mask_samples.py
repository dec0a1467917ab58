"""Samples of channels: masked in counts of the sensor, the same everywhere, without an allocation;
and budgets on boards."""

from __future__ import annotations

import json
import math
from array import array
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.board_tools import SMALL, port_fixture, run_mounted
from support.examples import collect
from support.mask_cases import RANDOM
from support.mask_policies import WRONG
from support.paths import FIRMWARE
from support.unix import needs_micropython, unix
from ulnn_rules.mask import Policy

SCALES = st.sampled_from([(1, 0), (0.0078125, 0), (-0.5, 3), (2.44140625e-4, -1.5), (100, 7)])


@st.composite
def channel_cases(draw: st.DrawFn) -> tuple[dict[str, Any], list[tuple[float, float]], list[int]]:
    """A policy, scale and offset of three channels, some samples, one after the other."""
    ways = st.sampled_from(["keep", "drop", "round", "clip", "both"])
    step = st.sampled_from([0.25, 1, 3, 1000])
    rules, scales = {}, []
    for name in ("a", "b", "c"):
        scale, offset = draw(SCALES)
        scales.append((scale, offset))
        way = draw(ways)
        low, high = (offset + abs(scale) * end for end in (-900.25, 900))
        ends = {"low": round(low, 3), "high": round(high, 3)}
        rules[name] = {
            "keep": {"do": "keep"}, "drop": {"do": "drop"},
            "round": {"do": "round", "step": draw(step)},
            "clip": {"do": "clip"} | ends, "both": {"do": "clip", "step": draw(step)} | ends,
        }[way]  # fmt: skip
    size = 3 * draw(st.integers(1, 4))
    raw = st.lists(st.integers(-32768, 32767), min_size=size, max_size=size)
    return rules, scales, draw(raw)


def by_the_book(rule: dict[str, Any], scale: float, offset: float, raw: int) -> int:
    of, off = Fraction(scale), Fraction(offset)
    if rule.get("step"):
        step = min(65535, max(1, math.ceil(Fraction(str(rule["step"])) / abs(of))))
        raw = (raw + (step >> 1 if step > 1 else 0)) // step * step
    low, high = -32768, 32767
    if rule["do"] == "clip":
        ends = sorted((Fraction(str(rule[key])) - off) / of for key in ("low", "high"))
        low, high = max(low, math.ceil(ends[0])), min(high, math.floor(ends[1]))
    return max(low, min(high, raw))


def expected(case: Any) -> list[int]:
    rules, scales, raw = case
    return [
        by_the_book(rule, *scales[k], raw[at + k])
        for at in range(0, len(raw), 3)
        for k, rule in enumerate(rules.values())
        if rule["do"] != "drop"
    ]


@given(channel_cases())
def test_samples_are_masked_in_counts(case: Any) -> None:
    rules, scales, raw = case
    made = Policy({"channels": rules})
    masks = made.channels(tuple(rules), "network", *zip(*scales, strict=True))
    want, left = expected(case), len(masks)
    out = array("h", [0] * (len(raw) // 3 * left + 1))
    masks.apply(array("h", raw), out, len(raw) // 3)
    assert list(out) == [*want, 0]
    for at in range(0, len(raw), 3):  # in place
        sample = array("h", raw[at : at + 3])
        masks.apply(sample, sample)
        assert list(sample[:left]) == want[at // 3 * left :][:left]
    if left == 3:
        block = array("h", raw)
        masks.apply(block, block, len(raw) // 3)
        assert list(block) == want
    if masks.untouched:
        assert want == raw
    assert made.counts["dropped"] == 3 - len(masks)
    assert len(made.channels(tuple(rules), "store")) == 0
    assert made.counts["waveform"] == len(masks)
    assert len(made.channels(("x", "y"), "network")) == 0


def test_a_range_without_a_count_is_refused() -> None:
    made = Policy({"channels": {"a": {"do": "clip", "low": 0.1, "high": 0.2}}})
    with pytest.raises(ValueError, match=r"policy\.channels\.a: no count of the sensor lies in"):
        made.channels(("a",), "network", (1,), (0,))


SCRIPT = (
    RANDOM
    + """
import json
from array import array
from ulnn_rules.mask import Policy
from micropython import heap_lock, heap_unlock
with open("channels.jsonl") as f:
    for line in f:
        rules, scales, raw = json.loads(line)
        names = tuple(sorted(rules))
        m = Policy({"channels": rules}).channels(
            names, "network", [s[0] for s in scales], [s[1] for s in scales])
        count = len(raw) // 3
        raw, out = array("h", raw), array("h", [0] * (count * len(m)))
        heap_lock()
        m.apply(raw, out, count)
        heap_unlock()
        print(list(out))
p = Policy(
    {"fields": {"v": {"do": "noise", "low": 0, "high": 9, "epsilon": 0.5}},
     "budget": {"epsilon": 5, "file": "spent.json", "ahead": 4}}, random=random)
print(sum(len(p.filter({"v": 5}, "send")) for _ in range(3)), p.budget.spent())
p = Policy({"fields": {"v": {"do": "drop"}}, "budget": {"epsilon": 5, "file": "spent.json"}})
print(p.budget.spent())
try:
    Policy({"fields": {"v": {"do": "hash"}}})
except ValueError as e:
    print(e)
"""
)


def prepare(folder: Path, count: int) -> str:
    """The script and its cases; returns what it has to print."""
    found = collect(channel_cases(), count)
    (folder / "channels.jsonl").write_text("".join(json.dumps(case) + "\n" for case in found))
    (folder / "run.py").write_text(SCRIPT)
    lines = [str(expected(case)) for case in found]
    lines += ["3 (1500000, 0)", "(2000000, 0)", WRONG[3][1]]
    return "\n".join(lines) + "\n"


@needs_micropython
def test_on_unix_micropython(tmp_path: Path) -> None:
    want = prepare(tmp_path, 300)
    assert unix("run.py", cwd=tmp_path, heap="128k", path=FIRMWARE) == want


port = port_fixture(*SMALL)


@pytest.mark.board
def test_on_boards(port: str, tmp_path: Path) -> None:
    """With the package that is frozen in the firmware; masked samples allocate nothing."""
    want = prepare(tmp_path, 60)
    assert run_mounted(port, tmp_path) == want
