"""The assembly of kernels/: nothing where it is not chosen, whatever the machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.paths import NATIVE

SOURCES = sorted((NATIVE / "kernels").glob("*.S"))
X64 = "gcc"
ARM = "arm-none-eabi-gcc -mthumb -mcpu="
RV32 = "riscv64-unknown-elf-gcc -mabi=ilp32 -march="
# Compiler, kernel that the build wants (nothing: the compiler's macros decide), what is not empty.
BUILDS = {
    "x64": (X64, "", None),
    "x64 portable": (X64, "PORTABLE", None),
    "m0": (f"{ARM}cortex-m0", "", None),
    "m0 portable": (f"{ARM}cortex-m0", "PORTABLE", None),
    "m4": (f"{ARM}cortex-m4", "", "cortex_m7.S"),
    "m4 chosen": (f"{ARM}cortex-m4", "CORTEX_M4", "cortex_m4.S"),
    "m4 portable": (f"{ARM}cortex-m4", "PORTABLE", None),
    "m7": (f"{ARM}cortex-m7", "", "cortex_m7.S"),
    "m7 chosen": (f"{ARM}cortex-m7", "CORTEX_M7", "cortex_m7.S"),
    "m7 portable": (f"{ARM}cortex-m7", "PORTABLE", None),
    "m33": (f"{ARM}cortex-m33", "", "cortex_m4.S"),
    "rv32imc": (f"{RV32}rv32imc", "", "rv32imc.S"),
    "rv32imc fewest": (f"{RV32}rv32imc", "RV32IMC_FEWEST", "rv32imc.S"),
    "rv32imc portable": (f"{RV32}rv32imc", "PORTABLE", None),
    "rv32i": (f"{RV32}rv32i", "", None),
}


def assemble(source: Path, compiler: str, kernel: str, folder: Path) -> tuple[int, str]:
    """Bytes in all sections of the object, and its symbols."""
    command = compiler.split()
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here")
    unit = folder / "unit.o"
    flags = [f"-DULNN_KERNEL_{kernel}=1"] if kernel else []
    done = subprocess.run(
        [*command, *flags, "-c", source, "-o", unit], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    prefix = command[0].removesuffix("gcc")
    heads = subprocess.run(
        [f"{prefix}objdump", "-h", "-w", unit], capture_output=True, text=True, check=True
    ).stdout
    sizes = re.findall(r"^\s*\d+ (\S+)\s+([0-9a-f]+)\s", heads, re.MULTILINE)
    size = sum(int(size, 16) for name, size in sizes if "attributes" not in name)
    nm = subprocess.run([f"{prefix}nm", unit], capture_output=True, text=True, check=True)
    return size, nm.stdout


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_what_is_not_chosen_is_empty(source: Path, build: str, tmp_path: Path) -> None:
    compiler, kernel, chosen = BUILDS[build]
    size, symbols = assemble(source, compiler, kernel, tmp_path)
    if source.name == chosen:
        assert size > 1000
    else:
        assert (size, symbols) == (0, "")


def test_empty_assembly_leaves_the_stack_alone(tmp_path: Path) -> None:
    """A program on Linux with any object that does not say so gets an executable stack."""
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    done = subprocess.run(
        ["gcc", tmp_path / "main.c", *SOURCES, "-o", tmp_path / "a"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    listed = subprocess.run(
        ["readelf", "-lW", tmp_path / "a"], capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"GNU_STACK .* RW ", listed)
