"""FEATURES: read alike on a PC and on boards, ignored by engines; and `Features`, which gives the
model's inputs from raw samples, the same integers everywhere."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.band_cases import track
from support.feature_cases import HALVES, INPUTS, TRACK, cases, section
from support.paths import FIRMWARE
from support.random_models import Shape, random_model
from support.raw_file import FEATURES, INPUT, File, Section, text_of
from support.spec_bands import features as spec_features
from support.unix import needs_micropython, unix
from ulnn_host.board import board_engine
from ulnn_host.engines import registry as engines
from ulnn_host.format import container
from ulnn_host.format.model import ModelFile
from ulnn_host.toolchain import natmod
from ulnn_rules import features
from ulnn_rules.features import Features


def model(content: bytes, scale: object = 2.0**-10, offset: object = 0.5) -> ModelFile:
    made = random_model(1, Shape(inputs=INPUTS, hidden=3, backbone=(), outputs=2))
    pairs = [np.broadcast_to(np.float32(v), INPUTS).copy() for v in (scale, offset)]  # type: ignore[arg-type]
    return replace(
        made, meta={}, features=content, input_scale=pairs[0], input_offset=pairs[1], golden=None
    )


GOOD = container.write(model(section()))


def with_section(content: bytes) -> bytes:
    f = File.read(GOOD)
    return f.swap(f.find(FEATURES), Section(FEATURES, 0, content)).write()


def with_input(*pairs: float) -> bytes:
    f = File.read(GOOD)
    return f.swap(f.find(INPUT), Section(INPUT, 0, struct.pack("<4f", *pairs))).write()


def test_what_a_file_says() -> None:
    found = container.read(GOOD)
    assert (found.features, GOOD[5]) == (section(), 3)
    assert container.write(found) == GOOD
    recipe = Features(GOOD).recipe
    assert (recipe.channels, recipe.rate, recipe.hop, recipe.outputs) == (2, 100_000, 8, 2)
    assert list(recipe.scales) == [0.5, 0.0, 0.25, 1.0]
    assert [list(t) for t in recipe.tracks] == [TRACK]
    assert recipe.reach == 16
    assert container.write(model(b""))[5] == 2


def test_a_file_without_features() -> None:
    bare = container.write(replace(container.read(GOOD), features=b""))
    with pytest.raises(ValueError, match="features: the file has none"):
        Features(bare)


@pytest.mark.parametrize("read", [container.read, Features])
def test_every_check(read: Callable[[bytes], object]) -> None:
    for title, content, text in cases():
        assert text_of(lambda content=content: read(with_section(content))) == text, title
    for good in (section(), section(words=HALVES), section(hop=2**20, rate=1)):
        assert text_of(lambda good=good: read(with_section(good))) == "ok"


UNIT = 2.0**-8
SCALES = [
    ((UNIT, 0, UNIT, 0), "ok"),
    ((UNIT / 2**15, 127.99609375, UNIT, -128), "ok"),
    ((UNIT / 2**16, 0, UNIT, 0), 0),
    ((2 * UNIT, 0, UNIT, 0), 0),
    ((UNIT, 0, 0, 0), 1),
    ((UNIT, 0, -UNIT, 0), 1),
    ((UNIT, 0, 1.5 * UNIT, 0), 1),
    ((UNIT, UNIT / 2, UNIT, 0), 0),
    ((UNIT, 0, UNIT, 128), 1),
    ((UNIT, float("nan"), float("nan"), 0), 0),
]


@pytest.mark.parametrize("read", [container.read, Features])
@pytest.mark.parametrize(("pairs", "want"), SCALES)
def test_scales_of_inputs(
    read: Callable[[bytes], object], pairs: tuple[float, ...], want: object
) -> None:
    text = want if want == "ok" else f"features: input {want} has not the scale of one"
    assert text_of(lambda: read(with_input(*pairs))) == text


@given(st.binary(max_size=60) | st.binary(max_size=30).map(lambda b: section() + b))
def test_any_bytes_are_features_or_refused(content: bytes) -> None:
    data = with_section(content)
    assert text_of(lambda: container.read(data)) == text_of(lambda: Features(data))


@pytest.mark.parametrize("engine", ["native", "pure"])
def test_engines_ignore_them(engine: str) -> None:
    module = engines.native_module() if engine == "native" else engines.pure_module()
    for _, content, _ in cases():
        assert module.load(with_section(content)).info()["input_size"] == INPUTS


# ---- at work ------------------------------------------------------------------------------------

# Two channels, frames that are full at different times, hops that do not divide them
WORKING = section(
    channels=2,
    hop=12,
    words=(
        track(5, channels=2, channel=1, moments=2, bands=[], decimate=2),
        track(4, channels=2, channel=0, moments=0, bands=[(1, 4)]),
    ),
)
WORKING_FILE = container.write(model(WORKING, [2.0**-10, 2.0**-13], [7.5, 20.0]))
RAW = np.clip(np.random.default_rng(3).normal(size=(200, 2)) * 9000, -32768, 32767).astype("<i2")


def wanted() -> list[list[int]]:
    """Inputs after each hop from the 64th sample on, by SPEC.md 2.12."""
    found = []
    tracks = features.Recipe(WORKING, INPUTS).tracks
    for end in range(72, 201, 12):
        values = [v for t in tracks for v in spec_features(list(t), RAW[:end].ravel().tolist())]
        inputs = [(values[0] - 1920) << 2, (values[1] - 5120) << 5]
        found.append([max(-32768, min(32767, v)) for v in inputs])
    return found


def test_some_inputs_are_at_the_ends_of_their_range() -> None:
    flat = [v for inputs in wanted() for v in inputs]
    assert any(v in (-32768, 32767) for v in flat)
    assert any(-32768 < v < 32767 for v in flat)


# What Features gives for RAW in blocks of some sizes; on MicroPython, too.
WORK = """
def work(f, raw, size):
    found = []
    channels = f.recipe.channels
    count = len(raw) // channels
    for start in range(0, count, size):
        block = raw[start * channels:(start + size) * channels]
        first, samples = 0, len(block) // channels
        while first < samples:
            first = f.add(block, first)
            if f.ready:
                found.append(list(f.x))
    return found
