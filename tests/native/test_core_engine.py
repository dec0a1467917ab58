"""The C core computes what the reference computes, in each of its builds."""

from __future__ import annotations

import gc
import weakref
from array import array
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import ulnn
from support import engine_api
from support.core_tools import CELL_SHAPES, CELLS_CFC, NO_LONG_MULTIPLY, core_cli, core_run
from support.loader_cases import rich_file
from support.random_models import (
    STACKS,
    Shape,
    random_input,
    random_model,
    random_stack,
    shapes,
    stacks,
    with_golden,
)
from support.raw_file import GOLDEN, File
from ulnn_host.engines import registry as engines
from ulnn_host.engines.batch import Batch
from ulnn_host.engines.reference import Reference
from ulnn_host.format import container
from ulnn_host.format.model import Activation as A
from ulnn_host.format.model import Kind, Mode, ModelFile


@given(shape=shapes(), seed=st.integers(0, 2**31))
@settings(max_examples=300)
@example(shape=Shape(inputs=16, hidden=128, backbone=((128, A.TABLE),) * 3), seed=1)
@example(shape=Shape(inputs=1024, hidden=1, backbone=((4096, A.RELU),), outputs=1024), seed=2)
@example(shape=Shape(hidden=1024, backbone=((1, A.TABLE),), outputs=None), seed=3)
@example(shape=Shape(hidden=1024, backbone=(), outputs=None, dt_fixed=9), seed=4)
@example(shape=Shape(hidden=1023, backbone=((1, A.TABLE),) * 2, dt_fixed=9), seed=5)
@example(shape=Shape(kind=Kind.LSTM, inputs=1024, hidden=99, outputs=None), seed=6)
@example(shape=Shape(kind=Kind.GRU, inputs=1024, hidden=98, outputs=None, dt_input=True), seed=7)
@example(shape=Shape(kind=Kind.LTC, inputs=200, hidden=200, motor=200, outputs=None), seed=8)
@example(shape=Shape(kind=Kind.MIXED, inputs=300, hidden=97, mode=Mode.PURE), seed=9)
@example(shape=Shape(kind=Kind.LTC, hidden=50, unfolds=64, density=0.01, dt_max=1), seed=10)
@example(shape=Shape(hidden=1024, backbone=(), density=0.001), seed=11)
def test_the_extension_equals_the_reference(shape: Shape, seed: int) -> None:
    check_extension(random_model(seed, shape), seed)


@given(layers=stacks(), seed=st.integers(0, 2**31))
@settings(max_examples=300)
def test_the_extension_equals_the_reference_in_stacks(layers: list[Shape], seed: int) -> None:
    check_extension(random_stack(seed, layers), seed)


def check_extension(model: ModelFile, seed: int) -> None:
    x, dt = random_input(seed, model, 20)
    reference = Reference(model)
    want = reference.run(x, dt)
    engine = ulnn.load(container.write(model))
    got = np.zeros_like(want)
    engine.run(x, got, dt.astype(np.uint32))
    np.testing.assert_array_equal(got, want)
    assert engine.state == reference.state.astype("<i2").tobytes()
    assert engine.clamped == reference.clamped
    # The same with single steps, from a state in the middle.
    engine.state = np.full(model.state_size, -32768, np.int16)
    reference.state = np.full(model.state_size, -32768)
    y = np.zeros(model.output_size, np.int16)
    for k in range(5):
        engine.step(x[k], y, int(dt[k]))
        np.testing.assert_array_equal(y, reference.step(x[k], dt[k]))


BUILDS = [
    Shape(inputs=6, hidden=32, backbone=(), gate_shift=3),
    Shape(hidden=7, backbone=((9, A.GATED), (5, A.RELU)), weight_bits=16),
    Shape(hidden=6, backbone=((5, A.TABLE),) * 3, mode=Mode.NO_GATE, shift=4, layers=2),
    Shape(hidden=6, backbone=((5, A.GATED),), outputs=None, extreme=True, gate_shift=12),
    Shape(inputs=16, hidden=5, weight_bits=16, extreme=True, dt_max=2**31 - 1, shift=8),
    Shape(inputs=3, hidden=6, extreme=True, mode=Mode.NO_GATE, gate_shift=1, dt_max=3),
    Shape(inputs=1, hidden=3, backbone=(), outputs=None, dt_fixed=5),
    Shape(hidden=5, backbone=((9, A.GATED),), weight_bits=16, dt_fixed=7, shift=2, layers=2),
    Shape(hidden=6, backbone=((5, A.TABLE),) * 2, mode=Mode.NO_GATE, dt_fixed=1, extreme=True),
]


