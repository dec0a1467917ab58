"""What a model makes of data, as a table for people."""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base import files
from ..base.errors import UlnnWarning
from ..data.sequences import Sequences
from ..engines.decided import decisions, whole
from ..format.model import ModelFile


def write_csv(path: Path, model: ModelFile, data: Sequences, y: NDArray[Any]) -> None:
    """Write the real values of integer outputs y (N, T, O), or (T, O).

    A row for each step: the number of its sequence, where there are several; the time, seconds,
    the sum of dt; the outputs; and, of a model that has labels, the decision in those rows at
    which one falls: in every one for "each", else in the last of a window and of a sequence that
    is shorter. Warns where there are none, as the state was not reset where windows begin. Raises
    UlnnError."""
    y = y.reshape(*data.mask.shape, model.output_size)
    real = model.dequantise_output(y)
    labels = model.labels if len(model.labels) == y.shape[2] else ()
    names = labels or tuple(f"y{k}" for k in range(y.shape[2]))
    decided = np.full(data.mask.shape, "", object)
    if labels and not whole(model.decision, model.tick_ns, data):
        warnings.warn(
            "no decisions: the model's state is reset after each window, and the data have longer "
            "sequences; ulnn score cuts them into windows",
            UlnnWarning,
            stacklevel=2,
        )
        labels = ()
    if labels:
        words = np.array([*labels, "unknown", "", "unsure"], object)  # -3, -2 and -1: the last
        decided = words[decisions(model, y, data)]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    several = [] if data.flat else ["sequence"]
    table.writerow([*several, "time", *names, *(["decision"] if labels else [])])
    for n, length in enumerate(data.length):
        seconds = np.cumsum(data.dt[n, :length], dtype=np.float64)
        for t in range(length):
            row = [n] * len(several) + [f"{seconds[t]:.9g}", *(f"{v:.7g}" for v in real[n, t])]
            table.writerow([*row, decided[n, t]] if labels else row)
    files.write(path, text.getvalue())