"""


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("size", [1, 5, 12, 200])
def test_blocks_of_any_size(native: bool, size: int) -> None:
    scope: dict[str, Any] = {}
    exec(WORK, scope)
    f = Features(WORKING_FILE, engines.native_module() if native else None)
    raw = array("h", RAW.tobytes())
    assert scope["work"](f, raw, size) == wanted()
    assert f.x is f.x
    f.reset()
    assert not f.ready
    assert scope["work"](f, raw, size) == wanted()


BOARD = """
import gc, ulnn
from array import array
from ulnn_rules.features import Features
def run(data, raw, native):
    raw = array("h", raw)
    f = Features(data, native)
    found = work(f, raw, 7)
    f.add(raw)  # the type of an array is looked at when it is seen first
    f.reset()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    first, steps = 0, 0
    while first < 200:
        first = f.add(raw, first)
        steps += f.ready
    after = gc.mem_alloc()
    gc.enable()
    print(found, steps, after - before)
run(DATA, RAW, ulnn)
run(DATA, RAW, None)
"""


def script() -> str:
    given = f"DATA, RAW = {WORKING_FILE!r}, {RAW.ravel().tolist()!r}\n"
    return WORK + given + BOARD


def printed() -> str:
    want = wanted()
    return f"{want} {len(want)} 0\n" * 2


@needs_micropython
@pytest.mark.parametrize("engine", ["natmod", "pure"])
def test_under_unix_micropython(engine: str, tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(script())
    path = f"{natmod.build('x64').parent}:{FIRMWARE}" if engine == "natmod" else FIRMWARE
    assert unix("run.py", cwd=tmp_path, heap="512k", path=path) == printed()


@pytest.fixture(params=["virtual:cortex-m7?heap=64k", "virtual:rv32?heap=64k"])
def port(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.board
def test_on_a_board_of_64_kib(port: str) -> None:
    with board_engine.open_board(port) as engine:
        engine.board.write_file("/f.ulnn", WORKING_FILE)
        engine.board.write_file("/raw", RAW.tobytes())
        engine.board.soft_reset()  # the module of 21 KB wants a heap in one piece
        engine.board.exec("import ulnn", timeout=60)
        given = "DATA = '/f.ulnn'\nwith open('/raw', 'rb') as f:\n    RAW = f.read()\n"
        assert engine.board.exec(WORK + given + BOARD, timeout=120) == printed()
