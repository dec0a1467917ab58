"""Native modules: which one a board takes, and building it into build/natmod/ARCH/ulnn.mpy.

    python -m ulnn_host.toolchain.natmod [--cells cfc] [ARCH ...]

With cells="cfc" a build is smaller and has CfC and dense layers only (SPEC.md section 6); it is
build/natmod/ARCH-cfc/ulnn.mpy. A build is kept until its inputs change: the sources, the
MicroPython tree's tools, the compiler.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from ..base.errors import UlnnError
from ..base.paths import project_root
from .micropython_source import find_micropython, mpy_abi

MPY_VERSION = (6, 3)

# Index in the arch field of a .mpy header and of sys.implementation._mpy (py/persistentcode.h).
ARCHES: dict[int, str] = {
    1: "x86",
    2: "x64",
    3: "armv6",
    4: "armv6m",
    5: "armv7m",
    6: "armv7em",
    7: "armv7emsp",
    8: "armv7emdp",
    9: "xtensa",
    10: "xtensawin",
    11: "rv32imc",
    12: "rv64imc",
}
THUMB = ("armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp")


@dataclass(frozen=True)
class Toolchain:
    """The compiler of an architecture, and what brings it on Debian."""

    compiler: str
    package: str


_ARM = Toolchain("arm-none-eabi-gcc", "gcc-arm-none-eabi")
TOOLCHAINS: dict[str, Toolchain] = {
    "x64": Toolchain("gcc", "gcc"),
    "armv6m": _ARM,
    "armv7m": _ARM,
    "armv7emsp": _ARM,
    "armv7emdp": _ARM,
    "rv32imc": Toolchain(
        "riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf"
    ),
    "xtensa": Toolchain("xtensa-lx106-elf-gcc", "gcc-xtensa-lx106"),
    "xtensawin": Toolchain("xtensa-esp32-elf-gcc", ""),
}
BUILDABLE = tuple(TOOLCHAINS)
CELLS = ("", "cfc")


def arch_name(mpy: int) -> str | None:
    """The native architecture in `sys.implementation._mpy`; None when it takes no native code."""
    return ARCHES.get(mpy >> 10 & 0x0F)


def mpy_version(mpy: int) -> tuple[int, int]:
    """The .mpy version in `sys.implementation._mpy`, such as (6, 3)."""
    return mpy & 0xFF, mpy >> 8 & 3


def accepted(arch: str) -> tuple[str, ...]:
    """The architectures, best first, whose natmods a board of `arch` loads and we can build.

    Thumb boards load every Thumb architecture up to their own. Soft- and hard-float ones can be
    mixed only because ulnn passes no floats.
    """
    if arch in THUMB:
        loaded = THUMB[: THUMB.index(arch) + 1][::-1]
        return tuple(name for name in loaded if name in TOOLCHAINS)
    return (arch,) if arch in TOOLCHAINS else ()


def choose(mpy: int | None) -> str | None:
    """The best architecture for `sys.implementation._mpy` of a board, or None."""
    if not mpy or mpy_version(mpy) != MPY_VERSION:
        return None
    arch = arch_name(mpy)
    return next(iter(accepted(arch)), None) if arch else None


def has_compiler(arch: str) -> bool:
    """Whether this machine has the compiler for `arch`."""
    return arch in TOOLCHAINS and shutil.which(TOOLCHAINS[arch].compiler) is not None


def build(arch: str, cells: str = "") -> Path:
    """Path of `ulnn.mpy` for an architecture of BUILDABLE, built when its inputs changed.

    cells: "cfc" or "", all of them. Raises UlnnError for another one, an unknown architecture, a
    missing compiler or a failed build.
    """
    if cells not in CELLS:
        raise UlnnError(f"cells {cells!r}: expected cfc, or nothing for all of them")
    if arch not in TOOLCHAINS:
        raise UlnnError(f"native architecture {arch!r}: expected one of {', '.join(BUILDABLE)}")
    tree = find_micropython()
    if mpy_abi(tree) != ".".join(map(str, MPY_VERSION)):
        raise UlnnError(
            f"{tree} makes .mpy {mpy_abi(tree)}, expected 6.3: set MPY_DIR to MicroPython 1.25 "
            "or newer of that .mpy version"
        )
    folder = _folder(arch, cells)
    folder.mkdir(parents=True, exist_ok=True)
    target, key_file = folder / "ulnn.mpy", folder / "inputs.sha256"
    with FileLock(folder / ".lock"):
        key = _inputs(arch, tree) + cells
        if target.is_file() and key_file.is_file() and key_file.read_text() == key:
            return target
        key_file.unlink(missing_ok=True)
        _make(arch, tree, folder, cells)
        key_file.write_text(key)
    return target


def text_size(arch: str, cells: str = "") -> int:
    """Bytes of code and constants in the last build for `arch`, as MicroPython's linker says."""
    log = _folder(arch, cells) / "build.log"
    found = re.search(r"text size:\s+(\d+)", log.read_text()) if log.is_file() else None
    if found is None:
        raise UlnnError(f"no build log for {arch}: build it first")
    return int(found.group(1))


