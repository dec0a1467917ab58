"""The notebook runs as it is, and the pages of the public face can be made."""

from __future__ import annotations

import warnings
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from support.paths import ROOT


@pytest.mark.board
def test_the_notebook_ends_with_a_proven_board(tmp_path: Path) -> None:
    notebook = nbformat.read(ROOT / "host" / "examples" / "from_ncps.ipynb", as_version=4)
    NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    said = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert "True 3600 steps, native engine" in said
    assert (tmp_path / "waves.ulnn").exists()


def test_pages_are_made_of_the_docstrings(tmp_path: Path) -> None:
    import pdoc

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pdoc.pdoc("ulnn_host.api", output_directory=tmp_path)
    page = (tmp_path / "ulnn_host" / "api.html").read_text()
    for name in ("read", "train", "compare", "convert", "Model", "load", "deploy", "validate"):
        assert f'id="{name}"' in page
