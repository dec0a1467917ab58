"""Every engine reads native_module/vectors/, and the vectors notice what may be got wrong."""

from __future__ import annotations

import array
import ast
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from support.core_tools import NO_LONG_MULTIPLY, core_cli, core_trace
from support.make_vectors import EXAMPLE, NAMED, files, shape_of, signed
from support.misreadings import MISREADINGS, misread
from support.paths import FIRMWARE, NATIVE
from support.raw_file import DECISION, NAMES, File, Section
from support.unix import unix, unix_load
from support.vectors import (
    BROKEN_MEANING,
    FOLDER,
    Broken,
    Trace,
    Vectors,
    all_vectors,
    broken_files,
    run_reference,
)
from ulnn_host.board import board_engine
from ulnn_host.engines import registry as engines
from ulnn_host.format import container
from ulnn_host.toolchain import natmod
from ulnn_rules import meaning

VECTORS = {vectors.name: vectors for vectors in all_vectors()}
BROKEN = broken_files()
# SHA-256 of the files of version 1.1, each model before its JSON, in the order of their names
OLD = "780bd19718c35342baca48a3790120863cb236b67de4928c6d586785d402c8a5"
BOARDS = ("cortex-m7", "rv32")

# Under MicroPython: what module_trace and module_text do below.
SCRIPT = """
import array, gc, ulnn
def trace(data, x, dt):
    m = ulnn.load(data)
    assert m.self_test() == m.info()["golden_steps"]
    y = array.array("h", bytes(2 * m.info()["output_size"]))
    for k in range(len(dt)):
        m.step(array.array("h", x[k]), y, dt[k])
        print((list(y), list(array.array("h", m.state)), m.clamped))
def refused(base, size, patches):
    data = bytearray(base[:size])
    data.extend(bytes(size - len(data)))
    for at in patches:
        data[at:at + len(patches[at])] = patches[at]
    try:
        ulnn.load(data)
        print("ok")
    except ValueError as e:
        print(e)
    gc.collect()
"""


def calls(vectors: Vectors) -> str:
    """The call of `trace` for vectors."""
    return f"trace({vectors.data!r}, {vectors.x.tolist()}, {vectors.dt.tolist()})\n"


def refusals(broken: Broken) -> str:
    """The call of `refused` for a broken file; its base is a global."""
    size = len(broken.apply(VECTORS[broken.base].data))
    return f"refused({broken.base}, {size}, {broken.patches})\n"


def printed(text: str) -> Trace:
    return Trace.of([ast.literal_eval(line) for line in text.splitlines()])


def module_trace(module: ModuleType, vectors: Vectors) -> Trace:
    model = module.load(vectors.data)
    assert model.self_test() == model.info()["golden_steps"]
    y = array.array("h", bytes(2 * model.info()["output_size"]))
    steps = []
    for x, dt in zip(vectors.x.tolist(), vectors.dt.tolist(), strict=True):
        model.step(array.array("h", x), y, dt)
        steps.append((list(y), np.frombuffer(model.state, "<i2"), model.clamped))
    return Trace.of(steps)


def module_text(load: Callable[[bytes], object], data: bytes) -> str:
    try:
        load(data)
    except ValueError as error:
        return str(error)
    return "ok"


def check_refusals(texts: list[str]) -> None:
    assert len(texts) == len(BROKEN)
    for broken, text in zip(BROKEN, texts, strict=True):
        assert text == broken.text, broken


# ---- engines in this process, and the C core ----------------------------------------------------


@pytest.fixture(params=VECTORS)
def vectors(request: pytest.FixtureRequest) -> Vectors:
    return VECTORS[request.param]


def test_the_reference(vectors: Vectors) -> None:
    model = container.read(vectors.data)
    assert run_reference(model, vectors.x, vectors.dt).differs(vectors.want) == ""


def test_a_file_that_is_read_and_written_computes_the_same(vectors: Vectors) -> None:
    model = container.read(container.write(container.read(vectors.data)))
    assert run_reference(model, vectors.x, vectors.dt).differs(vectors.want) == ""


@pytest.mark.parametrize("module", [engines.native_module, engines.pure_module])
def test_a_module(module: Callable[[], ModuleType], vectors: Vectors) -> None:
    assert module_trace(module(), vectors).differs(vectors.want) == ""


@pytest.mark.parametrize("defines", ["", NO_LONG_MULTIPLY])
def test_the_core(defines: str, vectors: Vectors, tmp_path: Path) -> None:
    got = core_trace(vectors.data, vectors.x, vectors.dt, tmp_path, defines)
    assert got.differs(vectors.want) == ""


@pytest.mark.parametrize(
    "load",
    [
        container.read,
        lambda data: engines.native_module().load(data),
        lambda data: engines.pure_module().load(data),
    ],
    ids=["reference", "native", "pure"],
)
def test_broken_files(load: Callable[[bytes], object]) -> None:
    check_refusals([module_text(load, b.apply(VECTORS[b.base].data)) for b in BROKEN])


def test_broken_files_in_the_core(tmp_path: Path) -> None:
    paths = [tmp_path / f"{k}.ulnn" for k in range(len(BROKEN))]
    for path, broken in zip(paths, BROKEN, strict=True):
        path.write_bytes(broken.apply(VECTORS[broken.base].data))
    check_refusals(core_cli("check", *paths).splitlines())


