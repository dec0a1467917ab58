"""The conditions of `ulnn score` as a picture."""

from __future__ import annotations

from matplotlib.figure import Figure

from ..experiments.robustness import FLOAT, Result, Robustness
from .pictures import BOARD, REFERENCE
from .robustness_text import lost, shown

COLORS = {FLOAT: REFERENCE}
STYLES = ("-", "--", ":", "-.")


def picture(found: Robustness) -> Figure:
    """The first measure over the share of lost samples, a line for each network and noise; over
    the noise where no samples are lost.
    """
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    drops = sorted({r.condition.drop for r in found.results})
    noises = sorted({r.condition.noise for r in found.results})
    over_drop = len(drops) > 1
    name, curves = shown(found)[0], noises if over_drop else [None]
    for k, fixed in enumerate(curves):
        chosen = [r for r in found.results if fixed is None or r.condition.noise == fixed]
        chosen.sort(key=lambda r: _place(r, over_drop))
        places = [_place(r, over_drop) for r in chosen]
        for network in chosen[0].scores:
            values = [r.scores[network].figures()[name] for r in chosen]
            label = network + (f", noise {fixed:g}" if fixed else "")
            axes.plot(
                places, values, marker="o", ms=4, lw=1.6 if network == FLOAT else 1.2,
                color=COLORS.get(network, BOARD), ls=STYLES[k % len(STYLES)], label=label,
            )  # fmt: skip
    share = f"share of samples lost ({lost(found.results[-1].condition)})"
    axes.set_xlabel(share if over_drop else "noise, standard deviations of a channel")
    axes.set_ylabel(name)
    axes.set_ylim(0, None if name == "RMSE" else 1.02)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _place(result: Result, over_drop: bool) -> float:
    return result.condition.drop if over_drop else result.condition.noise
