"""What a step costs seen from MicroPython on a virtual board, in instructions."""

from __future__ import annotations

import ast
import shutil
import subprocess
import tempfile
from pathlib import Path

from count_machines import CORTEX_M7, build_plugin, symbols
from cycle_model import read_trace
from ulnn_host.base.errors import UlnnError
from ulnn_host.board.bench import FORMATS, INPUTS, MODEL_PATH, bench_model, time_model
from ulnn_host.board.board_engine import install
from ulnn_host.board.link import Board
from ulnn_host.board.virtual import VirtualBoard, build_firmware
from ulnn_host.format import container
from ulnn_host.toolchain import natmod

ICOUNT = 6

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


def _kernel_code(arch: str, folder: Path) -> bytes:
    """The code of the assembly kernel in the natmod for `arch`, as it runs."""
    code = folder / "kernel.bin"
    for unit in sorted((natmod.build(arch).parent / "build").glob("cortex_m*.o")):
        command = [f"{CORTEX_M7.prefix}objcopy", "-O", "binary", "-j", ".text*"]
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
        mark = symbols(build_firmware(name).elf, CORTEX_M7)["time_ticks_us"]
        where = f"begin={mark:#x},end={mark:#x},trace={trace}"
        plugin = ("-plugin", f"{build_plugin(folder)},{where}")
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