def builds() -> list[tuple[Shape, str]]:
    """Shapes and defines: processors without long multiply and division, and fewer cells, too."""
    every = [(shape, d) for shape in BUILDS for d in ("", NO_LONG_MULTIPLY, CELLS_CFC)]
    return every + [(shape, d) for shape in CELL_SHAPES for d in ("", NO_LONG_MULTIPLY)]


@pytest.mark.parametrize(("shape", "defines"), builds(), ids=str)
def test_sanitized_builds_equal_the_reference(shape: Shape, defines: str, tmp_path: Path) -> None:
    for seed in range(3):
        check_build(random_model(seed, shape), seed, defines, tmp_path)


@pytest.mark.parametrize("defines", ["", NO_LONG_MULTIPLY])
@pytest.mark.parametrize("name", STACKS)
def test_sanitized_builds_equal_the_reference_in_stacks(
    name: str, defines: str, tmp_path: Path
) -> None:
    check_build(random_stack(1, STACKS[name]), 1, defines, tmp_path)


def check_build(model: ModelFile, seed: int, defines: str, folder: Path) -> None:
    x, dt = random_input(seed, model, 100)
    batch = Batch(x[None], dt[None], np.array([100]))
    data = container.write(model)
    want = engines.run(data, batch, "reference")
    got = core_run(data, batch, folder, defines)
    np.testing.assert_array_equal(got.y, want.y)
    np.testing.assert_array_equal(got.state, want.state)


@pytest.mark.parametrize(
    ("fixed", "late"), [((0, 7), 4), ((7, 0), 4), ((7, 7), 4), ((7, 8), 5), ((0, 0), 1)]
)
def test_steps_with_another_dt_are_counted_once(fixed: tuple[int, int], late: int) -> None:
    """Layers that want different dts are never both content."""
    layers = tuple(
        random_model(seed, Shape(inputs=3, hidden=3, outputs=None, dt_fixed=dt, dt_max=9)).layers[
            0
        ]
        for seed, dt in enumerate(fixed)
    )
    model = replace(
        random_model(0, Shape(inputs=3, hidden=3, outputs=None, dt_max=9)), layers=layers
    )
    engine, reference = ulnn.load(container.write(model)), Reference(model)
    x, dt = np.zeros((5, 3), np.int16), np.array([7, 9, 10, 1, 8])
    engine.run(x, np.zeros((5, 3), np.int16), dt.astype(np.uint32))
    reference.run(x, dt)
    assert engine.clamped == reference.clamped == late
    assert engine.info()["dt_fixed"] == model.dt_fixed == (fixed[0] or fixed[1])


def test_self_test_of_the_core(tmp_path: Path) -> None:
    path = tmp_path / "m.ulnn"
    data = rich_file()
    path.write_bytes(data)
    assert core_cli("test", path) == "4\n"
    f = File.read(data)
    k = f.find(GOLDEN)
    broken = f.sections[k].patched(len(f.sections[k].data) - 2, "h", 12345)
    path.write_bytes(f.swap(k, broken).write())
    assert core_cli("test", path) == "self test: state differs\n"


def test_interface() -> None:
    data = rich_file()
    engine_api.check(ulnn, data)
    assert ulnn.ENGINE == "native"
    f = File.read(data)
    k = f.find(GOLDEN)
    s = f.sections[k]
    y = 8 + 4 * (4 + 2 * 3)
    engine_api.check_self_test(
        ulnn,
        data,
        [
            (f.swap(k, s.patched(y, "h", 12345)).write(), "self test: step 0 differs"),
            (f.swap(k, s.patched(y + 14, "h", 12345)).write(), "self test: step 3 differs"),
            (f.swap(k, s.patched(y + 16, "h", 12345)).write(), "self test: state differs"),
        ],
    )
    assert ulnn.load(f.swap(k).write()).self_test() == 0


