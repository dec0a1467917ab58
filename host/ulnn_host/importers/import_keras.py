"""Layers of Keras and TensorFlow by the names of `ncps.torch` and `torch.nn`.

Kernels are transposed, the sign of time_a is turned (their gate is sigmoid(-a t + b)), and signed
masks are multiplied in; what then differs are the heads' activations, which `Hints` knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import UlnnError
from ..network.layers import Array
from .checkpoint_toml import ALIASES
from .import_cells import Arrays
from .keras_cells import MIXED, other, plain_name, read_cell
from .keras_files import Layer, read_layers, snake_case
from .module_order import FUNCTIONS

DIALECTS = ("ncps.keras", "raminmh.tf")
SAME = ("InputLayer", "Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout")
IDLE = {"seed_generator", "input", *map(snake_case, SAME)}
SCALES = ("Rescaling", "Normalization")
NORMALIZATION_EPSILON = 1e-7  # of Keras


def from_kernels(weights: Mapping[str, Array], name: str) -> dict[str, Array]:
    """`ncps.torch` names for arrays named NAME.kernel (inputs, outputs), NAME.bias, w_tau, A, and
    sparsity_mask of a wired CfC (inputs, outputs), signed. Raises UlnnError."""
    renamed = {}
    for key, value in weights.items():
        path, _, last = key.rpartition(".")
        array = np.asarray(value, np.float64)
        if last in ("input_kernel", "recurrent_kernel"):
            raise UlnnError(f"{name}: {MIXED}")
        if last == "weight":
            raise UlnnError(f"{name}: found {key}; expected kernels, such as ff1.kernel")
        if last == "kernel":
            key, array = f"{path}.weight", array.T
        elif last == "sparsity_mask" and f"{path}.ff1.kernel".lstrip(".") in weights:
            array = array.T
        renamed[key] = -array if path.rpartition(".")[2] == "time_a" else array
    return renamed


def read(path: Path) -> Arrays:
    """The arrays of a Keras file, and the order of its layers where the file says it. Raises
    UlnnError for a layer that integers cannot carry over."""
    file = read_layers(path)
    result = Arrays({}, "ncps.keras")
    order: list[str] = []
    for at, name in file.idle:
        if not {part.rstrip("_0123456789") for part in (at.rpartition("/")[2], name)} & IDLE:
            result.idle.append(at)
    for layer in file.layers:
        if any(key.startswith("cell/") for key in layer.arrays):
            read_cell(layer, result)
            order.append(layer.path)
        elif layer.kind in SCALES:
            if order:
                raise UlnnError(f"a layer {layer.kind} after {order[-1]}; expected it first")
            _scale(layer, result)
        elif layer.kind in ("Activation", "ReLU", "Softmax"):
            order += _function(layer)
        elif layer.kind in ("", "Dense"):
            order += _dense(layer, result)
        elif layer.arrays or layer.kind not in SAME:
            raise other(layer)
    result.order = tuple(order) if file.ordered else ()
    return result


def _dense(layer: Layer, result: Arrays) -> list[str]:
    """Its path, and its activation after it."""
    kernel, *bias = layer.arrays.values() or (np.zeros(0),)
    if list(layer.arrays) != ["vars/0", "vars/1"][: len(layer.arrays)] or kernel.ndim != 2:
        raise other(layer)
    result.weights[f"{layer.path}.weight"] = kernel.T
    if bias:
        result.weights[f"{layer.path}.bias"] = bias[0]
    if not layer.config:
        result.assumed.append(f"{layer.at} linear (a .weights.h5 does not say it; a .keras does)")
        return [layer.path]
    return [layer.path, *_named(layer, layer.config.get("activation", "linear"))]


def _function(layer: Layer) -> list[str]:
    if layer.kind == "Activation":
        return _named(layer, layer.config.get("activation"))
    plain = {"max_value": None, "negative_slope": 0.0, "threshold": 0.0, "axis": -1}
    for key, value in plain.items():
        if layer.config.get(key, value) != value:
            raise UlnnError(f"a layer {layer.kind} with {key}={layer.config[key]}, expected "
                            f"{value}")  # fmt: skip
    return ["relu" if layer.kind == "ReLU" else "softmax"]


def _named(layer: Layer, activation: Any) -> list[str]:
    name = plain_name(activation)
    name = ALIASES.get(name, name)
    if name == "linear":
        return []
    if name not in FUNCTIONS:
        raise UlnnError(
            f"{layer.kind} with activation {name}; expected linear, {', '.join(FUNCTIONS)}"
        )
    return [name]


def _scale(layer: Layer, result: Arrays) -> None:
    """Rescaling and Normalization of the inputs, as a mean and a standard deviation."""
    config = layer.config
    if layer.kind == "Rescaling":
        scale, offset = (np.asarray(config[key], np.float64) for key in ("scale", "offset"))
        with np.errstate(all="ignore"):
            mean, std = -offset / scale, 1 / scale
    else:
        if config.get("invert") or config.get("axis", -1) not in (-1, 2, [-1], [2], (-1,), (2,)):
            raise UlnnError(f"{layer.at}: expected Normalization(axis=-1, invert=False)")
        parts = [layer.arrays.get(f"vars/{k}", config.get(key))
                 for k, key in enumerate(("mean", "variance"))]  # fmt: skip
        if any(part is None for part in parts):
            raise UlnnError(f"{layer.at} has no mean and variance; expected adapt() to be called")
        mean, variance = (np.asarray(part, np.float64).ravel() for part in parts)
        std = np.maximum(np.sqrt(np.maximum(variance, 0)), NORMALIZATION_EPSILON)
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        raise UlnnError(f"{layer.at} scales by 0, by a negative number or by none; expected > 0")
    result.mean, result.std = result.mean + result.std * mean, result.std * std
