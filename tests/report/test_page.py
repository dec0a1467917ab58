"""The HTML pages of reports."""

from __future__ import annotations

from pathlib import Path

from ulnn_host.report.page import Page, confusion_figure


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
