"""Ticks as MicroPython's `time` has them, on every interpreter.

ticks_us(), ticks_ms(): small integers that wrap, at 2**30 or, on CircuitPython, at 2**29.
ticks_add(a, n): n later. ticks_diff(a, b): from b to a, right where they are less than half of
that apart.
"""

import time

if hasattr(time, "ticks_us"):
    from time import ticks_add, ticks_diff, ticks_ms, ticks_us
else:
    from time import monotonic_ns

    def ticks_us() -> int:
        return monotonic_ns() // 1000 & 0x1FFFFFFF

    def ticks_add(a: int, n: int) -> int:
        return (a + n) & 0x1FFFFFFF

    def ticks_diff(a: int, b: int) -> int:
        return ((a - b + 0x10000000) & 0x1FFFFFFF) - 0x10000000

    try:
        from supervisor import ticks_ms  # CircuitPython: allocates nothing
    except ImportError:

        def ticks_ms() -> int:
            return monotonic_ns() // 1000000 & 0x1FFFFFFF
