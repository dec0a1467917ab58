"""Reports as one HTML file that needs nothing else: embedded figures, no script, no network."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..base import files
from ..base.errors import printable
from ..board.validate import Latency, ValidationReport
from ..data.scores import ClassScores, Scores, class_names
from . import scores_text
from .pictures import BOARD, INK, REFERENCE, new_figure, plain, render, render_dark
from .timeline import timeline

TRACES = 16
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --pale: #5b6875; --ground: #f5f7f9;
  --card: #fff; --line: #dfe5ea; --head: #f9fafb; --good: #2a9d5c; --good-card: #e7f6ed;
  --bad: #c8382c; --bad-card: #fdeceb; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --pale: #a3afba; --ground: #11161b;
  --card: #1a2128; --line: #313b45; --head: #212a33; --good: #3fbf77; --good-card: #16301f;
  --bad: #ec6a5e; --bad-card: #3a1d1b; } }
body { font: 16px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; color: var(--ink); margin: 0;
  background: var(--ground); overflow-wrap: break-word; }
main { max-width: 960px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.8rem; margin: 0; line-height: 1.25; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
.sub { color: var(--pale); margin: .2rem 0 1.2rem; overflow-wrap: anywhere; }
.verdict { border-left: 6px solid; padding: .8rem 1.1rem; border-radius: 6px; font-size: 1.1rem; }
.verdict.good { border-color: var(--good); background: var(--good-card); }
.verdict.bad { border-color: var(--bad); background: var(--bad-card); }
.numbers { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.numbers div { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .7rem 1rem; flex: 1 1 8rem; }
.numbers b { display: block; font-size: 1.45rem; font-weight: 650; white-space: nowrap; }
.numbers span { color: var(--pale); font-size: .85rem; }
table { border-collapse: collapse; background: var(--card); border: 1px solid var(--line);
  font-size: .92rem; }
th, td { padding: .35rem .8rem; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; max-width: 34rem; }
th { font-weight: 600; background: var(--head); } td.n, th.n { text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.facts td { overflow-wrap: anywhere; min-width: 10rem; }
tr.best td { background: var(--good-card); font-weight: 600; }
.wide { overflow-x: auto; } .wide + .wide { margin-top: .8rem; }
figure { margin: 1rem 0; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: .8rem; }
figure img { height: auto; display: block; margin: 0 auto; }
figcaption { color: var(--pale); font-size: .88rem; margin-top: .4rem; }
@media (max-width: 600px) {
  main { padding: 1.2rem .8rem 3rem; } h1 { font-size: 1.5rem; } figure { padding: .5rem; }
  .facts, .facts tbody, .facts tr, .facts th, .facts td { display: block; max-width: none; }
  .facts th { border-bottom: 0; padding-bottom: 0; } .facts td { background: var(--head); }
}
"""
# A figure is scaled down to this share of its size, and scrolls where even that is too wide.
SMALLEST = 0.75


def _cell(value: Any) -> tuple[str, bool]:
    """(text, is a number)."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value], False
    if isinstance(value, int | np.integer):
        return f"{int(value):,}", True
    if isinstance(value, float | np.floating):
        return digits(float(value)), True
    return str(value), bool(re.fullmatch(r"-?[\d.,]+ ?%?", str(value)))


def escape(text: str) -> str:
    """Text in HTML, without characters that are not for reading."""
    return html.escape(printable(text))


def digits(value: float) -> str:
    """A measured number: three digits, and no more than a thousandth."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{float(f'{value:.3g}'):g}"


