"""The pure-Python engine on CPython: equal to the reference, in every detail."""

from __future__ import annotations

import struct
import zlib
from array import array
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support import engine_api
from support.cell_cases import cells_file
from support.fixed_dt_cases import with_fixed_dt
from support.loader_cases import good_cases, loader_cases, rich_file
from support.random_models import (
    Shape,
    random_input,
    random_model,
    random_stack,
    shapes,
    stacks,
    with_golden,
)
from support.raw_file import GOLDEN, LAYER, File, streams, with_crc
from ulnn_host.engines import registry as engines
from ulnn_host.engines.reference import Reference
from ulnn_host.format import container
from ulnn_host.format.model import Activation, Kind, Mode, ModelFile

CELLS_FILES = [cells_file(), cells_file(weight_bits=16)]
pure = engines.pure_module()


@given(shape=shapes(16, 18, 13, 3), seed=st.integers(0, 2**31))
@settings(max_examples=150)
@example(shape=Shape(hidden=128, inputs=16, backbone=((70, Activation.TABLE),)), seed=1)
@example(shape=Shape(weight_bits=16, extreme=True, gate_shift=12, shift=8), seed=2)
@example(shape=Shape(dt_fixed=1000, hidden=5, layers=2), seed=3)
@example(shape=Shape(mode=Mode.NO_GATE, dt_fixed=1, extreme=True, hidden=7), seed=4)
@example(shape=Shape(mode=Mode.PURE, gate_shift=12, extreme=True, layers=2, density=0.3), seed=5)
@example(shape=Shape(kind=Kind.MIXED, cell_shift=8, extreme=True, layers=2, density=0.5), seed=6)
@example(shape=Shape(kind=Kind.GRU, dt_input=True, inputs=4, extreme=True, layers=3), seed=7)
@example(shape=Shape(kind=Kind.LTC, unfolds=64, extreme=True, layers=2, dt_max=2**30), seed=8)
@example(shape=Shape(kind=Kind.LSTM, dt_input=True, hidden=7, inputs=8, extreme=True), seed=9)
def test_steps_equal_the_reference(shape: Shape, seed: int) -> None:
    check_steps(random_model(seed, shape), seed)


@given(layers=stacks(), seed=st.integers(0, 2**31))
@settings(max_examples=100)
def test_steps_of_stacks_equal_the_reference(layers: list[Shape], seed: int) -> None:
    check_steps(random_stack(seed, layers), seed)


def check_steps(model: ModelFile, seed: int) -> None:
    x, dt = random_input(seed, model, 6)
    reference = Reference(model)
    want = reference.run(x, dt)
    engine = pure.load(container.write(model))
    y = array("h", [0] * model.output_size)
    for k in range(len(dt)):
        engine.step(array("h", x[k].tolist()), y, int(dt[k]))
        assert list(y) == want[k].tolist(), f"step {k}"
    assert engine.state == reference.state.astype("<i2").tobytes()
    assert engine.clamped == reference.clamped
    info = engine.info()
    assert info["dt_fixed"] == model.dt_fixed
    assert info["state_size"] == model.state_size
    assert info["neurons"] == model.neurons
    assert info["synapses"] == model.synapses
    assert info["macs"] == model.macs
    assert info["weight_bits"] == model.weight_bits


@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.DENSE])
@pytest.mark.parametrize("extreme", [False, True])
def test_any_state_can_be_restored(kind: Kind, extreme: bool) -> None:
    """Also one that no step leaves behind."""
    shape = Shape(kind=kind, hidden=6, layers=2, extreme=extreme, cell_shift=1, linear=True)
    model = random_model(int(kind), shape)
    x, dt = random_input(3, model, 20)
    reference = Reference(model)
    engine = pure.load(container.write(model))
    y = array("h", [0] * model.output_size)
    rng = np.random.default_rng(1)
    for k in range(len(dt)):
        state = rng.integers(-32768, 32768, model.state_size)
        state[rng.random(state.shape) < 0.3] = rng.choice([-32768, 32767])
        reference.state = state
        engine.state = state.astype("<i2").tobytes()
        want = reference.step(x[k], int(dt[k]))
        engine.step(array("h", x[k].tolist()), y, int(dt[k]))
        assert list(y) == want.tolist()
        assert engine.state == reference.state.tobytes()


