"""The bare virtual machines and the kernels on them: build a bench program, run it, count.

Instruction counts are exact and repeatable. Cycles come from `cycle_model`.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cycle_model
from count_cases import Case, bundle
from ulnn_host.base.errors import UlnnError
from ulnn_host.base.paths import project_root
from ulnn_host.format import cache

TIMEOUT_S = 300
CMSIS_VARIABLE = "CMSIS_DIR"
CMSIS_FOLDERS = (
    *("LSTMFunctions", "NNSupportFunctions", "ActivationFunctions", "BasicMathFunctions"),
)


@dataclass(frozen=True)
class Machine:
    """A bare virtual machine and the compiler for it."""

    target: str
    compiler: str
    flags: tuple[str, ...]
    qemu: tuple[str, ...]
    cases_at: int
    source: str
    packages: str

    @property
    def prefix(self) -> str:
        """What the names of the binary tools start with."""
        return self.compiler.removesuffix("gcc")


CORTEX_M7 = Machine(
    target="cortex-m7",
    compiler="arm-none-eabi-gcc",
    flags=(
        *("-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16", "-mfloat-abi=hard"),
        "--specs=nosys.specs",
    ),
    qemu=(
        *("qemu-system-arm", "-M", "mps2-an500", "-cpu", "cortex-m7", "-icount", "shift=8"),
        *("-semihosting", "-serial", "none"),
    ),
    cases_at=0x60000000,
    source="cortex_m7",
    packages="gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm",
)
RV32 = Machine(
    target="rv32imc",
    compiler="riscv64-unknown-elf-gcc",
    flags=(
        *("-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"),
        "-Wl,--no-warn-rwx-segments",
    ),
    qemu=(
        *("qemu-system-riscv32", "-M", "virt", "-bios", "none", "-icount", "shift=0"),
        *("-serial", "stdio"),
    ),
    cases_at=0x84000000,
    source="rv32",
    packages="gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf qemu-system-misc",
)


@dataclass(frozen=True)
class Kernel:
    """A kernel on a machine. macro: what ulnn_choice.h calls it; assembly: its source."""

    name: str
    machine: Machine
    macro: str
    assembly: str = ""
    modelled: bool = False
    """Whether the cycle model is meant for it."""


KERNELS = (
    Kernel("portable", CORTEX_M7, "PORTABLE", modelled=True),
    Kernel("cortex-m4", CORTEX_M7, "CORTEX_M4", "cortex_m4.S"),
    Kernel("cortex-m7", CORTEX_M7, "CORTEX_M7", "cortex_m7.S", modelled=True),
    Kernel("portable", RV32, "PORTABLE"),
    Kernel("rv32imc", RV32, "RV32IMC", "rv32imc.S"),
    Kernel("rv32imc-fewest", RV32, "RV32IMC_FEWEST", "rv32imc.S"),
)


@dataclass(frozen=True)
class Result:
    """One line of the bench program."""

    instructions: int
    macs: int
    kernel: str
    different: int = 0
    ram: int = 0
    stack: int = 0
    hidden: int = 0
    cycles: int | None = None
    misses: int | None = None
    """Lines that the data cache of an STM32H743 fetches (`ulnn_host.format.cache`)."""


def available(machine: Machine) -> bool:
    """Whether this computer has the compiler and QEMU for a machine."""
    return all(shutil.which(tool) for tool in (machine.compiler, machine.qemu[0]))


def compiler_version(machine: Machine) -> str:
    """Such as ``arm-none-eabi-gcc 12.2.1``."""
    done = subprocess.run(
        [machine.compiler, "-dumpfullversion"], capture_output=True, text=True, check=True
    )
    return f"{machine.compiler} {done.stdout.strip()}"


def _run(command: Sequence[str | Path], fix: str) -> str:
    try:
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
        )
    except OSError as error:
        raise UlnnError(f"{command[0]} cannot be run ({error.strerror}): {fix}") from error
    except subprocess.TimeoutExpired as error:
        raise UlnnError(f"{command[0]} did not end within {TIMEOUT_S} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if "error" in line] or ["no message"]
        raise UlnnError(f"{Path(command[0]).name} failed: {lines[0]}")
    return done.stdout


@functools.cache
def build(kernel: Kernel, folder: Path, *, blocks: int | None = None, peers: bool = False) -> Path:
    """The bench program with a kernel, made once. blocks: ULNN_KERNEL_BLOCKS. Raises UlnnError."""
    machine = kernel.machine
    native = project_root() / "native_module"
    folder.mkdir(parents=True, exist_ok=True)
    form = f"{blocks or ''}{'-peers' if peers else ''}"
    elf = folder / f"{machine.target}-{kernel.name}{form}.elf"
    bench = native / "bench"
    sources = [bench / "bench.c", bench / f"{machine.source}.c"]
    listed = (native / "sources.txt").read_text().split()
    sources += [native / name for name in listed if name.endswith(".c")]
    if kernel.assembly:
        sources.append(native / "kernels" / kernel.assembly)
    cmsis = cmsis_sources() if peers and machine is CORTEX_M7 else []
    if peers:
        sources.append(bench / "peers.c")
    if cmsis:
        sources += [bench / "peers_cmsis.c", *cmsis]
    flags = ["-std=c99", "-O3", "-Wall", "-Wextra", "-Werror"]
    flags += ["-ffp-contract=fast", "-ffunction-sections", "-fdata-sections", *machine.flags]
    flags += [f"-DULNN_KERNEL_{kernel.macro}=1", *(["-DBENCH_PEERS=1"] if peers else [])]
    flags += [f"-DULNN_KERNEL_BLOCKS={blocks}"] if blocks else []
    if cmsis:
        include = f"-I{Path(os.environ[CMSIS_VARIABLE]) / 'Include'}"
        flags = [*(flag for flag in flags if flag != "-Werror"), "-w", include, "-DBENCH_CMSIS=1"]
    link = ["-nostartfiles", "-Wl,--gc-sections", "-T", str(bench / f"{machine.source}.ld")]
    command = [machine.compiler, *flags, *link, *map(str, sources), "-o", str(elf), "-lm"]
    _run(command, f"apt-get install {machine.packages}")
    return elf


def cmsis_sources() -> list[Path]:
    """CMSIS-NN's sources that the peers need, when CMSIS_DIR names a checkout."""
    root = os.environ.get(CMSIS_VARIABLE)
    if not root:
        return []
    source = Path(root) / "Source"
    if not (source / "LSTMFunctions").is_dir():
        raise UlnnError(
            f"{CMSIS_VARIABLE}={root} is not a CMSIS-NN checkout: no Source/LSTMFunctions"
        )
    return [
        path
        for folder in CMSIS_FOLDERS
        for path in sorted((source / folder).glob("*.c"))
        if not re.search(r"_(?:f16|f32|flt)$", path.stem)
    ]


