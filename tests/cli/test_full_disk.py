"""A disk that fills up leaves old files whole, and nothing else."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from support import convert_cases
from support.every_cell import torch_models
from ulnn_host.base import files
from ulnn_host.base.errors import UlnnError
from ulnn_host.cli.main import app
from ulnn_host.data.npz import save_npz
from ulnn_host.format import container
from ulnn_host.report.page import Page

OLD = b"what was there"
# command, its outputs
LINES = [
    ("convert net.pt --calib d.npz -o m.ulnn", ["m.ulnn"]),
    ("convert net.pt --calib d.npz -o n.ulnn --report p.png", ["n.ulnn", "p.png"]),
    ("run a.ulnn d.npz -o o.npz", ["o.npz"]),
    ("run a.ulnn d.npz -o o.csv", ["o.csv"]),
    ("data d.npz -o e.npz", ["e.npz"]),
    ("data d.npz --plot d.svg", ["d.svg"]),
    ("info a.ulnn --graph g.svg", ["g.svg"]),
    ("info a.ulnn --graph g.pdf", ["g.pdf"]),
    ("export net.pt --onnx n.onnx", ["n.onnx"]),
    ("train r.toml -o t.safetensors", ["t.safetensors"]),
]


@contextlib.contextmanager
def full_disk(free: int = 300) -> Iterator[None]:
    """No file becomes longer than that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model, _ = torch_models()["cfc-default"]
    torch.save(model.state_dict(), "net.pt")
    parsed = convert_cases.model("cfc-default")
    Path("a.ulnn").write_bytes(container.write(parsed))
    save_npz("d.npz", convert_cases.data(parsed.input_size))
    Path("r.toml").write_text(
        "[data]\nsource = 'd.npz'\n[model]\nhidden = 2\n[training]\nepochs = 1\n"
    )
    return tmp_path


@pytest.mark.parametrize(("line", "outputs"), LINES, ids=[line for line, _ in LINES])
def test_a_full_disk_leaves_the_old_file(folder: Path, line: str, outputs: list[str]) -> None:
    for name in outputs:
        (folder / name).write_bytes(OLD)
    before = sorted(folder.iterdir())
    with full_disk():
        done = CliRunner().invoke(app, line.split())
    assert isinstance(done.exception, UlnnError | OSError), done.output
    assert "file too large" in str(done.exception).lower()
    assert [(folder / name).read_bytes() for name in outputs] == [OLD] * len(outputs)
    assert sorted(folder.iterdir()) == before


def test_a_full_disk_leaves_old_reports(tmp_path: Path) -> None:
    page = Page("title")
    page.text("text " * 100)
    for name, write in (
        ("r.html", lambda path: page.write(path)),
        ("r.json", lambda path: files.write_json(path, ["text"] * 100)),
    ):
        (tmp_path / name).write_bytes(OLD)
        with full_disk(), pytest.raises(UlnnError, match=f"{name} cannot be written"):
            write(tmp_path / name)
        assert (tmp_path / name).read_bytes() == OLD
    assert len(list(tmp_path.iterdir())) == 2


def test_arrays_are_saved_under_a_name_that_is_text(tmp_path: Path) -> None:
    data = convert_cases.data(3)
    save_npz(str(tmp_path / "a.npz"), data)
    save_npz(tmp_path / "b.npz", data)
    one, other = (np.load(tmp_path / f"{name}.npz") for name in "ab")
    assert sorted(one) == sorted(other)
    assert all(np.array_equal(one[key], other[key]) for key in one)
