"""Unknown of ulnn_rules: distances are those of SPEC.md 2.15, with the same bits everywhere, and a
Decider says "unknown" of what lies beyond."""

from __future__ import annotations

import math
import struct
from array import array
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.board_tools import USUAL, port_fixture, run_mounted
from support.examples import collect
from support.meaning_cases import INPUTS, OUTPUTS, unknown, unknown_cases
from support.paths import FIRMWARE
from support.random_models import Shape, random_model
from support.raw_file import UNKNOWN, File, Section
from support.unix import needs_micropython, unix
from ulnn_host.format import container
from ulnn_host.format.model import Decision
from ulnn_rules import decider
from ulnn_rules.decider import Decider
from ulnn_rules.unknown import Unknown, numbers

N = 3 * INPUTS
VALUE = st.integers(-32768, 32767) | st.integers(-300, 300) | st.sampled_from((-32768, 32767))
WEIGHT = st.integers(-32767, 32767) | st.integers(-300, 300)


def clamp(v: int) -> int:
    return max(-32767, min(32767, v))


def log2(n: int) -> int:
    """L of SPEC.md 3.11."""
    if not n:
        return 0
    p = n.bit_length() - 1
    m = (n << 14) >> p
    for _ in range(8):
        m, p = m * m >> 14, 2 * p
        if m >= 32768:
            m, p = m >> 1, p + 1
    return p


@dataclass(frozen=True)
class Case:
    """The numbers of a section, and the inputs of a window."""

    values: list[int]
    x: list[list[int]]

    @property
    def content(self) -> bytes:
        return struct.pack(f"<HHI{len(self.values)}h", OUTPUTS, 0, 3000, *self.values)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    fixed = [WEIGHT] * INPUTS + [st.integers(1, 32767)] * INPUTS + [WEIGHT] * N
    fixed += [st.integers(0, 15)] * N
    rest = numbers(INPUTS, OUTPUTS) - len(fixed)
    values = [draw(one) for one in fixed] + draw(st.lists(WEIGHT, min_size=rest, max_size=rest))
    row = st.lists(VALUE, min_size=INPUTS, max_size=INPUTS)
    return Case(values, draw(st.lists(row, min_size=1, max_size=9)))


