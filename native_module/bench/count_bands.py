"""What features cost seen from MicroPython on a virtual board, in instructions."""

from __future__ import annotations

import ast

from count_calls import ICOUNT
from ulnn_host.board.board_engine import install
from ulnn_host.board.link import Board
from ulnn_host.board.virtual import VirtualBoard
from ulnn_host.toolchain import natmod

# Prints for some sizes N of a frame how long feeding N samples and reading their features takes,
# without and with two filters.
SCRIPT = """
def bench():
    import time, ulnn
    from array import array
    us, diff = time.ticks_us, time.ticks_diff
    section = [1, 32566, 0, 18189, 6, 20317, 15, 23174, 0]
    for size in (6, 8, 10):
        n, found = 1 << size, []
        x = array("h", [(k * 7919) % 65536 - 32768 for k in range(n)])
        y = array("h", [0] * 11)
        for sections in (0, 2):
            track = [1, 0, size, 1, 0, 1, sections, 7, 8] + section * sections
            for k in range(8):
                track += [k * n // 16 + 1, (k + 1) * n // 16]
            b = ulnn.bands(array("h", track))
            feed, read = b.feed, b.read
            a = us()
            e = us()
            feed(x, 0, n)
            f = us()
            read(y)
            g = us()
            found += [diff(f, e) - diff(e, a), diff(g, f) - diff(e, a)]
        print([n] + found)
bench()
"""


def count_bands(name: str = "cortex-m7") -> list[dict[str, object]]:
    """Instructions of features on a virtual board, with the natmod: of frames of N samples, 8
    bands of all bins, level and kurtosis. feed: all N samples; filtered: through two filters."""
    found: list[dict[str, object]] = []
    with VirtualBoard(name, icount=ICOUNT) as virtual, Board.open(virtual.port) as board:
        if natmod.choose(install(board).mpy) is None:
            return []
        for line in board.exec(SCRIPT, timeout=300).splitlines():
            size, *times = ast.literal_eval(line)
            feed, read, filtered, _ = (round(us * 1000 / 2**ICOUNT) for us in times)
            target = f"{name}-bands"
            found.append(
                {"target": target, "N": size, "feed": feed, "filtered": filtered, "read": read}
            )
    return found
