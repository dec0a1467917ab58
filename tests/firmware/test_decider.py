"""The Decider of ulnn_rules decides as SPEC.md 2.10 says, with the same bits on a PC, under unix
MicroPython and on virtual boards, and allocates nothing."""

from __future__ import annotations

from array import array
from collections import Counter
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.board_tools import SMALL, port_fixture, run_mounted
from support.examples import collect
from support.paths import FIRMWARE
from support.raw_file import DECISION, NAMES
from support.unix import needs_micropython, unix
from ulnn_host.format.meaning import decision_bytes, names_bytes
from ulnn_host.format.model import Decision, Names
from ulnn_rules.decider import UNSURE, Decider
from ulnn_rules.readout import Window

Steps = list[tuple[list[int], int]]
Case = tuple[Decision, int, Steps]


def file_of(rule: Decision | None, outputs: int, labels: tuple[str, ...] = ()) -> bytes:
    """What of a model file the Decider reads: header, section table, NAMES and DECISION."""
    parts = {NAMES: names_bytes(Names(labels=labels))}
    if rule is not None:
        parts[DECISION] = decision_bytes(rule)
    table, at = b"", 64 + 16 * len(parts)
    for kind, content in parts.items():
        table += pack("<HHII4x", kind, 0, at, len(content))
        at += len(content)
    head = b"ULNN" + bytes(50) + pack("<HHH", len(parts), 1, outputs)
    return head.ljust(64, b"\0") + table + b"".join(parts.values())


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A rule, a number of outputs, outputs of steps with their dt."""
    readout = draw(st.sampled_from(("each", "last", "mean", "vote")))
    each, ticks = readout == "each", draw(st.booleans())
    unit = 1000 if ticks else 1
    enter = draw(st.integers(0, 8) | st.integers(0, 20000))
    rule = Decision(
        readout, ticks=ticks, reset=not each and draw(st.booleans()),
        window=0 if each else unit * draw(st.integers(0, 6)), votes=draw(st.integers(1, 5)),
        enter=enter, leave=draw(st.integers(0, enter)),
        least=draw(st.just(0) | st.integers(0, 12 * unit)),
    )  # fmt: skip
    outputs = draw(st.integers(2, 5))
    value = st.integers(-4, 4) if draw(st.booleans()) else st.integers(-32768, 32767)
    row = st.lists(value, min_size=outputs, max_size=outputs)
    step = st.tuples(row, st.integers(1, 2500))
    return rule, outputs, draw(st.lists(step, min_size=1, max_size=60))


def by_the_book(rule: Decision, outputs: int, steps: Steps) -> list[tuple[int, int] | None]:
    """(decision, margin) where a window ends, from whole lists."""
    found: list[tuple[int, int] | None] = []
    window: Steps = []
    past: list[tuple[int, int]] = []  # winner and margin of each window
    wished: list[tuple[int, int]] = []  # what each window wants, and how long it was
    decision = -1
    for step in steps:
        window.append(step)
        rows = [row for row, _ in window]
        ticks = sum(dt for _, dt in window)
        if rule.readout == "each":
            ended = True
        else:
            ended = rule.window > 0 and (ticks if rule.ticks else len(rows)) >= rule.window
        if not ended:
            found.append(None)
            continue
        if rule.readout == "mean":
            result = [sum(row[k] for row in rows) for k in range(outputs)]
        elif rule.readout == "vote":
            won = Counter(row.index(max(row)) for row in rows)
            result = [won[k] for k in range(outputs)]
        else:
            result = rows[-1]
        second, first = sorted(result)[-2:]
        far = (first - second) // (len(rows) if rule.readout == "mean" else 1)
        past.append((result.index(first), far))
        voting = past[-rule.votes :][::-1]
        most = Counter(winner for winner, _ in voting)
        winner, margin = next(p for p in voting if most[p[0]] == max(most.values()))
        enough = margin >= (rule.leave if winner == decision else rule.enter)
        wished.append((winner if enough else -1, ticks if rule.ticks else len(rows)))
        held = 0
        for wish, length in reversed(wished):
            if wish != wished[-1][0]:
                break
            held += length
        if held >= rule.least:
            decision = wished[-1][0]
        found.append((decision, margin))
        window = []
    return found


@settings(max_examples=500)
@given(cases())
def test_decides_as_the_specification_says(case: Case) -> None:
    rule, outputs, steps = case
    decider = Decider(file_of(rule, outputs))
    for _ in range(2):  # a reset forgets everything
        for (row, dt), want in zip(steps, by_the_book(*case), strict=True):
            got = decider.update(array("h", row), dt)
            assert (None if got is None else (got, decider.margin)) == want
        decider.reset()
        assert (decider.decision, decider.margin) == (UNSURE, 0)


def test_names_of_decisions() -> None:
    rule = Decision("each", enter=5, leave=2)
    decider = Decider(file_of(rule, 2, ("still", "walking")))
    assert decider.labels == ("still", "walking")
    assert decider.label == "unsure"
    said = []
    for row in ([0, 4], [0, 5], [0, 2], [0, 1], [2, 0], [9, 0]):
        decider.update(row, 1)
        said.append((decider.label, decider.margin))
    assert said == [
        ("unsure", 4), ("walking", 5), ("walking", 2), ("unsure", 1), ("unsure", 2), ("still", 9),
    ]  # fmt: skip
    decider = Decider(file_of(rule, 2))
    decider.update([0, 9], 1)
    assert (decider.labels, decider.label) == ((), "1")


def test_a_sequence_ends_where_the_caller_says_so() -> None:
    decider = Decider(file_of(Decision("mean"), 2))
    assert decider.end() is None
    assert [decider.update(row, 1) for row in ([0, 3], [1, 0], [0, 3])] == [None] * 3
    assert decider.end() == 1
    assert decider.margin == 1  # (6 - 1) // 3
    assert decider.end() is None


class Counting:
    """A model that counts its steps since the last reset."""

    def __init__(self) -> None:
        self.state = 5

    def reset(self) -> None:
        self.state = 0

    def step(self, x: array[int], y: array[int], dt: int) -> None:
        self.state += 1
        y[0], y[1] = x[0], self.state


@pytest.mark.parametrize("reset", [False, True])
def test_the_model_is_reset_where_the_file_says_so(reset: bool) -> None:
    model = Counting()
    rule = Decision("last", reset=reset, window=2)
    decider = Decider(file_of(rule, 2), model)
    assert model.state == 0
    seen = []
    for _ in range(4):
        decider.step(array("h", [0]), 1)
        seen.append(decider.y[1])
    assert seen == ([1, 2, 1, 2] if reset else [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (file_of(None, 3), "does not say how to decide"),
        (file_of(Decision("mean", values=True), 3), "not scores of 2 or more classes"),
        (file_of(Decision("mean"), 1), "not scores of 2 or more classes"),
        (b"", "not a ulnn file"),
    ],
)
def test_files_that_decide_nothing_are_refused(content: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Decider(content)


def test_a_window_gives_values() -> None:
    window = Window("mean", 2, 3)
    ended = [window.add(row, 1) for row in ([1, -1], [1, -1], [2, -3])]
    assert ended == [False, False, True]
    assert [window.value(k) for k in range(2)] == [1, -2]  # 4/3 and -5/3
    window.start()
    assert window.count == 0
    last = Window("last", 2)
    assert last.add([7, 8], 1) is False
    assert last.value(1) == 8


# ---- the same bits everywhere -------------------------------------------------------------------

SCRIPT = """
from array import array
from struct import unpack
from ulnn_rules.decider import Decider
from micropython import heap_lock, heap_unlock
f = open("cases.bin", "rb")
got = dt = 0
while True:
    head = f.read(8)
    if not head:
        break
    size, outputs, steps = unpack("<IHH", head)
    d = Decider(f.read(size))
    for _ in range(steps):
        (dt,) = unpack("<I", f.read(4))
        y = array("h", f.read(2 * outputs))
        heap_lock()
        got = d.update(y, dt)
        heap_unlock()
        print(got, d.margin, d.decision)
