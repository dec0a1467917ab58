"""Trials of `ulnn tune` as a picture and a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from ..experiments.tune import Trial, front, good

COLOURS = {
    "cfc": "#1f77b4",
    "wired": "#e07b39",
    "ltc": "#2a9d5c",
    "lstm": "#7b5ea7",
    "gru": "#8c564b",
    "mixed": "#5b6875",
}


def picture(trials: Sequence[Trial], chosen: Trial) -> Figure:
    """Score against bytes, with the Pareto front."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.subplots()
    fit = good(trials)
    for cell in dict.fromkeys(t.recipe.model.cell for t in fit):
        rows = [t for t in fit if t.recipe.model.cell == cell]
        at = [t.size / 1024 for t in rows], [t.score for t in rows]
        axes.scatter(*at, color=COLOURS[cell], label=cell, zorder=3, s=30)
    line = front(trials)
    axes.plot(
        [t.size / 1024 for t in line], [t.score for t in line],
        color="#1c2733", lw=1.2, drawstyle="steps-post", label="best for its size", zorder=2,
    )  # fmt: skip
    axes.scatter(
        [chosen.size / 1024], [chosen.score], s=150, fc="none", ec="#c8382c", lw=1.6, zorder=4,
        label=f"chosen: {chosen.recipe.model.cell} {chosen.what}",
    )  # fmt: skip
    first = next((t for t in fit if t.number == 0), None)
    if first is not None:
        axes.annotate(
            "recipe", (first.size / 1024, first.score), textcoords="offset points",
            xytext=(6, -11), fontsize=8, color="#5b6875",
        )  # fmt: skip
    axes.set_xlabel("int8 file, KiB (about)")
    axes.set_ylabel(score_name(trials))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    return figure


def score_name(trials: Sequence[Trial]) -> str:
    """What the scores are."""
    regression = all(t.score <= 0 for t in good(trials))
    return "minus squared error, held out" if regression else "balanced accuracy, held out"


def table(trials: Sequence[Trial], chosen: Trial) -> Table:
    """All trials, the best first."""
    shown = Table(title=score_name(trials), title_justify="left", box=box.SIMPLE_HEAD)
    shown.caption, shown.caption_justify = "* best for its size, ** chosen", "left"
    for name in ("", "cell", "network", "unit s", "rate", "score", "bytes", "macs"):
        justify: Literal["left", "right"] = "left" if name in ("cell", "network") else "right"
        shown.add_column(name, justify=justify, no_wrap=True)
    shown.add_column("")
    line = front(trials)
    failed = [t for t in trials if math.isnan(t.score)]
    for t in [*sorted(good(trials), key=lambda t: (-t.score, t.size)), *failed]:
        model, rate = t.recipe.model, t.recipe.training.learning_rate
        scale = f"{model.time_scale:.3g}" if model.time_scale else "auto"
        score = t.failure.partition(":")[0] if t.failure else f"{t.score:.3f}"
        note = "**" if t is chosen else "*" if t in line else ""
        shown.add_row(
            str(t.number), model.cell, t.what, scale, f"{rate:g}", score, str(t.size),
            str(t.products), note, style="bold" if t is chosen else None,
        )  # fmt: skip
    return shown
