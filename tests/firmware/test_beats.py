"""BEATS: read alike on a PC and on boards, ignored by engines; and the beats of an ECG, the same
integers everywhere as SPEC.md says."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.beat_cases import INPUTS, cases, section
from support.feature_cases import section as feature_section
from support.paths import FIRMWARE
from support.random_models import Shape, random_model
from support.raw_file import BEATS, FEATURES, INPUT, File, Section, text_of
from support.spec_beats import Beat, SpecBeats
from support.unix import needs_micropython, unix
from ulnn_host.board import board_engine
from ulnn_host.data import ecg
from ulnn_host.data.beats import BeatRecipe
from ulnn_host.engines import registry as engines
from ulnn_host.format import container
from ulnn_host.format.model import ModelFile
from ulnn_host.toolchain import natmod
from ulnn_rules.beats import LEAD_OFF, NOISY, PROBLEMS, STARTING, Beats, Finder, Recipe

RATE = 180


def model(content: bytes, inputs: int = INPUTS, shift: int = 1) -> ModelFile:
    made = random_model(1, Shape(inputs=inputs, hidden=3, backbone=(), outputs=2))
    scale = np.full(inputs, 2.0 ** -(8 + shift), np.float32)
    offset = np.full(inputs, 0.5, np.float32)
    return replace(
        made, meta={}, beats=content, input_scale=scale, input_offset=offset, golden=None
    )


GOOD = container.write(model(section()))


def with_section(content: bytes) -> bytes:
    f = File.read(GOOD)
    return f.swap(f.find(BEATS), Section(BEATS, 0, content)).write()


def test_what_a_file_says() -> None:
    found = container.read(GOOD)
    assert (found.beats, GOOD[5]) == (section(), 4)
    assert container.write(found) == GOOD
    recipe = Beats(GOOD).recipe
    assert (recipe.rate, recipe.hop, recipe.step, recipe.delay) == (100_000, 2, 2, 8)
    assert (recipe.before, recipe.after, recipe.extras, recipe.outputs) == (5, 3, 13, INPUTS)
    assert (recipe.low, recipe.high, recipe.flat, recipe.noisy) == (-30000, 30000, 20, 600)


def test_a_file_without_beats() -> None:
    bare = container.write(replace(container.read(GOOD), beats=b""))
    with pytest.raises(ValueError, match="beats: the file has none"):
        Beats(bare)


def test_a_file_with_two_recipes() -> None:
    both = replace(container.read(GOOD), features=feature_section())
    with pytest.raises(ValueError, match="beats: the file has FEATURES, too"):
        container.write(both)
    f = File.read(GOOD)
    place = f.find(BEATS)
    two = replace(
        f, sections=(*f.sections[:place], Section(FEATURES, 0, b""), *f.sections[place:])
    )
    with pytest.raises(ValueError, match="beats: the file has FEATURES, too"):
        Beats(two.write())


@pytest.mark.parametrize("read", [container.read, Beats])
def test_every_check(read: Callable[[bytes], object]) -> None:
    for title, content, text in cases():
        assert text_of(lambda content=content: read(with_section(content))) == text, title
    for good in (section(), section(rate=1_999_999, delay=200), section(noisy=65535, flat=0)):
        assert text_of(lambda good=good: read(with_section(good))) == "ok"


@pytest.mark.parametrize("read", [container.read, Beats])
def test_scales_of_inputs(read: Callable[[bytes], object]) -> None:
    f = File.read(GOOD)
    pairs = [2.0**-8, 0.0] * INPUTS
    pairs[7] = 0.001
    broken = f.swap(f.find(INPUT), Section(INPUT, 0, struct.pack(f"<{2 * INPUTS}f", *pairs)))
    text = "beats: input 3 has not the scale of one"
    assert text_of(lambda: read(broken.write())) == text


@given(st.binary(max_size=70) | st.binary(max_size=30).map(lambda b: section()[:50] + b))
def test_any_bytes_are_beats_or_refused(content: bytes) -> None:
    data = with_section(content)
    assert text_of(lambda: container.read(data)) == text_of(lambda: Beats(data))


@given(st.integers(0, len(section()) - 1), st.integers(0, 255), st.integers(0, 2**31))
def test_a_damaged_section_that_passes_still_works(at: int, byte: int, seed: int) -> None:
    content = bytearray(section())
    content[at] = byte
    try:
        finder = Finder(Recipe(bytes(content), INPUTS), engines.native_module())
    except ValueError:
        return
    rng = np.random.default_rng(seed)
    for v, us in zip(
        rng.integers(-32768, 32768, 400).tolist(),
        rng.integers(0, 30000, 400).tolist(),
        strict=True,
    ):
        finder.add(v, us)
    assert len(finder.values) == INPUTS


@pytest.mark.parametrize("engine", ["native", "pure"])
def test_engines_ignore_them(engine: str) -> None:
    module = engines.native_module() if engine == "native" else engines.pure_module()
    for _, content, _ in cases():
        assert module.load(with_section(content)).info()["input_size"] == INPUTS


# ---- at work ------------------------------------------------------------------------------------

RECIPE = BeatRecipe("ecg", RATE, low=-3.2, high=3.2)
WORKING = container.write(model(RECIPE.content, len(RECIPE.names), 3))


@cache
def signal(seconds: int = 40, number: int = 1) -> tuple[list[int], list[int]]:
    """Counts and microseconds of a patient whose lead goes off, with samples that jitter and are
    missing, one at a time and many, and a time that no heart has."""
    one = ecg.patient(number, seconds, RATE, ecg.Noise(muscle=0.05, off=0))
    x = np.rint(one.signal * 1000).astype(int)
    half = seconds // 2 * RATE
    x[half : half + 3 * RATE] = 3200  # the amplifier's end
    x[half + 8 * RATE : half + 10 * RATE] = 7  # flat
    rng = np.random.default_rng(5)
    us = np.diff(np.rint(np.arange(len(x) + 1) * 1e6 / RATE)).astype(int)
    us += rng.integers(-1500, 1500, len(us))
    kept = rng.random(len(x)) > 0.1
    kept[7 * RATE : 7 * RATE + 30] = False
    at = np.cumsum(us)[kept]
    gaps = np.diff(at, prepend=0)
    gaps[-5] = 2**30 - 1
    return x[kept].tolist(), gaps.tolist()


@cache
def wanted(content: bytes = RECIPE.content) -> tuple[list[Beat], list[str]]:
    spec = SpecBeats(content)
    for v, us in zip(*signal(), strict=True):
        spec.add(v, us)
    return spec.found, spec.problems


def test_the_signal_has_all_there_is() -> None:
    found, problems = wanted()
    assert len(found) > 15
    assert sum(beat.fresh for beat in found) >= 4
    assert sum(not beat.fresh for beat in found) > 10
    assert {"", "starting", "lead off"} == set(problems)
    assert max(beat.us for beat in found) == 8_000_000 or len(found) > 15


@pytest.mark.parametrize("native", [True, False])
def test_beats_are_those_of_the_document(native: bool) -> None:
    finder = Finder(
        Recipe(RECIPE.content, len(RECIPE.names)), engines.native_module() if native else None
    )
    for _ in range(2):
        found, problems = [], []
        for v, us in zip(*signal(), strict=True):
            if finder.add(v, us):
                found.append(Beat(finder.r, finder.us, finder.fresh, list(finder.values)))
            problems.append(PROBLEMS[finder.problem])
        assert found == wanted()[0]
        assert problems == wanted()[1]
        finder.reset()


@pytest.mark.parametrize("rate", [250, 360])
def test_other_rates(rate: int) -> None:
    recipe = BeatRecipe("ecg", rate, mains=60, before=0.2, extras=("to last",), noisy=5)
    counts = np.rint(ecg.patient(3, 20, rate).signal * 700).astype(int).tolist()
    spec = SpecBeats(recipe.content)
    finder = Finder(Recipe(recipe.content, len(recipe.names)), engines.native_module())
    found = []
    for v in counts:
        spec.add(v, round(1e6 / rate))
        if finder.add(v, round(1e6 / rate)):
            found.append(list(finder.values))
    assert len(found) > 8
    assert found == [beat.values for beat in spec.found]


def test_inputs_of_a_model() -> None:
    b = Beats(WORKING, engines.native_module())
    x, rows = b.x, []
    for v, us in zip(*signal(), strict=True):
        if b.add(v, us):
            rows.append(list(x))
    values = np.array([beat.values for beat in wanted()[0]])
    np.testing.assert_array_equal(rows, np.clip((values - 128) << 3, -32768, 32767))
    assert b.x is x


def problems_of(x: np.ndarray, finder: Finder) -> np.ndarray:
    finder.reset()
    us = round(1e6 / RATE)
    found = np.empty(len(x), int)
    for k, v in enumerate(np.rint(x * 1000).astype(int).tolist()):
        finder.add(v, us)
        found[k] = finder.problem
    return found


def test_no_reading_where_there_is_none() -> None:
    finder = Finder(Recipe(RECIPE.content, len(RECIPE.names)), engines.native_module())
    rng = np.random.default_rng(1)
    whole = 20 * RATE
    for level in (3.2, -3.2, 0.0):
        found = problems_of(level + 0.004 * rng.standard_normal(whole).clip(-1, 1), finder)
        assert (found[2 * RATE :] == LEAD_OFF).all()
    for size in (0.02, 0.3, 1.0):
        found = problems_of(size * rng.standard_normal(whole), finder)
        assert set(found[: 2 * RATE]) == {STARTING}
        assert (found[4 * RATE :] == NOISY).all()
    found = problems_of(ecg.patient(2, 20, RATE).signal, finder)
    assert (found[4 * RATE :] == 0).all()


BOARD = """
import gc, ulnn
from array import array
from ulnn_rules.beats import Beats
def run(data, raw, n, native):
    b = Beats(data, native)
    for times in (0, 1):
        b.reset()
        found = 0
        beats = 0
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        for k in range(n):
            if b.add(raw[2 * k], raw[2 * k + 1]):
                beats += 1
                found = (found * 31 + b.us + b.r) & 0xFFFFFF
                for v in b.x:
                    found = (found * 31 + v) & 0xFFFFFF
        after = gc.mem_alloc()
        gc.enable()
    print(beats, found, after - before)
