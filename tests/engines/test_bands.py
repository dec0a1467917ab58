"""`ulnn.bands` in every engine: the features of SPEC.md 3.11 to the last bit, its errors, and no
allocation."""

from __future__ import annotations

import json
import random
import subprocess
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings

from support.band_cases import Case, broken_tracks, cases, random_case, track
from support.core_tools import CELLS_CFC, NO_LONG_MULTIPLY, core_cli, programs
from support.paths import FIRMWARE
from support.spec_bands import features
from support.unix import needs_micropython, unix
from support.vectors import BANDS
from ulnn_host.board import board_engine
from ulnn_host.engines import registry as engines
from ulnn_host.toolchain import natmod
from ulnn_rules.bands import Bands, count

VECTORS = json.loads(BANDS.read_text())
NONE = "track: not supported"
MODULES = [engines.native_module, engines.pure_module]

# What an engine does with a list of (track, x), and with broken tracks; on MicroPython, too.
SCRIPT = """
from array import array
def results(make, found):
    for track, x, outputs in found:
        b = make(array("h", track))
        n = len(x) // track[0]
        x = array("h", x)
        y = array("h", [7] * outputs)
        # In two parts, after others that are forgotten
        b.feed(x, 0, n)
        b.reset()
        b.feed(x, 0, n // 3)
        b.feed(x, n // 3, n - n // 3)
        b.read(y)
        yield list(y)
def refusals(make, found):
    for track in found:
        try:
            make(array("h", track))
            yield "ok"
        except ValueError as e:
            yield str(e)
def raised(call, *given):
    try:
        call(*given)
    except Exception as e:
        return type(e).__name__ + " " + str(e)
    return "nothing"
def errors(make):
    b = make(array("h", [2, 0, 4, 1, 0, 1, 0, 7, 0]))
    x, y = array("h", [1] * 8), array("h", [0] * 3)
    for given in ((x, 0, 5), (x, 4, 1), (x, 5, 0), (x, -1, 1), (x, 0, -1), (x, 1 << 24, 0),
                  (x, 0, 1 << 24), (array("H", x), 0, 4), (bytes(16), 0, 4)):
        yield raised(b.feed, *given)
    for given in ((array("h", [0] * 2),), (array("H", [0] * 3),), (bytearray(6),)):
        yield raised(b.read, *given)
    yield raised(b.feed, [1] * 8, 0, 4)[:9]
    yield raised(b.feed, x, 0.5, 1)[:9]
    yield raised(b.read, [0] * 3)[:9]
    yield raised(make, [1] * 9)[:9]
    yield raised(make, array("i", [1] * 9))
    b.feed(x, 4, 0)
    b.feed(memoryview(x)[2:6], 1, 1)
    b.read(memoryview(y)[0:3])
    yield str(list(y))
"""
LIMIT = "ValueError first, count: expected 0 to 16777215"
INT16 = "ValueError {}: expected int16 values (array 'h')"
ERRORS = [
    "ValueError x: expected 10 values, got 8",
    "ValueError x: expected 10 values, got 8",
    "ValueError x: expected 10 values, got 8",
    *[LIMIT] * 4,
    *[INT16.format("x")] * 2,
    "ValueError y: expected 3 values, got 2",
    *[INT16.format("y")] * 2,
    *["TypeError"] * 4,
    INT16.format("track"),
    "[0, -1024, 1024]",
]


