"""Names of Keras and TensorFlow brought into those of `ncps.torch`.

Kernels are transposed, the sign of time_a is turned (their gate is sigmoid(-a t + b)), and signed
masks are multiplied in; what then differs are the heads' activations, which `Options` knows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .network import Array

DIALECTS = ("ncps.keras", "raminmh.tf")


def from_kernels(weights: Mapping[str, Array]) -> dict[str, Array]:
    """`ncps.torch` names for arrays named NAME.kernel (inputs, outputs), NAME.bias, w_tau, A."""
    renamed = {}
    for key, value in weights.items():
        path, _, last = key.rpartition(".")
        array = np.asarray(value, np.float64)
        if last == "kernel":
            key, array = f"{path}.weight", array.T
        if path.rpartition(".")[2] == "time_a":
            array = -array
        renamed[key] = array
    return renamed
