"""`ulnn run -o x.csv`: a table of what `-o x.npz` has as arrays."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from support import convert_cases
from ulnn_host.base.errors import UlnnError, UlnnWarning
from ulnn_host.cli.main import app
from ulnn_host.data.npz import save_npz
from ulnn_host.data.sequences import Sequences
from ulnn_host.format import container
from ulnn_host.format.model import Decision, Names
from ulnn_host.report.outputs_csv import write_csv

NAME = "cfc-default"


def outputs(
    folder: Path, data: Sequences, **meta: Any
) -> tuple[list[list[str]], dict[str, np.ndarray]]:
    """Rows of the table, and the arrays, of the same run."""
    model = replace(convert_cases.model(NAME), meta=meta, names=None, decision=None)
    (folder / "m.ulnn").write_bytes(container.write(model))
    save_npz(folder / "d.npz", data)
    for name in ("o.csv", "o.npz"):
        words = ["run", "m.ulnn", "d.npz", "-o", name]
        done = CliRunner().invoke(app, [str(folder / w) if "." in w else w for w in words])
        assert done.exit_code == 0, done.exception
    with (folder / "o.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    with np.load(folder / "o.npz") as arrays:
        return rows, dict(arrays)


@pytest.fixture
def data() -> Sequences:
    return convert_cases.data(convert_cases.model(NAME).input_size, count=3, steps=9)


@pytest.fixture
def labels() -> list[str]:
    return [f"class, {k}" for k in range(convert_cases.model(NAME).output_size)]


def test_several_sequences_with_labels(tmp_path: Path, data: Sequences, labels: list[str]) -> None:
    (head, *rows), arrays = outputs(tmp_path, data, labels=labels, readout="last")
    assert head == ["sequence", "time", *labels, "decision"]
    assert len(rows) == data.length.sum()
    for n, length in enumerate(data.length):
        own = [row for row in rows if row[0] == str(n)]
        values = np.array([[float(v) for v in row[1:-1]] for row in own])
        assert np.allclose(values[:, 0], np.cumsum(data.dt[n, :length]), rtol=1e-6)
        assert np.allclose(values[:, 1:], arrays["y"][n, :length], rtol=1e-6)
        decided = labels[int(arrays["y"][n, length - 1].argmax())]
        assert [row[-1] for row in own] == [""] * (length - 1) + [decided]


def test_a_decision_for_every_step(tmp_path: Path, data: Sequences, labels: list[str]) -> None:
    (_, *rows), arrays = outputs(tmp_path, data, labels=labels, readout="each")
    decided = [labels[k] for k in arrays["y"][data.mask].argmax(-1)]
    assert [row[-1] for row in rows] == decided


def test_the_mean_decides_at_the_end(tmp_path: Path, data: Sequences, labels: list[str]) -> None:
    (_, *rows), arrays = outputs(tmp_path, data, labels=labels, readout="mean")
    decided = [
        labels[int(arrays["y"][n, :length].mean(0).argmax())]
        for n, length in enumerate(data.length)
    ]
    assert [row[-1] for row in rows if row[-1]] == decided


def test_one_sequence_without_labels(tmp_path: Path, data: Sequences) -> None:
    flat = replace(data.take([0]), y=None, flat=True)
    (head, *rows), arrays = outputs(tmp_path, flat)
    assert head == ["time", *(f"y{k}" for k in range(arrays["y"].shape[1]))]
    assert np.allclose([[float(v) for v in row[1:]] for row in rows], arrays["y"], rtol=1e-6)


def test_another_ending_is_refused_before_the_run(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["run", "none.ulnn", "none.npz", "-o", "x.txt"])
    assert isinstance(done.exception, UlnnError)
    assert str(done.exception) == "x.txt: expected a name that ends in .npz or .csv"


def test_decisions_fall_where_windows_end(tmp_path: Path, data: Sequences) -> None:
    """Where the state would be reset between windows there are none."""
    made = convert_cases.model(NAME)
    labels = tuple(f"class {k}" for k in range(made.output_size))
    rule = Decision("last", window=4, enter=65535)
    named = replace(made, meta={}, names=Names(labels=labels), decision=rule)
    y = np.zeros((*data.mask.shape, made.output_size), np.int16)
    path = tmp_path / "o.csv"
    write_csv(path, named, data, y)
    with path.open(newline="") as file:
        (head, *rows) = csv.reader(file)
    assert head[-1] == "decision"
    for n, length in enumerate(data.length):
        ends = [t for t in range(length) if t % 4 == 3] or [length - 1]
        said = [row[-1] for row in rows if row[0] == str(n)]
        assert said == ["unsure" if t in ends else "" for t in range(length)]
    with pytest.warns(UlnnWarning, match="ulnn score cuts them"):
        write_csv(path, replace(named, decision=replace(rule, reset=True)), data, y)
    assert path.read_text().splitlines()[0].endswith(labels[-1])