def build_plugin(folder: Path) -> Path:
    """The counting QEMU plugin, for traces."""
    folder.mkdir(parents=True, exist_ok=True)
    source = project_root() / "native_module" / "bench" / "counter.c"
    plugin = folder / "counter.so"
    _run(["gcc", "-O2", "-shared", "-fPIC", "-o", plugin, source], "apt-get install gcc")
    return plugin


def symbols(elf: Path, machine: Machine) -> dict[str, int]:
    """Addresses of an ELF file's symbols."""
    listing = _run([f"{machine.prefix}nm", elf], f"apt-get install {machine.packages}")
    found = re.findall(r"^([0-9a-f]+) [A-Za-z] (\S+)$", listing, re.MULTILINE)
    return {name: int(address, 16) for address, name in found}


def code_size(kernel: Kernel, folder: Path) -> int:
    """Bytes of code of a kernel, with what it takes from portable.c."""
    machine = kernel.machine
    native = project_root() / "native_module" / "kernels"
    flags = [flag for flag in machine.flags if not flag.startswith("-Wl")]
    flags += ["-std=c99", "-O3", f"-DULNN_KERNEL_{kernel.macro}=1"]
    unit = folder / "size.o"
    total = 0
    for source in filter(None, ("portable.c", kernel.assembly)):
        fix = f"apt-get install {machine.packages}"
        _run([machine.compiler, "-c", *flags, native / source, "-o", unit], fix)
        listing = _run([f"{machine.prefix}objdump", "-h", "-w", unit], fix)
        sizes = re.findall(r"^\s*\d+ \.text\S*\s+([0-9a-f]+)", listing, re.MULTILINE)
        total += sum(int(size, 16) for size in sizes)
    unit.unlink()
    return total


def run(
    kernel: Kernel, elf: Path, cases: Sequence[Case], plugin: Path | None = None
) -> list[Result]:
    """Runs a bench program; one result per case, then one per peer and size.

    plugin: traces, and models the cycles. Raises UlnnError when the program does not end well.
    """
    machine = kernel.machine
    image = elf.with_suffix(".cases")
    image.write_bytes(bundle(cases))
    trace = elf.with_suffix(".trace")
    loader = f"loader,file={image},addr={machine.cases_at:#x},force-raw=on"
    command: list[str | Path] = [*machine.qemu, "-nographic", "-monitor", "none"]
    command += ["-device", loader, "-kernel", elf]
    if plugin:
        where = symbols(elf, machine)
        begin, end = where["machine_begin"], where["machine_end"]
        command += ["-plugin", f"{plugin},begin={begin:#x},end={end:#x},trace={trace}"]
    text = _run(command, f"apt-get install {machine.packages}")
    results = [_parse(line) for line in text.splitlines() if re.match(r"(case|peer) ", line)]
    if "end" not in text.splitlines() or len(results) < len(cases):
        last = (text.splitlines() or ["nothing"])[-1]
        raise UlnnError(f"the bench program stopped early: it said {last!r}")
    if plugin:
        code = cycle_model.read_code(elf)
        regions = cycle_model.read_trace(trace)
        results = [
            replace(
                result,
                cycles=cycle_model.simulate(region, code).cycles,
                misses=cache.misses(lines(region)),
            )
            for result, region in zip(results, regions, strict=True)
        ]
        trace.unlink()
    image.unlink()
    return results


def lines(region: Sequence[tuple[int, int]]) -> list[int]:
    """The cache lines of a region of a trace, in order."""
    return [at // cache.LINE for _, at in region if at > cycle_model.NO_ADDRESS]


def _parse(line: str) -> Result:
    fields = dict(re.findall(r"(\w+)=(\S+)", line))
    if fields.get("status", "0") != "0":
        raise UlnnError(f"the bench program refused a model: {line}")
    return Result(
        instructions=int(fields["instructions"]),
        macs=int(fields["macs"]),
        kernel=fields.get("kernel") or fields["name"],
        different=int(fields.get("different", 0)),
        ram=int(fields.get("ram", 0)),
        stack=int(fields.get("stack", 0)),
        hidden=int(fields.get("H", 0)),
    )
