"""Counts what a step costs with every kernel: instructions in QEMU, modelled cycles, code, stack,
memory. Nothing here is a measurement of time.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from count_cases import DT_FIXED, bench_case
from count_cells import cell_cases
from count_machines import (
    KERNELS,
    Kernel,
    available,
    build,
    build_plugin,
    code_size,
    compiler_version,
    run,
)
from ulnn_host.base.errors import UlnnError
from ulnn_host.board.bench import FORMATS, HIDDEN_SIZES, INPUTS

FIXED_DT = " (fixed dt)"
CFC = "cfc"  # the cell of a CfC with a backbone


@dataclass(frozen=True)
class Count:
    """What one step costs. Fields that do not apply or were not measured are None."""

    target: str
    kernel: str
    format: str
    H: int
    I: int  # noqa: E741
    instructions: int
    macs: int
    version: str
    modelled_cycles: int | None = None
    stack: int | None = None
    ram: int | None = None
    code: int | None = None
    recorded: bool = False
    cell: str = CFC
    misses: int | None = None
    """Lines that the data cache of an STM32H743 fetches."""


def count_kernel(
    kernel: Kernel,
    folder: Path,
    shapes: Sequence[tuple[str, int]],
    *,
    plugin: Path | None = None,
    peers: bool = False,
    fixed_dt: bool = False,
) -> list[Count]:
    """Counts a kernel on bench models. shapes: (format, hidden size) each.

    fixed_dt: models with a fixed dt; their counts have FIXED_DT behind the kernel's name, and no
    code size, which is the kernel's. Raises UlnnError when an output differs from the reference's.
    """
    elf = build(kernel, folder, peers=peers)
    dt_fixed = DT_FIXED if fixed_dt else 0
    cases = [bench_case(FORMATS[name], hidden, dt_fixed) for name, hidden in shapes]
    results = run(kernel, elf, cases, plugin if kernel.modelled else None)
    version = compiler_version(kernel.machine)
    code = None if fixed_dt else code_size(kernel, folder)
    label = kernel.name + (FIXED_DT if fixed_dt else "")
    counts: list[Count] = []
    for (name, hidden), result in zip(shapes, results, strict=False):
        if result.different or result.kernel != kernel.name:
            raise UlnnError(
                f"{kernel.machine.target} {result.kernel} {name} H={hidden}: "
                f"{result.different} steps differ from the reference"
            )
        counts.append(
            Count(
                *(kernel.machine.target, label, name, hidden, INPUTS),
                *(result.instructions, result.macs, version, result.cycles),
                *(result.stack, result.ram, code),
                misses=result.misses,
            )
        )
    for result in results[len(shapes) :]:
        name, _, bits = result.kernel.rpartition("_s")
        form = f"int{bits}" if name else "float32"
        counts.append(
            Count(
                *(kernel.machine.target, name or result.kernel, form, result.hidden, INPUTS),
                *(result.instructions, result.macs, version, result.cycles),
            )
        )
    return counts


def count_cells(kernel: Kernel, folder: Path, plugin: Path | None = None) -> list[Count]:
    """Counts a kernel on the models of `bench_cells`. Raises UlnnError as `count_kernel`."""
    elf = build(kernel, folder)
    cases = list(cell_cases())
    results = run(kernel, elf, [c.case for c in cases], plugin if kernel.modelled else None)
    version = compiler_version(kernel.machine)
    counts: list[Count] = []
    for case, result in zip(cases, results, strict=True):
        if result.different:
            raise UlnnError(
                f"{kernel.machine.target} {result.kernel} {case.cell} {case.format}: "
                f"{result.different} steps differ from the reference"
            )
        counts.append(
            Count(
                *(kernel.machine.target, kernel.name, case.format, case.hidden, case.inputs),
                *(result.instructions, result.macs, version, result.cycles),
                *(result.stack, result.ram),
                cell=case.cell,
                misses=result.misses,
            )
        )
    return counts


ALL_SHAPES = tuple((name, hidden) for name in FORMATS for hidden in HIDDEN_SIZES)


def count_all(folder: Path) -> list[Count]:
    """Every kernel of the machines that this computer has tools for, and the peers."""
    counts: list[Count] = []
    plugin = build_plugin(folder) if shutil.which("gcc") else None
    for kernel in KERNELS:
        if available(kernel.machine):
            peers = kernel.name == "portable"
            counts += count_kernel(kernel, folder, ALL_SHAPES, plugin=plugin, peers=peers)
            counts += count_kernel(kernel, folder, ALL_SHAPES, plugin=plugin, fixed_dt=True)
            counts += count_cells(kernel, folder, plugin)
    return counts