class Page:
    """Collects blocks in order; `write` saves the file. Text is escaped everywhere."""

    def __init__(self, title: str, subtitle: str = "") -> None:
        self._title = title
        self._blocks = [f"<h1>{escape(title)}</h1>"]
        if subtitle:
            self._blocks.append(f'<p class="sub">{escape(subtitle)}</p>')

    def section(self, title: str) -> None:
        """A heading."""
        self._blocks.append(f"<h2>{escape(title)}</h2>")

    def text(self, text: str) -> None:
        """A paragraph."""
        self._blocks.append(f"<p>{escape(text)}</p>")

    def verdict(self, good: bool, text: str) -> None:
        """The one thing to know, in green or red."""
        kind = "good" if good else "bad"
        self._blocks.append(f'<p class="verdict {kind}">{escape(text)}</p>')

    def numbers(self, numbers: Iterable[tuple[str, str]]) -> None:
        """A row of (value, what it is)."""
        cells = "".join(
            f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>"
            for value, what in numbers
        )
        self._blocks.append(f'<div class="numbers">{cells}</div>')

    def facts(self, facts: Mapping[str, Any]) -> None:
        """A table of names and values."""
        rows = "".join(
            f"<tr><th>{escape(str(k))}</th><td>{escape(_cell(v)[0])}</td></tr>"
            for k, v in facts.items()
        )
        self._blocks.append(f'<div class="wide"><table class="facts">{rows}</table></div>')

    def table(
        self, header: Sequence[str], rows: Iterable[Sequence[Any]], best: int | None = None
    ) -> None:
        """A table; numbers stand right. best: index of a row to highlight."""
        content = [[_cell(value) for value in row] for row in rows]
        numeric = [any(row[k][1] for row in content) for k in range(len(header))]
        lines = []
        for k, row in enumerate(content):
            cells = "".join(
                f'<td class="n">{escape(text)}</td>' if n else f"<td>{escape(text)}</td>"
                for (text, _), n in zip(row, numeric, strict=True)
            )
            lines.append(f'<tr class="best">{cells}</tr>' if k == best else f"<tr>{cells}</tr>")
        head = "".join(
            f'<th class="n">{escape(h)}</th>' if n else f"<th>{escape(h)}</th>"
            for h, n in zip(header, numeric, strict=True)
        )
        self._blocks.append(
            f'<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'
        )

    def figure(self, figure: Figure, caption: str, *, vector: bool = True) -> None:
        """A matplotlib figure, as SVG or, for very many points, as PNG; for light and dark pages.

        Its colours are those of a dark page afterwards.
        """
        kind, mime = (".svg", "image/svg+xml") if vector else (".png", "image/png")
        width = figure.get_figwidth() * 96
        light, dark = (
            f"data:{mime};base64,{base64.b64encode(picture).decode()}"
            for picture in (render(figure, kind, 160, tight=True), render_dark(figure, kind, 160))
        )
        text = escape(caption)
        self._blocks.append(
            '<figure><div class="wide"><picture>'
            f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">'
            f'<img alt="{text}" src="{light}" style="width: 100%; min-width: '
            f'{width * SMALLEST:.0f}px; max-width: {width:.0f}px"></picture></div>'
            f"<figcaption>{text}</figcaption></figure>"
        )

    def html(self) -> str:
        """The whole file."""
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self._title)}</title><style>{_STYLE}</style></head>\n"
            "<body><main>\n" + "\n".join(self._blocks) + "\n</main></body></html>\n"
        )

    def write(self, path: Path) -> None:
        """Save; folders are made."""
        files.write(path, self.html())


# ---- figures ----------------------------------------------------------------------------------


def confusion_figure(confusion: Sequence[Sequence[int]], labels: Sequence[str] = ()) -> Figure:
    """Counts by true class (rows) and decided class (columns), shaded by the share of the row."""
    counts = np.array(confusion)
    names = [plain(name) for name in class_names(labels, len(counts))]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 1.6 + 0.55 * len(counts)
    figure, (ax,) = new_figure(side + 1.2, side)
    ax.grid(False)
    ax.imshow(np.ma.masked_equal(shares, 0), cmap="Blues", vmin=0, vmax=1)
    ax.set_xticks(range(len(names)), names, rotation=40, ha="right")
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("decided")
    ax.set_ylabel("true")
    if len(counts) <= 30:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                color = "white" if shares[row, column] > 0.55 else "#1c2733"
                ax.text(column, row, str(count), ha="center", va="center", color=color, size=9)
    return figure


def latency_figure(microseconds: Any, collections: Any = ()) -> Figure:
    """Histogram of step times, up to beyond p99 where the tail is long; collections apart."""
    times = np.asarray(microseconds, float)
    apart = np.asarray(collections, float)
    figure, (ax,) = new_figure()
    both = np.concatenate([times, apart])
    low, high = both.min(), max(np.percentile(both, 99.5), both.min() * 1.5)
    bins = np.linspace(low * 0.98, high * 1.02, 80)
    clipped = np.minimum(times, bins[-1])
    ax.hist(clipped, bins=list(bins), color=BOARD, label="steps")
    if len(apart):
        ax.hist(
            np.minimum(apart, bins[-1]),
            bins=list(bins),
            color=REFERENCE,
            label="with a garbage collection",
        )
    for percent, style in ((50, "-"), (99, "--")):
        value = float(np.percentile(times, percent)) if len(times) else 0.0
        ax.axvline(value, color=INK, linewidth=1, linestyle=style, label=f"p{percent}")
    ax.set_yscale("log")
    ax.set_xlabel("time of a step, us (the last bar holds everything beyond)")
    ax.set_ylabel("steps")
    ax.legend(frameon=False)
    return figure


