"""The container keeps every field, and the reference runs what it reads."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.random_models import Shape, random_input, random_model, random_stack, shapes
from ulnn_host.engines.reference import Reference
from ulnn_host.format import container, layout, tables
from ulnn_host.format.model import Activation, Golden, Kind, Mode, ModelFile

A = Activation
SHAPES = [
    Shape(),
    Shape(inputs=1, hidden=4, backbone=(), outputs=None, mode=Mode.NO_GATE),
    Shape(inputs=5, hidden=7, backbone=((6, A.RELU), (9, A.GATED)), weight_bits=16, shift=3),
    Shape(
        inputs=16, hidden=13, backbone=((3, A.GATED),) * 3, layers=2, gate_shift=5, extreme=True
    ),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_written_model_reads_back_equal(shape: Shape) -> None:
    model = random_model(1, shape)
    x, dt = random_input(2, model, 5)
    engine = Reference(model)
    y = engine.run(x, dt)
    model = dataclasses.replace(model, golden=Golden(dt, x, y, engine.state))
    data = container.write(model)
    back = container.read(data)
    assert container.write(dataclasses.replace(back, sha256="", file_size=0)) == data
    assert back.meta == model.meta
    assert np.array_equal(Reference(back).run(x, dt), y)
    assert back.golden is not None
    assert np.array_equal(back.golden.y, y)
    container.check_sha256(data)


def test_section_sizes_cover_the_file_but_the_padding() -> None:
    data = container.write(random_model(1, Shape()))
    total = sum(container.section_sizes(data).values())
    assert len(data) - 16 * len(container.section_sizes(data)) <= total <= len(data)


def sizes_are_those_of_the_file(model: ModelFile) -> None:
    data = container.write(model)
    assert layout.model_size(model) == len(data)
    computed = {section.name: section.size for section in layout.sections(model)}
    assert container.section_sizes(data) == {"header": layout.body_start(len(computed))} | computed


@settings(deadline=None)
@given(shape=shapes(), steps=st.integers(0, 5), meta=st.dictionaries(st.text(), st.text()))
def test_the_size_is_known_before_the_file_is_written(
    shape: Shape, steps: int, meta: dict[str, str]
) -> None:
    model = dataclasses.replace(random_model(1, shape), meta=meta)
    if steps:
        values = (np.zeros((steps, n), np.int16) for n in (model.input_size, model.output_size))
        golden = Golden(np.ones(steps, np.int64), *values, np.zeros(model.state_size, np.int16))
        model = dataclasses.replace(model, golden=golden)
    sizes_are_those_of_the_file(model)


@pytest.mark.parametrize("density", [0.0, 0.4])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_size_of_every_kind_of_layer_is_known(bits: int, density: float) -> None:
    shape = Shape(inputs=7, hidden=7, motor=7, outputs=None, weight_bits=bits, density=density)
    every = [dataclasses.replace(shape, kind=kind) for kind in Kind if kind is not Kind.DENSE]
    every.append(dataclasses.replace(shape, mode=Mode.PURE))
    every.append(dataclasses.replace(shape, dt_fixed=9, mode=Mode.NO_GATE, outputs=3))
    sizes_are_those_of_the_file(random_stack(1, every))


def test_tables_are_the_ones_on_record() -> None:
    record = json.loads((Path(__file__).parent / "tables.json").read_text())
    assert tables.digests() == record


def test_tanh_table_is_within_two_and_a_half_units() -> None:
    from ulnn_host.engines.reference import lookup

    u = np.arange(-(2**21), 2**21)
    error = lookup(tables.tanh_table(), u) - np.tanh(u / 2**18) * 32768
    assert np.abs(error).max() < 2.5


def test_lanes_equal_single_sequences() -> None:
    model = random_model(3, Shape(layers=2))
    inputs = [random_input(seed, model, 20) for seed in range(3)]
    together = Reference(model, lanes=3)
    y = together.run(np.stack([x for x, _ in inputs]), np.stack([dt for _, dt in inputs]))
    for lane, (x, dt) in enumerate(inputs):
        alone = Reference(model)
        assert np.array_equal(alone.run(x, dt), y[lane])
        assert np.array_equal(alone.state, together.state[lane])
