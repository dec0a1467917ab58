"""MicroPython's time on a PC, for firmware/ulnn_sources."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

import pytest

import ulnn_rules
from support.paths import FIRMWARE

WRAP = 1 << 30


class Ticks:
    """Time that goes on only where the test, or a sleep, says so; in microseconds. step: what
    asking for it takes."""

    def __init__(self, step: int = 0) -> None:
        self.now = 0.0
        self.step = step

    def ticks_us(self) -> int:
        self.now += self.step
        return int(self.now) % WRAP

    def ticks_ms(self) -> int:
        return int(self.now / 1000) % WRAP

    @staticmethod
    def ticks_add(ticks: int, delta: int) -> int:
        return (ticks + delta) % WRAP

    @staticmethod
    def ticks_diff(a: int, b: int) -> int:
        return (a - b + WRAP // 2) % WRAP - WRAP // 2

    def sleep_us(self, us: int) -> None:
        self.now += us

    def sleep_ms(self, ms: int) -> None:
        self.now += 1000 * ms


def _ours() -> list[str]:
    return [
        name
        for name in sys.modules
        if name == "ulnn_rules.ticks" or name.partition(".")[0] == "ulnn_sources"
    ]


@contextlib.contextmanager
def installed(patch: pytest.MonkeyPatch, step: int = 0) -> Iterator[Ticks]:
    """Meanwhile `time` has these, and the sources are imported with it."""
    ticks = Ticks(step)
    for name in ("ticks_us", "ticks_ms", "ticks_add", "ticks_diff", "sleep_us", "sleep_ms"):
        patch.setattr(time, name, getattr(ticks, name), raising=False)
    patch.syspath_prepend(FIRMWARE)
    before = {name: sys.modules.pop(name) for name in _ours()}
    try:
        yield ticks
    finally:
        for name in _ours():
            del sys.modules[name]
        sys.modules.update(before)
        vars(ulnn_rules).pop("ticks", None)
        if "ulnn_rules.ticks" in before:
            ulnn_rules.ticks = before["ulnn_rules.ticks"]
