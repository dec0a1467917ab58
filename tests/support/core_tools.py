"""What the tests of the C core share: the programs of native_module/fuzz, and good files."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import numpy as np
from filelock import FileLock

from support.paths import NATIVE, ROOT
from support.random_models import STACKS, Shape, random_stack, with_golden
from support.vectors import Trace
from ulnn_host.engines.batch import Batch, Outputs
from ulnn_host.format import container
from ulnn_host.format.model import Activation, Int, Kind, Mode

NO_LONG_MULTIPLY = "-DULNN_NO_LONG_MULTIPLY=1 -DULNN_NO_DIVIDE=1"
CELLS_CFC = "-DULNN_CELLS_CFC=1"

SEED_SHAPES = [
    Shape(inputs=3, hidden=5, backbone=((6, Activation.TABLE),)),
    Shape(inputs=1, hidden=3, backbone=(), weight_bits=16, mode=Mode.NO_GATE, outputs=None),
    Shape(
        inputs=2,
        hidden=4,
        backbone=((5, Activation.GATED), (7, Activation.RELU), (3, Activation.TABLE)),
        weight_bits=16,
        shift=3,
    ),
    Shape(inputs=2, hidden=4, backbone=((5, Activation.GATED),), layers=3, extreme=True, shift=8),
    Shape(hidden=3, dt_fixed=100),
]

CFC_SHAPES = [
    Shape(inputs=6, hidden=32, backbone=(), gate_shift=3),
    Shape(hidden=7, backbone=((9, Activation.GATED), (5, Activation.RELU)), weight_bits=16),
    Shape(hidden=6, backbone=((5, Activation.TABLE),) * 3, mode=Mode.NO_GATE, shift=4, layers=2),
    Shape(hidden=6, backbone=((5, Activation.GATED),), outputs=None, extreme=True, gate_shift=12),
    Shape(hidden=7, backbone=((9, Activation.TABLE),), dt_fixed=1000, layers=2),
    Shape(hidden=6, backbone=(), mode=Mode.NO_GATE, weight_bits=16, dt_fixed=50, shift=1),
]

# What version 1.1 of the format added: every cell, sparse streams, linear heads.
CELL_SHAPES = [
    Shape(backbone=((6, Activation.TABLE),), hidden=5, mode=Mode.PURE, gate_shift=4, density=0.6),
    Shape(
        kind=Kind.MIXED,
        hidden=6,
        mode=Mode.PURE,
        gate_shift=12,
        cell_shift=2,
        extreme=True,
        weight_bits=16,
    ),
    Shape(kind=Kind.MIXED, hidden=3, backbone=(), density=0.4, cell_shift=8, dt_max=2**31 - 1),
    Shape(kind=Kind.MIXED, hidden=5, dt_fixed=500, mode=Mode.NO_GATE, layers=2),
    Shape(kind=Kind.LSTM, inputs=2, hidden=7, dt_input=True, cell_shift=3, weight_bits=16),
    Shape(kind=Kind.LSTM, hidden=5, outputs=None, density=0.5, extreme=True, layers=2),
    Shape(kind=Kind.GRU, inputs=4, hidden=6, dt_input=True, state_shift=3),
    Shape(kind=Kind.GRU, hidden=3, outputs=None, density=0.5, extreme=True, weight_bits=16),
    Shape(kind=Kind.LTC, hidden=7, motor=3, unfolds=6, density=0.5),
    Shape(kind=Kind.LTC, inputs=2, hidden=5, unfolds=3, extreme=True, dt_max=3, layers=2),
    Shape(kind=Kind.LTC, hidden=4, unfolds=1, density=0.1, outputs=None, dt_max=2**31 - 1),
    Shape(hidden=9, backbone=(), linear=True, density=0.3, gate_shift=2, extreme=True),
    Shape(hidden=6, mode=Mode.NO_GATE, linear=True, shift=2, weight_bits=16, density=0.7),
    Shape(hidden=5, backbone=((9, Activation.GATED), (5, Activation.RELU)), density=0.4),
]


@functools.cache
def programs(defines: str = "") -> Path:
    """Folder with core_cli and mutate, with AddressSanitizer and UBSan. Skips nothing: gcc and
    its sanitizers come with build-essential."""
    name = {"": "fuzz", NO_LONG_MULTIPLY: "fuzz-short", CELLS_CFC: "fuzz-cfc"}[defines]
    out = ROOT / "build" / name
    out.mkdir(parents=True, exist_ok=True)
    with FileLock(out / ".lock"):
        done = subprocess.run(
            ["make", "-s", "-C", str(NATIVE / "fuzz"), f"OUT={out}", f"DEFINES={defines}"],
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def core_cli(*arguments: str | Path, defines: str = "", program: Path | None = None) -> str:
    """Runs core_cli, or `program`, another build of it; its standard output. A sanitizer's report
    is an assertion error."""
    program = program or programs(defines) / "core_cli"
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == "", done.stderr
    return done.stdout


def core_trace(
    data: bytes, x: Int, dt: Int, folder: Path, defines: str = "", program: Path | None = None
) -> Trace:
    """The sanitized core, or `program`, over one sequence: what there is after every step."""
    model = container.read(data)
    (folder / "m.ulnn").write_bytes(data)
    (folder / "x").write_bytes(x.astype("<i2").tobytes())
    (folder / "dt").write_bytes(dt.astype("<u4").tobytes())
    names = [folder / name for name in ("m.ulnn", "x", "dt", "y", "state", "clamped")]
    core_cli("run", *names, defines=defines, program=program)
    y, state = (np.frombuffer((folder / name).read_bytes(), "<i2") for name in ("y", "state"))
    clamped = np.frombuffer((folder / "clamped").read_bytes(), "<u4")
    return Trace(y.reshape(len(dt), -1), state.reshape(len(dt), model.state_size), clamped)


def core_run(data: bytes, batch: Batch, folder: Path, defines: str) -> Outputs:
    """The sanitized core over a batch of sequences of equal length."""
    traces = [
        core_trace(data, x, dt, folder, defines) for x, dt in zip(batch.x, batch.dt, strict=True)
    ]
    return Outputs(np.stack([t.y for t in traces]), np.stack([t.state[-1] for t in traces]))


def seed_files(folder: Path) -> list[Path]:
    """Small good files that together use everything."""
    paths = []
    shapes = [[shape] for shape in (*SEED_SHAPES, *CELL_SHAPES)]
    for k, layers in enumerate([*shapes, STACKS["mixed"]]):
        paths.append(folder / f"seed{k}.ulnn")
        paths[-1].write_bytes(with_golden(random_stack(k, layers)))
    return paths