def trace_figure(
    seconds: Any, board: Any, reference: Any, names: Sequence[str] = (), marked: int | None = None
) -> Figure:
    """Outputs (T, O) of board and reference over time; at most TRACES of them, most active first.

    marked: a step to mark, such as the first that differs.
    """
    time, got, wanted = (np.asarray(v, float) for v in (seconds, board, reference))
    shown = np.sort(np.argsort(-np.ptp(wanted, axis=0), kind="stable")[:TRACES])
    figure, axes = new_figure(9, 0.9 + 0.8 * len(shown), len(shown))
    for ax, k in zip(axes, shown, strict=True):
        ax.plot(time, wanted[:, k], color=REFERENCE, linewidth=3.6, label="reference")
        ax.plot(time, got[:, k], color=BOARD, linewidth=1.0, label="board")
        name = plain(names[k]) if k < len(names) else f"output {k}"
        ax.ticklabel_format(axis="y", useOffset=False)
        ax.set_ylabel(name, size=9, rotation=0, ha="right", va="center")
        if marked is not None:
            ax.axvline(time[marked], color="#c8382c", linewidth=1)
    axes[0].legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    axes[-1].set_xlabel("time, s")
    return figure


# ---- the report of a validation ----------------------------------------------------------------


def validation_page(report: ValidationReport) -> Page:
    """The page of `ulnn validate --html`."""
    page = Page("Validation on the board", f"{report.model} with {report.data} on {report.port}")
    add_validation(page, report)
    return page


def add_validation(page: Page, report: ValidationReport) -> None:
    """The blocks of a validation, for a page that may hold more."""
    page.verdict(report.equal, _verdict(report))
    latency = report.latency or report.latency_gc
    numbers = []
    if not report.board.emulated:
        numbers.append((digits(report.samples_per_second), "samples/s over the serial line"))
    for cost in report.costs if report.board.emulated or not latency else ():
        numbers.append((f"{cost.count:,}", f"{cost.unit} a step, modelled: {cost.machine}"))
    if latency and not report.board.emulated:
        numbers += [
            (f"{digits(latency.p50)} us", "median step"),
            (f"{digits(latency.p99)} us", "99 % of steps are faster"),
        ]
    if report.score_board and report.score_reference:
        for name, scores in (("board", report.score_board), ("reference", report.score_reference)):
            figure, value = next(iter(scores.figures().items()))
            numbers.append((scores_text.number(figure, value), f"{figure}, {name}"))
    page.numbers(numbers)
    _add_decisions(page, report)
    _add_outputs(page, report)
    _add_latency(page, report)
    page.section("Board")
    facts, info = report.board.facts, report.board
    page.facts(
        {
            "board": facts.get("board"),
            "Python": facts.get("python"),
            "engine": f"{facts.get('engine')} {facts.get('ulnn')}, kernel {facts.get('kernel')}",
            "memory of the model": f"{int(facts.get('ram', 0)):,} bytes",
            "step allocates memory": info.allocates,
            "clock of the step times": f"{info.clock_hz / 1e6:,.3f} MHz",
            "line": f"window {info.window} bytes, {report.traffic.lost} samples lost, "
            f"{report.traffic.resent} frames sent again, {report.traffic.restarts} restarts, "
            f"{report.traffic.repeated:,} steps made twice",
            "sampling": report.coverage.sampling,
            "time": f"{report.stream_seconds:.2f} s streaming, {report.wall_seconds:.2f} s in all",
        }
    )
    page.section("Model")
    page.facts(
        {k: v for k, v in report.model_facts.items() if k != "format" and not isinstance(v, list)}
    )


