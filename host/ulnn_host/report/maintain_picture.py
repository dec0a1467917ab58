"""Detectors of machines as a picture: days of warning on each machine, and false alarms."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..experiments.intervals import Interval
from ..experiments.maintain import Judged
from .pictures import BOARD, INK, plain


def picture(judged: Judged) -> Figure:
    """Left the days of warning of each machine, mean and interval; right false alarms."""
    entries = sorted(judged.entries, key=lambda entry: -entry.warning.value)
    figure = Figure(figsize=(10.4, 1.6 + 0.5 * len(entries)), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    for row, entry in enumerate(entries):
        days = np.mean([alarms.lead for alarms in entry.alarms], axis=0)
        left.plot(days, [row] * len(days), "o", ms=4, mfc="none", color=BOARD, zorder=3)
        _bar(left, entry.warning, row)
        _bar(right, entry.rate, row)
    left.set_yticks(range(len(entries)), [plain(entry.name) for entry in entries], fontsize=9)
    left.set_xlabel("days before the failure: each machine (o), mean and 95 %")
    right.axvline(judged.plan.false_alarms, color=INK, lw=0.8, ls=":")
    right.set_yticks(range(len(entries)), [""] * len(entries))
    right.set_xlabel("false alarms a day")
    for axes in (left, right):
        axes.set_ylim(len(entries) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3, axis="x")
    return figure


def _bar(axes: Axes, interval: Interval, row: int) -> None:
    axes.plot([interval.low, interval.high], [row, row], "-", lw=2.2, color=INK, alpha=0.7)
    axes.plot([interval.value], [row], "|", ms=14, mew=2.2, color=INK, zorder=5)
