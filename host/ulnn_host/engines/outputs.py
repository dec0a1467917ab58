"""What a model gave for data, as people want it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .coverage import Coverage

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Outputs:
    """What a model gave for N sequences of T steps, 0 after the end of shorter ones.

    y: (N, T, O) in real units; y_int: (N, T, O) the integers; state: (N, state_size) after the
    last step of each. Without N where the data were one sequence. coverage: of the data by the
    model.
    """

    y: Float
    y_int: NDArray[np.int16]
    state: NDArray[np.int16]
    coverage: Coverage
