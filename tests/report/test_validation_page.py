"""The page of a validation: its structure, for wide and narrow, light and dark."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import random_models
from ulnn_host.board.stream import BoardInfo
from ulnn_host.board.validate import Arrays, Latency, Traffic, ValidationReport
from ulnn_host.data.sequences import Sequences
from ulnn_host.engines import decided, registry
from ulnn_host.engines.batch import quantise
from ulnn_host.engines.coverage import coverage
from ulnn_host.format import container, cost, facts
from ulnn_host.format.model import Kind
from ulnn_host.report import page as pages
from ulnn_host.report.page import Page, digits, validation_page

LABELS = tuple(f"class {k}" for k in range(7))


def validation(board: str = "QEMU Cortex-M7", *, labels: bool = True) -> ValidationReport:
    """A report as of a board that answers what the reference does."""
    model = random_models.random_model(3, random_models.Shape(Kind.CFC, outputs=7, inputs=6))
    rng = np.random.default_rng(1)
    count, steps = 40, 50
    data = Sequences(
        x=rng.uniform(-1, 1, (count, steps, 6)).astype(np.float32) * 32768 * model.input_scale
        + model.input_offset,
        dt=rng.uniform(0.02, 0.1, (count, steps)).astype(np.float32),
        length=np.full(count, steps),
        y=rng.integers(0, 6, count) if labels else None,
        labels=LABELS if labels else (),
    )
    content = container.write(model)
    batch = quantise(model, data)
    outputs = registry.run(content, batch, "reference")
    info = BoardInfo(
        (1, 0), 256, 2, 10, 6, 7, 16, 1, False, model.tick_ns, 1_000_000,
        {"board": board, "python": "MicroPython", "engine": "native", "ulnn": "0.1", "ram": "900"},
    )  # fmt: skip
    ticks = rng.integers(100, 140, batch.dt.shape)
    score = found = None
    if labels:
        score = decided.score(model, outputs.y, data)
        found = decided.decisions(model, outputs.y, data)
    total = count * steps
    return ValidationReport(
        model="watch.ulnn", data="test.npz", port="virtual:cortex-m7", equal=True,
        sequences=count, steps=total, outputs_compared=7 * total, different_steps=0,
        different_states=0, first_difference=None, clamped_steps=0, clamped_equal=True,
        readout="last", score_board=score, score_reference=score,
        latency=Latency.of(ticks.ravel(), info), latency_gc=None,
        samples_per_second=2345.678, stream_seconds=1.0, wall_seconds=2.0,
        traffic=Traffic(*[0] * len(fields(Traffic))), board=info,
        model_facts=facts.of_model(model),
        deployment=None, labels=data.labels, channels=(), costs=cost.estimates(model),
        truth=data.y, coverage=coverage(model, data), compared=total,
        arrays=Arrays(
            batch, outputs, outputs, ticks, np.zeros(batch.dt.shape, bool), data.mask,
            np.ones(count, bool), found,
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def emulated() -> ValidationReport:
    return validation()


@pytest.fixture(scope="module")
def page(emulated: ValidationReport) -> str:
    return validation_page(emulated).html()


def tiles(page: str) -> list[tuple[str, str]]:
    row = re.search(r'<div class="numbers">(.*?)</div>\n', page, re.DOTALL)
    assert row is not None
    return re.findall(r"<b>(.*?)</b><span>(.*?)</span>", row[1])


def test_tiles_of_an_emulated_board_are_modelled_cycles(
    emulated: ValidationReport, page: str
) -> None:
    found = tiles(page)
    for estimate in emulated.costs:
        said = f"{estimate.unit} a step, modelled: {estimate.machine}"
        assert (f"{estimate.count:,}", said) in found
    assert not any(" us" in value or "samples/s" in what for value, what in found)


def test_tiles_of_a_real_board_are_measured_times() -> None:
    real = validation("NUCLEO-H743ZI", labels=False)
    found = tiles(validation_page(real).html())
    assert [what for _, what in found] == [
        "samples/s over the serial line", "median step", "99 % of steps are faster",
    ]  # fmt: skip
    assert found[0][0] == "2,346"


def test_every_class_has_a_row_and_a_trace(page: str) -> None:
    """Also class 6, which the data do not have."""
    for label in LABELS:
        assert f"<td>{label}</td>" in page
    assert len(LABELS) <= pages.TRACES


def test_inputs_labels_and_decisions_are_shown_over_time(
    emulated: ValidationReport,
) -> None:
    figure, caption = pages.timeline(emulated)
    assert [ax.get_ylabel() for ax in figure.axes] == ["inputs", "label", "board"]
    inputs, _, board = figure.axes
    assert len([line for line in inputs.lines if line.get_label().startswith("input ")]) == 6
    legend = board.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == list(LABELS)
    named = {patch.get_facecolor() for patch in legend.get_patches()}
    shown = {patch.get_facecolor() for ax in figure.axes[1:] for patch in ax.patches}
    assert shown <= named
    assert caption == "40 of 40 sequences as the board sees them"


def test_without_labels_there_are_inputs_alone() -> None:
    figure, _ = pages.timeline(validation(labels=False))
    assert [ax.get_ylabel() for ax in figure.axes] == ["inputs"]


def test_of_long_data_sequences_are_taken_from_all_of_them(
    emulated: ValidationReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ulnn_host.report.timeline.STEPS", 120)
    figure, caption = pages.timeline(emulated)
    assert caption.startswith("2 of 40 sequences")
    arrays = emulated.arrays
    assert arrays is not None
    scale, offset = (np.array(emulated.model_facts[f"input_{k}"]) for k in ("scale", "offset"))
    drawn = np.stack([line.get_ydata() for line in figure.axes[0].lines[:6]], axis=1)
    assert np.allclose(drawn, arrays.batch.x[[0, 39]].reshape(100, 6) * scale + offset)
    monkeypatch.setattr("ulnn_host.report.timeline.STEPS", 20)
    _, caption = pages.timeline(emulated)
    assert caption.endswith(", the first 20 steps")


def test_tables_and_pictures_scroll_rather_than_break(page: str) -> None:
    for tag in ("<table", "<picture"):
        for at in (found.start() for found in re.finditer(tag, page)):
            assert page[:at].endswith('<div class="wide">')
    style = page[page.index("<style>") : page.index("</style>")]
    assert ".wide { overflow-x: auto; }" in style
    broken = [rule for rule in style.split("}") if "overflow-wrap: anywhere" in rule]
    assert [rule.split("{")[0].strip() for rule in broken] == [".sub", ".facts td"]
    assert "@media (max-width: 600px)" in style
    for width, most in re.findall(r"min-width: (\d+)px; max-width: (\d+)px", page):
        assert int(width) == pytest.approx(int(most) * pages.SMALLEST, abs=1)


def test_pages_and_pictures_have_a_dark_form(page: str) -> None:
    assert "color-scheme: light dark" in page
    assert "@media (prefers-color-scheme: dark)" in page
    pairs = re.findall(
        r'<source media="\(prefers-color-scheme: dark\)" srcset="(.*?)">'
        r'<img alt=".*?" src="(.*?)"', page
    )  # fmt: skip
    assert len(pairs) == page.count("<img ") == 3
    assert all(dark != light for dark, light in pairs)
    style = page[page.index("<style>") : page.index("@media (max-width")]
    colours = re.findall(r"(--[a-z-]+): #", style)
    assert colours[: len(colours) // 2] == colours[len(colours) // 2 :]


def test_names_of_others_are_escaped_and_drawn_as_they_are(
    emulated: ValidationReport, tmp_path: Path
) -> None:
    evil: dict[str, Any] = {
        "labels": ("<b>x</b>", "$\\frac{$", "\x1b[2J", "a" * 300, "", "e", "f"),
        "channels": tuple(f"${k}^{{$<i>" for k in range(6)),
    }
    validation_page(replace(emulated, **evil)).write(tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "<b>x" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.123456, "0.123"), (12.3456, "12.3"), (999.6, "1,000"), (-5.678, "-5.68"),
     (1234567.8, "1,234,568"), (0.0000123, "1.23e-05")],
)  # fmt: skip
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert digits(value) == text
    page = Page("x")
    page.table(("n",), [(value,)])
    assert f">{text}<" in page.html()
