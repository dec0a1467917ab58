"""Reading trained weights: our checkpoints, and state dicts saved from `ncps.torch.CfC`.

A checkpoint is a plain state_dict (`NAME.safetensors`) and its hyper-parameters (`NAME.toml`). A
bare state dict (`.pt`, or `.safetensors` without TOML) lacks mode and activation: they are given
by hand or are those of ncps.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import UlnnError
from .model import Mode
from .network import ACTIVATIONS, HEADS, Array, FloatNetwork, Linear

MODES = {"default": Mode.DEFAULT, "no_gate": Mode.NO_GATE}


@dataclass(frozen=True)
class Loaded:
    """A network, and what had to be assumed to read it (one line each, for the user)."""

    network: FloatNetwork
    assumed: tuple[str, ...] = ()


def load(path: Path, mode: str | None = None, activation: str | None = None) -> Loaded:
    """The network of a checkpoint file; mode and activation override what the file says.

    Raises UlnnError when the file is missing, damaged, or no CfC of a supported dialect.
    """
    weights = _read_weights(path)
    hyper = _read_hyperparameters(path)
    return from_weights(weights, hyper, mode, activation, path.name)


def from_weights(
    weights: Mapping[str, Array],
    hyper: Mapping[str, Any],
    mode: str | None = None,
    activation: str | None = None,
    name: str = "state dict",
) -> Loaded:
    """The network of a state dict in the ncps.torch dialect (keys and shapes: ncps 1.0.1
    `CfC`)."""
    weights = _strip_prefix(weights, name)
    assumed: list[str] = []
    mode = mode or hyper.get("mode")
    if mode is None:
        mode = "default"
        assumed.append("mode default (a state dict does not tell; else give --mode)")
    stages = sorted(
        {int(m[1]) for k in weights if (m := re.match(r"backbone\.(\d+)\.weight$", k))}
    )
    activation = activation or hyper.get("activation")
    if activation is None:
        activation = "lecun_tanh"
        if stages:
            assumed.append(
                "activation lecun_tanh (a state dict does not tell; else give --activation)"
            )
    if mode not in MODES:
        raise UlnnError(f"{name}: mode {mode!r}, expected one of: {', '.join(MODES)}")
    if activation not in ACTIVATIONS:
        raise UlnnError(
            f"{name}: activation {activation!r}, expected one of: {', '.join(ACTIVATIONS)}"
        )
    backbone = tuple(_linear(weights, f"backbone.{k}", name) for k in stages)
    heads = {head: _linear(weights, head, name) for head in HEADS}
    fc = _linear(weights, "fc", name) if "fc.weight" in weights else None
    size = int((backbone[0] if backbone else heads["ff1"]).weight.shape[1])
    size -= int(heads["ff1"].weight.shape[0])
    network = FloatNetwork(
        mode=MODES[mode],
        activation=activation,
        backbone=backbone,
        heads=heads,
        fc=fc,
        mean=np.asarray(hyper.get("mean", [0.0] * size), np.float64),
        std=np.asarray(hyper.get("std", [1.0] * size), np.float64),
        time_scale=float(hyper.get("time_scale", 1.0)),
        dialect="ncps.torch",
        meta={k: hyper[k] for k in ("labels", "readout", "inputs", "dataset") if k in hyper},
    )
    _check_shapes(network, name)
    return Loaded(network, tuple(assumed))


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


def _strip_prefix(weights: Mapping[str, Array], name: str) -> dict[str, Array]:
    """Drop `rnn_cell.` and whatever a surrounding module put before it; `fc` stands beside it."""
    found = [k.removesuffix("ff1.weight") for k in weights if re.search(r"(^|\.)ff1\.weight$", k)]
    for pattern, what in (
        (r"layer_\d+\.ff1\.weight$", "a wired CfC (NCP)"),
        (r"(^|\.)(sigma|sensory_w)$", "an LTC"),
        (r"(^|\.)lstm\.", "mixed memory (LSTM + CfC)"),
        (r"(^|\.)w_tau$", "a CfC in mode pure"),
    ):
        if any(re.search(pattern, k) for k in weights):
            raise UlnnError(f"{name}: {what}; expected a dense CfC in mode default or no_gate")
    if len(found) != 1:
        some = ", ".join(sorted(weights)[:4]) or "nothing"
        raise UlnnError(
            f"{name}: found {len(found)} CfC layers (keys such as {some}); "
            "expected one, with keys like rnn_cell.ff1.weight (ncps.torch.CfC)"
        )
    cell = found[0]
    outer = cell.removesuffix("rnn_cell.")
    known = re.compile(r"(backbone\.\d+|ff1|ff2|time_a|time_b|fc)\.(weight|bias)$")
    stripped: dict[str, Array] = {}
    for key, value in weights.items():
        short = key.removeprefix(cell) if key.startswith(cell) else key.removeprefix(outer)
        if not known.match(short):
            raise UlnnError(f"{name}: unknown tensor {key}; expected the keys of ncps.torch.CfC")
        stripped[short] = value
    return stripped


def _linear(weights: Mapping[str, Array], key: str, name: str) -> Linear:
    for part in ("weight", "bias"):
        if f"{key}.{part}" not in weights:
            raise UlnnError(
                f"{name}: tensor {key}.{part} is missing; expected all of ncps.torch.CfC"
            )
    weight, bias = weights[f"{key}.weight"], weights[f"{key}.bias"]
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise UlnnError(
            f"{name}: {key} has shapes {weight.shape} and {bias.shape}, expected (n, m) and (n,)"
        )
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise UlnnError(
            f"{name}: {key} holds values that are not finite; the training has diverged"
        )
    return Linear(weight, bias)


def _check_shapes(network: FloatNetwork, name: str) -> None:
    hidden = network.hidden_size
    if network.input_size < 1:
        raise UlnnError(
            f"{name}: the first layer has no columns for inputs; expected inputs + hidden"
        )
    for values in (network.mean, network.std):
        if values.shape != (network.input_size,) or not np.isfinite(values).all():
            raise UlnnError(f"{name}: mean and std: expected {network.input_size} numbers each")
    if not ((network.std > 0).all() and network.time_scale > 0):
        raise UlnnError(f"{name}: std and time_scale: expected numbers above 0")
    columns = network.input_size + hidden
    for k, linear in enumerate(network.backbone):
        if linear.weight.shape[1] != columns:
            raise UlnnError(
                f"{name}: backbone layer {k} has {linear.weight.shape[1]} columns, "
                f"expected {columns}"
            )
        columns = linear.weight.shape[0]
    for head, linear in network.heads.items():
        if linear.weight.shape != (hidden, columns):
            raise UlnnError(
                f"{name}: {head} has shape {linear.weight.shape}, expected {(hidden, columns)}"
            )
    if network.fc is not None and network.fc.weight.shape[1] != hidden:
        raise UlnnError(f"{name}: fc has {network.fc.weight.shape[1]} columns, expected {hidden}")
