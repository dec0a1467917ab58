"""Reading trained weights of every dialect we know into a `FloatNetwork`.

A checkpoint is a file of arrays (`.safetensors`, `.pt`, `.npz`; Keras' `.keras` and
`.weights.h5`) and, beside it, `NAME.toml` with what weights do not tell: mode, activation,
dialect, mean, std, time_scale, dt_input, ode_unfolds, implicit_param_constraints, output_size,
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
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import import_keras, import_state_dict
from .errors import UlnnError
from .import_cells import MODES, Options
from .model import DIALECTS
from .network import ACTIVATIONS, Array, FloatNetwork, Gru, Lstm

META = ("labels", "readout", "inputs", "dataset")
ALIASES = {"lecun": "lecun_tanh", "swish": "silu"}


@dataclass(frozen=True)
class Loaded:
    """A network, and what had to be assumed to read it (one line each, for the user)."""

    network: FloatNetwork
    assumed: tuple[str, ...] = ()


def load(
    path: Path, mode: str | None = None, activation: str | None = None, dialect: str | None = None
) -> Loaded:
    """The network of a checkpoint file; mode, activation and dialect override what the file says.

    Raises UlnnError when the file is missing, damaged, or of no dialect we know.
    """
    weights = _read_weights(path)
    hyper = _read_hyperparameters(path)
    return from_weights(weights, hyper, mode, activation, path.name, dialect)


def from_weights(
    weights: Mapping[str, Array],
    hyper: Mapping[str, Any],
    mode: str | None = None,
    activation: str | None = None,
    name: str = "state dict",
    dialect: str | None = None,
) -> Loaded:
    """The network of arrays by name, as for `load`. Raises UlnnError."""
    dialect = _dialect(weights, dialect or hyper.get("dialect"), name)
    options = Options(
        dialect,
        _choice(name, "mode", mode or hyper.get("mode"), tuple(MODES)),
        _choice(name, "activation", activation or hyper.get("activation"), ACTIVATIONS),
        hyper,
    )
    if dialect in import_keras.DIALECTS:
        weights = import_keras.from_kernels(weights)
    layers = import_state_dict.read(weights, options, name)
    size = layers[0].input_size
    if dialect == "ncps.torch" and all(
        isinstance(x, (Lstm, Gru)) or not x.state_sizes for x in layers
    ):
        dialect = "torch"
    network = FloatNetwork(
        layers,
        _vector(hyper, "mean", size, 0.0, name),
        _vector(hyper, "std", size, 1.0, name),
        _number(hyper, "time_scale", 1.0, name),
        dialect,
        {k: hyper[k] for k in META if k in hyper},
    )
    if not (network.std > 0).all() or network.time_scale <= 0:
        raise UlnnError(f"{name}: std and time_scale: expected numbers above 0")
    return Loaded(network, tuple(options.assumed))


def _dialect(weights: Mapping[str, Array], wanted: str | None, name: str) -> str:
    if wanted is None:
        return "ncps.torch"
    if wanted not in DIALECTS.values():
        raise UlnnError(
            f"{name}: dialect {wanted!r}, expected one of: {', '.join(DIALECTS.values())}"
        )
    return wanted


def _choice(name: str, what: str, value: Any, known: tuple[str, ...]) -> str | None:
    if value is None:
        return None
    value = ALIASES.get(value, value)
    if value not in known:
        raise UlnnError(f"{name}: {what} {value!r}, expected one of: {', '.join(known)}")
    return str(value)


def _vector(hyper: Mapping[str, Any], key: str, size: int, default: float, name: str) -> Array:
    try:
        value = np.asarray(hyper.get(key, [default] * size), np.float64)
    except (TypeError, ValueError):
        value = np.zeros(0)
    if value.shape != (size,) or not np.isfinite(value).all():
        raise UlnnError(f"{name}: {key}: found {hyper.get(key)}, expected {size} numbers")
    return value


def _number(hyper: Mapping[str, Any], key: str, default: float, name: str) -> float:
    value = hyper.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UlnnError(f"{name}: {key}: found {value!r}, expected a number")
    return float(value)


def _read_weights(path: Path) -> dict[str, Array]:
    if not path.exists():
        raise UlnnError(f"{path}: no such file; expected a checkpoint (.safetensors or .pt)")
    try:
        if path.suffix == ".safetensors":
            from safetensors.numpy import load_file

            return {k: np.asarray(v, np.float64) for k, v in load_file(path).items()}
        import torch

        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if "Weights only" in reason:
            reason = "it pickles other objects than tensors, such as a whole model"
        raise UlnnError(
            f"{path}: cannot be read as a state dict ({reason[:120]}); "
            "expected torch.save(model.state_dict(), ...) or safetensors"
        ) from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(torch.is_tensor(v) for v in state.values()):
        raise UlnnError(
            f"{path}: holds a {type(state).__name__}, expected a state dict of tensors"
        )
    return {k: v.detach().to(torch.float64).numpy() for k, v in state.items()}


def _read_hyperparameters(path: Path) -> dict[str, Any]:
    toml = path.with_suffix(".toml")
    if path.suffix != ".safetensors" or not toml.exists():
        return {}
    try:
        return tomllib.loads(toml.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UlnnError(f"{toml}: not valid TOML ({error})") from error
