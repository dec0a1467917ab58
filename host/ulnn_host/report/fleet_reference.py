"""What inputs were like in a calibration, in the units in which devices sum theirs up."""

from __future__ import annotations

from pathlib import Path

from ..base.errors import UlnnError
from ..data.logs import read_data
from ..fleet.overview import Reference
from ..format import container


def reference_of(model_path: Path, data_path: Path) -> Reference:
    """Mean and deviation of each input of a model over data. Raises UlnnError."""
    _, model = container.read_file(model_path)
    data = read_data(data_path).in_order(model.channels)
    if data.x.shape[2] != model.input_size:
        raise UlnnError(
            f"{data_path}: {data.x.shape[2]} channels, but {model_path} has {model.input_size} "
            "inputs"
        )
    x = model.quantise_input(data.x[data.mask])
    return Reference(x.mean(0), x.std(0), model.channels)