# ---- MicroPython --------------------------------------------------------------------------------


@pytest.fixture(params=["natmod", "pure"])
def unix_path(request: pytest.FixtureRequest) -> Path:
    """Where the unix MicroPython finds `ulnn`."""
    return natmod.build("x64").parent if request.param == "natmod" else FIRMWARE


def test_under_unix_micropython(unix_path: Path, vectors: Vectors, tmp_path: Path) -> None:
    path = f"import sys\nsys.path.insert(0, {str(unix_path)!r})\n"
    (tmp_path / "run.py").write_text(path + SCRIPT + calls(vectors))
    assert printed(unix("run.py", cwd=tmp_path)).differs(vectors.want) == ""


def test_broken_files_under_unix_micropython(unix_path: Path, tmp_path: Path) -> None:
    data = [broken.apply(VECTORS[broken.base].data) for broken in BROKEN]
    check_refusals(unix_load(data, unix_path, tmp_path))


@pytest.fixture(scope="module", params=BOARDS)
def board(request: pytest.FixtureRequest) -> Iterator[Callable[[str], str]]:
    """Runs code on a board that has the natmod and SCRIPT."""
    port = f"virtual:{request.param}?heap=1m"
    if request.param == "cortex-m7":
        port = request.config.getoption("--port") or port
    with board_engine.open_board(port) as engine:
        engine.board.exec(SCRIPT, timeout=60)
        yield lambda code: engine.board.exec(code, timeout=120)


@pytest.mark.board
def test_on_a_board(board: Callable[[str], str], vectors: Vectors) -> None:
    assert printed(board(calls(vectors))).differs(vectors.want) == ""


@pytest.mark.board
def test_broken_files_on_a_board(board: Callable[[str], str]) -> None:
    texts = []
    for base in sorted({broken.base for broken in BROKEN}):
        board(f"{base} = {VECTORS[base].data!r}")
    for first in range(0, len(BROKEN), 20):
        texts += board("".join(map(refusals, BROKEN[first : first + 20]))).splitlines()
    check_refusals(texts)


# ---- what is in them ----------------------------------------------------------------------------


def test_the_files_are_what_the_script_makes() -> None:
    made = dict(files())
    kept = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix != ".md"}
    assert kept.keys() == made.keys()
    assert [name for name in made if kept[name] != made[name]] == []
    assert sum(map(len, kept.values())) < 170_000


def test_the_files_of_version_1_1_stay() -> None:
    """Their bytes and what was computed of them then, before there was a version 1.2."""
    old = [vectors for vectors in VECTORS.values() if vectors.name not in (NAMED, EXAMPLE)]
    assert [v.data[5] for v in old] == [1] * 12
    content = b"".join(v.data + v.path.with_suffix(".json").read_bytes() for v in old)
    assert hashlib.sha256(content).hexdigest() == OLD


def test_what_the_file_of_version_1_2_says() -> None:
    data = VECTORS[NAMED].data
    said = json.loads(VECTORS[NAMED].path.with_suffix(".json").read_text())
    container.check_sha256(data)
    model = container.read(data)
    assert (model.format_minor, model.model_version) == (2, 7)
    assert json.loads(json.dumps(asdict(model.names))) == said["names"]
    assert asdict(model.decision) == said["decision"]
    found = meaning.Meaning(data)
    assert list(found.labels) == said["names"]["labels"]
    assert found.window == said["decision"]["window"]
    assert bytes.fromhex(said["signed"])[:10] == b"ulnn-sig-1"
    # A signature put in afterwards changes nothing of what it signs.
    f = File.read(data)
    k = f.find(0x8002)
    other = f.swap(k, f.sections[k].patched(16, "8Q", *range(8))).write()
    assert signed(other).hex() == said["signed"]


def test_broken_sections() -> None:
    f = File.read(VECTORS[NAMED].data)
    entries = json.loads(BROKEN_MEANING.read_text())
    assert len(entries) > 70
    for entry in entries:
        kind = {"NAMES": NAMES, "DECISION": DECISION}[entry["section"]]
        broken = Section(kind, 0, bytes.fromhex(entry["content"]))
        data = f.swap(f.find(kind), broken).write()
        for read in (container.read, meaning.Meaning):
            assert module_text(read, data) == entry["text"]
        for module in (engines.native_module(), engines.pure_module()):
            assert module_text(module.load, data) == "ok"


def test_every_text_has_a_broken_file() -> None:
    """But that of a file of more than 16 MiB."""
    header = (NATIVE / "core" / "ulnn_errors.h").read_text()
    names = re.findall(r"^ULNN_ERROR\((\w+)", header, re.MULTILINE)
    assert len({shape_of(broken.text) for broken in BROKEN}) == len(names) - 1


@pytest.mark.parametrize("name", MISREADINGS)
def test_a_misreading_is_noticed(name: str) -> None:
    wrong = misread(name)
    assert any(
        run_reference(container.read(v.data), v.x, v.dt, wrong.Reference).differs(v.want)
        for v in VECTORS.values()
    )
