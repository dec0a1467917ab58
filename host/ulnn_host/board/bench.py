"""The time of a step on a board, seen from MicroPython, in microseconds and, if it can, cycles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..format import container
from ..format.model import Activation, Kind, Layer, Matrix, Mode, ModelFile
from ..format.tables import tanh_table
from .board_engine import open_board
from .link import Board, BoardError

HIDDEN_SIZES = (16, 32, 64, 128)
FORMATS = {"int8": 8, "int16": 16}
INPUTS = 8
MODEL_PATH = "/models/bench.ulnn"
CALLS = 400

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


def _matrix(
    rng: np.random.Generator, rows: int, columns: int, bits: int, unit: float = 1.0
) -> Matrix:
    """Rows like those of a trained network: pre-activations around 1. unit: scales the result."""
    weights = rng.standard_normal((rows, columns)) * 1.5 / np.sqrt(columns)
    # int16: 32768 * sum(|w|) + |bias| must fit 31 bits (SPEC.md 2.5).
    size = np.abs(weights)
    scale = size.max(axis=1) / 127 if bits == 8 else size.sum(axis=1) / 64000
    rounded = np.round(weights / scale[:, None]).astype(np.int64)
    bias = np.round(0.1 * rng.standard_normal(rows) / scale * 32768).astype(np.int64)
    bias = np.clip(bias, -(2**24), 2**24)
    multiplier = np.round(scale * 2.0**35).astype(np.int64)
    return Matrix(rounded, bias, multiplier, bits, Activation.TABLE)


def bench_model(
    bits: int, hidden: int, inputs: int = INPUTS, seed: int = 1, dt_fixed: int = 0
) -> ModelFile:
    """A CfC layer with one backbone layer as wide as its state, and nothing behind it.

    dt_fixed: ticks, for heads with a fixed dt.
    """
    rng = np.random.default_rng([seed, bits, hidden])
    backbone = _matrix(rng, hidden, inputs + hidden, bits)
    mode = Mode.DEFAULT_FIXED_DT if dt_fixed else Mode.DEFAULT
    heads = _matrix(rng, mode.heads * hidden, hidden, bits)
    layer = Layer(Kind.CFC, (backbone, heads), inputs, hidden, mode, dt_fixed=dt_fixed)
    return ModelFile(
        input_scale=np.full(inputs, 1 / 32768, np.float32),
        input_offset=np.zeros(inputs, np.float32),
        output_scale=np.full(hidden, 1 / 32768, np.float32),
        output_offset=np.zeros(hidden, np.float32),
        tick_ns=1000,
        dt_max=1_000_000,
        tables=(tanh_table(),),
        layers=(layer,),
        meta={"name": f"bench H={hidden} int{bits}"},
        dialect="ulnn",
    )


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
    lines = board.exec(script, timeout=600).strip().splitlines()
    said = board.literal(lines[-1] if lines else "", "the bench")
    if not isinstance(said, list) or [type(v) for v in said] != [*[int] * 4, str, str, int]:
        raise board.odd(said, "the bench")
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