f.close()
"""


def prepare(folder: Path, count: int) -> str:
    """The script and its cases; returns what it has to print."""
    content, lines = b"", []
    for rule, outputs, steps in collect(cases(), count):
        made = file_of(rule, outputs)
        content += pack("<IHH", len(made), outputs, len(steps)) + made
        decision = margin = None
        for (row, dt), want in zip(steps, by_the_book(rule, outputs, steps), strict=True):
            content += pack("<I", dt) + array("h", row).tobytes()
            decision, margin = want or (decision, margin)
            now = (margin or 0, UNSURE if decision is None else decision)
            lines.append(f"{want[0] if want else None} {now[0]} {now[1]}")
    (folder / "cases.bin").write_bytes(content)
    (folder / "run.py").write_text(SCRIPT)
    return "\n".join(lines) + "\n"


@needs_micropython
def test_on_unix_micropython(tmp_path: Path) -> None:
    want = prepare(tmp_path, 200)
    assert unix("run.py", cwd=tmp_path, heap="64k", path=FIRMWARE) == want


port = port_fixture(*SMALL)


@pytest.mark.board
def test_on_boards(port: str, tmp_path: Path) -> None:
    """With the package that is frozen in the firmware."""
    want = prepare(tmp_path, 60)
    assert run_mounted(port, tmp_path) == want
