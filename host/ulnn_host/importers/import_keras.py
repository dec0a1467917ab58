"""Names of Keras and TensorFlow brought into those of `ncps.torch`.

Kernels are transposed, the sign of time_a is turned (their gate is sigmoid(-a t + b)), and signed
masks are multiplied in; what then differs are the heads' activations, which `Hints` knows.
Files are read as ncps 1.0.1 with Keras 3 writes them, without Keras.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import UlnnError
from ..network import wiring as wirings
from ..network.layers import ACTIVATIONS, Array
from .import_cells import ALIASES, Arrays
from .state_dict import some

DIALECTS = ("ncps.keras", "raminmh.tf")
LTC = (
    "gleak", "vleak", "cm", "sigma", "mu", "w", "erev",
    "sensory_sigma", "sensory_mu", "sensory_w", "sensory_erev",
)  # fmt: skip
SAME = ("InputLayer", "Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout")
EXPECTED = "CfC or LTC of ncps.keras, and Dense"


# ---- arrays by name -----------------------------------------------------------------------------


def from_kernels(weights: Mapping[str, Array], name: str) -> dict[str, Array]:
    """`ncps.torch` names for arrays named NAME.kernel (inputs, outputs), NAME.bias, w_tau, A, and
    sparsity_mask of a wired CfC (inputs, outputs), signed. Raises UlnnError."""
    renamed = {}
    for key, value in weights.items():
        path, _, last = key.rpartition(".")
        array = np.asarray(value, np.float64)
        if last in ("input_kernel", "recurrent_kernel"):
            raise _mixed(name)
        if last == "weight":
            raise UlnnError(f"{name}: found {key}; expected kernels, such as ff1.kernel")
        if last == "kernel":
            key, array = f"{path}.weight", array.T
        elif last == "sparsity_mask" and f"{path}.ff1.kernel".lstrip(".") in weights:
            array = array.T
        renamed[key] = -array if path.rpartition(".")[2] == "time_a" else array
    return renamed


def _mixed(name: str) -> UlnnError:
    return UlnnError(
        f"{name}: mixed memory of Keras or TensorFlow (its LSTM sees the CfC's state instead of "
        "its own); expected a CfC without it, or mixed memory of ncps.torch"
    )


# ---- files --------------------------------------------------------------------------------------


@dataclass
class _Layer:
    """A layer of a file: where it is there, its name in our dict, its arrays, its config."""

    at: str
    path: str
    arrays: dict[str, Array]
    kind: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


def read(path: Path) -> Arrays:
    """The arrays of a `.keras` or `.weights.h5` file by `ncps.torch` names. Raises UlnnError."""
    config: Mapping[str, Any] = {}
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as file:
            config = json.loads(file.read("config.json"))
            arrays = _arrays(io.BytesIO(file.read("model.weights.h5")))
    else:
        arrays = _arrays(path)
    result = Arrays({}, "ncps.keras")
    layers = _of_config(config, arrays, path.name) or _of_names(arrays)
    for layer in layers:
        if any(key.startswith("cell/") for key in layer.arrays):
            _cell(layer, result, path.name)
        else:
            _dense(layer, result, path.name, last=layer is layers[-1])
    return result


def _arrays(file: Any) -> dict[str, Array]:
    import h5py

    found: dict[str, Array] = {}

    def visit(key: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            found[key] = np.asarray(node[()], np.float64)

    with h5py.File(file, "r") as content:
        content.visititems(visit)
    return found


def _of_config(
    config: Mapping[str, Any], arrays: Mapping[str, Array], name: str
) -> list[_Layer] | None:
    """The layers of a Sequential or Functional model in their order; None for other models."""
    entries = config.get("config", {}).get("layers")
    if not isinstance(entries, list):
        return None
    layers: list[_Layer] = []
    counts: dict[str, int] = {}
    before: set[str] = set()
    inputs: set[str] = set()
    for number, entry in enumerate(entries):
        kind, details = entry["class_name"], entry["config"]
        snake = _snake(kind)
        counts[snake] = counts.get(snake, -1) + 1
        at = "layers/" + (f"{snake}_{counts[snake]}" if counts[snake] else snake)
        found = _below(arrays, at)
        sources = set(re.findall(r'"keras_history": \["([^"]+)"', json.dumps(entry)))
        if sources and before and not sources <= before:
            raise UlnnError(
                f"{name}: layer {details.get('name')} reads {', '.join(sorted(sources))}; "
                f"expected {', '.join(sorted(before))}: layers one after the other"
            )
        if kind == "InputLayer":  # with elapsed times there are two
            inputs.add(details["name"])
        before = inputs if kind == "InputLayer" else {details.get("name")}
        if found:
            layers.append(_Layer(at, f"layers.{number}", found, kind, details))
        elif kind not in SAME and _plain_name(details.get("activation")) != "linear":
            raise UlnnError(f"{name}: a layer {kind}; expected {EXPECTED}")
    return layers


def _of_names(arrays: Mapping[str, Array]) -> list[_Layer]:
    """The layers by the names of the arrays alone."""
    roots = {re.split(r"(?:^|/)(?:cell|vars)/", key, maxsplit=1)[0]: None for key in arrays}
    return [_Layer(at, _numbered(at), _below(arrays, at)) for at in roots]


def _numbered(at: str) -> str:
    """Keras counts cf_c, cf_c_1, cf_c_2: the first gets its 0."""
    parts = at.split("/") if at else []
    for k in range(1, len(parts)):
        if parts[k - 1] == "layers" and not re.search(r"_\d+$", parts[k]):
            parts[k] += "_0"
    return ".".join(parts)


def _below(arrays: Mapping[str, Array], at: str) -> dict[str, Array]:
    prefix = f"{at}/" if at else ""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _snake(name: str) -> str:
    """As Keras names layers in its files."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _plain_name(activation: Any) -> str:
    """Of an activation in a config: a name, or a registered function such as >lecun_tanh."""
    if isinstance(activation, Mapping):
        activation = activation.get("config")
    return str(activation).rpartition(">")[2]


