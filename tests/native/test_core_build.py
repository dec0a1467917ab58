"""What the C sources promise about themselves: warnings, symbols, data."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from support.core_tools import CELLS_CFC
from support.paths import NATIVE

SOURCES = sorted([*(NATIVE / "core").glob("*.c"), NATIVE / "kernels" / "portable.c"])
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow"]
WARNINGS += ["-Wundef", "-Wpedantic", "-DULNN_KERNEL_PORTABLE=1"]
COMPILERS = {
    "gcc": "gcc",
    "clang": "clang",
    "cortex-m7": "arm-none-eabi-gcc -mcpu=cortex-m7 -mthumb",
    "cortex-m0": "arm-none-eabi-gcc -mcpu=cortex-m0 -mthumb",
    "rv32": "riscv64-unknown-elf-gcc -march=rv32imc -mabi=ilp32 --specs=picolibc.specs",
}
# What the engine may need of its surroundings, and the switch helper of Thumb-1.
ALLOWED = {"memcpy", "memset", "memcmp", "__gnu_thumb1_case_uqi", "__gnu_thumb1_case_sqi"}


def compile_all(compiler: str, flags: list[str], folder: Path) -> list[Path]:
    command = COMPILERS[compiler].split()
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here")
    objects = []
    for source in SOURCES:
        objects.append(folder / f"{source.stem}.o")
        done = subprocess.run(
            [*command, *flags, "-c", source, "-o", objects[-1]], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    return objects


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("flags", ["-Os", "-O2", "-O3", f"-Os {CELLS_CFC}"])
def test_no_warnings_and_no_run_time_library(compiler: str, flags: str, tmp_path: Path) -> None:
    objects = compile_all(compiler, [*WARNINGS, *flags.split()], tmp_path)
    tool = COMPILERS[compiler].split()[0].removesuffix("gcc").removesuffix("clang") + "nm"
    listed = subprocess.run([tool, *objects], capture_output=True, text=True, check=True).stdout
    needed, given = set(), set()
    for line in listed.splitlines():
        fields = line.split()
        if len(fields) < 2:
            continue
        kind, name = fields[-2:]
        if kind == "U":
            needed.add(name)
        else:
            given.add(name)
            assert kind not in "bBdDcC", f"{name}: mutable static data"
    assert needed - given - {"_GLOBAL_OFFSET_TABLE_"} <= ALLOWED


def test_the_contract_header_is_mostly_contract() -> None:
    lines = [line.strip() for line in (NATIVE / "core" / "ulnn.h").read_text().splitlines()]
    lines = [line for line in lines if line]
    share = sum("//" in line or line.startswith("/*") for line in lines) / len(lines)
    assert 0.5 <= share <= 0.75
