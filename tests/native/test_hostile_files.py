"""Every engine refuses the same mutated files, with the same words, and lives."""

from __future__ import annotations

import array
import ast
import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support import mutations
from support.paths import FIRMWARE, SUPPORT
from support.random_models import Shape, random_model, random_stack
from support.unix import unix
from ulnn_host.board.board_engine import open_board
from ulnn_host.engines import registry as engines
from ulnn_host.engines.reference import Reference
from ulnn_host.format import container
from ulnn_host.format.model import Activation, Kind, Mode, ModelFile
from ulnn_host.toolchain import natmod

CFC = Shape(inputs=2, hidden=3, backbone=((5, Activation.GATED),), outputs=2, weight_bits=16)
# One layer of every other kind, and a dense one before the mixed memory.
STACK = (
    Shape(inputs=2, hidden=2, kind=Kind.LSTM, density=0.6, outputs=None),
    Shape(inputs=2, hidden=3, kind=Kind.GRU, outputs=None),
    Shape(inputs=3, hidden=3, kind=Kind.LTC, motor=2, density=0.5, outputs=None),
    Shape(inputs=2, hidden=2, kind=Kind.DENSE, activation=Activation.GATED, outputs=None),
    Shape(inputs=2, hidden=2, kind=Kind.MIXED, backbone=(), mode=Mode.PURE, outputs=2),
)
FILES = {
    "cfc": container.write(random_model(3, CFC)),
    "every cell": container.write(random_stack(3, STACK)),
}

ON_A_BOARD = """
import array, gc, ulnn
def step(m, size):
    y = array.array("h", [0] * size[1])
    m.step(array.array("h", [1000] * size[0]), y, 5000)
    return str(list(y))
def some(first, count):
    for text in verdicts(ulnn.load, DATA, first, count, step):
        print(repr(text))
    gc.collect()
"""


def step_reference(model: ModelFile, size: tuple[int, int]) -> str:
    return str(Reference(model).step([1000] * size[0], 5000).tolist())


def step_module(model: Any, size: tuple[int, int]) -> str:
    y = array.array("h", [0] * size[1])
    model.step(array.array("h", [1000] * size[0]), y, 5000)
    return str(list(y))


@functools.cache
def expected(file: str, count: int) -> list[str]:
    read = lambda b: container.read(bytes(b), as_engine=True)  # noqa: E731
    texts: list[str] = mutations.verdicts(read, FILES[file], 0, count, step_reference)
    assert sum(text.startswith("[") for text in texts) > count // 50, "no mutation is harmless"
    assert len({text.split(":")[0] for text in texts}) > 15, "too few different reasons"
    return texts


def board_script(file: str) -> str:
    return f"{(SUPPORT / 'mutations.py').read_text()}\nDATA = {FILES[file]!r}\n{ON_A_BOARD}"


@pytest.fixture(params=FILES)
def file(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize("module", [engines.native_module, engines.pure_module])
def test_in_this_process(module: Callable[[], ModuleType], file: str, full: bool) -> None:
    count = 10_000 if full or module is engines.native_module else 2_000
    got = mutations.verdicts(module().load, FILES[file], 0, count, step_module)
    assert got == expected(file, count)


@pytest.mark.parametrize("engine", ["natmod", "pure"])
def test_under_unix_micropython(engine: str, file: str, tmp_path: Path, full: bool) -> None:
    count = 10_000 if full or engine == "natmod" else 1_000
    folder = natmod.build("x64").parent if engine == "natmod" else FIRMWARE
    (tmp_path / "run.py").write_text(
        f"{board_script(file)}\nfor k in range(0, {count}, 100):\n    some(k, 100)\n"
    )
    lines = unix("run.py", cwd=tmp_path, path=folder).splitlines()
    assert [ast.literal_eval(line) for line in lines] == expected(file, count)


@pytest.mark.board
@pytest.mark.parametrize("name", ["cortex-m7", "rv32"])
def test_on_a_board(name: str, file: str, full: bool, request: pytest.FixtureRequest) -> None:
    count = 10_000 if full else 1_000
    port = f"virtual:{name}"
    if name == "cortex-m7":
        port = request.config.getoption("--port") or port
    got: list[str] = []
    with contextlib.ExitStack() as stack:
        board = stack.enter_context(open_board(port)).board
        board.exec(board_script(file), timeout=60)
        for first in range(0, count, 100):
            lines = board.exec(f"some({first}, 100)", timeout=120).splitlines()
            got += [ast.literal_eval(line) for line in lines]
    assert got == expected(file, count)