# ---- layers -------------------------------------------------------------------------------------


def _dense(layer: _Layer, result: Arrays, name: str, last: bool) -> None:
    kernel, *bias = layer.arrays.values()
    if (
        layer.kind not in ("", "Dense")
        or list(layer.arrays) != ["vars/0", "vars/1"][: len(layer.arrays)]
        or kernel.ndim != 2
    ):
        raise UlnnError(
            f"{name}: {layer.kind or layer.at} with arrays {some(layer.arrays)}; "
            f"expected {EXPECTED}"
        )
    result.weights[f"{layer.path}.weight"] = kernel.T
    if bias:
        result.weights[f"{layer.path}.bias"] = bias[0]
    if not layer.config:
        result.assumed.append(f"{layer.at} linear (a .weights.h5 does not tell; a .keras does)")
        return
    activation = _plain_name(layer.config.get("activation", "linear"))
    if activation in ("softmax", "log_softmax", "sigmoid") and last:
        result.assumed.append(f"without the {activation} of the last layer")
        activation = "linear"
    activation = ALIASES.get(activation, activation)
    if activation not in ("linear", *ACTIVATIONS):
        raise UlnnError(
            f"{name}: Dense with activation {activation}; "
            f"expected linear, {', '.join(ACTIVATIONS)}, or softmax in the last layer"
        )
    result.by_path[layer.path] = {"dense": activation}


def _cell(layer: _Layer, result: Arrays, name: str) -> None:
    arrays = _below(layer.arrays, "cell")
    facts: dict[str, Any] = {}
    if layer.config.get("go_backwards"):
        raise UlnnError(f"{name}: {layer.at} runs backwards; expected go_backwards=False")
    if any(key.startswith("rnn_cell/") for key in arrays):
        raise _mixed(name)
    if layer.config:
        facts["mode"] = layer.config.get("mode")
        facts["activation"] = _plain_name(layer.config.get("activation"))
    result.by_path[layer.path] = facts
    prefix = f"{layer.path}.rnn_cell.".lstrip(".")
    if "vars/10" in arrays:
        _ltc(layer, arrays, prefix, result, name)
    elif any(key.startswith("_cfc_layers/") for key in arrays):
        _wired(layer, arrays, prefix, result, name)
    elif "vars/3" in arrays:
        result.weights |= _cfc(arrays, prefix)
    else:
        raise UlnnError(
            f"{name}: {layer.kind or layer.at} with arrays {some(layer.arrays)}; "
            f"expected {EXPECTED}"
        )


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


