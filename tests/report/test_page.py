"""The HTML pages of reports."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ulnn_host.report.page import Page, confusion_figure, trace_figure


def test_page_escapes_and_stands_alone(tmp_path: Path) -> None:
    page = Page("a < b", "<script>")
    page.verdict(False, "5 > 4")
    page.section("s")
    page.text("t & u")
    page.numbers([("1 & 2", "<i>")])
    page.facts({"k<": None, "yes": True})
    page.table(("name", "value"), [("<b>", 1234567), ("x", 0.5)], best=1)
    page.figure(confusion_figure([[3, 1], [0, 2]], ["a", "b"]), "caption <", vector=False)
    page.write(tmp_path / "new/page.html")
    text = (tmp_path / "new/page.html").read_text()
    for raw in ("<script>", "<i>", "<b><", "caption <"):
        assert raw not in text
    assert "1,234,567" in text
    assert "data:image/png;base64," in text


def test_a_figure_is_drawn_in_the_colours_that_its_legend_names() -> None:
    rng = np.random.default_rng(0)
    figure = trace_figure(np.arange(9), rng.random((9, 2)), rng.random((9, 2)), ("a", "b"))
    legend = figure.axes[0].get_legend()
    assert legend is not None
    named = {line.get_color() for line in legend.get_lines()}
    drawn = {line.get_color() for ax in figure.axes for line in ax.lines}
    assert drawn == named
    assert all(line.get_alpha() is None for ax in figure.axes for line in ax.lines)
