"""Decisions that a board makes itself, with a `Decider` around its own engine."""

from __future__ import annotations

import struct
from pathlib import Path

from ulnn_host.board.deploy import deploy
from ulnn_host.board.link import Board
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines.batch import quantise
from ulnn_host.format import container

_DECIDE = """
def _decide(path, steps):
    import gc, struct, ulnn
    from array import array
    from micropython import heap_lock, heap_unlock
    from ulnn_rules.decider import Decider
    m = ulnn.load(path)
    d = Decider(path, m)
    x = array("h", [0] * m.info()["input_size"])
    head = bytearray(4)
    made = []
    f = open(steps, "rb")
    got = dt = 0
    while f.readinto(head):
        fresh, count = struct.unpack("<HH", head)
        if fresh:
            d.reset()
        last = None
        for _ in range(count):
            f.readinto(head)
            (dt,) = struct.unpack("<I", head)
            f.readinto(x)
            heap_lock()
            got = d.step(x, dt)
            heap_unlock()
            if got is not None:
                last = (got, d.margin, d.label)
        made.append(last)
        gc.collect()
    f.close()
    return d.labels, made
"""


Made = tuple[int, int, str]


def decide_on(port: str, model_path: Path, data: Sequences) -> tuple[tuple[str, ...], list[Made]]:
    """The labels that the board knows, and for each sequence the last (decision, margin, label),
    None without any. Nothing is allocated in a step, else this fails."""
    batch = quantise(container.read(model_path.read_bytes()), data)
    content = b""
    for n, length in enumerate(batch.length.tolist()):
        follows = n and data.origin is not None and data.origin[n] == data.origin[n - 1]
        content += struct.pack("<HH", not follows, length)
        for t in range(length):
            content += struct.pack("<I", batch.dt[n, t]) + batch.x[n, t].astype("<i2").tobytes()
    with Board.open(port) as board:
        path = deploy(board, model_path).plan.model_path
        steps = path.rpartition("/")[0] + "/steps.bin"
        board.write_file(steps, content)
        board.soft_reset()
        board.exec(_DECIDE)
        labels, made = board.eval(f"_decide({path!r}, {steps!r})", timeout=600)
    return tuple(labels), list(made)
