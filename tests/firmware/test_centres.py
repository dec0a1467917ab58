"""Centres of ulnn_rules: what a wearer's examples change is what SPEC.md 2.12 says, with the same
bits everywhere, and a power cut leaves the state before or after."""

from __future__ import annotations

import tempfile
from array import array
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.board_tools import USUAL, port_fixture, run_mounted
from support.examples import collect
from support.meaning_cases import centres_cases
from support.paths import FIRMWARE, SUPPORT
from support.power_cuts import FILESYSTEMS
from support.random_models import Shape, random_model
from support.raw_file import CENTRES, File, Section
from support.unix import needs_micropython, unix
from ulnn_host.format import container
from ulnn_host.format.model import Centres as Start
from ulnn_host.format.model import Decision
from ulnn_rules.centres import Centres
from ulnn_rules.decider import Decider
from ulnn_rules.session import Session
from ulnn_rules.slots import Slots

OUTPUTS = 3
MEAN = Decision("mean", reset=True, window=8)
FAR = np.diag([9000, 9000, 9000])
VALUE = st.integers(-32768, 32767)
ROW = st.lists(VALUE | st.sampled_from((-32768, 32767)), min_size=OUTPUTS, max_size=OUTPUTS)


def file_of(weight: int = 2, values: np.ndarray = FAR, seed: int = 1) -> bytes:
    """A model whose file has centres."""
    shape = Shape(inputs=2, hidden=3, backbone=(), outputs=OUTPUTS)
    start = Start(weight, values.reshape(OUTPUTS, OUTPUTS))
    return container.write(replace(random_model(seed, shape), decision=MEAN, centres=start))


@dataclass(frozen=True)
class Case:
    """Examples (class, results), and results to decide about after each of them."""

    weight: int
    factory: list[list[int]]
    examples: list[tuple[int, list[int]]]
    asked: list[list[int]]

    def file(self) -> bytes:
        return file_of(self.weight, np.maximum(np.array(self.factory), -32767))


CASES = st.builds(
    Case, st.integers(1, 64), st.lists(ROW, min_size=OUTPUTS, max_size=OUTPUTS),
    st.lists(st.tuples(st.integers(0, OUTPUTS - 1), ROW), max_size=12),
    st.lists(ROW, min_size=1, max_size=4),
)  # fmt: skip


