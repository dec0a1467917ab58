"""Reading trained weights of every dialect we know into a `FloatNetwork`.

A checkpoint is a file of arrays (`.safetensors`, `.pt`, `.npz`; Keras' `.keras` and
`.weights.h5`) and, beside it, `NAME.toml` with what weights do not tell: mode, activation,
dialect, mean, std, time_scale, dt_input, ode_unfolds, implicit_param_constraints, motor_neurons,
labels, readout. What is missing there is assumed, and said.

dialect         what it is
ncps.torch      state dict of `ncps.torch` CfC (wired, mixed memory) and LTC, alone or stacked
ulnn            the same names; a wiring's mask holds for all four heads, not only ff1 and ff2
torch           state dict of `torch.nn` LSTM and GRU
raminmh.torch   state dict of raminmh/CfC torch_cfc.py: the equations of ncps.torch
ncps.keras      `.keras` or `.weights.h5` of `ncps.keras`; or arrays named as for raminmh.tf
raminmh.tf      arrays of raminmh/CfC tf_cfc.py, named backbone.{k}, ff1, ff2, time_a, time_b, fc
                with .kernel (inputs, outputs) and .bias, and w_tau, A
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import UlnnError
from ..format.model import DIALECTS
from ..network.float_network import FloatNetwork
from ..network.layers import Array, FloatLayer
from . import checkpoint_files, import_keras, import_state_dict
from .import_cells import Arrays, Hints
from .state_dict import some

META = ("labels", "readout", "channels", "dataset")


@dataclass(frozen=True)
class Loaded:
    """A network, and what had to be assumed to read it (one line each, for the user)."""

    network: FloatNetwork
    assumed: tuple[str, ...] = ()


def read_checkpoint(
    path: Path, mode: str | None = None, activation: str | None = None, dialect: str | None = None
) -> Loaded:
    """The network of a checkpoint file; mode, activation and dialect override what the file says.

    Raises UlnnError when the file is missing, damaged, or of no dialect we know.
    """
    arrays = checkpoint_files.read(path)
    hyper = checkpoint_files.hyperparameters(path)
    return _network(arrays, hyper, mode, activation, path.name, dialect)


def from_weights(
    weights: Mapping[str, Array],
    hyper: Mapping[str, Any],
    mode: str | None = None,
    activation: str | None = None,
    name: str = "state dict",
    dialect: str | None = None,
) -> Loaded:
    """The network of arrays by name, as for `read_checkpoint`. Raises UlnnError."""
    return _network(Arrays(dict(weights)), hyper, mode, activation, name, dialect)


def _network(
    arrays: Arrays,
    hyper: Mapping[str, Any],
    mode: str | None,
    activation: str | None,
    name: str,
    dialect: str | None,
) -> Loaded:
    try:
        dialect = _dialect(arrays, dialect or hyper.get("dialect"))
        weights = arrays.weights
        if dialect in import_keras.DIALECTS and arrays.dialect is None:
            weights = import_keras.from_kernels(weights, name)
        said = {k: v for k, v in (("mode", mode), ("activation", activation)) if v is not None}
        hints = Hints(dialect, {**hyper, **said}, arrays.by_path, list(arrays.assumed))
        layers = import_state_dict.read(weights, hints, name)
        return _with_units(layers, dialect, hyper, hints)
    except UlnnError as error:
        text = str(error)
        raise UlnnError(text if text.startswith(name) else f"{name}: {text}") from error


def _with_units(
    layers: tuple[FloatLayer, ...], dialect: str, hyper: Mapping[str, Any], hints: Hints
) -> Loaded:
    """The network with its scales of inputs and time."""
    size = layers[0].input_size
    if not {"mean", "std", "time_scale"} & set(hyper):
        hints.assume("inputs as they are, times in seconds (no mean, std, time_scale in a .toml)")
    network = FloatNetwork(
        layers,
        _vector(hyper, "mean", size, 0.0),
        _vector(hyper, "std", size, 1.0),
        _number(hyper, "time_scale", 1.0),
        dialect,
        {k: hyper[k] for k in META if k in hyper},
    )
    if not (network.std > 0).all() or network.time_scale <= 0:
        raise UlnnError("std and time_scale: expected numbers above 0")
    return Loaded(network, tuple(hints.assumed))


def _dialect(arrays: Arrays, said: Any) -> str:
    """What was said; else what the file or the names tell."""
    known = tuple(DIALECTS.values())
    if said is not None and said not in known:
        raise UlnnError(f"dialect {said!r}, expected one of: {', '.join(known)}")
    if arrays.dialect is not None:
        if said not in (None, arrays.dialect):
            raise UlnnError(f"dialect {said}, but the file is of {arrays.dialect}")
        return arrays.dialect
    keys = arrays.weights
    if said is not None:
        if said == "torch" and not _only_torch(keys):
            raise UlnnError(
                f"dialect torch, but found {some(keys)}; expected an nn.LSTM or nn.GRU "
                "(weight_ih_l0)"
            )
        return str(said)
    if any(key.endswith(".kernel") for key in keys):
        raise UlnnError(
            f"found {some(keys)}: kernels of Keras or TensorFlow; "
            "give --dialect ncps.keras or raminmh.tf"
        )
    return "torch" if _only_torch(keys) else "ncps.torch"


def _only_torch(keys: Iterable[str]) -> bool:
    cells = [k for k in keys if re.search(r"(^|\.)(weight_ih_l0|ff1\.weight|sensory_w)$", k)]
    return bool(cells) and all(k.endswith("weight_ih_l0") for k in cells)


def _vector(hyper: Mapping[str, Any], key: str, size: int, default: float) -> Array:
    try:
        value = np.asarray(hyper.get(key, [default] * size), np.float64)
    except (TypeError, ValueError):
        value = np.zeros(0)
    if value.shape != (size,) or not np.isfinite(value).all():
        raise UlnnError(f"{key}: found {hyper.get(key)}, expected {size} numbers")
    return value


def _number(hyper: Mapping[str, Any], key: str, default: float) -> float:
    value = hyper.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UlnnError(f"{key}: found {value!r}, expected a number")
    return float(value)