def test_load_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "m.ulnn"
    path.write_bytes(rich_file())
    model = ulnn.load(str(path))
    path.write_bytes(b"")
    assert model.self_test() == 4
    assert model.info()["in_place"] is False
    assert model.info()["ram"] > len(rich_file())
    with pytest.raises(FileNotFoundError):
        ulnn.load(str(tmp_path / "none"))
    with pytest.raises(TypeError):
        ulnn.load(path)  # SPEC.md section 5: a str


def test_model_cannot_be_made_by_hand() -> None:
    with pytest.raises(TypeError):
        ulnn.Model()


def test_the_buffer_is_held_as_long_as_the_model() -> None:
    buffer = np.frombuffer(rich_file(), np.uint8).copy()
    gone = weakref.ref(buffer)
    model = ulnn.load(buffer)
    del buffer
    gc.collect()
    assert gone() is not None
    assert model.self_test() == 4
    del model
    gc.collect()
    assert gone() is None
    grows = bytearray(rich_file())
    model = ulnn.load(grows)
    with pytest.raises(BufferError):
        grows.append(0)
    del model
    grows.append(0)


def test_changing_the_buffer_changes_numbers_only() -> None:
    data = bytearray(rich_file())
    model = ulnn.load(data)
    data[:] = b"\xff" * len(data)
    y = array("h", [0, 0])
    for k in range(50):
        model.step(array("h", [k, -k, 32767]), y, k + 1)
    with pytest.raises(ValueError, match="self test: step 0 differs"):
        model.self_test()
    assert model.info()["state_size"] == 5


def test_x_and_y_may_be_one_buffer() -> None:
    model = random_model(3, Shape(inputs=4, hidden=6, outputs=4))
    one, two = ulnn.load(container.write(model)), ulnn.load(container.write(model))
    both, x, y = np.arange(4, dtype=np.int16), np.arange(4, dtype=np.int16), np.zeros(4, np.int16)
    one.step(both, both, 5)
    two.step(x, y, 5)
    np.testing.assert_array_equal(both, y)


def test_buffers_of_numpy() -> None:
    model = ulnn.load(rich_file())
    x, y = np.zeros(3, np.int16), np.zeros(2, np.int16)
    model.step(x, y, np.int64(3))
    model.run(np.zeros((4, 3), np.int16), np.zeros((4, 2), np.int16), np.ones(4, np.int32))
    for bad in (x.astype(">i2"), x.astype(np.uint16)):
        with pytest.raises(ValueError, match=r"x: expected int16 values \(array 'h'\)"):
            model.step(bad, y, 1)
    with pytest.raises(TypeError):
        model.step(np.zeros(6, np.int16)[::2], y, 1)  # not contiguous
    y.flags.writeable = False
    with pytest.raises(TypeError):
        model.step(x, y, 1)
    for dts in (np.ones(1, np.int64), np.ones(1, np.float32)):
        with pytest.raises(ValueError, match="dts: expected 32-bit values"):
            model.run(x, np.zeros(2, np.int16), dts)


def test_deleting_attributes_is_refused() -> None:
    model = ulnn.load(rich_file())
    with pytest.raises(AttributeError):
        del model.state
    with pytest.raises(AttributeError):
        model.clamped = 3


def test_info_of_a_model() -> None:
    model = random_model(7, Shape(inputs=3, hidden=5, backbone=((6, A.TABLE),), weight_bits=16))
    data = with_golden(model)
    info = ulnn.load(data).info()
    assert info["kernel"] == "portable"
    assert info["macs"] == model.macs == 6 * 8 + 20 * 6 + 2 * 5
    assert info["weight_bits"] == 16
    assert info["layers"] == 2
    assert info["golden_steps"] == 6
    assert info["dialect"] == "ulnn"
    assert info["sha256"] == container.read(data).sha256
