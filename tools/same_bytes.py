#!/usr/bin/env python3
"""Compare what two checkouts make: trained weights, models and native modules, byte for byte.

A change that moves code, and means to change no result, is shown to change none:

    git worktree add ../before v0.1.0
    tools/same_bytes.py ../before .

Exit status 0 when everything is equal; otherwise each file that differs is named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CELLS = ("cfc", "wired", "ltc", "lstm", "gru", "mixed")
CONVERSIONS = (
    (),
    ("--bits", "16"),
    ("--fixed-dt", "0.1"),
    ("--max-bytes", "9000"),
    ("--calibration", "search"),
)
ARCHES = ("x64", "armv6m", "armv7m", "armv7emsp", "armv7emdp", "rv32imc")
RECIPE = """
[data]
source = "data.npz"
[model]
cell = "{cell}"
{size}
[training]
epochs = 2
batch = 8
"""
SIZE = "hidden = 12"
WIRING = '[model.wiring]\nkind = "auto_ncp"\nunits = 16\noutputs = 4\n'


def data(path: Path) -> None:
    """Labelled waves, irregularly sampled."""
    rng = np.random.default_rng(0)
    dt = rng.uniform(0.05, 0.15, (24, 40)).astype(np.float32)
    y = np.arange(24) % 3
    phase = np.cumsum(dt, axis=1)[..., None] * (1 + y[:, None, None]) + np.arange(3)
    np.savez(path, x=np.sin(phase).astype(np.float32), dt=dt, y=y)


def run(checkout: Path, folder: Path, *words: str) -> None:
    """One command of a checkout's package."""
    environment = os.environ | {"PYTHONPATH": str(checkout / "host")}
    command = [sys.executable, "-m", "ulnn_host.cli", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"error: {checkout}: ulnn {' '.join(words)}: {done.stderr.strip()}")


def content(path: Path) -> bytes:
    """The bytes of a file, of a checkpoint those of its tensors: it notes times, too."""
    data = path.read_bytes()
    if path.suffix != ".safetensors":
        return data
    end = 8 + int.from_bytes(data[:8], "little")
    tensors = json.loads(data[8:end])
    tensors.pop("__metadata__", None)
    return json.dumps(tensors, sort_keys=True).encode() + data[end:]


def make(checkout: Path, folder: Path, micropython: Path | None) -> dict[str, str]:
    """SHA-256 by the name of what a checkout makes in a folder."""
    data(folder / "data.npz")
    for cell in CELLS:
        size = WIRING if cell in ("wired", "ltc") else SIZE
        (folder / f"{cell}.toml").write_text(RECIPE.format(cell=cell, size=size))
        run(checkout, folder, "train", f"{cell}.toml", "-o", f"net/{cell}.safetensors")
        for number, options in enumerate(CONVERSIONS):
            if cell not in ("cfc", "wired", "mixed") and "--fixed-dt" in options:
                continue  # refused: it gains nothing there
            if cell != "cfc" and number > 2:
                continue  # slow, and the same code for all cells
            target = f"{cell}-{number}.ulnn"
            line = ["convert", f"net/{cell}.safetensors", "--calib", "data.npz", "-o", target]
            run(checkout, folder, *line, *options)
    for arch in ARCHES if micropython else ():
        build = folder / arch
        build.mkdir()
        command = ["make", "-f", str(checkout / "native_module/natmod/Makefile"), f"ARCH={arch}"]
        command += [f"MPY_DIR={micropython}", f"PYTHON={sys.executable}", "CELLS="]
        subprocess.run(command, cwd=build, check=True, capture_output=True)
    files = [*folder.rglob("*.safetensors"), *folder.rglob("*.ulnn"), *folder.rglob("*.mpy")]
    return {
        str(path.relative_to(folder)): hashlib.sha256(content(path)).hexdigest()
        for path in sorted(files)
        if "build" not in path.relative_to(folder).parts
    }


def main() -> None:
    """Makes everything twice and compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--micropython", type=Path, help="a source tree, to build natmods, too")
    options = parser.parse_args()
    micropython = options.micropython.resolve() if options.micropython else None
    found = []
    for checkout in (options.before.resolve(), options.after.resolve()):
        with tempfile.TemporaryDirectory() as folder:
            found.append(make(checkout, Path(folder), micropython))
    before, after = found
    names = sorted(before.keys() | after.keys())
    different = [name for name in names if before.get(name) != after.get(name)]
    for name in different:
        print(f"different: {name}")
    print(f"{len(names) - len(different)} of {len(names)} files are equal")
    raise SystemExit(bool(different))


if __name__ == "__main__":
    main()
