"""The sampling of a recording in words: "50 Hz, gaps to 2.1 s"."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

STEADY = 0.02  # of the median: a rate that moves less is a plain number
BROAD = 3.0  # largest ratio of the usual elapsed times that still is one rate
GAP = 3.0  # times the median, or times the usual longest: what is longer is a gap

FAR = 3.0  # times another elapsed time: further off, something is wrong with the unit

_MISTAKEN = (  # what a number of seconds may have been, and how much too large it then is
    ("milliseconds", 1e3),
    ("microseconds", 1e6),
    ("nanoseconds", 1e9),
    ("minutes", 1 / 60),
    ("hours", 1 / 3600),
)
_UNITS = (
    (365.25 * 86400, "years"),
    (86400.0, "days"),
    (3600.0, "h"),
    (60.0, "min"),
    (1.0, "s"),
    (1e-3, "ms"),
    (1e-6, "us"),
    (1e-9, "ns"),
)


def sampling(dt: ArrayLike) -> str:
    """One line about elapsed times dt, seconds above 0, any shape: those of valid steps alone.

    A rate ("50 Hz") or a period ("a sample every 16 min"), how much it moves ("18 to 22 ms"), and
    the longest gap. Raises ValueError when there is none.
    """
    values = np.asarray(dt, np.float32).ravel()
    if not values.size:
        raise ValueError("no elapsed times")
    values = values[:: max(1, values.size >> 20)] if values.size > 1 << 21 else values
    low, middle, high = (float(v) for v in np.percentile(values, (10, 50, 90)))
    longest = float(np.max(dt))
    if high - low <= STEADY * middle:
        text = _rate(middle)
    elif high <= BROAD * low:
        text = f"about {_rate(middle)} ({_span(low, high)})"
    else:
        text = f"irregular, {_span(low, high)}, median {duration(middle)}"
    if longest > GAP * middle and longest > 1.5 * high:
        text += f", gaps to {duration(longest)}"
    return text


def duration(seconds: float) -> str:
    """Seconds in the unit that fits: "350 ms", "2.1 s", "16 min"."""
    for size, name in _UNITS:
        if seconds >= 0.9995 * size * (1 if size <= 1 else 2):
            return f"{_short(seconds / size)} {name}"
    return f"{seconds:g} s"


def far_off(median: float, known: float, what: str) -> str:
    """The line about a median dt that is not that of `what`, both in seconds; empty where it is at
    most FAR times off."""
    ratio = median / known
    if 1 / FAR <= ratio <= FAR:
        return ""
    meant = [f": {name}?" for name, factor in _MISTAKEN if 1 / FAR < ratio / factor < FAR]
    times = f"{_short(ratio)} times longer" if ratio > 1 else f"{_short(1 / ratio)} times shorter"
    hint = meant[0] if meant else ": is the unit of dt right?"
    return f"median dt {duration(median)} against {duration(known)} of {what}, {times}{hint}"


def _rate(period: float) -> str:
    if period < 1.9:
        return f"{_short(1 / period)} Hz"
    return f"a sample every {duration(period)}"


def _span(low: float, high: float) -> str:
    """Two durations, the unit once where it is the same."""
    first, second = duration(low), duration(high)
    if first.split()[1] == second.split()[1]:
        first = first.split()[0]
    return f"{first} to {second}"


def _short(value: float) -> str:
    """Three digits, without an exponent for what a person writes out."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
