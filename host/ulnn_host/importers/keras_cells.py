"""Cells of Keras by the names of `ncps.torch` (CfC, LTC) and `torch.nn` (LSTM, GRU)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..base.errors import UlnnError
from ..network import wiring as wirings
from ..network.layers import Array
from .import_cells import Arrays
from .keras_files import SAVE_AS, Layer, below
from .state_dict import some

LTC = (
    "gleak", "vleak", "cm", "sigma", "mu", "w", "erev",
    "sensory_sigma", "sensory_mu", "sensory_w", "sensory_erev",
)  # fmt: skip
CFC = r"vars/[0-3]|time_[ab]/vars/[01]|backbone_fn/layers/dense(_\d+)?/vars/[01]"
MIXED = (
    "mixed memory of Keras or TensorFlow (its LSTM sees the CfC's state instead of its own); "
    "expected a CfC without it, or mixed memory of ncps.torch"
)


def read_cell(layer: Layer, result: Arrays) -> None:
    """The weights of a recurrent layer, and what its config says. Raises UlnnError."""
    arrays = below(layer.arrays, "cell")
    config = layer.config
    if config.get("go_backwards"):
        raise UlnnError(f"{layer.at} runs backwards; expected go_backwards=False")
    if any(key.startswith("rnn_cell/") for key in arrays):
        raise UlnnError(MIXED)
    if len(arrays) < len(layer.arrays):
        raise other(layer)
    inner = config.get("cell")
    if layer.kind == "RNN" and isinstance(inner, Mapping):
        config = {**inner.get("config", {}), **config}
    facts: dict[str, Any] = {}
    result.by_path[layer.path] = facts
    prefix = f"{layer.path}.rnn_cell.".lstrip(".")
    if set(arrays) <= {"vars/0", "vars/1", "vars/2"} and len(arrays) >= 2:
        _gates(layer, config, arrays, result)
        return
    if config:
        facts["mode"] = config.get("mode")
        if config.get("activation") is not None:
            facts["activation"] = plain_name(config["activation"])
    if "vars/10" in arrays:
        _ltc(layer, arrays, prefix, result)
    elif any(key.startswith("_cfc_layers/") for key in arrays):
        _wired(layer, arrays, prefix, result)
    elif "vars/3" in arrays and all(re.fullmatch(CFC, key) for key in arrays):
        if config.get("sparsity_mask") is not None:
            raise UlnnError(f"{layer.at} has a sparsity_mask; expected a wiring, or no mask")
        result.weights |= _cfc(arrays, prefix)
    else:
        raise other(layer)


def other(layer: Layer) -> UlnnError:
    """A layer that integers cannot carry over, or that is not whole."""
    arrays = f" with arrays {some(layer.arrays)}" if layer.arrays else ""
    kind = f"{layer.kind} ({layer.at})" if layer.kind else layer.at
    return UlnnError(
        f"a layer {kind}{arrays}; expected CfC or LTC of ncps.keras, LSTM or GRU, Dense, their "
        "activations, and Rescaling or Normalization at the input"
    )


def plain_name(activation: Any) -> str:
    """Of an activation in a config: a name, or a registered function such as >lecun_tanh."""
    if isinstance(activation, Mapping):
        activation = activation.get("config")
    return str(activation).rpartition(">")[2]


# ---- LSTM and GRU -------------------------------------------------------------------------------


def _gates(
    layer: Layer, config: Mapping[str, Any], arrays: Mapping[str, Array], result: Arrays
) -> None:
    kernel, recurrent = arrays["vars/0"], arrays["vars/1"]
    if recurrent.ndim != 2 or kernel.ndim != 2 or kernel.shape[1:] != recurrent.shape[1:]:
        raise other(layer)
    size, rows = recurrent.shape
    if rows not in (3 * size, 4 * size):
        raise other(layer)
    if config:
        for key, wanted in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
            if plain_name(config.get(key, wanted)) != wanted:
                raise UlnnError(
                    f"{layer.at} has {key} {plain_name(config[key])}, expected {wanted}"
                )
    else:
        result.assumed.append(
            f"{layer.at} with tanh and sigmoid, forwards (a .weights.h5 does not say it; a "
            ".keras does)"
        )
    bias = arrays.get("vars/2", np.zeros((2, rows) if rows == 3 * size else rows))
    order: tuple[int, ...] = (0, 1, 2, 3)
    if rows == 3 * size:
        if bias.shape != (2, rows) or not config.get("reset_after", "vars/2" in arrays):
            raise UlnnError(f"{layer.at} is a GRU with reset_after=False; expected True")
        order = (1, 0, 2)  # Keras has update, reset, new
    both = np.atleast_2d(bias)
    if both.shape[1] != rows:
        raise other(layer)
    rows_of = np.concatenate([np.arange(k * size, (k + 1) * size) for k in order])
    prefix = f"{layer.path}." if layer.path else ""
    result.weights |= {
        f"{prefix}weight_ih_l0": kernel.T[rows_of],
        f"{prefix}weight_hh_l0": recurrent.T[rows_of],
        f"{prefix}bias_ih_l0": both[0][rows_of],
        f"{prefix}bias_hh_l0": both[1][rows_of] if len(both) > 1 else np.zeros(rows),
    }


# ---- CfC ----------------------------------------------------------------------------------------


def _cfc(arrays: Mapping[str, Array], prefix: str, mask: Array | None = None) -> dict[str, Array]:
    """mask (inputs + H, H), signed, for the kernels of ff1 and ff2."""
    sign = 1.0 if mask is None else mask
    found = {"ff1.weight": (arrays["vars/0"] * sign).T, "ff1.bias": arrays["vars/1"]}
    if "time_a/vars/0" in arrays:
        found |= {"ff2.weight": (arrays["vars/2"] * sign).T, "ff2.bias": arrays["vars/3"]}
        for head, turn in (("time_a", -1.0), ("time_b", 1.0)):
            found[f"{head}.weight"] = turn * arrays[f"{head}/vars/0"].T
            found[f"{head}.bias"] = turn * arrays[f"{head}/vars/1"]
    else:
        found |= {"w_tau": arrays["vars/2"], "A": arrays["vars/3"]}
    for key, value in arrays.items():
        if match := re.fullmatch(r"backbone_fn/layers/dense(?:_(\d+))?/vars/([01])", key):
            part = "bias" if int(match[2]) else "weight"
            found[f"backbone.{match[1] or 0}.{part}"] = value.T
    return {prefix + key: value for key, value in found.items()}


def _wired(layer: Layer, arrays: Mapping[str, Array], prefix: str, result: Arrays) -> None:
    cells = {
        int(match[1] or 0): below(arrays, match[0])
        for key in arrays
        if (match := re.match(r"_cfc_layers/cf_c_cell(?:_(\d+))?(?=/)", key))
    }
    if not layer.config.get("fully_recurrent", True):
        raise UlnnError(f"{layer.at} has fully_recurrent=False; expected True")
    kernel = cells[0]["vars/0"]
    inputs = kernel.shape[0] - kernel.shape[1]
    wiring = _wiring(layer, inputs, sum(cell["vars/0"].shape[1] for cell in cells.values()))
    if wiring is None:
        raise UlnnError(
            f"{layer.at} is wired, and its wiring is not in this file "
            f"({_class_name(layer) or 'weights alone'}); expected a .keras file with AutoNCP, "
            "Random or FullyConnected"
        )
    for k, cell in sorted(cells.items()):
        size = cell["vars/0"].shape[1]
        into = wiring.into(k) if k < len(wiring.layers) else np.zeros((0, 0))
        if into.shape != (len(cell["vars/0"]) - size, size):
            raise UlnnError(
                f"{layer.at}: kernels of layer {k} have shape {cell['vars/0'].shape}, but "
                f"the wiring has {into.shape[0]} inputs and {into.shape[1]} neurons there"
            )
        mask = np.concatenate([into, np.ones((size, size))])
        result.weights |= _cfc(cell, f"{prefix}layer_{k}.", mask)
    outputs, size = wiring.outputs, len(wiring.layers[-1])
    if outputs < size:  # ncps.keras gives out the first neurons only
        result.weights[f"{layer.path}.fc.weight"] = np.eye(outputs, size)


# ---- LTC ----------------------------------------------------------------------------------------


def _ltc(layer: Layer, arrays: Mapping[str, Array], prefix: str, result: Arrays) -> None:
    names = list(LTC)
    maps = [layer.config.get(f"{side}_mapping", "affine") for side in ("input", "output")]
    for side, mapping in zip(("input", "output"), maps, strict=True):
        names += [f"{side}_w", f"{side}_b"][: {"affine": 2, "linear": 1}.get(mapping, 0)]
    if not layer.config and len(arrays) == len(LTC):
        names = list(LTC)
    if set(arrays) != {f"vars/{k}" for k in range(len(names))}:
        raise UlnnError(
            f"an LTC of {len(arrays)} arrays, expected {len(names)}, and the file does not say "
            f"its maps; {SAVE_AS}"
        )
    found = {key: arrays[f"vars/{k}"] for k, key in enumerate(names)}
    wiring = _wiring(layer, len(found["sensory_w"]), len(found["gleak"]))
    if wiring is None:
        masks = found["erev"] != 0, found["sensory_erev"] != 0
        result.assumed.append("synapses of the LTC are where erev is not 0 (the file has no mask)")
    else:
        masks = wiring.adjacency != 0, wiring.sensory != 0
    found["sparsity_mask"], found["sensory_sparsity_mask"] = (m.astype(np.float64) for m in masks)
    result.weights |= {prefix + key: value for key, value in found.items()}
    if layer.config:
        facts = result.by_path[layer.path]
        facts.pop("mode", None)
        facts["ode_unfolds"] = layer.config.get("ode_unfolds")
        if wiring is not None:
            facts["motor_neurons"] = wiring.outputs
        if layer.config.get("epsilon", 1e-8) != 1e-8:
            raise UlnnError(f"epsilon {layer.config['epsilon']}, expected 1e-8")


# ---- wirings ------------------------------------------------------------------------------------


def _class_name(layer: Layer) -> str:
    units = layer.config.get("units")
    return str(units.get("class_name", "")) if isinstance(units, Mapping) else ""


def _wiring(layer: Layer, inputs: int, neurons: int) -> wirings.Wiring | None:
    """The wiring that the config describes; None where it does not (NCP forgets its seed).
    neurons: how many the weights have."""
    kind = _class_name(layer)
    if kind not in ("AutoNCP", "Random", "FullyConnected"):
        return None
    c = layer.config["units"]["config"]
    if c["units"] != neurons:
        raise UlnnError(f"{layer.at} has a wiring of {c['units']} units, but {neurons} neurons")
    if kind == "AutoNCP":
        return wirings.auto_ncp(
            inputs, c["units"], c["output_size"], c["sparsity_level"], c["seed"]
        )
    if kind == "Random":
        return wirings.random(
            inputs, c["units"], c["output_dim"], c["sparsity_level"], c["random_seed"]
        )
    return wirings.fully_connected(
        inputs, c["units"], c["output_dim"], c["erev_init_seed"], c["self_connections"]
    )
