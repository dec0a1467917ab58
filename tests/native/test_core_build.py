"""What the C sources promise about themselves: warnings, symbols, data."""

from __future__ import annotations

import graphlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.core_tools import CELLS_CFC, core_trace
from support.paths import NATIVE, ROOT
from support.vectors import all_vectors

LISTED = [NATIVE / name for name in (NATIVE / "sources.txt").read_text().split()]
SOURCES = [path for path in LISTED if path.suffix == ".c"]
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow"]
WARNINGS += ["-Wundef", "-Wpedantic", "-Wcast-qual", "-Wcast-align", "-Wstrict-prototypes"]
WARNINGS += ["-Wmissing-prototypes", "-DULNN_KERNEL_PORTABLE=1"]
# What clang has beside, without what C99 is made of (declarations after statements, padding).
CLANG = ["-Wcomma", "-Wassign-enum", "-Wextra-semi-stmt", "-Wunreachable-code-aggressive"]
CLANG += ["-Wconditional-uninitialized", "-Wshift-sign-overflow", "-Wtautological-compare"]
CLANG += ["-Wnewline-eof", "-Wdocumentation", "-Wredundant-parens", "-Wunused-macros"]
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
    flags = [*flags, *(CLANG if command[0] == "clang" and "-Werror" in flags else [])]
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


def test_the_list_of_sources_is_whole() -> None:
    folders = [NATIVE / "core", NATIVE / "kernels"]
    every = {path for folder in folders for path in folder.iterdir()}
    assert set(SOURCES) == {path for path in every if path.suffix == ".c"}
    # What other assembly includes is not compiled by itself.
    text = "".join(path.read_text() for path in every)
    alone = {p for p in every if p.suffix == ".S" and f'#include "{p.name}"' not in text}
    assert set(LISTED) - set(SOURCES) == alone


CMAKE = """
cmake_minimum_required(VERSION 3.13)
project(test NONE)
add_library(usermod INTERFACE)
include({native}/micropython.cmake)
get_target_property(sources usermod_ulnn INTERFACE_SOURCES)
file(WRITE sources.txt "${{sources}}")
"""


def test_cmake_takes_the_list(tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("no cmake here")
    (tmp_path / "CMakeLists.txt").write_text(CMAKE.format(native=NATIVE))
    subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "b"], check=True, cwd=tmp_path)
    found = {Path(name) for name in (tmp_path / "sources.txt").read_text().split(";")}
    assert found == {NATIVE / "bindings" / "modulnn.c", *LISTED}


HEADERS = sorted(p for folder in ("core", "kernels") for p in (NATIVE / folder).glob("*.h"))
# Read with several meanings of a macro: no header by itself.
HEADERS.remove(NATIVE / "core" / "ulnn_errors.h")
MACHINES = {"cortex": "cortex-m7", "fast": "cortex-m7", "rv32imc": "rv32"}


@pytest.mark.parametrize("header", HEADERS, ids=lambda path: path.name)
def test_a_header_stands_alone(header: Path) -> None:
    """It includes what it uses, so none needs another before it."""
    command = COMPILERS[MACHINES.get(header.stem.split("_")[0], "gcc")].split()
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here")
    if header.stem == "xtensa":
        command += ["-D__XTENSA__=1"]
    command += ["-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c"]
    done = subprocess.run([*command, header], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("flags", ["", "-DULNN_XTENSA_PIE=1"])
def test_the_code_for_xtensa_is_c(flags: str) -> None:
    """There is no compiler for it here that knows its instructions."""
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *flags.split()]
    command += ["-D__XTENSA__=1", "-DULNN_KERNEL_XTENSA=1"]
    subprocess.run([*command, NATIVE / "kernels" / "portable.c"], check=True)


def test_includes_have_no_circle() -> None:
    files = [p for p in NATIVE.glob("[ck]*/*") if p.suffix in (".c", ".h", ".S")]
    used = {}
    for path in files:
        names = re.findall(r'^#include "(.*)"', path.read_text(), re.MULTILINE)
        used[path] = {(path.parent / name).resolve() for name in names}
        assert used[path] <= set(files), path
    list(graphlib.TopologicalSorter(used).static_order())


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("standard", ["c++11", "c++20"])
def test_the_header_is_cplusplus(compiler: str, standard: str, tmp_path: Path) -> None:
    """A program in C++ finds the functions that C compiled."""
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} here")
    objects = compile_all("gcc", ["-std=c99", "-O1"], tmp_path)
    program = tmp_path / "main.cpp"
    program.write_text(
        '#include "ulnn.h"\n#include "ulnn_bands.h"\n'
        "int main() { return ulnn_memory_size(nullptr, 0) || !*ulnn_dialect_name(1) ||\n"
        "    ulnn_bands_size(nullptr, 0); }\n"
    )
    flags = [f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    flags += ["-Wold-style-cast", f"-I{NATIVE / 'core'}"]
    subprocess.run([compiler, *flags, program, *objects, "-o", tmp_path / "a"], check=True)
    subprocess.run([tmp_path / "a"], check=True)


def test_without_extensions_of_gcc(tmp_path: Path) -> None:
    """Compilers that have none (MSVC, IAR) get other code: it computes the same."""
    objects = compile_all("gcc", [*WARNINGS, "-O2", "-U__GNUC__", "-pedantic-errors"], tmp_path)
    cli = tmp_path / "core_cli"
    subprocess.run(["gcc", NATIVE / "fuzz" / "core_cli.c", *objects, "-o", cli], check=True)
    for vector in all_vectors():
        got = core_trace(vector.data, vector.x, vector.dt, tmp_path, program=cli)
        assert not vector.want.differs(got), vector.name


def test_every_source_names_its_licence() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "native_module", "boards"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    sources = [ROOT / name for name in listed if Path(name).suffix in {".c", ".cpp", ".h", ".S"}]
    assert len(sources) > 70
    for path in sources:
        first = path.read_text().partition("\n")[0]
        assert first == "// SPDX-License-Identifier: MIT", path
