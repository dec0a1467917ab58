"""firmware/ulnn_scaling.py: the same integers as the host's, on CPython and MicroPython."""

from __future__ import annotations

import importlib.util
import math
import subprocess
from array import array
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.loader_cases import rich_file
from support.random_models import Shape, random_model
from support.raw_file import INPUT, TIME, File
from ulnn_host.base.paths import project_root
from ulnn_host.engines import registry as engines
from ulnn_host.format import container
from ulnn_host.format.model import ModelFile

FIRMWARE = project_root() / "firmware"


def load_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ulnn_scaling", FIRMWARE / "ulnn_scaling.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


scaling = load_module()


def scaled_model() -> ModelFile:
    rng = np.random.default_rng(4)
    model = random_model(1, Shape(inputs=3, outputs=2))
    return replace(
        model,
        input_scale=rng.uniform(1e-4, 1e-2, 3).astype(np.float32),
        input_offset=rng.uniform(-1, 1, 3).astype(np.float32),
        output_scale=np.array([1 / 32768, -0.25], np.float32),
        output_offset=np.array([0, 100], np.float32),
        tick_ns=2000,
    )


def test_equals_the_host() -> None:
    model = scaled_model()
    s = scaling.Scaling(container.write(model))
    assert (s.input_size, s.output_size, s.tick_ns) == (3, 2, 2000)
    x = array("h", bytes(6))
    for values in np.random.default_rng(1).normal(0, 30, (500, 3)):
        s.quantise(values.tolist(), x)
        assert list(x) == model.quantise_input(values).tolist()
    out = array("f", bytes(8))
    for y in ([0, 0], [32767, -32768], [-32768, 1]):
        s.dequantise(array("h", y), out)
        assert list(out) == model.dequantise_output(y).tolist()


def test_rounds_half_to_even_and_saturates() -> None:
    model = replace(
        scaled_model(),
        input_scale=np.array([1, 1, 0], np.float32),
        input_offset=np.array([0, 0, 3], np.float32),
    )
    s = scaling.Scaling(container.write(model))
    x = array("h", bytes(6))
    for value, want in [
        (0.5, 0),
        (1.5, 2),
        (-0.5, 0),
        (-2.5, -2),
        (32766.5, 32766),
        (32767.5, 32767),
        (-32768.5, -32768),
        (float("inf"), 32767),
        (float("-inf"), -32768),
        (1e30, 32767),
    ]:
        s.quantise((value, 7, 8), x)
        assert list(x) == [want, 7, 0], value
    with pytest.raises(ValueError, match="value 1 is not a number"):
        s.quantise((0, float("nan"), 0), x)
    with pytest.raises(ValueError, match="expected 3 values, got 2 and 3"):
        s.quantise((0, 1), x)
    with pytest.raises(ValueError, match="expected 2 values, got 2 and 1"):
        s.dequantise(array("h", [0, 0]), [0.0])


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=9))
def test_classes(values: list[int]) -> None:
    y = array("h", values)
    assert scaling.argmax(y) == int(np.argmax(values))
    if len(y) == 1:
        return
    ordered = sorted(values)
    assert scaling.margin(y) == ordered[-1] - ordered[-2]
    # What margin() says about probabilities, for logits of a small scale
    scale = 1e-4
    logits = np.array(values) * scale
    softmax = np.exp(logits - logits.max())
    softmax /= softmax.sum()
    rest = math.exp(-scaling.margin(y) * scale)
    assert softmax.max() <= 1 / (1 + rest) + 1e-12
    assert softmax.max() >= 1 / (1 + (len(y) - 1) * rest) - 1e-12


def test_margin_of_the_extremes() -> None:
    assert scaling.margin(array("h", [-32768, 32767])) == 65535
    assert scaling.margin([5, 5, 5]) == 0
    with pytest.raises(IndexError):
        scaling.margin([5])


@pytest.mark.parametrize(
    ("scale", "offset", "want"),
    [
        ([0.5, 0.5], [0, 0], 0.5),
        ([0.5, 0.5], [3, 3], 0.5),
        ([0.5, 0.25], [0, 0], 0),
        ([0.5, 0.5], [0, 1], 0),
        ([-0.5, -0.5], [0, 0], 0),
    ],
)
def test_whether_outputs_compare(scale: list[float], offset: list[float], want: float) -> None:
    model = replace(
        scaled_model(),
        output_scale=np.array(scale, np.float32),
        output_offset=np.array(offset, np.float32),
    )
    assert scaling.Scaling(container.write(model)).logit_scale == want


def test_damaged_files() -> None:
    data = rich_file()
    f = File.read(data)
    k = f.find(INPUT)
    short = f.swap(k, replace(f.sections[k], data=bytes(8))).write()
    no_time = f.swap(f.find(TIME)).write()
    for broken in (b"", data[:40], b"x" * 100, data[:64], data[:170], short, no_time):
        with pytest.raises(ValueError, match=r"not a ulnn file|the file has no scales"):
            scaling.Scaling(broken)


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from array import array
import micropython
from ulnn_scaling import Scaling, argmax, margin
x = array("h", bytes(6))
for source in ("m.ulnn", open("m.ulnn", "rb").read()):
    s = Scaling(source)
    s.quantise((0.5, -0.25, 100.0), x)
    out = [0.0, 0.0]
    s.dequantise(array("h", (16384, -8)), out)
    print(list(x), out, s.tick_ns)
y = array("h", (-32768, 32767, 5, 32767, 32766))
micropython.heap_lock()
best, far = argmax(y), margin(y)
micropython.heap_unlock()
print(best, far, margin(y[2:4]))
"""


def test_on_micropython(tmp_path: Path) -> None:
    model = scaled_model()
    (tmp_path / "m.ulnn").write_bytes(container.write(model))
    (tmp_path / "run.py").write_text(SCRIPT)
    done = subprocess.run(
        [engines.unix_micropython(), "-X", "heapsize=64k", "run.py", str(FIRMWARE)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    x = model.quantise_input([0.5, -0.25, 100.0]).tolist()
    assert done.stdout == f"{x} [0.5, 102.0] 2000\n" * 2 + "1 0 32762\n"