def _wired(
    layer: _Layer, arrays: Mapping[str, Array], prefix: str, result: Arrays, name: str
) -> None:
    cells = {
        int(match[1] or 0): _below(arrays, match[0])
        for key in arrays
        if (match := re.match(r"_cfc_layers/cf_c_cell(?:_(\d+))?(?=/)", key))
    }
    kernel = cells[0]["vars/0"]
    inputs = kernel.shape[0] - kernel.shape[1]
    wiring = _wiring(layer, inputs)
    if wiring is None:
        raise UlnnError(
            f"{name}: {layer.at} is wired, and its wiring is not in this file "
            f"({_class_name(layer) or 'a .weights.h5'}); expected a .keras file with AutoNCP, "
            "Random or FullyConnected"
        )
    for k, cell in sorted(cells.items()):
        size = cell["vars/0"].shape[1]
        into = wiring.into(k) if k < len(wiring.layers) else np.zeros((0, 0))
        if into.shape != (len(cell["vars/0"]) - size, size):
            raise UlnnError(
                f"{name}: {layer.at}: kernels of layer {k} have shape {cell['vars/0'].shape}, but "
                f"the wiring has {into.shape[0]} inputs and {into.shape[1]} neurons there"
            )
        mask = np.concatenate([into, np.ones((size, size))])
        result.weights |= _cfc(cell, f"{prefix}layer_{k}.", mask)
    outputs, size = wiring.outputs, len(wiring.layers[-1])
    if outputs < size:  # ncps.keras gives out the first neurons only
        result.weights[f"{layer.path}.fc.weight"] = np.eye(outputs, size)
        result.by_path = {f"{layer.path}.fc": {"dense": "linear"}} | result.by_path


def _ltc(
    layer: _Layer, arrays: Mapping[str, Array], prefix: str, result: Arrays, name: str
) -> None:
    names = list(LTC)
    maps = [layer.config.get(f"{side}_mapping", "affine") for side in ("input", "output")]
    for side, mapping in zip(("input", "output"), maps, strict=True):
        names += [f"{side}_w", f"{side}_b"][: {"affine": 2, "linear": 1}.get(mapping, 0)]
    if not layer.config and len(arrays) == len(LTC):
        names = list(LTC)
    if set(arrays) != {f"vars/{k}" for k in range(len(names))}:
        raise UlnnError(
            f"{name}: an LTC of {len(arrays)} arrays, expected {len(names)}; expected a .keras "
            "file, which tells its maps"
        )
    found = {key: arrays[f"vars/{k}"] for k, key in enumerate(names)}
    wiring = _wiring(layer, len(found["sensory_w"]))
    if wiring is None:
        masks = found["erev"] != 0, found["sensory_erev"] != 0
        result.assumed.append("synapses of the LTC are where erev is not 0 (the file has no mask)")
    else:
        masks = wiring.adjacency != 0, wiring.sensory != 0
    found["sparsity_mask"], found["sensory_sparsity_mask"] = (m.astype(np.float64) for m in masks)
    result.weights |= {prefix + key: value for key, value in found.items()}
    if layer.config:
        result.by_path[layer.path]["ode_unfolds"] = layer.config.get("ode_unfolds")
        if wiring is not None:
            result.by_path[layer.path]["motor_neurons"] = wiring.outputs
        if layer.config.get("epsilon", 1e-8) != 1e-8:
            raise UlnnError(f"{name}: epsilon {layer.config['epsilon']}, expected 1e-8")


def _class_name(layer: _Layer) -> str:
    units = layer.config.get("units")
    return str(units.get("class_name", "")) if isinstance(units, Mapping) else ""


def _wiring(layer: _Layer, inputs: int) -> wirings.Wiring | None:
    """The wiring that the config describes; None where it does not (NCP forgets its seed)."""
    kind = _class_name(layer)
    if kind not in ("AutoNCP", "Random", "FullyConnected"):
        return None
    c = layer.config["units"]["config"]
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
