"""What `ulnn data --plot` draws."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ..data.sequences import Sequences
from ..data.summary import Summary
from .data_text import count
from .pictures import plain

POINTS = 2000  # of a line
RECORDINGS = 3  # drawn, at most
CHANNELS = 12  # drawn, at most


def picture(data: Sequences, made: Summary) -> Figure:
    """The first recordings over time, each channel a row, and the elapsed times."""
    names = [c.name for c in made.channels][:CHANNELS]
    figure = Figure(figsize=(9, 1.2 + 1.1 * (len(names) + 1)), layout="constrained")
    rows = figure.subplots(len(names) + 1, 1, sharex=True, squeeze=False)[:, 0]
    for n in range(min(RECORDINGS, len(data))):
        steps = int(data.length[n])
        stride = max(1, steps // POINTS)
        dt = data.dt[n, :steps]
        time = np.cumsum(dt, dtype=np.float64)[::stride]
        label = f"recording {n}"
        for k, axes in enumerate(rows[:-1]):
            axes.plot(time, data.x[n, :steps:stride, k], lw=0.8, label=label)
        # the longest of each stretch, so that no gap is lost
        longest = np.maximum.reduceat(dt, np.arange(0, steps, stride))
        rows[-1].plot(time, longest, lw=0.8, label=label)
    for axes, name in zip(rows, [*names, "dt, s"], strict=True):
        axes.set_ylabel(plain(name), rotation=0, ha="right", va="center")
        axes.grid(alpha=0.3)
    if made.gaps:
        rows[-1].set_yscale("log")
    else:
        rows[-1].set_ylim(bottom=0)
    rows[-1].set_xlabel("seconds")
    rows[0].set_title(
        f"{count(made.recordings, 'recording')}, {made.samples:,} samples, {made.sampling}",
        fontsize=10, loc="left",
    )  # fmt: skip
    if len(data) > 1:
        rows[0].legend(frameon=False, fontsize=8, ncols=RECORDINGS, loc="upper right")
    return figure