@pytest.mark.parametrize("mode", [Mode.DEFAULT, Mode.NO_GATE])
def test_a_fixed_dt_counts_other_steps(mode: Mode) -> None:
    """Once a step, and the outputs stay the same."""
    shape = Shape(hidden=5, mode=mode, dt_fixed=300, dt_max=1000, layers=2)
    model = random_model(1, shape)
    for layers, fixed, want in [
        (model.layers, 300, [0, 1, 2, 3, 4, 4]),
        ((model.layers[0], replace(model.layers[1], dt_fixed=7), model.layers[2]), 300,
         [1, 2, 3, 4, 5, 6]),
    ]:  # fmt: skip
        engine = pure.load(container.write(replace(model, layers=layers)))
        assert engine.info()["dt_fixed"] == fixed
        outputs = set()
        counts = []
        for dt in (300, 7, 1000, 1001, 2**70, 300):
            y = array("h", [0, 0])
            engine.state = bytes(20)
            engine.step(array("h", [1000, -2000, 30000]), y, dt)
            outputs.add(tuple(y))
            counts.append(engine.clamped)
        assert len(outputs) == 1
        assert counts == want


@pytest.mark.parametrize("mode", [2, 3])
def test_a_fixed_dt_is_a_gate_without_the_elapsed_time(mode: int) -> None:
    """Four rows a neuron of which `time_a` is 0 compute the same, whatever the dt."""
    data = rich_file()
    f = File.read(data)
    k = f.find(LAYER)
    plain = f.sections[k].patched(2, "B", mode - 2)
    heads = streams(plain)[-1]
    for row in range(2, heads.rows, 4):
        plain = plain.patched(heads.multiplier(row), "i", 0)
    free = pure.load(f.swap(k, plain).write())
    fixed = pure.load(with_fixed_dt(data, mode, 9))
    rng = np.random.default_rng(mode)
    y, z = array("h", [0, 0]), array("h", [0, 0])
    for _ in range(50):
        x = array("h", rng.integers(-32768, 32768, 3).tolist())
        dt = int(rng.integers(1, 10**6))
        free.step(x, y, dt)
        fixed.step(x, z, dt)
        assert y == z
        assert free.state == fixed.state


def test_fixed_and_free_layers_together() -> None:
    free = random_model(1, Shape(inputs=4, hidden=5, outputs=None))
    fixed = random_model(2, Shape(inputs=5, hidden=6, mode=Mode.NO_GATE, dt_fixed=77, outputs=2))
    model = replace(
        fixed,
        input_scale=free.input_scale,
        input_offset=free.input_offset,
        layers=free.layers + fixed.layers,
    )
    x, dt = random_input(3, model, 30)
    dt[::3] = 77
    reference = Reference(model)
    want = reference.run(x, dt)
    engine = pure.load(container.write(model))
    y = array("h", bytes(2 * want.size))
    engine.run(array("h", x.ravel().tolist()), y, array("I", dt.tolist()))
    assert list(y) == want.ravel().tolist()
    assert engine.clamped == reference.clamped == int((dt != 77).sum())
    assert engine.info()["dt_fixed"] == 77


@given(a=st.integers(-(2**31), 2**31 - 1), m=st.integers(0, 2**31 - 1))
@example(a=-(2**31), m=2**31 - 1)
def test_high_word_is_exact(a: int, m: int) -> None:
    assert pure._mulhi(a, m >> 16, m & 65535) == (a * m + 2**31) >> 32


INT32 = st.integers(-(2**31), 2**31 - 1) | st.sampled_from([-(2**31), -(2**30), 2**30, 2**31 - 1])
FRAC = st.integers(1, 2**31 - 1)


@given(n=INT32, s=st.integers(-32768, 32767))
@example(n=-(2**31), s=-32768)
def test_a_product_with_a_value_is_exact(n: int, s: int) -> None:
    data = struct.pack("<i", n)
    assert pure._word(data, 0) == n
    assert pure._times(data, 0, s) == (n * (s << 15) + 2**31) >> 32


