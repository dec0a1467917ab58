"""The report of `ulnn convert` as text and as a picture."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from ..base.errors import UlnnError
from ..network.contraction import Contraction
from ..quantize.rollouts import Saturation
from .convert_report import ConvertReport, ModelReport
from .page import BOARD, REFERENCE

COLORS = (BOARD, REFERENCE, "#2a9d5c", "#8e5bb5")
BARS = 14
LABEL = 7
Cell = Callable[[ModelReport], str]


def check_picture(path: Path) -> None:
    """Raise UlnnError unless the name is one of a picture that can be written."""
    if path.suffix not in (".png", ".svg"):
        raise UlnnError(f"--report {path}: expected a name that ends in .png or .svg")


# ---- text ---------------------------------------------------------------------------------------


def show(report: ConvertReport, out: Console) -> None:
    """Print everything but the first two lines of `ulnn convert`."""
    models = (report.model, *report.compared)
    if report.searched:
        best = report.searched.best
        out.print(
            f"ranges: {best.ranges} with margin {best.margin:g}, "
            f"best of {len(report.searched.trials)} tried",
            soft_wrap=True,
        )
    if report.chosen:
        out.print(_chosen(report), soft_wrap=True)
    out.print(_figures(report, models))
    out.print(_sections(models))
    out.print(_saturated(models))
    for layer in report.contraction:
        out.print(_contraction(layer), soft_wrap=True)


def _table(title: str, models: tuple[ModelReport, ...]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for model in models:
        table.add_column(model.name, justify="right", no_wrap=True)
    return table


def _figures(report: ConvertReport, models: tuple[ModelReport, ...]) -> Table:
    table = _table("", models)
    table.title = None

    def line(title: str, cell: Cell) -> None:
        table.add_row(title, *map(cell, models))

    line("file, bytes", lambda m: f"{m.file_bytes:,}")
    line("max error", lambda m: f"{m.max_error:.5f}")
    line("rms error", lambda m: f"{m.rms_error:.6f}")
    for place in report.model.curve.places:
        line(f"  at step {place + 1}, max / rms", partial(_error_at, place))
    if report.accuracy is not None:
        accuracy = report.accuracy
        line(f"accuracy ({report.readout}; float {accuracy:.2%})", lambda m: _change(m, accuracy))
    line("MACs a step", lambda m: f"{m.macs:,}")
    line("synapses / neurons", lambda m: f"{m.synapses:,} / {m.neurons:,}")
    line("RAM beside the file, bytes", lambda m: "?" if m.ram is None else f"{m.ram:,}")
    for k, estimate in enumerate(report.model.costs):
        line(f"{estimate.machine}, {estimate.unit} a step", partial(_cost, k))
    return table


def _error_at(step: int, model: ModelReport) -> str:
    return f"{model.curve.largest[step]:.5f} / {model.curve.rms[step]:.6f}"


def _cost(machine: int, model: ModelReport) -> str:
    estimate = model.costs[machine]
    return f"about {estimate.count:,}"


def _change(model: ModelReport, accuracy: float) -> str:
    if model.accuracy is None:
        return "?"
    return f"{model.accuracy:.2%} ({100 * (model.accuracy - accuracy):+.2f} points)"


def _sections(models: tuple[ModelReport, ...]) -> Table:
    table = _table("bytes of the sections", models)
    for name in dict.fromkeys(name for model in models for name in model.sections):
        table.add_row(name, *(f"{m.sections.get(name, 0):,}" for m in models))
    return table


def _saturated(models: tuple[ModelReport, ...]) -> Table | str:
    table = _table("saturated values", models)
    table.add_column("")
    clean = 0
    for tensor in models[0].saturation:
        same = [_same(model, tensor) for model in models]
        if not any(s.clipped for s in same):
            clean += 1
            continue
        cells = [f"{s.clipped:,} of {s.values:,} ({s.share:.2%})" for s in same]
        table.add_row(tensor.name, *cells, "harmless" if tensor.harmless else "")
    if not table.row_count:
        return f"saturated values: none in {clean} tensors"
    if clean:
        table.caption, table.caption_justify = f"{clean} other tensors: none", "left"
    return table


def _same(model: ModelReport, tensor: Saturation) -> Saturation:
    key = (tensor.layer, tensor.tensor)
    found = (s for s in model.saturation if (s.layer, s.tensor) == key)
    return next(found, Saturation(*key, 0, 0))


def _contraction(layer: Contraction) -> str:
    change = np.expm1(layer.exponent)
    text = f"layer {layer.layer} ({layer.kind}): a small error of the state "
    if change >= 0:
        return f"{text}grows by {change:.1%} a step"
    memory = layer.memory or np.inf
    text += f"shrinks by {-change:.1%} a step, to 1/e in {memory:.3g} steps"
    return text if layer.contractive else f"{text}, but grows in part of the data"


def _chosen(report: ConvertReport) -> str:
    chosen = report.chosen
    assert chosen is not None
    head = f"widths for at most {chosen.max_bytes:,} bytes: "
    if not chosen.promotions:
        return head + f"int{chosen.options.bits} everywhere"
    steps = ", ".join(
        f"layer {p.layer} matrix {p.matrix} (rms {p.rms:.2e})" for p in chosen.promotions
    )
    return head + f"int8 (rms {chosen.rms_int8:.2e}), int16 for {steps}"


# ---- picture ------------------------------------------------------------------------------------


def figure(report: ConvertReport) -> Figure:
    """Error over rollout time above; saturation and bytes per section below."""
    models = (report.model, *report.compared)
    below = 3.6 + 1.2 * max(0, len(models) - 2)
    result = Figure(figsize=(10, 3.6 + below), layout="constrained")
    grid = result.add_gridspec(2, 2, height_ratios=(3.6, below))
    _draw_errors(result.add_subplot(grid[0, :]), models)
    _draw_saturation(result.add_subplot(grid[1, 0]), models)
    _draw_sections(result.add_subplot(grid[1, 1]), models)
    for ax in result.axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_axisbelow(True)
    return result


def write_picture(report: ConvertReport, path: Path) -> None:
    """Save the picture (.png or .svg); folders are made."""
    check_picture(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    figure(report).savefig(path, dpi=150, metadata=metadata)


def _draw_errors(ax: Axes, models: tuple[ModelReport, ...]) -> None:
    lowest = 1e-9
    for color, model in zip(COLORS, models, strict=False):
        steps = np.arange(1, len(model.curve.rms) + 1)
        marker = "." if len(steps) < 3 else ""
        largest, rms = (np.maximum(c, lowest) for c in (model.curve.largest, model.curve.rms))
        ax.plot(steps, rms, color=color, lw=1.8, marker=marker, label=f"{model.name}, rms")
        ax.plot(
            steps, largest, color=color, lw=0.8, alpha=0.6, marker=marker,
            label=f"{model.name}, largest",
        )  # fmt: skip
    ax.set_yscale("log")
    ax.margins(x=0.01)
    ax.legend(
        frameon=False, ncols=len(models), loc="lower right", bbox_to_anchor=(1, 1), fontsize=8,
        borderpad=0, columnspacing=1.0,
    )  # fmt: skip
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_title("Integer against float outputs along the rollout", loc="left", size=11)
    ax.set_xlabel("step of the sequence")
    ax.set_ylabel("error, units of the output")


def _draw_saturation(ax: Axes, models: tuple[ModelReport, ...]) -> None:
    tensors = [s for s in models[0].saturation if any(_same(m, s).clipped for m in models)]
    tensors = sorted(tensors, key=lambda s: -max(_same(m, s).share for m in models))[:BARS]
    ax.set_title("Saturated values, % of a tensor (pale: harmless)", loc="left", size=11)
    if not tensors:
        ax.text(0.5, 0.5, "none", ha="center", va="center", transform=ax.transAxes)
        ax.set_xticks([])
        ax.set_yticks([])
        return
    height = 0.8 / len(models)
    for k, model in enumerate(models):
        at = np.arange(len(tensors)) + (k - (len(models) - 1) / 2) * height
        shares = [100 * _same(model, s).share for s in tensors]
        bars = ax.barh(at, shares, height, color=COLORS[k % len(COLORS)])
        for bar, tensor in zip(bars, tensors, strict=True):
            bar.set_alpha(0.35 if tensor.harmless else 1.0)
        ax.bar_label(bars, [f" {share:.3g}" for share in shares], size=LABEL)
    ax.set_yticks(range(len(tensors)), [s.name for s in tensors], size=8)
    ax.set_ylim(max(len(tensors), 5) - 0.5, -0.5)
    ax.margins(x=0.15)


def _draw_sections(ax: Axes, models: tuple[ModelReport, ...]) -> None:
    names = list(dict.fromkeys(name for model in models for name in model.sections))
    height = 0.8 / len(models)
    for k, model in enumerate(models):
        at = np.arange(len(names)) + (k - (len(models) - 1) / 2) * height
        sizes = [model.sections.get(name, 0) for name in names]
        label = f"{model.name}: {model.file_bytes:,} bytes"
        bars = ax.barh(at, sizes, height, color=COLORS[k % len(COLORS)], label=label)
        ax.bar_label(bars, [f" {size:,}" for size in sizes], size=LABEL)
    ax.set_yticks(range(len(names)), names, size=8)
    ax.invert_yaxis()
    ax.margins(x=0.15)
    ax.legend(frameon=False, loc="lower right", fontsize=9)
    ax.set_title("Bytes of the sections", loc="left", size=11)