def _folder(arch: str, cells: str) -> Path:
    return project_root() / "build" / "natmod" / (f"{arch}-{cells}" if cells else arch)


def _make(arch: str, tree: Path, folder: Path, cells: str) -> None:
    shutil.rmtree(folder / "build", ignore_errors=True)
    command = [
        "make",
        "-f",
        str(project_root() / "native_module" / "natmod" / "Makefile"),
        f"ARCH={arch}",
        f"MPY_DIR={tree}",
        f"PYTHON={sys.executable}",
        f"CELLS={cells}",
    ]
    try:
        done = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError as error:
        raise UlnnError(f"make cannot be run ({error.strerror}): apt-get install make") from error
    (folder / "build.log").write_text(done.stdout)
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if re.search(r"rror[: ]", line)]
        raise UlnnError(
            f"building the native module for {arch} failed: {(lines or ['no message'])[0]} "
            f"(all of it: {folder / 'build.log'})"
        )


def _inputs(arch: str, tree: Path) -> str:
    """A hash over everything a build depends on."""
    tools = TOOLCHAINS[arch]
    if shutil.which(tools.compiler) is None:
        install = f"apt-get install {tools.package}" if tools.package else "install it"
        raise UlnnError(f"no {tools.compiler} here, which natmods for {arch} need: {install}")
    version = subprocess.run([tools.compiler, "--version"], capture_output=True, check=True)
    native = project_root() / "native_module"
    files = [
        path
        for part in ("core", "kernels", "natmod", "bindings")
        for path in sorted((native / part).iterdir())
        if path.suffix in {".c", ".h", ".S"} or path.name == "Makefile"
    ]
    files.append(native / "sources.txt")
    files += [tree / "tools" / "mpy_ld.py", tree / "tools" / "mpy-tool.py"]
    files += sorted((tree / "py").glob("*.[hm]*"))
    digest = hashlib.sha256(version.stdout)
    digest.update(f"{arch} {tree} {sys.executable}".encode())
    for path in files:
        data = path.read_bytes()
        digest.update(f"{path.name} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def main() -> None:
    """Builds the named architectures and prints their sizes.

    Without names: all that have a compiler here, but for Xtensa, whose compilers on Debian come
    without the C headers.
    """
    parser = argparse.ArgumentParser(prog="python -m ulnn_host.toolchain.natmod")
    parser.add_argument(
        "--cells", choices=CELLS, default="", help="cfc: CfC and dense layers only"
    )
    parser.add_argument("arch", nargs="*", help=f"of {', '.join(BUILDABLE)}")
    arguments = parser.parse_args()
    usual = [name for name in BUILDABLE if has_compiler(name) and "xtensa" not in name]
    try:
        for arch in arguments.arch or usual:
            path = build(arch, arguments.cells)
            text = text_size(arch, arguments.cells)
            print(f"{arch:10} {path.stat().st_size:6} bytes, text {text:6}  {path}")
    except UlnnError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
