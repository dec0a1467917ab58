"""BENCHMARKS.md: the tables of a bench run, with recorded peers where they could not be run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from count_cells import HIDDEN
from count_kernels import ALL_SHAPES, CFC, FIXED_DT, Count
from cycle_model import ERROR
from ulnn_host.board.bench import HIDDEN_SIZES, INPUTS
from ulnn_host.format import cache

CMSIS = (
    "CMSIS-NN 99f736a (2026-07-15), arm-none-eabi-gcc 12.2.1 -O3, int16: activations, int8 weights"
)

# From a run of this bench with CMSIS_DIR: name, format, {H: (instructions, modelled cycles)}.
RECORDED: tuple[tuple[str, str, dict[int, tuple[int, int]]], ...] = (
    (
        *("cmsis_nn_lstm", "int8"),
        {16: (13746, 11294), 32: (29319, 23799), 64: (71896, 58007), 128: (203259, 163679)},
    ),
    (
        *("cmsis_nn_lstm", "int16"),
        {16: (15537, 13115), 32: (33802, 29139), 64: (84963, 76526), 128: (245686, 231315)},
    ),
    (
        *("cmsis_nn_dense", "int8"),
        {16: (1383, 958), 32: (3615, 2672), 64: (10959, 8248), 128: (37167, 28090)},
    ),
    (
        *("cmsis_nn_dense", "int16"),
        {16: (1533, 1295), 32: (4181, 3759), 64: (13125, 12431), 128: (45605, 44751)},
    ),
)
TARGETS = {
    ("cortex-m7", "cortex-m4", "int8", "instructions"): (2600, 7700, 26800, 99500),
    ("cortex-m7", "cortex-m4", "int16", "instructions"): (1950, 5350, 17600, 63200),
    ("cortex-m7", "cortex-m7", "int8", "modelled_cycles"): (1800, 5100, 17000, 62000),
    ("cortex-m7", "cortex-m7", "int16", "modelled_cycles"): (1600, 4400, 14300, 51500),
    ("rv32imc", "rv32imc-fewest", "int8", "instructions"): (6900, 21000, 72000, 265000),
    ("rv32imc", "rv32imc-fewest", "int16", "instructions"): (6900, 21000, 72000, 265000),
}


# cell, what it is compared with, and the share of its instructions that is the target
SPARSE_TARGETS = (
    ("wired ncps", "wired ncps (dense)", 100),
    ("wired ulnn", "wired ulnn (dense)", 60),
    ("ltc", "ltc (all synapses)", 25),
)


def recorded_peers() -> list[Count]:
    """Peers that were counted elsewhere, marked as recorded."""
    return [
        Count(
            *("cortex-m7", name, form, hidden, INPUTS, instructions),
            *(hidden * hidden if "dense" in name else 4 * hidden * (INPUTS + hidden), CMSIS),
            cycles,
            recorded=True,
        )
        for name, form, sizes in RECORDED
        for hidden, (instructions, cycles) in sizes.items()
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _rows(counts: Sequence[Count], target: str, field: str) -> list[list[str]]:
    """One row per kernel and format: the field at every size, and per multiply-accumulate."""
    rows: list[list[str]] = []
    keys = dict.fromkeys((c.kernel, c.format) for c in counts if c.target == target)
    for kernel, form in keys:
        found = {
            c.H: c for c in counts if (c.target, c.kernel, c.format) == (target, kernel, form)
        }
        values = [getattr(found[h], field) if h in found else None for h in HIDDEN_SIZES]
        if not any(values):
            continue
        name = kernel + (" (recorded)" if next(iter(found.values())).recorded else "")
        last = found.get(64)
        per_mac = getattr(last, field) if last else None
        share = f"{per_mac / last.macs:.2f}" if last and per_mac else ""
        rows.append([name, form, *map(_number, values), share])
    return rows


def _cached(counts: Sequence[Count]) -> list[list[str]]:
    """Rows of the kernel cortex-m7: lines fetched, and cycles with each penalty."""
    return [
        [
            *(c.kernel, c.format, str(c.H), _number(c.modelled_cycles), _number(c.misses)),
            *(_number(c.modelled_cycles + c.misses * penalty) for penalty in cache.PENALTY),
            f"{(c.modelled_cycles + c.misses * cache.PENALTY[1]) / c.macs:.2f}",
        ]
        for c in counts
        if c.kernel.startswith("cortex-m7") and c.modelled_cycles and c.misses is not None
    ]


def _targets(counts: Sequence[Count]) -> list[list[str]]:
    rows: list[list[str]] = []
    for (target, kernel, form, field), limits in TARGETS.items():
        found = {
            c.H: c for c in counts if (c.target, c.kernel, c.format) == (target, kernel, form)
        }
        row = [f"{kernel}, {form}, {field.replace('_', ' ')}"]
        for hidden, limit in zip(HIDDEN_SIZES, limits, strict=True):
            value = getattr(found[hidden], field) if hidden in found else None
            mark = "" if value is None or value <= limit else " (above)"
            row.append(f"{_number(value)} of {_number(limit)}{mark}")
        rows.append(row)
    return rows


def _cells(counts: Sequence[Count]) -> list[list[str]]:
    """One row per cell and format: instructions of every kernel, cycles of the modelled one."""
    named = {(c.cell, c.format, c.target, c.kernel): c for c in counts}
    kernels = list(dict.fromkeys((c.target, c.kernel) for c in counts))
    rows: list[list[str]] = []
    for cell, form in dict.fromkeys((c.cell, c.format) for c in counts):
        found = [named.get((cell, form, *kernel)) for kernel in kernels]
        macs = next((c.macs for c in found if c), None)
        cycles = next((c.modelled_cycles for c in found if c and c.kernel == "cortex-m7"), None)
        numbers = [c.instructions if c else None for c in found]
        rows.append([cell, form, *map(_number, (macs, *numbers, cycles))])
    return rows


def _shares(counts: Sequence[Count]) -> list[list[str]]:
    """One row per sparse cell and format: its share of the dense instructions, by kernel."""
    named = {(c.cell, c.format, c.target, c.kernel): c for c in counts}
    kernels = list(dict.fromkeys((c.target, c.kernel) for c in counts))
    rows: list[list[str]] = []
    for cell, dense, target in SPARSE_TARGETS:
        for form in dict.fromkeys(c.format for c in counts if c.cell == cell):
            row = [cell, form]
            for kernel in kernels:
                a, b = named.get((cell, form, *kernel)), named.get((dense, form, *kernel))
                share = 100 * a.instructions / b.instructions if a and b else None
                mark = " (above)" if share and share > target else ""
                row.append("" if share is None else f"{share:.1f} % of {target} %{mark}")
            rows.append(row)
    return rows


def _other_cells(counts: Sequence[Count]) -> list[str]:
    kernels = list(dict.fromkeys((c.target, c.kernel) for c in counts))
    names = [
        f"{kernel} ({target})" if kernel == "portable" else kernel for target, kernel in kernels
    ]
    return [
        "## Other cells",
        "`wired`: AutoNCP(19, 4) with 6 inputs, as a CfC of ncps and in our own dialect, with as"
        " few connections; stored as the converter chooses, all dense, and all sparse. `ltc`:"
        " AutoNCP(19, 4) with 3 inputs, 6 unfolds, and the same with all of the 57 + 361 synapses."
        f" The others: H={HIDDEN}, {INPUTS} inputs, a backbone of {HIDDEN} units where one is."
        " Instructions of a step, and modelled cycles of the kernel cortex-m7.",
        _table(["cell", "weights", "MACs", *names, "cycles"], _cells(counts)),
        "Shares of the instructions of the same network stored dense:",
        _table(["cell", "weights", *names], _shares(counts)),
    ]


def _features(bands: Sequence[dict[str, Any]]) -> list[str]:
    """What `ulnn.bands` costs; nothing where it was not counted."""
    if not bands:
        return []
    columns = ("N", "read", "feed", "filtered")
    return [
        "## Features",
        _table(
            ["N", "one read()", "feed() of N samples", "feed() through two filters"],
            [[_number(b[c]) for c in columns] for b in bands],
        ),
        "Instructions of `ulnn.bands` on the virtual Cortex-M7, with the natmod: a frame of N"
        " values with a Hann window gives mean, rms, kurtosis and 8 bands of all bins. The target"
        " of a read() is 60,000 for N = 256.",
    ]


def render(
    counts: Sequence[Count],
    calls: Sequence[dict[str, Any]],
    bands: Sequence[dict[str, Any]] = (),
) -> str:
    """The whole document."""
    cells = [c for c in counts if c.cell != CFC]
    counts = [c for c in counts if c.cell == CFC]
    heads = ["kernel", "weights", *(f"H={h}" for h in HIDDEN_SIZES), "per MAC, H=64"]
    sizes = [c for c in counts if c.code is not None]
    once = {(c.target, c.kernel): c for c in sizes}
    of_format = [c for c in counts if c.format == ALL_SHAPES[0][0] and c.ram]
    ram = {c.H: c.ram for c in of_format if not c.kernel.endswith(FIXED_DT)}
    fixed = {c.H: f"{c.ram}" for c in of_format if c.kernel.endswith(FIXED_DT)}
    versions = sorted({f"{c.target}: {c.version}" for c in counts if not c.recorded})
    parts = [
        "# Benchmarks",
        "Written by `make bench`; do not edit. One whole step of a CfC layer with 8 inputs, H"
        " state values and a backbone of H units: everything between the call of `ulnn_step` and"
        " its return, copies included. Every counted program first proved that its outputs are"
        " those of the reference, bit for bit.",
        "* **Instructions** are exact: QEMU with `-icount` counts them, twice the same.\n"
        "* **Cycles are modelled**, not measured (`native_module/bench/cycle_model.py`: Cortex-M7,"
        f" memory without wait states, warm branch predictor; expect {ERROR} against a board"
        " whose model lies in TCM, and more behind a cache, see below)."
        " `ulnn bench --port` measures on a board.\n"
        "* The Xtensa kernels are not counted: their compiler is in no registry. MAC16 was run"
        " once, under QEMU's dc233c: equal bit for bit. PIE was not run.\n"
        "* Rows marked *recorded* were counted once, with the versions given below.",
        "## Cortex-M7: instructions of a step",
        _table(heads, _rows(counts, "cortex-m7", "instructions")),
        "`cmsis_nn_dense` is one product of H x H without an activation function. An LSTM has"
        " 4 H (8 + H) multiply-accumulates, a GRU 3 H (8 + H), the CfC H (8 + H) + 4 H H,"
        " with a fixed dt 3 H H instead of 4. With"
        " `CMSIS_DIR` set, CMSIS-NN is compiled and counted in the same run.\n\n"
        "`cortex-m4` is the build with the fewest instructions, for cores that issue one a cycle;"
        " `cortex-m7` spends more of them and fewer cycles on a core that issues two.",
        "## Cortex-M7: modelled cycles of a step",
        _table(heads, _rows(counts, "cortex-m7", "modelled_cycles")),
        "## Cortex-M7 with the model behind a data cache",
        "The cycles above hold where the model, its memory and the stack are tightly coupled"
        " (TCM). On an STM32H743 MicroPython's heap is AXI SRAM behind 16 KB of D-cache: models of"
        " more than about 14 KB stream through it at every step. Lines fetched in a step are"
        " simulated over every address of the emulator's trace (4 ways, lines of 32 bytes,"
        " replaced at random, after three steps; `host/ulnn_host/format/cache.py`). What a line"
        " costs was not measured: 15, 25 and 40 cycles are assumed. MicroPython's own work between"
        " two steps, which takes lines, too, is not in it.",
        _table(
            [
                *("kernel", "weights", "H", "cycles, TCM", "lines fetched"),
                *(f"cycles, {penalty} a line" for penalty in cache.PENALTY),
                f"per MAC, {cache.PENALTY[1]} a line",
            ],
            _cached(counts),
        ),
        "## RV32IMC: instructions of a step",
        _table(heads, _rows(counts, "rv32imc", "instructions")),
        "`rv32imc-fewest` (`-DULNN_KERNEL_RV32IMC_FEWEST=1`) makes twenty rows at once instead of"
        " sixteen, in loops that are written out: for where flash is plentiful and instructions"
        " cost the same. `rv32imc`, the default, is five times smaller.",
        "## Targets",
        _table(["", *(f"H={h}" for h in HIDDEN_SIZES)], _targets(counts)),
        *_other_cells(cells),
        "## Code, stack, memory",
        _table(
            ["machine", "kernel", "code (bytes)", "stack of a step (bytes)"],
            [[c.target, c.kernel, _number(c.code), _number(c.stack)] for c in once.values()],
        ),
        "Code: the kernel with what it uses of `portable.c`, `-O3`. Stack: painted and looked at"
        " after a step. Memory of a model beside its file, which is used in place (32-bit"
        " machines): "
        + ", ".join(f"H={h} {value} bytes" for h, value in ram.items())
        + "; with a fixed dt, "
        + ", ".join(fixed.values())
        + ".",
        "## From MicroPython",
        _table(
            [
                *("board", "kernel", "weights", "H"),
                *("one step() call", "of it outside the kernel", "one step in run()"),
            ],
            [
                [
                    *(str(c["target"]), str(c["kernel"]), str(c["format"]), str(c["H"])),
                    *map(_number, (c["instructions"], c["call_overhead"], c["in_run"])),
                ]
                for c in calls
            ],
        )
        if calls
        else "Not counted in this run: it needs MicroPython's sources (MPY_DIR).",
        "Instructions, with the natmod on the virtual board. The call includes the bytecodes that"
        " make it. Outside the kernel: all but the assembly kernel's own instructions, counted"
        " in a trace; the target is 600."
        + (f" Text of the natmod: {_number(calls[0]['code'])} bytes." if calls else ""),
        *_features(bands),
        "## Versions",
        "\n".join(f"* {line}" for line in versions)
        + f"\n* recorded: {CMSIS}\n* flags: `-std=c99 -O3 -ffp-contract=fast`",
    ]
    return "\n\n".join(parts) + "\n"
