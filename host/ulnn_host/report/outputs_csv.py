"""What a model makes of data, as a table for people."""

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


def write_csv(path: Path, model: ModelFile, data: Sequences, y: NDArray[Any]) -> None:
    """Write real outputs y (N, T, O), or (T, O).

    A row for each step: the number of its sequence, where there are several; the time, seconds,
    the sum of dt; the outputs; and, of a model that has labels, the decision in those rows in
    which its readout decides: in every one for "each", else in the last of a sequence. Raises
    UlnnError."""
    y = y.reshape(*data.mask.shape, model.output_size)
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
