"""The trace that `cost` makes up against that of an emulator."""

from __future__ import annotations

from pathlib import Path

import pytest

import count_machines as machines
from count_cases import bench_case
from count_cells import cell_cases
from ulnn_host.format import cache

KERNEL = next(kernel for kernel in machines.KERNELS if kernel.name == "cortex-m7")


def test_misses_are_those_of_the_real_addresses(tmp_path: Path) -> None:
    if not machines.available(KERNEL.machine):
        pytest.skip(f"needs {KERNEL.machine.packages}")
    shapes = [(bits, hidden) for bits in (8, 16) for hidden in (16, 32, 48, 64, 128)]
    cases = [bench_case(*shape) for shape in shapes] + [cell.case for cell in cell_cases()]
    plugin = machines.build_plugin(tmp_path)
    results = machines.run(KERNEL, machines.build(KERNEL, tmp_path), cases, plugin)
    streaming = 0
    for case, result in zip(cases, results, strict=True):
        assert result.misses is not None
        touched = len(set(cache.trace(case.model)))
        # near the size of the cache it matters which lines share a set
        assert abs(cache.model_misses(case.model) - result.misses) <= 0.07 * touched
        streaming += result.misses > 300
    assert streaming >= 5