def by_the_book(case: Case) -> list[list[int]]:
    """The decisions about what is asked, before the first example and after each."""
    n, sums = [0] * OUTPUTS, np.zeros((OUTPUTS, OUTPUTS), int)
    factory = np.maximum(np.array(case.factory), -32767)
    found = [[int(np.argmax(row)) for row in case.asked]]
    for c, row in case.examples:
        if n[c] == 64:
            sums[c] >>= 1
            n[c] = 32
        sums[c] += row
        n[c] += 1
        w = np.array(n)[:, None] + case.weight
        made = np.clip((sums + case.weight * factory + (w >> 1)) // w, -32767, 32767)
        q = (made * made >> 8).sum(axis=1)
        scores = [(made * np.array(row) >> 7).sum(axis=1) - q for row in case.asked]
        found.append([int(np.argmax(s)) for s in scores])
    return found


@settings(max_examples=300)
@given(CASES)
def test_decides_as_the_specification_says(case: Case) -> None:
    centres = Centres(case.file())
    found = [[centres.decide_values(row) for row in case.asked]]
    for c, row in case.examples:
        centres.learn_values(c, row)
        found.append([centres.decide_values(row) for row in case.asked])
    assert found == by_the_book(case)
    if case.examples:
        assert centres.undo()
        assert not centres.undo()
        assert [centres.decide_values(row) for row in case.asked] == found[-2]
    centres.reset()
    assert [centres.decide_values(row) for row in case.asked] == found[0]


def test_many_examples_fade() -> None:
    rows = [(0, [20000, 0, k]) for k in range(150)]
    case = Case(1, [[0, 0, 0]] * OUTPUTS, rows, [[20000, 0, 100], [0, 20000, 0]])
    centres = Centres(case.file())
    for c, row in rows:
        centres.learn_values(c, row)
    assert [centres.decide_values(row) for row in case.asked] == by_the_book(case)[-1]
    assert list(centres.counts) == [32 + (150 - 64) % 32, 0, 0]


@pytest.mark.parametrize(("content", "text"), [case[1:] for case in centres_cases()])
def test_damaged_sections_are_refused_alike(content: bytes, text: str) -> None:
    f = File.read(file_of())
    broken = f.swap(f.find(CENTRES), Section(CENTRES, 0, content)).write()
    for read in (container.read, Centres):
        with pytest.raises(ValueError, match="centres: ") as caught:
            read(broken)
        assert str(caught.value) == text


def test_a_model_without_centres_says_so() -> None:
    shape = Shape(inputs=2, hidden=3, backbone=(), outputs=OUTPUTS)
    with pytest.raises(ValueError, match="convert it again with --centres"):
        Centres(container.write(random_model(1, shape)))


# ---- windows and sessions -----------------------------------------------------------------------


def show(decider: Decider, centres: Centres, row: list[int], truth: int | None) -> int:
    """A window of these outputs, and its class where it is an example."""
    decision = None
    for _ in range(MEAN.window):
        decision = decider.window.add(row, 1)
    assert decision
    if truth is not None:
        centres.learn(truth, decider.window)
    got = decider.end()
    assert got is not None
    return got


def test_a_decider_adapts() -> None:
    centres = Centres(file_of())
    decider = Decider(file_of(), None, centres)
    unusual = [5000, 5400, 0]  # the wearer's class 0, which the factory takes for 1
    assert show(decider, centres, unusual, None) == 1
    for _ in range(2):
        show(decider, centres, unusual, 0)
    assert show(decider, centres, unusual, None) == 0
    assert show(decider, centres, [0, 9000, 0], None) == 1
    centres.reset()
    assert show(decider, centres, unusual, None) == 1


def teach(examples: list[tuple[int, list[int]]]) -> tuple[Centres, bool]:
    """A session of windows."""
    centres = Centres(file_of())
    decider = Decider(file_of(), None, centres)
    session = Session(centres, decider)
    for c, row in examples:
        session.begin(c)
        for _ in range(MEAN.window):
            session.add(row, 1, decider.update(row, 1) is not None)
    return centres, session.finish()


def test_a_session_that_helps_is_learnt() -> None:
    good = [(0, [5000, 5400, 0]), (1, [0, 9000, 0]), (2, [0, 0, 9000])] * 2
    centres, kept = teach(good)
    assert kept
    assert list(centres.counts) == [2, 2, 2]
    assert centres.decide_values([5000, 5400, 0]) == 0


def test_a_session_that_harms_is_not_learnt() -> None:
    # The wearer's first windows were given the wrong name, his last ones were not.
    bad = [(0, [0, 9000, 0]), (1, [9000, 0, 0])] * 3 + [(0, [9000, 0, 0]), (1, [0, 9000, 0])]
    centres, kept = teach(bad)
    assert not kept
    assert not centres.active


def test_a_session_that_is_full_counts_what_is_left_out() -> None:
    centres = Centres(file_of())
    session = Session(centres, Decider(file_of(), None, centres), 4)
    session.begin(1)
    for step in range(24):
        session.add([0, 9000, 0], 1, step % 8 == 7)
    assert (session.pieces, session.dropped) == (4, 8)
    assert session.finish()
    assert list(centres.counts) == [0, 1, 0]


def test_a_session_needs_windows_that_can_be_cut() -> None:
    for rule in (Decision("each"), Decision("mean", window=3), Decision("mean")):
        model = replace(container.read(file_of()), decision=rule)
        decider = Decider(container.write(model))
        with pytest.raises(ValueError, match="4 or more steps"):
            Session(Centres(file_of()), decider)


# ---- the file -----------------------------------------------------------------------------------


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    path = str(tmp_path / "x.centres")
    first = Centres(file_of())
    assert not first.load(path)
    for k in range(5):
        first.learn_values(k % 3, [1000 * k, -k, 7])
        first.save(path)
        again = Centres(file_of())
        assert again.load(path)
        assert again.keep() == first.keep()
        assert (tmp_path / "x.centres").stat().st_size == 1024


def test_another_models_file_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "x.centres")
    Centres(file_of()).save(path)
    other = Centres(file_of(seed=2))
    with pytest.raises(ValueError, match="belongs to another model"):
        other.load(path)
    other.learn_values(1, [1, 2, 3])
    other.save(path)
    again = Centres(file_of(seed=2))
    assert again.load(path)
    assert again.keep() == other.keep()
    larger = Slots(b"ULNC", bytes(32), 600)
    with pytest.raises(ValueError, match="belongs to another model"):
        larger.load(path)


