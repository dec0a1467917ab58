"""What a model makes of data, as files: arrays for programs, a table for people."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base import files
from ..data.scores import pool
from ..data.sequences import Sequences
from ..format.model import ModelFile
from .batch import Outputs


def write_npz(path: Path, model: ModelFile, data: Sequences, result: Outputs) -> None:
    """y_int int16 and y float32 (N, T, O), 0 after a sequence's end; state int16 (N, S) after its
    last step. Without the leading axis where the data have none. Raises UlnnError."""
    arrays: dict[str, Any] = {
        "y_int": result.y,
        "y": _real(model, data, result),
        "state": result.state,
    }
    if data.flat:
        arrays = {name: values[0] for name, values in arrays.items()}
    with files.replacing(path) as file:
        np.savez(file, **arrays)


def write_csv(path: Path, model: ModelFile, data: Sequences, result: Outputs) -> None:
    """A row for each step: the number of its sequence, where there are several; the time, seconds,
    the sum of dt; the outputs; and, of a model that has labels, the decision in those rows in
    which its readout decides: in every one for "each", else in the last of a sequence. Raises
    UlnnError."""
    y = _real(model, data, result)
    labels = model.labels if len(model.labels) == y.shape[2] else ()
    names = labels or tuple(f"y{k}" for k in range(y.shape[2]))
    decisions = np.full(data.mask.shape, "", object)
    if labels:
        decided = np.array(labels, object)[pool(y, data.length, model.readout).argmax(-1)]
        if model.readout == "each":
            decisions = decided
        else:
            decisions[np.arange(len(data)), data.length - 1] = decided
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    several = [] if data.flat else ["sequence"]
    table.writerow([*several, "time", *names, *(["decision"] if labels else [])])
    for n, length in enumerate(data.length):
        seconds = np.cumsum(data.dt[n, :length], dtype=np.float64)
        for t in range(length):
            row = [n] * len(several) + [f"{seconds[t]:.9g}", *(f"{v:.7g}" for v in y[n, t])]
            table.writerow([*row, decisions[n, t]] if labels else row)
    files.write(path, text.getvalue())


def _real(model: ModelFile, data: Sequences, result: Outputs) -> NDArray[np.float32]:
    y = np.where(data.mask[..., None], model.dequantise_output(result.y), 0)
    return y.astype(np.float32)
