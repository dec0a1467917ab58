"""A sensor's counts become the inputs that a PC makes of its values, with the same bits on a PC,
under unix MicroPython and on virtual boards, and nothing is allocated."""

from __future__ import annotations

from array import array
from pathlib import Path
from struct import pack

import numpy as np
import pytest
from numpy.typing import NDArray

from support.board_tools import SMALL, port_fixture, run_mounted
from support.paths import FIRMWARE
from support.unix import needs_micropython, unix
from ulnn_rules import channels
from ulnn_rules.counts import Counts

RAW = np.arange(-32768, 32768)
Line = tuple[float, float, float, float]  # scale and offset: of the source, of the model


class Scales:
    """Of `Scaling` what `Counts` takes."""

    def __init__(self, *pairs: tuple[float, float]) -> None:
        self.input_size = len(pairs)
        self.pairs = pairs

    def input_pair(self, k: int) -> tuple[float, float]:
        return self.pairs[k]


def counts_of(*lines: Line) -> Counts:
    scale, offset, wide, middle = zip(*lines, strict=True)
    return Counts(Scales(*zip(wide, middle, strict=True)), scale, offset)  # type: ignore[arg-type]


def by_floats(line: Line) -> NDArray[np.int64]:
    """Inputs of all counts, as the host quantises real values."""
    scale, offset, wide, middle = (np.float64(v) for v in line)
    values = (RAW * scale + offset).astype(np.float32).astype(np.float64)
    return np.clip(np.rint((values - middle) / wide), -32768, 32767).astype(np.int64)


def by_counts(counts: Counts) -> NDArray[np.int64]:
    x, found = array("h", [0]), []
    for raw in RAW.tolist():
        counts.convert((raw,), x)
        found.append(x[0])
    return np.array(found)


def random_line(rng: np.random.Generator, kind: str) -> Line:
    wide = np.float32(10 ** rng.uniform(-6, 0))
    scale = np.float32(wide * 2 ** rng.uniform(-6, 5) * rng.choice([-1, 1], p=[0.2, 0.8]))
    offset = middle = np.float32(0)
    if kind == "middle":
        middle = np.float32(wide * rng.uniform(-30000, 30000))
    elif kind == "offsets":
        offset = np.float32(wide * rng.uniform(-30000, 30000))
        middle = np.float32(offset + wide * rng.uniform(-9000, 9000))
    elif kind == "sensor":  # an accelerometer in g or in m/s2
        scale = np.float32(rng.choice([1, 9.80665]) * rng.choice([2, 4, 8, 16]) / 32768)
        wide = np.float32(rng.uniform(0.5, 160) / 32767)
    return float(scale), float(offset), float(wide), float(middle)


@pytest.mark.parametrize("kind", ["scales", "middle", "offsets", "sensor"])
def test_every_count_is_what_the_floats_give(kind: str, full: bool) -> None:
    rng = np.random.default_rng(5)
    for _ in range(200 if full else 4):
        line = random_line(rng, kind)
        counts = counts_of(line)
        assert counts.exact
        assert (by_counts(counts) == by_floats(line)).all(), line


@pytest.mark.parametrize(
    "line",
    [
        (1 / 16384, 0.0, 1 / 8192, 0.0),  # every second count is a tie, which floats see exactly
        (1 / 16384, 0.5, 1 / 65536, -0.25),
        (1.0, 0.0, 1.0, 0.0),
        (-1.0, 3.0, 1.0, 0.0),
        (0.0, 5.0, 1.0, 0.0),
        (1.0, 0.0, 0.0, 5.0),  # every integer means the offset
        (8000.0, 0.0, 1.0, 0.0),
        (1e-30, 0.0, 1.0, 0.0),
    ],
)  # fmt: skip
def test_plain_and_extreme_lines(line: Line) -> None:
    counts = counts_of(line)
    want = by_floats(line) if line[2] else np.zeros(len(RAW), np.int64)
    assert counts.exact
    assert (by_counts(counts) == want).all()


def test_where_rounding_decides_ties_it_is_off_by_one() -> None:
    """Half the model's scale, which is no power of two: float32 rounds each tie up or down."""
    scale = float(np.float32(9.80665 / 16384))
    line = (scale, 0.0, 2 * scale, 0.0)
    counts = counts_of(line)
    away = by_counts(counts) - by_floats(line)
    assert not counts.exact
    assert set(away[::2]) == {0}  # no ties
    assert set(away[1::2]) <= {-1, 0, 1}


def test_what_cannot_be_converted_is_refused() -> None:
    with pytest.raises(ValueError, match="input 1: no value of the source is in the model's"):
        counts_of((1.0, 0.0, 1.0, 0.0), (1e-5, 9.0, 1e-4, 0.0))
    with pytest.raises(ValueError, match="input 0: a count is more than the model can tell apart"):
        counts_of((20000.0, 0.0, 1.0, 0.0))


def test_channels_are_taken_in_their_order() -> None:
    scales = Scales((1.0, 0.0), (1.0, 0.0))
    counts = Counts(scales, [1.0, 2.0, 4.0], [0.0, 0.0, 1.0], [2, 0])  # type: ignore[arg-type]
    x = array("h", [0, 0])
    counts.convert([5, 6, 7], x)
    assert list(x) == [29, 5]


