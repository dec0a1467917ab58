"""What inputs were like in a calibration, in the units in which devices sum theirs up."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..base.errors import UlnnError
from ..data.logs import read_data
from ..fleet.overview import Reference
from ..format import container


def reference_of(model_path: Path, data_path: Path) -> Reference:
    """Mean and deviation of each input of a model over data. Raises UlnnError."""
    _, model = container.read_file(model_path)
    data = read_data(data_path)
    if model.channels and data.channels:
        data = data.in_order(model.channels)
    if data.x.shape[2] != model.input_size:
        raise UlnnError(
            f"{data_path}: {data.x.shape[2]} channels, but {model_path} has {model.input_size} "
            "inputs"
        )
    x = (data.x[data.mask].astype(np.float64) - model.input_offset) / model.input_scale
    x = np.clip(np.round(x), -32768, 32767)
    return Reference(x.mean(0), x.std(0), model.channels)