def by_the_book(case: Case) -> int:
    v, n = case.values, len(case.x)
    base, floor = v[:INPUTS], v[INPUTS : 2 * INPUTS]
    middle, shift = v[2 * INPUTS : 5 * INPUTS], v[5 * INPUTS : 8 * INPUTS]
    rest = v[8 * INPUTS :]
    f = []
    for i in range(INPUTS):
        d = [clamp(row[i] - base[i]) for row in case.x]
        m = (sum(d) + n // 2) // n
        square = max(0, sum(a * a for a in d) // n - m * m)
        steps = [abs(b[i] - a[i]) for a, b in zip(case.x, case.x[1:], strict=False)]
        e = sum(min(32767, s) for s in steps) // max(1, n - 1)
        f += [m, log2(square + floor[i] ** 2), log2(e + floor[i])]
    g = [clamp(a - b) for a, b in zip(f, middle, strict=True)]
    u = []
    for j in range(N):
        row, rest = rest[: j + 1], rest[j + 1 :]
        u.append(clamp(sum(w * a >> 8 for w, a in zip(row, g[: j + 1], strict=True)) >> shift[j]))
    centres = [rest[c * N : c * N + N] for c in range(OUTPUTS)]
    return min(
        sum(clamp(a - b) ** 2 >> 10 for a, b in zip(u, centre, strict=True)) for centre in centres
    )


def distance(case: Case) -> int:
    found = Unknown(case.content, INPUTS)
    found.add([5, -5])
    found.start()
    for row in case.x:
        found.add(row)
    return found.distance()


@settings(max_examples=300)
@given(cases())
def test_distances_are_those_of_the_specification(case: Case) -> None:
    assert distance(case) == by_the_book(case)


def test_long_windows_of_the_largest_inputs() -> None:
    """No sum leaves 31 bits, and what comes after 32,767 steps does not count."""
    values = list(struct.unpack(f"<{numbers(INPUTS, OUTPUTS)}h", unknown()[8:]))
    x = [[32767 * (-1) ** t, -32768] for t in range(32767)]
    found = Unknown(unknown(), INPUTS)
    for row in x:
        found.add(row)
    sums = (found._sums, found._high, found._low, found._steps)
    assert max(abs(v) for part in sums for v in part) < 2**30
    want = found.distance()
    assert want == by_the_book(Case(values, x))
    found.add([0, 0])
    assert found.distance() == want


@pytest.mark.parametrize(("content", "text"), [case[1:] for case in unknown_cases()])
def test_damaged_sections_are_refused_alike(content: bytes, text: str) -> None:
    f = File.read(file_of())
    broken = f.swap(f.find(UNKNOWN), Section(UNKNOWN, 0, content)).write()
    for read in (container.read, Decider):
        if read is Decider and not content:
            continue  # an empty section is none
        with pytest.raises(ValueError, match="unknown: ") as caught:
            read(broken)
        assert str(caught.value) == text


def test_many_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown: 65 inputs, expected at most 64"):
        Unknown(unknown(), 65)


# ---- decisions ----------------------------------------------------------------------------------


def file_of(votes: int = 1) -> bytes:
    """A model that knows inputs of about 100 which hardly change."""
    n = N
    values = [100] * INPUTS + [8] * INPUTS + [0, 256 * 6, 256 * 3] * INPUTS + [0] * n
    values += [512 if k == j else 0 for j in range(n) for k in range(j + 1)]
    values += [0] * n
    content = struct.pack(f"<HHI{len(values)}h", 1, 0, 64 * 30, *values)
    shape = Shape(inputs=INPUTS, hidden=3, backbone=(), outputs=OUTPUTS)
    rule = Decision("mean", reset=True, window=8, votes=votes, enter=100, leave=50)
    model = replace(random_model(1, shape), decision=rule, unknown=content, output_offset=ZERO)
    return container.write(replace(model, output_scale=ZERO + 0.01))


ZERO = np.zeros(OUTPUTS, np.float32)


def window(d: Decider, x: list[int], y: list[int]) -> str:
    for _ in range(8):
        d.see(x)
        d.update(y, 1)
    return d.label


def test_a_decider_says_unknown() -> None:
    d = Decider(file_of())
    assert window(d, [100, 100], [0, 900, 0]) == "1"
    assert window(d, [9000, 100], [0, 900, 0]) == "unknown"
    assert d.decision == decider.UNKNOWN
    assert window(d, [104, 98], [900, 0, 0]) == "0"
    assert window(d, [104, 98], [900, 890, 0]) == "unsure"
    assert window(d, [9000, 98], [900, 890, 0]) == "unknown"


def test_unknown_votes_as_a_class_does() -> None:
    d = Decider(file_of(votes=3))
    near, far = [100, 100], [9000, 100]
    seen = [window(d, x, [0, 900, 0]) for x in (near, near, far, far, near, near)]
    assert seen == ["1", "1", "1", "unknown", "unknown", "1"]


def test_the_file_says_its_version() -> None:
    assert container.read(file_of()).format_minor == 4
    assert container.read(file_of()).unknown


# ---- the same bits everywhere -------------------------------------------------------------------

SCRIPT = """
from array import array
from struct import unpack
from ulnn_rules.unknown import Unknown
from micropython import heap_lock, heap_unlock
f = open("cases.bin", "rb")
got = 0
while True:
    head = f.read(4)
    if not head:
        break
    size, steps = unpack("<HH", head)
    u = Unknown(f.read(size), 2)
    rows = [array("h", f.read(4)) for _ in range(steps)]
    heap_lock()
    u.start()
    for row in rows:
        u.add(row)
    got = u.distance()
    heap_unlock()
    print(got)
f.close()
"""


def prepare(folder: Path, count: int) -> str:
    """The script and its cases; returns what it has to print."""
    content, lines = b"", []
    for case in collect(cases(), count):
        content += struct.pack("<HH", len(case.content), len(case.x)) + case.content
        content += b"".join(array("h", row).tobytes() for row in case.x)
        lines.append(f"{by_the_book(case)}\n")
    (folder / "cases.bin").write_bytes(content)
    (folder / "run.py").write_text(SCRIPT)
    assert math.prod(map(len, lines))
    return "".join(lines)


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
