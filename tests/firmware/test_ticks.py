"""Ticks of every interpreter: they wrap, and differences over a wrap are right."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.paths import FIRMWARE
from support.unix import needs_micropython, unix

SOURCE = (FIRMWARE / "ulnn_rules/ticks.py").read_text()
PERIOD = 1 << 29


def ticks_with(monkeypatch: pytest.MonkeyPatch, **modules: object) -> types.ModuleType:
    """The module under an interpreter that has these modules."""
    for name, module in modules.items():
        monkeypatch.setitem(__import__("sys").modules, name, module)
    made = types.ModuleType("ticks")
    exec(SOURCE, made.__dict__)
    return made


@given(st.integers(0, PERIOD - 1), st.integers(-(1 << 28), (1 << 28) - 1))
def test_differences_are_right_over_a_wrap(start: int, gap: int) -> None:
    from ulnn_rules import ticks

    assert ticks.ticks_diff((start + gap) & (PERIOD - 1), start) == gap


def test_time_goes_on_in_both_units() -> None:
    from ulnn_rules import ticks

    us, ms = ticks.ticks_us(), ticks.ticks_ms()
    while ticks.ticks_diff(ticks.ticks_us(), us) < 20000:
        pass
    assert 19 <= ticks.ticks_diff(ticks.ticks_ms(), ms) < 5000


def test_circuitpythons_own_milliseconds_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.SimpleNamespace(ticks_ms=lambda: PERIOD - 5)
    made = ticks_with(monkeypatch, supervisor=fake)
    assert made.ticks_ms() == PERIOD - 5
    assert made.ticks_diff(3, made.ticks_ms()) == 8


@needs_micropython
def test_micropython_gives_its_own(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(
        "import time\nfrom ulnn_rules import ticks\nprint(ticks.ticks_us == time.ticks_us)\n"
        "print(ticks.ticks_diff(time.ticks_add(0, -3), 5))\n"
    )
    assert unix("run.py", cwd=tmp_path, path=FIRMWARE) == "True\n-8\n"
