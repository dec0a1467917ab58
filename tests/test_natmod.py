"""Native modules: builds, the choice for a board, and the module under the unix MicroPython."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from cell_cases import cells_file
from core_tools import CELL_SHAPES, TESTS, unix, unix_load
from loader_cases import rich_file
from random_models import Shape, random_input, random_model, with_golden
from raw_file import LAYER, File
from ulnn_host.base import paths
from ulnn_host.base.errors import UlnnError
from ulnn_host.engines import registry as engines
from ulnn_host.engines.batch import Batch
from ulnn_host.format import container
from ulnn_host.format.model import Activation as A
from ulnn_host.format.model import Mode
from ulnn_host.toolchain import natmod
from ulnn_host.toolchain.micropython_source import find_micropython

COMPILED = [arch for arch in natmod.BUILDABLE if arch != "xtensawin"]


@pytest.mark.parametrize("arch", COMPILED)
def test_builds(arch: str) -> None:
    if not natmod.has_compiler(arch):
        pytest.skip(f"no {natmod.TOOLCHAINS[arch].compiler} here")
    path = natmod.build(arch)
    head = path.read_bytes()[:3]
    assert head[:2] == b"M\x06"
    assert natmod.ARCHES[head[2] >> 2 & 15] == arch
    assert head[2] & 3 == 3
    if arch.startswith("arm"):
        assert natmod.text_size(arch) <= 17 * 1024
    written = path.stat().st_mtime_ns
    assert natmod.build(arch) == path
    assert path.stat().st_mtime_ns == written, "built again without a reason"


@pytest.mark.parametrize("arch", [arch for arch in COMPILED if arch.startswith("arm")])
def test_a_build_with_fewer_cells_is_small(arch: str) -> None:
    if not natmod.has_compiler(arch):
        pytest.skip(f"no {natmod.TOOLCHAINS[arch].compiler} here")
    assert natmod.build(arch, "cfc") != natmod.build(arch)
    assert natmod.text_size(arch, "cfc") <= 12 * 1024


def test_a_build_with_fewer_cells_refuses_the_others(tmp_path: Path) -> None:
    """With the texts of checks 24, 25 and 36a (SPEC.md section 6)."""
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


def test_unknown_cells() -> None:
    with pytest.raises(UlnnError, match="cells 'gru': expected cfc, or nothing"):
        natmod.build("x64", "gru")


def test_an_unknown_architecture() -> None:
    with pytest.raises(UlnnError, match="native architecture 'z80': expected one of x64"):
        natmod.build("z80")


def test_a_missing_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(natmod.TOOLCHAINS, "x64", natmod.Toolchain("no-gcc", "gcc"))
    with pytest.raises(UlnnError, match=r"no no-gcc here.*apt-get install gcc"):
        natmod.build("x64")


def newer_tree(folder: Path) -> Path:
    """The MicroPython tree with the folder and the compiler of 1.29's make rules."""
    tree = find_micropython()
    folder.mkdir()
    for path in tree.iterdir():
        if path.name != "py":
            (folder / path.name).symlink_to(path)
    shutil.copytree(tree / "py", folder / "py")
    rules = folder / "py" / "dynruntime.mk"
    text = rules.read_text()
    for old, new in (
        ("BUILD ?= build\n", "BUILD ?= build-$(ARCH)\n"),
        ("# x64\nCROSS =\n", "# x64\nCROSS = x86_64-linux-gnu-\n"),
    ):
        assert old in text or new in text
        text = text.replace(old, new)
    rules.write_text(text)
    return folder


@pytest.mark.parametrize("newer", [False, True], ids=["this tree", "1.29's rules"])
def test_a_build_that_fails(newer: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if newer:
        monkeypatch.setenv("MPY_DIR", str(newer_tree(tmp_path / "tree")))
    natmod.build("x64")
    fake = tmp_path / "gcc"
    fake.write_text("#!/bin/sh\n[ $1 = --version ] && exit 0\necho 'a.c:1: error: no'; exit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(UlnnError, match=r"for x64 failed: a\.c:1: error: no"):
        natmod.build("x64")
    monkeypatch.undo()
    assert natmod.build("x64").is_file()


@pytest.mark.parametrize(
    ("arch", "best"),
    [
        ("armv7emdp", ("armv7emdp", "armv7emsp", "armv7m", "armv6m")),
        ("armv7emsp", ("armv7emsp", "armv7m", "armv6m")),
        ("armv7em", ("armv7m", "armv6m")),
        ("armv6m", ("armv6m",)),
        ("rv32imc", ("rv32imc",)),
        ("xtensawin", ("xtensawin",)),
        ("x86", ()),
    ],
)
def test_what_a_board_accepts(arch: str, best: tuple[str, ...]) -> None:
    assert natmod.accepted(arch) == best
    index = next(number for number, name in natmod.ARCHES.items() if name == arch)
    assert natmod.choose(index << 10 | 3 << 8 | 6) == next(iter(best), None)


def test_choice_from_what_boards_say() -> None:
    assert natmod.choose(2822) == "x64"  # the unix port
    assert natmod.choose(208646) is None or natmod.arch_name(208646) == "rv32imc"  # with flags
    assert natmod.choose(8 << 10 | 2 << 8 | 6) is None  # .mpy 6.2
    assert natmod.choose(3 << 8 | 6) is None  # no native code
    assert natmod.choose(None) is None
    assert natmod.choose(0) is None


def test_without_a_checkout_the_copy_in_the_package_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = tmp_path / "natmod" / "armv6m" / "ulnn.mpy"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"M")
    assert natmod.find("x64") == natmod.build("x64")
    monkeypatch.setattr(paths, "COPIES", tmp_path)
    monkeypatch.setattr(paths, "checkout", lambda: None)
    monkeypatch.setattr(natmod, "checkout", lambda: None)
    assert natmod.find("armv6m") == copy
    with pytest.raises(UlnnError, match=r"natmod/armv6m-cfc/ulnn\.mpy is not in this"):
        natmod.find("armv6m", "cfc")


def test_interface(tmp_path: Path) -> None:
    (tmp_path / "rich.ulnn").write_bytes(rich_file())
    folder = natmod.build("x64").parent
    assert unix(TESTS / "engine_api.py", "rich.ulnn", folder, cwd=tmp_path) == "OK native\n"


SHAPES = [
    Shape(inputs=6, hidden=32, backbone=(), gate_shift=3),
    Shape(hidden=7, backbone=((9, A.GATED), (5, A.RELU)), weight_bits=16),
    Shape(hidden=6, backbone=((5, A.TABLE),) * 3, mode=Mode.NO_GATE, shift=4, layers=2),
    Shape(hidden=6, backbone=((5, A.GATED),), outputs=None, extreme=True, gate_shift=12),
    Shape(hidden=7, backbone=((9, A.TABLE),), dt_fixed=1000, layers=2),
    Shape(hidden=6, backbone=(), mode=Mode.NO_GATE, weight_bits=16, dt_fixed=50, shift=1),
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
