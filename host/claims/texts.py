"""Numbers and intervals, in words."""

from __future__ import annotations

from ulnn_host.experiments.intervals import Interval


def number(value: float, unit: str = "") -> str:
    """A number with three digits, and its unit."""
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{digits} {unit}".strip()


def words(measured: Interval, unit: str) -> str:
    """A number and its interval."""
    return f"{number(measured.value, unit)} ({number(measured.low)} to {number(measured.high)})"


def signed(change: Interval, digits: int = 1) -> str:
    """A difference and its interval, with their signs."""
    value, low, high = (f"{part:+.{digits}f}" for part in (change.value, change.low, change.high))
    return f"{value} ({low} to {high})"
