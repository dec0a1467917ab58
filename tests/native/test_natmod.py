"""The native module under the unix MicroPython."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.cell_cases import cells_file
from support.core_tools import CELL_SHAPES, CFC_SHAPES
from support.loader_cases import rich_file
from support.paths import ENGINE_API
from support.random_models import Shape, random_input, random_model, with_golden
from support.raw_file import LAYER, File
from support.unix import unix, unix_load
from ulnn_host.engines import registry as engines
from ulnn_host.engines.batch import Batch
from ulnn_host.format import container
from ulnn_host.format.model import Activation as A
from ulnn_host.toolchain import natmod


def test_a_build_with_fewer_cells_refuses_the_others(tmp_path: Path) -> None:
    """With the texts of checks 24, 25 and 40 (SPEC.md section 6)."""
    rich = rich_file()
    f = File.read(rich)
    k = f.find(LAYER)
    s = f.sections[k]
    files = {rich: "ok"}
    for kind in (3, 4, 5, 6):
        broken = f.swap(k, s.patched(0, "H", kind)).write()
        files[broken] = f"layer 0: kind {kind} not supported"
    files[f.swap(k, s.patched(2, "B", 4)).write()] = "layer 0: mode 4 not supported"
    sparse = f.swap(k, s.patched(16 + 5, "B", 1)).write()
    files[sparse] = "layer 0 matrix 0: storage 1 not supported"
    files[cells_file()] = "layer 0: kind 6 not supported"
    linear = random_model(1, Shape(linear=True))
    files[container.write(linear)] = "ok"
    said = unix_load(files, natmod.build("x64", "cfc").parent, tmp_path)
    assert said == list(files.values())


def test_interface(tmp_path: Path) -> None:
    (tmp_path / "rich.ulnn").write_bytes(rich_file())
    folder = natmod.build("x64").parent
    assert unix(ENGINE_API, "rich.ulnn", folder, cwd=tmp_path) == "OK native\n"


SHAPES = [
    *CFC_SHAPES,
    Shape(inputs=16, hidden=128, backbone=((128, A.TABLE),), weight_bits=16),
    *CELL_SHAPES,
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_steps_equal_the_reference(shape: Shape) -> None:
    model = random_model(5, shape)
    x, dt = random_input(6, model, 200)
    batch = Batch(x[None], dt[None], np.array([200]))
    data = container.write(model)
    want = engines.run(data, batch, "reference")
    got = engines.run(data, batch, "unix")
    np.testing.assert_array_equal(got.y, want.y)
    np.testing.assert_array_equal(got.state, want.state)


NO_ALLOCATION = """
import sys
sys.path.insert(0, sys.argv[2])
import gc, micropython, ulnn
from array import array
m = ulnn.load(sys.argv[1])
i = m.info()
x, y = array("h", range(i["input_size"])), array("h", bytes(2 * i["output_size"]))
xs, ys, dts = array("h", bytes(40 * len(x))), array("h", bytes(40 * len(y))), array("I", [9] * 20)
large = (1 << 30, (1 << 31) - 1, 1 << 62, 1 << 70, True)
def steps():
    for k in range(10000):
        m.step(x, y, k + 1)
    for dt in large:
        m.step(x, y, dt)
    m.run(xs, ys, dts)
    m.reset()
gc.collect()
before = gc.mem_alloc()
micropython.heap_lock()
steps()
micropython.heap_unlock()
gc.collect()
assert gc.mem_alloc() == before, (before, gc.mem_alloc())
assert m.self_test() == i["golden_steps"]
print("no allocation", ulnn.ENGINE)
"""


def test_a_step_allocates_nothing(tmp_path: Path) -> None:
    (tmp_path / "m.ulnn").write_bytes(with_golden(random_model(1, Shape(hidden=20))))
    (tmp_path / "run.py").write_text(NO_ALLOCATION)
    folder = natmod.build("x64").parent
    out = unix("run.py", "m.ulnn", folder, cwd=tmp_path, heap="256k")
    assert out == "no allocation native\n"


GARBAGE = """
import sys
sys.path.insert(0, sys.argv[2])
import gc, ulnn
def models():
    data = open(sys.argv[1], "rb").read()
    for make in (bytes, bytearray, lambda d: memoryview(b"x" + d)[1:], lambda d: sys.argv[1]):
        yield ulnn.load(make(data))
kept = list(models())
for k in range(200):
    gc.collect()
    junk = [bytes(1000) for _ in range(50)]
    for m in kept:
        assert m.self_test() == 6
    if k % 50 == 0:
        kept = list(models())
print("kept", [m.info()["in_place"] for m in kept])
"""


def test_models_keep_their_memory(tmp_path: Path) -> None:
    (tmp_path / "m.ulnn").write_bytes(with_golden(random_model(1, Shape(hidden=20))))
    (tmp_path / "run.py").write_text(GARBAGE)
    folder = natmod.build("x64").parent
    out = unix("run.py", "m.ulnn", folder, cwd=tmp_path, heap="512k")
    assert out == "kept [True, True, False, False]\n"


def test_a_file_too_large_for_the_heap_is_refused_by_its_head(tmp_path: Path) -> None:
    (tmp_path / "large.ulnn").write_bytes(rich_file() + bytes(2**24))
    code = "import sys\nsys.path.insert(0, sys.argv[1])\nimport ulnn\n"
    code += "try: ulnn.load('large.ulnn')\nexcept ValueError as e: print(e)\n"
    (tmp_path / "run.py").write_text(code)
    out = unix("run.py", natmod.build("x64").parent, cwd=tmp_path, heap="128k")
    assert out.startswith("file too large: ")