# ---- names and units ----------------------------------------------------------------------------


def test_channels_by_name() -> None:
    names = ("ax", "ay", "az", "t")
    assert channels.order(names, ("az", "ax"), 2) == [2, 0]
    assert channels.order(names, (), 4) == [0, 1, 2, 3]
    assert channels.order(("", ""), ("ax", "ay"), 2) == [0, 1]
    with pytest.raises(ValueError, match="no channel gx: the source has ax, ay, az, t"):
        channels.order(names, ("ax", "gx"), 2)
    with pytest.raises(ValueError, match=r"4 channels .* the model 3 inputs, and no names"):
        channels.order(names, (), 3)
    with pytest.raises(ValueError, match="1 channels are named, the model has 2 inputs"):
        channels.order(names, ("ax",), 2)


@pytest.mark.parametrize(
    ("given", "wanted", "rule", "factor"),
    [
        ("g", "g", "same", 1),
        ("g", "", "same", 1),
        ("", "g", "same", 1),
        ("m/s^2", "m/s2", "same", 1),
        ("dps", "deg/s", "same", 1),
        ("g", "m/s²", "convert", 9.80665),
        ("m/s2", "g", "convert", 1 / 9.80665),
        ("deg/s", "rad/s", "convert", np.pi / 180),
        ("rad/s", "dps", "convert", 180 / np.pi),
        ("mV", "V", "convert", 0.001),
        ("V", "mV", "convert", 1000),
        ("furlong", "m", "ignore", 1),
    ],
)
def test_units(given: str, wanted: str, rule: str, factor: float) -> None:
    (found,) = channels.factors(["a"], [given], [wanted], rule)
    assert found == np.float32(factor)
    assert channels.factors(["a"], [given], ()) == [1.0]


def test_other_units_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"channel a is in g, the model takes m.s.2: set units to"
    ):
        channels.factors(["a"], ["g"], ["m/s^2"])
    for rule in ("same", "convert"):
        with pytest.raises(ValueError, match="a is in g, the model takes V: no conversion is kn"):
            channels.factors(["a"], ["g"], ["V"], rule)


def test_products_are_rounded_once() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.normal(size=300).astype(np.float32) * 2.0 ** rng.integers(-20, 20) for _ in "ab")
    a, b = a.astype(np.float32), b.astype(np.float32)
    want = (a.astype(np.float64) * b.astype(np.float64)).astype(np.float32)
    assert list(channels.product(a.tolist(), b.tolist())) == want.tolist()


# ---- the same bits everywhere -------------------------------------------------------------------

SCRIPT = """
import gc
from array import array
from struct import unpack
from ulnn_rules import channels
from ulnn_rules.counts import Counts
from micropython import heap_lock, heap_unlock
class Scales:
    input_size = 1
    def input_pair(self, k):
        return self.pair
scales, x = Scales(), array("h", [0])
raw = array("h", bytes(2 * 200))
f = open("lines.bin", "rb")
total = 0
while True:
    head = f.read(16)
    if not head:
        break
    scale, offset, wide, middle = unpack("<4f", head)
    scales.pair = wide, middle
    c = Counts(scales, (scale,), (offset,))
    f.readinto(raw)
    one, k = array("h", [0]), 0
    heap_lock()
    for k in range(len(raw)):
        one[0] = raw[k]
        c.convert(one, x)
        raw[k] = x[0]
    heap_unlock()
    print(c.exact, bytes(raw) and sum([(k + 1) * v for k, v in enumerate(raw)]))
    gc.collect()
f.close()
"""


def prepare(folder: Path, lines: int) -> str:
    """The script and its cases: counts whose conversion is near a tie, and others."""
    rng = np.random.default_rng(9)
    content, said = b"", ""
    for n in range(lines):
        line = random_line(rng, ("scales", "middle", "offsets", "sensor")[n % 4])
        want = by_floats(line)
        values = (RAW * np.float64(line[0]) + line[1] - line[3]) / line[2]
        near = np.argsort(np.abs(values % 1 - 0.5))[:150]  # of them some need correction
        chosen = np.concatenate([near, rng.integers(0, len(RAW), 50)])
        content += pack("<4f", *line) + RAW[chosen].astype("<i2").tobytes()
        total = sum((k + 1) * v for k, v in enumerate(want[chosen].tolist()))
        said += f"True {total}\n"
    (folder / "lines.bin").write_bytes(content)
    (folder / "run.py").write_text(SCRIPT)
    return said


@needs_micropython
def test_on_unix_micropython(tmp_path: Path) -> None:
    want = prepare(tmp_path, 60)
    assert unix("run.py", cwd=tmp_path, heap="64k", path=FIRMWARE) == want


port = port_fixture(*SMALL)


@pytest.mark.board
def test_on_boards(port: str, tmp_path: Path) -> None:
    want = prepare(tmp_path, 12)
    assert run_mounted(port, tmp_path) == want
