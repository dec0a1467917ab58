"""The report of `ulnn convert` as text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table

from ..data.sampling import duration
from ..engines.coverage import Coverage
from ..format.cost import AXI
from ..network.contraction import Contraction
from ..quantize.rollouts import Saturation
from . import scores_text
from .convert_report import ConvertReport, ModelReport

Cell = Callable[[ModelReport], str]


def show(report: ConvertReport, out: Console) -> None:
    """Print everything but the first two lines of `ulnn convert`."""
    models = (report.model, *report.compared)
    out.print(_times(report.model.coverage), soft_wrap=True)
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
    if report.scores and report.model.scores:
        models_by_name = {"float": report.scores, report.model.name: report.model.scores}
        title = f"on {report.measured_on}, readout {report.readout}"
        scores_text.show(models_by_name, title, out)
    for advice in report.model.advice:
        out.print(f"better: {advice}", soft_wrap=True)


def _times(found: Coverage) -> str:
    text = f"elapsed times: {found.sampling}; "
    if found.fixed_dt:
        return f"{text}the model takes {duration(found.fixed_dt)} for all of them"
    return f"{text}longer ones than {duration(found.dt_max)} are shortened to it (--longest-gap)"


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
    if report.model.test_rms is not None:
        line("rms error on test data", lambda m: f"{m.test_rms:.6f}")
    if report.scores:
        name, value = next(iter(report.scores.figures().items()))
        line(f"{name} on {report.measured_on}", partial(_change, name, value))
    line("MACs a step", lambda m: f"{m.macs:,}")
    line("synapses / neurons", lambda m: f"{m.synapses:,} / {m.neurons:,}")
    line("RAM beside the file, bytes", lambda m: "?" if m.ram is None else f"{m.ram:,}")
    for k, estimate in enumerate(report.model.costs):
        where = f" in {estimate.memory}" if estimate.memory else ""
        line(f"{estimate.machine}, {estimate.unit} a step{where}", partial(_cost, k))
        if any(model.costs[k].misses for model in models):
            line(f"  from {AXI}", partial(_cached, k))
    return table


def _error_at(step: int, model: ModelReport) -> str:
    return f"{model.curve.largest[step]:.5f} / {model.curve.rms[step]:.6f}"


def _cost(machine: int, model: ModelReport) -> str:
    estimate = model.costs[machine]
    return f"about {estimate.count:,}"


def _cached(machine: int, model: ModelReport) -> str:
    estimate = model.costs[machine]
    low, _, high = (round(count, -2) for count in estimate.cached)
    return f"{low:,} to {high:,}" if estimate.misses else "the same"


def _change(name: str, real: float, model: ModelReport) -> str:
    if model.scores is None:
        return "?"
    value = model.scores.figures()[name]
    text = scores_text.number(name, value)
    if model.accuracy is None:
        return f"{text} ({value - real:+.2g})"
    return f"{text} ({100 * (value - real):+.2f} points)"


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
        same = [same_tensor(model, tensor) for model in models]
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


def same_tensor(model: ModelReport, tensor: Saturation) -> Saturation:
    """What saturated in the same tensor of another model."""
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