@given(t=INT32, gate=st.integers(0, 12), frac=FRAC)
def test_a_share_of_the_elapsed_time_is_exact(t: int, gate: int, frac: int) -> None:
    want = (t * frac + 2 ** (31 - gate)) >> (32 - gate)
    assert pure._elapsed(t, gate, frac >> 16, frac & 65535) == want
    want = (t * frac) >> 31
    f1, f0 = frac >> 8 & 255, frac & 255
    assert pure._share(t >> 8, t & 255, frac >> 16, f1, f0) == want


@given(
    capacity=st.integers(1, 2**30) | st.integers(1, 70000),
    v=st.integers(-32768, 32767),
    n=INT32,
    d=st.integers(0, 2**31 - 1) | st.integers(0, 70000),
)
@example(capacity=1, v=-32768, n=2**31 - 1, d=0)
@example(capacity=2**30, v=-32768, n=-(2**31), d=2**31 - 1)
def test_a_potential_is_exact(capacity: int, v: int, n: int, d: int) -> None:
    """SPEC 3.8 from n' on; also a value that fills 32 bits exactly."""
    top, bottom = capacity * v + (n << 15), capacity + d
    shift = max(0, bottom.bit_length() - 16)
    top, bottom = top >> shift, bottom >> shift
    want = (top + (bottom >> 1)) // bottom
    if top >= 32767 * bottom:
        want = 32767
    if top <= -32768 * bottom:
        want = -32768
    assert pure._potential(struct.pack("<i", capacity), 0, v, n, d) == want


def test_lookup_is_exact_at_every_pre_activation() -> None:
    rng = np.random.default_rng(1)
    entries = rng.integers(-32768, 32768, (512, 2)).astype("<i2")
    table = entries.tobytes()
    slope, offset = entries.astype(np.int64).T
    u = np.unique(np.r_[rng.integers(-(2**21), 2**21, 20000), -(2**21), 2**21 - 1])
    k = (u >> 13) + 256
    want = ((u * slope[k]) >> 16) + offset[k]
    assert [pure._lookup(table, 0, int(v), 0) for v in u] == want.tolist()
    for shift in range(1, 9):
        for m in (-(2**30), 2**30, -(2**21 >> shift), (2**21 >> shift) - 1, 2**21 >> shift, -1):
            clamped = min(max(m << shift, -(2**21)), 2**21 - 1)
            assert pure._lookup(table, 0, m, shift) == pure._lookup(table, 0, clamped, 0)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 1000])
def test_own_crc32(size: int) -> None:
    data = np.random.default_rng(size).bytes(size + 16)
    assert pure._crc32(data, 16, len(data)) == zlib.crc32(data[16:])


def test_loads_without_a_crc32_in_the_firmware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pure, "crc32", None)
    data = rich_file()
    assert pure.load(data).self_test() == 4
    with pytest.raises(ValueError, match="CRC32 does not match"):
        pure.load(data[:-1] + bytes([data[-1] ^ 1]))


def test_every_check_of_the_specification() -> None:
    data = rich_file()
    numbers = set()
    for name, broken, text in loader_cases(data):
        numbers.add(name[:2])
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            pure.load(broken)
        assert str(caught.value) == text, name
    assert numbers == {f"{k:02}" for k in range(1, 72)}
    for name, good in good_cases(data):
        engine = pure.load(good)
        y = array("h", bytes(4))
        engine.step(array("h", [-30000, 20000, 32767]), y, 100)
        assert len(y) == 2, name


def mutate(data: bytes, seed: int) -> bytes:
    """Random damage, mostly with a right CRC32 so that it gets past that check."""
    rng = np.random.default_rng(seed)
    out = bytearray(data)
    # Mostly where the structure is: header, section table, layer heads
    for _ in range(rng.integers(1, 4)):
        structure = rng.random() < 0.7
        start = int(rng.choice([0, 0, *File.read(data).offsets])) if structure else 0
        span = 96 if structure else len(out)
        at = min(start + int(rng.integers(0, span)), len(out) - 1)
        kind = rng.integers(0, 3)
        if kind == 0:
            out[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            out[at] = int(rng.choice([0, 1, 2, 127, 128, 255]))
        else:
            word = struct.pack("<I", int(rng.choice([0, 16, 2**16, 2**31, 2**32 - 16])))
            out[at : at + 4] = word[: len(out) - at]
    if rng.random() < 0.1:
        del out[int(rng.integers(0, len(out))) :]
    return with_crc(bytes(out)) if len(out) >= 16 and rng.random() < 0.95 else bytes(out)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=600)
