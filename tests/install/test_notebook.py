"""The notebook with the built wheel, and the other packages of the checkout's environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from support.paths import ROOT

SCRIPT = """
import json, sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
notebook.cells.append(nbformat.v4.new_code_cell("print('from', uh.__file__)"))
NotebookClient(notebook, timeout=300).execute()
cells = notebook.cells
print(json.dumps("".join(o.get("text", "") for c in cells for o in c.get("outputs", []))))
"""


@pytest.mark.parametrize("board", ["cortex-m7"], indirect=True)
def test_the_notebook_runs_with_the_wheel(
    dist: Path, empty: Path, board: tuple[str, str], tmp_path: Path
) -> None:
    env = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", env], check=True)
    python = env / "bin" / "python"
    (wheel,) = dist.glob("*abi3*.whl")
    pip = [sys.executable, "-m", "pip", "--python", python]
    subprocess.run(
        [*pip, "install", "--quiet", "--disable-pip-version-check", "--no-deps", wheel], check=True
    )
    # A folder that a .pth names is searched last, and .pth files in it are not read: the
    # checkout's own ulnn_host, which one of them adds, is not seen.
    (site,) = env.glob("lib/*/site-packages")
    (site / "checkout.pth").write_text(sysconfig.get_paths()["purelib"])
    notebook = ROOT / "host" / "examples" / "from_ncps.ipynb"
    done = subprocess.run(
        [python, "-c", SCRIPT, notebook],
        cwd=empty,
        env=os.environ | {"ULNN_PORT": board[0], "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert "True 3600 steps, native engine" in said
    assert f"from {site}" in said
    assert (empty / "waves.ulnn").exists()
