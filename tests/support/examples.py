"""Examples of a strategy of Hypothesis, for tests whose cases run elsewhere."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

T = TypeVar("T")


def collect(strategy: st.SearchStrategy[T], count: int) -> list[T]:
    """Examples of a strategy, the same every time."""
    found: list[T] = []

    @settings(max_examples=count, database=None)
    @given(strategy)
    def add(value: T) -> None:
        found.append(value)

    add()
    return found