def add_scores(page: Page, scores: Mapping[str, Scores], note: str) -> None:
    """Measures of the same data by name, such as reference and board; of the last one also the
    classes.
    """
    name, last = list(scores.items())[-1]
    decisions = isinstance(last, ClassScores)
    page.section(f"{'Decisions' if decisions else 'Values'} of the {name}")
    page.text(f"{last.count:,} {'decisions' if decisions else 'values'}, {note}.")
    tables = [scores_text.figures(scores), scores_text.details(last), scores_text.groups(scores)]
    for table in filter(None, tables):
        page.table(table.header, table.rows)
        if table.note:
            page.text(table.note)
    if isinstance(last, ClassScores):
        page.table(("class", "right", "of", "share", "most often taken for"),
                   _by_class(last))  # fmt: skip
        page.figure(
            confusion_figure(last.confusion, last.names),
            "rows are true classes, shaded by their share",
        )


def _verdict(report: ValidationReport) -> str:
    if report.equal:
        known = "".join(f", but {line}" for line in report.coverage.facts)
        return (
            f"Equal: all {report.outputs_compared:,} outputs of {report.steps:,} steps and the "
            f"last state of each of the {report.sequences:,} sequences are those of the "
            f"reference, bit for bit{known}."
        )
    if report.broken_off and not report.different_steps and not report.different_states:
        return (
            f"Broken off after {report.compared:,} of {report.steps:,} steps, whose outputs are "
            f"those of the reference, bit for bit. {report.broken_off}"
        )
    text = (
        f"Different: {report.different_steps:,} of {report.compared:,} steps and "
        f"{report.different_states:,} of {report.sequences:,} last states are not those of the "
        "reference."
    )
    first = report.first_difference
    if first:
        text += (
            f" First at sequence {first.sequence}, step {first.step}, {first.what} {first.index}: "
            f"board {first.board}, reference {first.reference}."
        )
    return text


def _add_decisions(page: Page, report: ValidationReport) -> None:
    if report.score_board and report.score_reference:
        both = {"reference": report.score_reference, "board": report.score_board}
        add_scores(page, both, f"readout {report.readout}")
    if report.arrays is not None:
        page.section("Over time")
        page.figure(*timeline(report), vector=False)


def _by_class(scores: ClassScores) -> list[list[Any]]:
    """A row for every class, also for those that the data do not have."""
    names = scores.names
    rows: list[list[Any]] = []
    for k, counts in enumerate(scores.confusion):
        others = [count if j != k else 0 for j, count in enumerate(counts)]
        worst = int(np.argmax(others))
        share = f"{counts[k] / sum(counts):.1%}" if sum(counts) else None
        taken = f"{names[worst]} ({others[worst]:,})" if others[worst] else None
        rows.append([names[k], counts[k], sum(counts), share, taken])
    return rows


def _add_latency(page: Page, report: ValidationReport) -> None:
    page.section("Time of a step")
    rows: list[tuple[str, Latency]] = []
    if report.latency:
        rows.append(("steps", report.latency))
    if report.latency_gc:
        rows.append(("steps with a garbage collection", report.latency_gc))
    page.table(
        ("", "count", "min, us", "p50, us", "p99, us", "max, us", "p50, cycles"),
        [
            (name, x.count, x.min, x.p50, x.p99, x.max, (x.cycles or {}).get("p50"))
            for name, x in rows
        ],
    )
    if report.board.emulated:
        page.text("The board is emulated: these are times of the emulator, not of a chip.")
        return
    arrays = report.arrays
    if arrays is None:
        return
    valid = arrays.received
    microseconds = arrays.ticks * (1e6 / report.board.clock_hz)
    page.figure(
        latency_figure(microseconds[valid & ~arrays.gc], microseconds[valid & arrays.gc]),
        "Step times measured on the board around each call of step",
    )


def _add_outputs(page: Page, report: ValidationReport) -> None:
    arrays, first = report.arrays, report.first_difference
    if arrays is None:
        return
    came = arrays.received.sum(axis=1)
    n = first.sequence if first else int(np.argmax(came))
    steps = int(came[n])
    scale, offset = (
        np.array(report.model_facts[k], np.float64) for k in ("output_scale", "output_offset")
    )
    some = f"The {TRACES} most active of {len(scale)} outputs. " if len(scale) > TRACES else ""
    seconds = np.cumsum(arrays.batch.dt[n, :steps]) * report.model_facts["tick_ns"] / 1e9
    page.section(f"Outputs of sequence {n}")
    page.figure(
        trace_figure(
            seconds,
            arrays.got.y[n, :steps] * scale + offset,
            arrays.expected.y[n, :steps] * scale + offset,
            report.labels,
            first.step if first else None,
        ),
        some
        + "Board over reference; samples come at irregular times, as their dt says"
        + (". Red: the first step that differs" if first else ""),
        vector=steps <= 2000,
    )
