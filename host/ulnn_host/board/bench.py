"""What a step costs seen from MicroPython: on a virtual board in instructions, on a real one in
cycles or microseconds.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import bench
from .base.errors import UlnnError
from .bench_cases import FORMATS, HIDDEN_SIZES, INPUTS, bench_model
from .board.board_engine import install, open_board
from .board.link import Board, BoardError
from .board.virtual import VirtualBoard, build_firmware
from .cycle_model import read_trace
from .format import container
from .toolchain import natmod

MODEL_PATH = "/models/bench.ulnn"
CALLS = 400
ICOUNT = 6

# Prints microseconds of CALLS calls and of the loop around them, cycles of one block of steps
# (0 without a counter), and what the engine says about itself.
SCRIPT = """
def bench():
    import gc, time, ulnn, sys
    from array import array
    m = ulnn.load(PATH)
    i = m.info()
    x = array("h", [100] * i["input_size"])
    y = array("h", bytes(2 * i["output_size"]))
    step, n, none = m.step, range(CALLS), (lambda a, b, c: None)
    us, diff = time.ticks_us, time.ticks_diff
    gc.collect()
    step(x, y, 1000)
    a = us()
    for k in n:
        step(x, y, 1000)
    b = us()
    for k in n:
        pass
    c = us()
    xs = array("h", [100] * (i["input_size"] * 20))
    ys = array("h", bytes(2 * i["output_size"] * 20))
    dts = array("I", [1000] * 20)
    gc.collect()
    cycles, r = 0, None
    if sys.implementation._mpy >> 10 & 15 in (5, 6, 7, 8):
        from machine import mem32 as r
        r[0xE000EDFC] |= 1 << 24
        r[0xE0001000] |= 1
    d = us()
    if r:
        s = r[0xE0001004]
        for k in range(CALLS // 20):
            m.run(xs, ys, dts)
        cycles = (r[0xE0001004] - s) & 0xFFFFFFFF
    else:
        for k in range(CALLS // 20):
            m.run(xs, ys, dts)
    e = us()
    print([diff(b, a), diff(c, b), diff(e, d), cycles, i["engine"], i["kernel"], i["ram"]])
bench()
"""

# Calls between one time.ticks_us and the next, and the loop alone until a third. Prints the kernel
# and where its first bytes HEAD are in memory: once where it runs, and in what loading left.
TRACED_CALLS = 20
TRACED_SCRIPT = """
def bench():
    import gc, time, ulnn, uctypes
    from array import array
    m = ulnn.load(PATH)
    i = m.info()
    x = array("h", [100] * i["input_size"])
    y = array("h", bytes(2 * i["output_size"]))
    step, n, us = m.step, range(CALLS), time.ticks_us
    start, found = id(ulnn.load) - 16384, []
    memory = bytes(uctypes.bytearray_at(start, 32768))
    k = memory.find(HEAD)
    while k >= 0:
        found.append(start + k)
        k = memory.find(HEAD, k + 1)
    gc.collect()
    step(x, y, 1000)
    us()
    for k in n:
        step(x, y, 1000)
    us()
    for k in n:
        pass
    us()
    print(found)
bench()
"""


@dataclass(frozen=True)
class BoardTime:
    """A board's times for one model: microseconds and cycles of one step (None: no counter).

    call_us: one `step` call without the loop around it; step_us: one step inside `run`.
    """

    format: str
    hidden: int
    engine: str
    kernel: str
    call_us: float
    step_us: float
    cycles: float | None
    ram: int


def time_model(board: Board, bits: int, hidden: int) -> BoardTime:
    """Times a bench model on a board that has the engine."""
    board.make_folders(MODEL_PATH)
    board.write_file(MODEL_PATH, container.write(bench_model(bits, hidden)))
    script = SCRIPT.replace("PATH", repr(MODEL_PATH)).replace("CALLS", str(CALLS))
    said = ast.literal_eval(board.exec(script, timeout=600).strip().splitlines()[-1])
    call, loop, block, cycles, engine, kernel, ram = said
    return BoardTime(
        *(f"int{bits}", hidden, engine, kernel, (call - loop) / CALLS, block / CALLS),
        *(cycles / CALLS if cycles else None, ram),
    )


def time_board(port: str) -> list[BoardTime]:
    """The bench models that fit the board at a port, our engine put on it first.

    Raises UlnnError.
    """
    times: list[BoardTime] = []
    with open_board(port) as engine:
        for bits in FORMATS.values():
            for hidden in HIDDEN_SIZES:
                try:
                    times.append(time_model(engine.board, bits, hidden))
                except BoardError as error:
                    if "MemoryError" not in str(error):
                        raise
    return times


def _kernel_code(arch: str, folder: Path) -> bytes:
    """The code of the assembly kernel in the natmod for `arch`, as it runs."""
    code = folder / "kernel.bin"
    for unit in sorted((natmod.build(arch).parent / "build").glob("cortex_m*.o")):
        command = [f"{bench.CORTEX_M7.prefix}objcopy", "-O", "binary", "-j", ".text*"]
        subprocess.run([*command, str(unit), str(code)], check=True)
        if code.stat().st_size:
            return code.read_bytes()
    raise UlnnError(f"no assembly kernel in the natmod for {arch}")


def count_call_overhead(bits: int, hidden: int = 16, name: str = "cortex-m7") -> int:
    """Instructions of one `Model.step` call from bytecode that are not the assembly kernel's.

    Counted one by one, in a trace of calls on a virtual Cortex-M, without the loop around them.
    Raises UlnnError.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        trace = folder / "trace"
        mark = bench.symbols(build_firmware(name).elf, bench.CORTEX_M7)["time_ticks_us"]
        where = f"begin={mark:#x},end={mark:#x},trace={trace}"
        plugin = ("-plugin", f"{bench.build_plugin(folder)},{where}")
        with (
            VirtualBoard(name, icount=ICOUNT, qemu_args=plugin) as virtual,
            Board.open(virtual.port) as board,
        ):
            arch = natmod.choose(install(board).mpy)
            if arch is None:
                raise UlnnError(f"no natmod for the virtual {name}")
            code = _kernel_code(arch, folder)
            board.write_file(MODEL_PATH, container.write(bench_model(bits, hidden)))
            script = TRACED_SCRIPT.replace("PATH", repr(MODEL_PATH))
            script = script.replace("CALLS", str(TRACED_CALLS)).replace("HEAD", repr(code[:32]))
            said = board.exec(script, timeout=600).strip().splitlines()[-1]
        regions = read_trace(trace)
    if len(regions) != 2:
        raise UlnnError(f"a trace of the virtual {name} has {len(regions)} parts, 2 expected")
    calls, loop = regions

    def inside(start: int) -> int:
        return sum(start <= address < start + len(code) for address, _ in calls)

    kernel = max(map(inside, ast.literal_eval(said)), default=0)
    if kernel == 0:
        raise UlnnError(f"a trace of the virtual {name} never came to the kernel")
    return round((len(calls) - len(loop) - kernel) / TRACED_CALLS)


def count_calls(name: str = "cortex-m7", hidden: int = 16) -> list[dict[str, object]]:
    """Instructions of one `Model.step` call from bytecode on a virtual board, with the natmod.

    They include the call's bytecodes. `call_overhead`: those outside the kernel, None without gcc,
    which the tracing needs. `kernels.json` keeps them as target `NAME-micropython`.
    """
    calls: list[dict[str, object]] = []
    with VirtualBoard(name, icount=ICOUNT) as virtual, Board.open(virtual.port) as board:
        arch = natmod.choose(install(board).mpy)
        if arch is None:
            return []
        version = board.eval("__import__('sys').version")
        for label, bits in FORMATS.items():
            seen = time_model(board, bits, hidden)
            per_us = 1000 / 2**ICOUNT
            overhead = count_call_overhead(bits, hidden, name) if shutil.which("gcc") else None
            calls.append(
                {
                    "target": f"{name}-micropython",
                    "kernel": seen.kernel,
                    "format": label,
                    "H": hidden,
                    "I": INPUTS,
                    "instructions": round(seen.call_us * per_us),
                    "call_overhead": overhead,
                    "in_run": round(seen.step_us * per_us),
                    "macs": hidden * (INPUTS + hidden) + 4 * hidden * hidden,
                    "ram": seen.ram,
                    "code": natmod.text_size(arch),
                    "version": str(version),
                }
            )
    return calls


def board_table(port: str) -> str:
    """What `ulnn bench --port` prints: the bench models on the board at a port."""
    lines = [f"{'weights':8}{'H':>5}{'call us':>10}{'step us':>10}{'cycles':>10}  kernel"]
    for seen in time_board(port):
        cycles = "" if seen.cycles is None else f"{seen.cycles:.0f}"
        lines.append(
            f"{seen.format:8}{seen.hidden:5}{seen.call_us:10.1f}{seen.step_us:10.1f}{cycles:>10}"
            f"  {seen.engine} {seen.kernel}"
        )
    return "\n".join(lines)