def run(make: Callable[[Any], Any], case: Case) -> list[int]:
    """The features after all samples."""
    bands = make(array("h", case.track))
    y = array("h", [0] * count(case.track))
    bands.feed(array("h", case.x), 0, len(case.x) // case.track[0])
    bands.read(y)
    return list(y)


def wanted(case: Case) -> list[int]:
    whole = len(case.x) // case.track[0] * case.track[0]
    return features(case.track, case.x[:whole])


def given_cases() -> list[tuple[list[int], list[int], int]]:
    return [(v["track"], v["x"], len(v["y"])) for v in VECTORS]


# ---- in this process ----------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_a_module(module: Callable[[], Any]) -> None:
    scope: dict[str, Any] = {}
    exec(SCRIPT, scope)
    make = module().bands
    assert list(scope["results"](make, given_cases())) == [v["y"] for v in VECTORS]
    broken = [words for _, words in broken_tracks()]
    assert set(scope["refusals"](make, broken)) == {NONE}
    assert list(scope["errors"](make)) == ERRORS


@pytest.mark.parametrize("make", [lambda t: engines.native_module().bands(t), Bands])
@pytest.mark.parametrize("size", range(4, 11))
def test_every_size(make: Callable[[Any], Any], size: int) -> None:
    rng = random.Random(size)
    for _ in range(3):
        case = random_case(rng, [size])
        assert run(make, case) == wanted(case), case.track


@given(cases())
@example(Case(track(10, bands=[(0, 512)]), [-32768] * 1024))
@example(Case(track(10, bands=[(0, 512)], window=0), [-32768, 32767] * 512))
@example(Case(track(4, sections=[[1, 0, 0, 0, 0, 0, 0, 0, 0]]), [-32768] * 16))
@settings(max_examples=150)
def test_any_track_and_samples(case: Case) -> None:
    """The C core, its twin, and the document."""
    want = wanted(case)
    assert run(engines.native_module().bands, case) == want
    assert run(Bands, case) == want


# ---- the sanitized core -------------------------------------------------------------------------


@pytest.mark.parametrize("defines", ["", NO_LONG_MULTIPLY])
def test_the_core(defines: str, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("track", "x", "y")]
    for vector in VECTORS[::4]:
        for path, key in zip(paths, ("track", "x"), strict=False):
            path.write_bytes(np.array(vector[key], "<i2").tobytes())
        core_cli("bands", *paths, defines=defines)
        assert np.frombuffer(paths[2].read_bytes(), "<i2").tolist() == vector["y"]


def test_random_tracks_under_sanitizers(full: bool) -> None:
    tried = 50_000 if full else 3000
    command = [programs() / "tracks", "--count", str(tried)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    words = done.stdout.split()
    assert words[:2] == [str(tried), "tracks:"]
    assert 0.4 * tried < int(words[2]) < 0.9 * tried


def test_a_build_with_fewer_cells_has_none() -> None:
    text = core_usage(CELLS_CFC)
    assert "bands TRACK" in text
    listed = subprocess.run(
        ["nm", programs(CELLS_CFC) / "core_cli"], capture_output=True, text=True, check=True
    )
    assert "ulnn_bands_read" not in listed.stdout
    assert "ulnn_step" in listed.stdout


def core_usage(defines: str) -> str:
    return subprocess.run([programs(defines) / "core_cli"], capture_output=True, text=True).stderr


# ---- MicroPython --------------------------------------------------------------------------------

PRINTS = """
import ulnn
found = {found!r}
for y in results(ulnn.bands, found):
    print(y)
print(set(refusals(ulnn.bands, {broken!r})))
for text in errors(ulnn.bands):
    print(text)
"""

NO_ALLOCATION = """
import gc, ulnn
from array import array
def allocated(track, outputs):
    b = ulnn.bands(array("h", track))
    n = 2 << track[2]
    x = array("h", [(k * 7919) % 65536 - 32768 if k % 5 else -32768 for k in range(n)])
    y = array("h", [0] * outputs)
    b.feed(x, 0, n)
    b.read(y)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    b.feed(x, 0, n)
    b.read(y)
    after = gc.mem_alloc()
    gc.enable()
    return after - before
print("allocated", [allocated(track, outputs) for track, outputs in TRACKS])
"""
HIGH_PASS = [1, 32566, 0, 18189, 6, 20317, 15, 23174, 0]
NOTCH = [3, 26576, 0, 24785, 0, 23115, 2, 17476, 5]
LOUD = [1, 32767, 0, 32767, 0, 32767, 0, 32767, 0]  # its states are always at their ends
LONG = [
    track(6, sections=[HIGH_PASS, NOTCH, LOUD], bands=[(1, 4), (5, 32)]),
    track(8, window=0, rectify=1, decimate=2, bands=[(0, 128)]),
]
TRACKS = f"TRACKS = {[(words, count(words)) for words in LONG]!r}\n"


def check_printed(text: str) -> None:
    lines = text.splitlines()
    assert lines[: len(VECTORS)] == [str(v["y"]) for v in VECTORS]
    assert lines[len(VECTORS) :] == ["{" + repr(NONE) + "}", *ERRORS]


def prints() -> str:
    return PRINTS.format(found=given_cases(), broken=[words for _, words in broken_tracks()])


@pytest.fixture(params=["natmod", "pure"])
def unix_path(request: pytest.FixtureRequest) -> str:
    """Where the unix MicroPython finds `ulnn`."""
    return str(natmod.build("x64").parent if request.param == "natmod" else FIRMWARE)


@needs_micropython
def test_under_unix_micropython(unix_path: str, tmp_path: Path) -> None:
    path = f"import sys\nsys.path.insert(0, {unix_path!r})\n"
    (tmp_path / "run.py").write_text(path + SCRIPT + prints())
    check_printed(unix("run.py", cwd=tmp_path))
    (tmp_path / "run.py").write_text(path + TRACKS + NO_ALLOCATION)
    assert unix("run.py", cwd=tmp_path, heap="256k") == "allocated [0, 0]\n"


@pytest.fixture(scope="module", params=["cortex-m7", "rv32"])
def board(request: pytest.FixtureRequest) -> Iterator[Callable[[str], str]]:
    """Runs code on a board that has the natmod."""
    port = f"virtual:{request.param}?heap=1m"
    if request.param == "cortex-m7":
        port = request.config.getoption("--port") or port
    with board_engine.open_board(port) as engine:
        yield lambda code: engine.board.exec(code, timeout=120)


@pytest.mark.board
@pytest.mark.parametrize("engine", ["natmod", "twin"])
def test_on_a_board(board: Callable[[str], str], engine: str) -> None:
    """The natmod, and the twin that is frozen in the firmware, whose integers are short there."""
    board(SCRIPT)
    if engine == "natmod":
        check_printed(board(prints()))
        assert board(TRACKS + NO_ALLOCATION) == "allocated [0, 0]\n"
    else:
        twin = "from ulnn_rules.bands import Bands\nclass ulnn:\n    bands = Bands\n"
        code = twin + (prints() + TRACKS + NO_ALLOCATION).replace("import ulnn\n", "")
        code = code.replace("import gc, ulnn", "import gc")
        *lines, last = board(code).splitlines()
        check_printed("\n".join(lines))
        assert last == "allocated [0, 0]"