run(DATA, RAW, len(RAW) // 2, ulnn)
run(DATA, RAW, PART // 2, None)
"""


def flat(seconds: float) -> list[int]:
    counts, us = signal()
    pairs = [v for pair in zip(counts, us, strict=True) for v in pair]
    return pairs[: int(2 * 0.9 * RATE * seconds)]


def printed(flat: list[int]) -> str:
    b = Beats(WORKING, engines.native_module())
    beats = found = 0
    for v, us in zip(flat[::2], flat[1::2], strict=True):
        if b.add(v, us):
            beats += 1
            for part in (b.us + b.r, *b.x):
                found = (found * 31 + part) & 0xFFFFFF
    return f"{beats} {found} 0\n"


@needs_micropython
@pytest.mark.parametrize("engine", ["natmod", "pure"])
def test_under_unix_micropython(engine: str, tmp_path: Path) -> None:
    all_of_it, part = flat(40), flat(9)
    given = "from array import array\n"
    given += f"DATA, RAW, PART = {WORKING!r}, array('i', {all_of_it!r}), {len(part)}\n"
    (tmp_path / "run.py").write_text(given + BOARD)
    path = f"{natmod.build('x64').parent}:{FIRMWARE}" if engine == "natmod" else FIRMWARE
    made = unix("run.py", cwd=tmp_path, heap="1M", path=path)
    assert made == printed(all_of_it) + printed(part)


@pytest.fixture(params=["virtual:cortex-m7?heap=64k", "virtual:rv32?heap=64k"])
def port(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.board
def test_on_a_board_of_64_kib(port: str) -> None:
    all_of_it, part = flat(6.5), flat(5)
    with board_engine.open_board(port) as engine:
        engine.board.write_file("/b.ulnn", WORKING)
        engine.board.write_file("/raw", array("i", all_of_it).tobytes())
        engine.board.soft_reset()  # the module of 21 KB wants a heap in one piece
        engine.board.exec("import ulnn", timeout=60)
        given = f"from array import array\nDATA, PART = '/b.ulnn', {len(part)}\n"
        given += f"RAW = array('i', bytes({4 * len(all_of_it)}))\n"
        given += "with open('/raw', 'rb') as f:\n    f.readinto(RAW)\n"
        made = engine.board.exec(given + BOARD, timeout=120)
    assert made == printed(all_of_it) + printed(part)
