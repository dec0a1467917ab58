"""Trials of `ulnn tune` as a picture and a table."""

from __future__ import annotations

import math
from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..experiments.tune import Found, Trial
from .pictures import COLOURS, INK
from .scores_text import Cells

CHOSEN = "#c8382c"
GREY = "#5b6875"


def picture(found: Found, chosen: Trial) -> Figure:
    """The score against bytes and against cycles; the Pareto front has an edge."""
    figure = Figure(figsize=(10.4, 4.6), layout="constrained")
    by_bytes, by_cycles = figure.subplots(1, 2, sharey=True)
    _panel(by_bytes, found, chosen, lambda t: t.size / 1024, "int8 file, KiB")
    _panel(by_cycles, found, chosen, lambda t: t.cycles / 1000, "thousand cycles a step, modelled")
    by_bytes.set_ylabel(score_name(found))
    handles, labels = by_bytes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def _panel(
    axes: Axes, found: Found, chosen: Trial, cost: Callable[[Trial], float], name: str
) -> None:
    front = found.front
    for number, cell in enumerate(sorted({t.recipe.model.cell for t in found.good})):
        rows = [t for t in found.good if t.recipe.model.cell == cell]
        at = [cost(t) for t in rows], [t.score for t in rows]
        axes.scatter(*at, color=COLOURS[number], label=cell, zorder=3, s=26, alpha=0.75)
    at = [cost(t) for t in front], [t.score for t in front]
    axes.scatter(
        *at, s=48, fc="none", ec=INK, lw=1.2, zorder=4,
        label="front: none is better in score, bytes and cycles",
    )  # fmt: skip
    axes.scatter(
        [cost(chosen)], [chosen.score], s=150, fc="none", ec=CHOSEN, lw=1.6, zorder=5,
        label=f"chosen: {chosen.recipe.model.cell} {chosen.what}",
    )  # fmt: skip
    first = found.trials[0]
    if first in found.good:
        axes.annotate(
            "recipe", (cost(first), first.score), textcoords="offset points",
            xytext=(7, -11), fontsize=8, color=GREY,
        )  # fmt: skip
    axes.set_xlabel(name)
    axes.grid(alpha=0.3)


def score_name(found: Found) -> str:
    """What the scores are."""
    return f"{found.measure}, int8, held out"


def table(found: Found, chosen: Trial | None) -> Cells:
    """All trials, the best first."""
    front = found.front
    failed = [t for t in found.trials if math.isnan(t.score)]
    rows = []
    for t in [*found.ranked, *failed]:
        model, rate = t.recipe.model, t.recipe.training.learning_rate
        scale = f"{model.time_scale:.3g} s" if model.time_scale else "auto"
        mark = "**" if t is chosen else "*" if t in front else ""
        score = t.failure.partition(":")[0] if t.failure else f"{t.score:.4g}"
        about = "~" if t.float_only else ""
        rows.append(
            (
                f"{t.number} {mark}", model.cell, t.what, scale, f"{rate:.2g}", score,
                f"{about}{t.size:,}", f"{about}{t.cycles:,}",
            )
        )  # fmt: skip
    note = "* on the front of score, bytes and cycles; ** chosen"
    if any(t.float_only for t in found.good):
        note += "; ~ estimated: no board runs the cell, its score is in float"
    header = ("trial", "cell", "network", "time scale", "rate", "score", "bytes", "cycles")
    return Cells(header, tuple(rows), note)
