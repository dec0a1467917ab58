"""Long work shows progress where somebody looks: terminals and notebooks."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

CELL = """
from ulnn_host.base.progress import bar, status
with bar("training", 3) as shown:
    shown.update(3)
with status() as say:
    say("converting")
print("done")
"""


def outputs(cell: str) -> list[nbformat.NotebookNode]:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    NotebookClient(notebook, timeout=60).execute()
    found: list[nbformat.NotebookNode] = notebook.cells[0].outputs
    return found


@pytest.mark.parametrize("widgets", [True, False])
def test_a_notebook_shows_bars_where_it_has_widgets(widgets: bool) -> None:
    hidden = "" if widgets else "import sys; sys.modules['ipywidgets'] = None\n"
    shown = [kind for output in outputs(hidden + CELL) for kind in output.get("data", {})]
    assert ("application/vnd.jupyter.widget-view+json" in shown) == widgets
    assert bool(shown) == widgets


def test_nothing_is_shown_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    exec(CELL)
    assert capsys.readouterr() == ("done\n", "")
