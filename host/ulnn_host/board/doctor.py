"""Whether this PC, and a board, have what the commands need: each thing is tried."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..base import extras, paths
from ..base.errors import UlnnError
from ..engines import registry
from ..engines.batch import Batch
from ..format import container
from ..toolchain import bytecode, micropython_source, natmod
from .bench import bench_model
from .discover import resolve
from .identity import identify
from .link import Board
from .plan import engine_files
from .virtual import BOARDS

STEPS = 8


@dataclass(frozen=True)
class Finding:
    """One thing that was tried. needed_for: commands, in words. problem: "" when it works, else
    what was seen; mend: the line to type, or what to do."""

    thing: str
    needed_for: str
    result: str
    problem: str = ""
    mend: str = ""

    @property
    def good(self) -> bool:
        """Whether it works."""
        return not self.problem


Check = Callable[[], str]


def examine(port: str | None = None) -> Iterator[Finding]:
    """Try everything on this PC, then on the board at a port (None: no board)."""
    for thing, needed_for, check in _CHECKS:
        yield _tried(thing, needed_for, check)
    for kind in BOARDS.values():
        needed_for = f"virtual:{kind.name}"
        for program in (kind.qemu, kind.compiler):
            yield _tried(program, needed_for, _program(program, kind.debian_packages))
    if port is not None:
        yield from _board(port)


def _tried(thing: str, needed_for: str, check: Check) -> Finding:
    try:
        return Finding(thing, needed_for, check())
    except UlnnError as error:
        seen, _, mend = str(error).partition(": ")
        return Finding(thing, needed_for, "", seen, mend)
    except Exception as error:  # a package that is there, and broken
        seen = " ".join(f"{type(error).__name__}: {error}".split())
        return Finding(thing, needed_for, "", seen, "install it again")


# ---- this PC ------------------------------------------------------------------------------------


def _python() -> str:
    return ".".join(map(str, sys.version_info[:3]))


def _engine(name: str) -> Check:
    def run() -> str:
        model = bench_model(8, 16)
        content = container.write(model)
        rng = np.random.default_rng(0)
        x = rng.integers(-20000, 20000, (1, STEPS, model.input_size)).astype(np.int16)
        batch = Batch(x, np.full((1, STEPS), 1000), np.array([STEPS]))
        expected = registry.run(content, batch, "reference")
        got = registry.run(content, batch, name)
        if not np.array_equal(got.y, expected.y):
            raise UlnnError(
                f"{STEPS} steps differ from the reference: build it again (make setup)"
            )
        return f"{STEPS} steps equal"

    return run


def _package(package: str, what: str) -> Check:
    def load() -> str:
        extras.need(package, what)
        module = importlib.import_module(package)
        return str(getattr(module, "__version__", "works"))

    return load


def _program(program: str, packages: str) -> Check:
    def run() -> str:
        if shutil.which(program) is None:
            raise UlnnError(f"not found: apt-get install {packages}")
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        return (done.stdout or done.stderr).splitlines()[0]

    return run


def _mpy_cross() -> str:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "a.py"
        source.write_text("x = 1\n")
        return f"{len(bytecode.compiled(source))} bytes of bytecode"


def _natmods() -> str:
    if paths.checkout() is None:
        return "prebuilt ones of this installation"
    able = [arch for arch in natmod.BUILDABLE if natmod.has_compiler(arch)]
    if not able:
        raise UlnnError("no compiler for any: make setup")
    return "compilers for " + ", ".join(able)


def _micropython() -> str:
    if paths.checkout() is None:
        return "not needed without a checkout"
    return str(micropython_source.find_micropython())


_CHECKS: tuple[tuple[str, str, Check], ...] = (
    ("Python", "everything", _python),
    ("native engine", "run --engine native", _engine("native")),
    ("pure engine", "run --engine pure", _engine("pure")),
    ("PyTorch", "train, tune, convert", _package("torch", "ulnn train")),
    ("safetensors", "train, convert", _package("safetensors", "ulnn train")),
    ("Matplotlib", "pictures, --html", _package("matplotlib", "a picture")),
    ("h5py", "checkpoints of Keras", _package("h5py", "a checkpoint of Keras")),
    ("onnx", "export --onnx", _package("onnx", "ulnn export --onnx")),
    ("PyArrow", "Parquet, large CSV", _package("pyarrow", "Parquet")),
    ("mpy-cross", "deploy", _mpy_cross),
    ("native modules", "deploy", _natmods),
    ("MicroPython's source", "native modules, virtual boards", _micropython),
)


# ---- a board ------------------------------------------------------------------------------------


def _board(port: str) -> Iterator[Finding]:
    try:
        with Board.open(resolve(port)) as board:
            identity = identify(board)
            version = ".".join(map(str, identity.version))
            yield Finding(
                "board", "deploy, validate",
                f"{identity.machine}, {identity.implementation} {version}",
            )  # fmt: skip
            choice = engine_files(identity)
            yield Finding("engine for it", "deploy, validate", choice.engine)
            yield _room(identity.free, sum(len(data) for _, data, _ in choice.files))
            free = board.whole("(__import__('gc').collect(), __import__('gc').mem_free())[1]")
            yield Finding("heap", "running models", f"{free:,} bytes free")
    except UlnnError as error:
        yield Finding("board", "deploy, validate", "", str(error), "see above")


def _room(free: int | None, wanted: int) -> Finding:
    if free is None:
        return Finding("filesystem", "deploy", "free space is not known")
    if free < wanted:
        return Finding(
            "filesystem", "deploy", "", f"{free:,} bytes free, {wanted:,} are needed",
            "delete files on the board",
        )  # fmt: skip
    return Finding("filesystem", "deploy", f"{free:,} bytes free")