@given(st.binary(max_size=1100), st.integers(0, 511), st.integers(1, 255))
def test_damage_is_noticed(junk: bytes, at: int, flip: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.centres"
        path.write_bytes(b"ULNC" + junk)
        assert not Centres(file_of()).load(str(path))
        path.unlink()
        Centres(file_of()).save(str(path))
        content = bytearray(path.read_bytes())
        content[512 + at] ^= flip
        path.write_bytes(content)
        assert not Centres(file_of()).load(str(path))


CUTS = """
import sys
sys.path.insert(0, SUPPORT)
import torn
from ulnn_rules.centres import Centres
for kind in KINDS:
    empty = bytes(torn.format_disk(kind, 256))
    c = Centres(MODEL)
    torn.power_on(kind, bytearray(empty))
    images = [(empty, None)]
    for k in range(3):
        c.learn_values(k % 3, (100 * k, 5, -k))
        c.save("/ram/x.centres")
        images.append((bytes(torn.disk.data), c.keep()))
    for k in range(3):
        before, old = images[k]
        new = images[k + 1][1]
        n = 0
        seen = set()
        while True:
            torn.power_on(kind, bytearray(before), n)
            c = Centres(MODEL)
            c.load("/ram/x.centres")
            c.learn_values(k % 3, (100 * k, 5, -k))
            cut = False
            try:
                c.save("/ram/x.centres")
            except (torn.Cut, OSError):
                cut = True
            torn.power_on(kind, bytearray(torn.disk.data))
            c = Centres(MODEL)
            there = c.keep() if c.load("/ram/x.centres") else None
            assert there in (old, new), (kind, k, n)
            c.learn_values(0, (1, 2, 3))
            c.save("/ram/x.centres")
            if not cut:
                break
            n += 1
            seen.add(there == new)
        print(kind, k, n, sorted(seen))
"""


@needs_micropython
def test_a_power_cut_leaves_the_state_before_or_after(tmp_path: Path) -> None:
    head = (
        f"SUPPORT = {str(SUPPORT / 'power')!r}\nKINDS = {FILESYSTEMS!r}\nMODEL = {file_of()!r}\n"
    )
    (tmp_path / "cuts.py").write_text(head + CUTS)
    # Files that nobody closed any more say so when they are collected.
    printed = unix("cuts.py", cwd=tmp_path, path=FIRMWARE).splitlines()
    out = [line for line in printed if line.startswith("Vfs")]
    assert len(out) == 3 * len(FILESYSTEMS)
    assert all(int(line.split()[2]) >= 2 for line in out), out


# ---- the same bits everywhere -------------------------------------------------------------------

SCRIPT = """
from array import array
from struct import unpack
from ulnn_rules.centres import Centres
from micropython import heap_lock, heap_unlock
f = open("cases.bin", "rb")
got = c = 0
while True:
    head = f.read(8)
    if not head:
        break
    size, examples, asked = unpack("<IHH", head)
    centres = Centres(f.read(size))
    rows = [array("h", f.read(6)) for _ in range(asked)]
    for k in range(examples + 1):
        if k:
            c = f.read(2)[0]
            row = array("h", f.read(6))
            heap_lock()
            centres.learn_values(c, row)
            heap_unlock()
        for row in rows:
            heap_lock()
            got = centres.decide_values(row)
            heap_unlock()
            print(got, end=" ")
    print()
f.close()
"""


def prepare(folder: Path, count: int) -> str:
    """The script and its cases; returns what it has to print."""
    content, lines = b"", []
    for case in collect(CASES, count):
        data = case.file()
        content += np.array([len(data)], "<u4").tobytes()
        content += np.array([len(case.examples), len(case.asked)], "<u2").tobytes() + data
        content += b"".join(array("h", row).tobytes() for row in case.asked)
        for c, row in case.examples:
            content += bytes([c, 0]) + array("h", row).tobytes()
        lines.append("".join(f"{d} " for found in by_the_book(case) for d in found))
    (folder / "cases.bin").write_bytes(content)
    (folder / "run.py").write_text(SCRIPT)
    return "\n".join(lines) + "\n"


@needs_micropython
def test_on_unix_micropython(tmp_path: Path) -> None:
    want = prepare(tmp_path, 150)
    assert unix("run.py", cwd=tmp_path, heap="128k", path=FIRMWARE) == want


port = port_fixture(*USUAL)


@pytest.mark.board
def test_on_boards(port: str, tmp_path: Path) -> None:
    """With the package that is frozen in the firmware."""
    want = prepare(tmp_path, 40)
    assert run_mounted(port, tmp_path) == want
