"""The estimated cost of a step against what was counted."""

from __future__ import annotations

import json
import re

import pytest

import fit_cost
from count_cases import DT_FIXED
from support.paths import ROOT
from ulnn_host.board.bench import HIDDEN_SIZES, bench_model
from ulnn_host.format import cost


def counted(title: str, kernel: str) -> dict[tuple[int, int], int]:
    """(bits, H): count, from a table of BENCHMARKS.md."""
    text = (ROOT / "native_module" / "BENCHMARKS.md").read_text()
    section = text.split(f"## {title}")[1].split("##")[0]
    found = re.findall(rf"^\| {re.escape(kernel)} \| int(\d+) \|(.*)\|$", section, re.MULTILINE)
    return {
        (int(bits), hidden): int(cell.replace(",", ""))
        for bits, cells in found
        for hidden, cell in zip(HIDDEN_SIZES, cells.split("|"), strict=False)
    }


@pytest.mark.parametrize("dt_fixed", [0, DT_FIXED])
@pytest.mark.parametrize(
    ("title", "kernel", "machine"),
    [
        ("Cortex-M7: modelled cycles of a step", "cortex-m7", 0),
        ("RV32IMC: instructions of a step", "rv32imc", 1),
    ],
)
def test_the_cost_of_a_dense_cfc_is_within_15_percent(
    title: str, kernel: str, machine: int, dt_fixed: int
) -> None:
    table = counted(title, kernel + (" (fixed dt)" if dt_fixed else ""))
    assert len(table) == 8
    for (bits, hidden), count in table.items():
        dense = bench_model(bits, hidden, dt_fixed=dt_fixed)
        estimate = cost.estimates(dense)[machine]
        assert estimate.count == pytest.approx(count, rel=0.15)


def test_the_cost_of_every_cell_is_within_15_percent() -> None:
    counts = json.loads((ROOT / fit_cost.COUNTS).read_text())
    named = dict(fit_cost.models())
    for kernel, prices in fit_cost.KERNELS.items():
        assert counts[kernel].keys() == named.keys()
        for name, count in counts[kernel].items():
            assert cost.step(named[name], prices) == pytest.approx(count, rel=0.15), name