def test_damaged_files_raise_value_error_only(seed: int) -> None:
    data = rich_file()
    broken = mutate(with_fixed_dt(data) if seed % 4 == 0 else data, seed)
    try:
        container.read(broken, as_engine=True)
        want = ""
    except ValueError as error:
        want = str(error)
    try:
        engine = pure.load(broken)
        got = ""
    except ValueError as error:
        got = str(error)
    assert got == want
    if not got:
        info = engine.info()
        y = array("h", bytes(2 * info["output_size"]))
        engine.step(array("h", [30000] * info["input_size"]), y, 2**31)


@given(
    layer=st.integers(0, 5),
    wide=st.booleans(),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255), st.booleans()),
        min_size=1,
        max_size=3,
    ),
    cut=st.just(0) | st.integers(0, 40),
)
@settings(max_examples=600)
def test_damaged_layers_are_judged_as_by_the_host(
    layer: int, wide: bool, changes: list[tuple[float, int, bool]], cut: int
) -> None:
    """Bytes of a layer changed, many of them near its start."""
    f = File.read(CELLS_FILES[wide])
    k = f.find(LAYER, layer)
    out = bytearray(f.sections[k].data)
    for place, value, anywhere in changes:
        out[int(place * (len(out) if anywhere else min(len(out), 120)))] = value
    del out[len(out) - cut :]
    broken = f.swap(k, replace(f.sections[k], data=bytes(out))).write()
    texts = []
    for load in (container.read, pure.load):
        try:
            load(broken)
            texts.append("")
        except ValueError as error:
            texts.append(str(error))
    assert texts[0] == texts[1]


@given(data=st.binary(max_size=300), head=st.booleans())
def test_random_bytes_raise_value_error(data: bytes, head: bool) -> None:
    if head:
        data = with_crc((b"ULNN\1\0\0\0" + bytes(8) + data).ljust(64, b"\0"))
    with pytest.raises(ValueError):  # noqa: PT011
        pure.load(data)


def test_interface() -> None:
    data = rich_file()
    engine_api.check(pure, data)
    shape = Shape(hidden=6, dt_fixed=500)
    engine_api.check(pure, with_golden(random_model(1, shape), steps=8))
    engine_api.check(pure, CELLS_FILES[0])
    assert pure.ENGINE == "pure"
    assert pure.load(data).info()["kernel"] == "python"
    f = File.read(data)
    k = f.find(GOLDEN)
    s = f.sections[k]
    y = 8 + 4 * (4 + 2 * 3)
    engine_api.check_self_test(
        pure,
        data,
        [
            (f.swap(k, s.patched(y, "h", 12345)).write(), "self test: step 0 differs"),
            (f.swap(k, s.patched(y + 14, "h", 12345)).write(), "self test: step 3 differs"),
            (f.swap(k, s.patched(y + 16, "h", 12345)).write(), "self test: state differs"),
            (f.swap(k, s.patched(y + 24, "h", 12345)).write(), "self test: state differs"),
        ],
    )
    assert pure.load(f.swap(k).write()).self_test() == 0


def test_takes_numpy_arrays() -> None:
    data = rich_file()
    engine, other = pure.load(np.frombuffer(data, np.uint8)), pure.load(data)
    y = np.zeros((1, 2), np.int16)
    z = array("h", bytes(4))
    engine.step(np.array([[1, -2, 300]], np.int16), y, np.int64(7))
    other.step(array("h", [1, -2, 300]), z, 7)
    assert y.tolist() == [list(z)]
    y.flags.writeable = False
    with pytest.raises(TypeError):
        engine.step(np.zeros(3, np.int16), y, 1)


def test_the_same_array_may_grow_between_steps() -> None:
    engine = pure.load(rich_file())
    x, y = array("h", [1, 2, 3]), array("h", [0, 0])
    engine.step(x, y, 1)
    x.append(4)
    with pytest.raises(ValueError, match="x: expected 3 values, got 4"):
        engine.step(x, y, 1)
