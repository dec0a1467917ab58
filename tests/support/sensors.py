"""Sources of samples on virtual boards whose clock jumps over sleeps."""

from __future__ import annotations

from pathlib import Path

from support.board_tools import mpremote
from support.paths import FIRMWARE

SOURCES = FIRMWARE / "ulnn_sources"

# `collect` takes n samples, as the app does, and gives (elapsed, raw) of each, and the
# microseconds from the first to the last. `idle` comes first where these are compared: while the
# host speaks, time passes, and samples are lost. `allocates` gives the bytes that n calls of
# `take` allocated.
TAKING = """
import gc, time, _simulation, ulnn_sources
from array import array
def collect(s, n, nap=4):
    got = []
    while len(got) < n:
        if s.take():
            if not got:
                t = time.ticks_us()
            got.append((s.elapsed, list(s.raw)))
        else:
            time.sleep_ms(nap)
    return got, time.ticks_diff(time.ticks_us(), t)
def idle(s):
    while s.take(): pass
def allocates(s, n, nap=4):
    gc.collect()
    gc.disable()
    total = 0
    while n:
        before = gc.mem_alloc()
        there = s.take()
        total += gc.mem_alloc() - before
        if there:
            n -= 1
        else:
            time.sleep_ms(nap)
    gc.enable()
    return total
def fails(f):
    try:
        f()
    except OSError as e:
        return str(e)
"""


def put_sources(port: str) -> None:
    """The package ulnn_sources into the board's /lib."""
    files: list[Path] = sorted(SOURCES.glob("*.py"))
    folder = ":lib/ulnn_sources"
    mpremote(port, "fs", "mkdir", ":lib", "+", "fs", "mkdir", folder)
    mpremote(port, "fs", "cp", *files, folder + "/")
