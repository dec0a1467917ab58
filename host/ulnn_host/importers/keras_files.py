"""Files of Keras, read without Keras: layers, their order, their arrays and settings.

file                                  what it says about the layers
`.keras` (Keras 3)                    all: a config of the model, and its weights
`.h5` of `model.save` (Keras 2, 3)    all: the same config as an attribute
`.h5` of `save_weights` (Keras 2)     their order and names
`.weights.h5` of `save_weights`       the class of each, but neither order nor settings
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..base import archives
from ..base.errors import UlnnError
from ..network.layers import Array
from . import hdf5
from .state_dict import check_type, some

# arrays of a cell in the order in which Keras numbers them in a .weights.h5
CFC = ("ff1_weight", "ff1_bias", "ff2_weight", "ff2_bias")
PURE = ("ff1_weight", "ff1_bias", "w_tau", "A")
GATES = ("kernel", "recurrent_kernel", "bias")
SAVE_AS = 'save the model as model.save("net.keras"), which says it'


@dataclass
class Layer:
    """A layer of a file: where it is there, its name in our dict, its arrays as in a .weights.h5,
    its class and config ("" and empty where the file does not say them)."""

    at: str
    path: str
    arrays: dict[str, Array]
    kind: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class KerasFile:
    """Layers in their order, where `ordered`; else as the file lists them. idle: layers without
    weights of which the file says no more than where they are and their names."""

    layers: tuple[Layer, ...]
    ordered: bool
    idle: tuple[tuple[str, str], ...] = ()


def read_layers(path: Path) -> KerasFile:
    """The layers of a Keras file. Raises UlnnError for one that is not whole, or whose layers are
    not one after the other."""
    import h5py

    with path.open("rb") as file:
        archived = file.read(2) == b"PK"
    if archived:
        with archives.open_zip(path) as archive:
            config = json.loads(archive.read("config.json"))
            content = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(content, "r") as weights:
            arrays, empty = hdf5.read_hdf5(weights)
            idle = _idle(weights, arrays, empty)
        entries = _entries(config)
        return _by_names(arrays, idle) if entries is None else _by_config(entries, arrays)
    with h5py.File(path, "r") as weights:
        arrays, empty = hdf5.read_hdf5(weights)
        if "model_weights" in weights or "layer_names" in weights.attrs:
            return _legacy(weights, arrays)
        return _by_names(arrays, _idle(weights, arrays, empty))


def below(arrays: Mapping[str, Array], at: str) -> dict[str, Array]:
    """The arrays in a group, by their names there."""
    prefix = f"{at}/" if at else ""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _weights(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Floats, without counters, states of random generators, and what an optimiser keeps."""
    found = {}
    for key, value in arrays.items():
        counter = value.dtype.kind in "iu" and value.ndim == 0
        if counter or re.search(r"(^|/)(seed_generator|optimizer)(_\d+)?/", key):
            continue
        check_type(key, value.dtype.name, value.ndim)
        found[key] = value.astype(float)
    return found


def _idle(file: Any, arrays: Mapping[str, Array], empty: list[str]) -> list[tuple[str, str]]:
    """(place, name) of all that may have weights, and has none."""
    found = []
    for group in empty:
        at, _, last = group.rpartition("/")
        if last == "vars" and at and not below(arrays, at):
            found.append((at, _text(file[group].attrs.get("name", ""))))
    return found


# ---- layers by a config -------------------------------------------------------------------------


def _entries(config: Any) -> list[Mapping[str, Any]] | None:
    """The layers of a Sequential or Functional model; None for a class of its own."""
    if config.get("class_name") not in ("Sequential", "Functional", "Model"):
        return None
    found = config["config"]
    entries = found["layers"] if isinstance(found, Mapping) else found  # Keras 2.1: a list
    outputs = _ends(found.get("output_layers", ())) if isinstance(found, Mapping) else []
    if len(outputs) > 1:
        raise UlnnError(f"a model with outputs {', '.join(outputs)}; expected one")
    last = _name(entries[-1]) if entries else ""
    if outputs and outputs != [last]:
        raise UlnnError(f"its output is {outputs[0]}, but its last layer {last}: layers in a row "
                        "are expected")  # fmt: skip
    _check_row(entries)
    return list(entries)


def _ends(places: Any) -> list[str]:
    """Names of the layers in `output_layers`: ["a", 0, 0], or a list of those."""
    if isinstance(places, (list, tuple)) and places and isinstance(places[0], str):
        return [places[0]]
    return [place[0] for place in places]


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry["config"].get("name", ""))


def _check_row(entries: list[Mapping[str, Any]]) -> None:
    """Refuse layers that do not each read the one before."""
    functional = any("inbound_nodes" in entry for entry in entries)
    before: set[str] = set()
    inputs: set[str] = set()
    for entry in entries:
        if entry["class_name"] == "InputLayer":  # with elapsed times there are two
            inputs.add(_name(entry))
            before = set(inputs)
            continue
        nodes = entry.get("inbound_nodes", [])
        if len(nodes) > 1:
            raise UlnnError(f"layer {_name(entry)} is used {len(nodes)} times; expected once")
        sources = set(_sources(nodes))
        if functional and sources != before:
            raise UlnnError(
                f"layer {_name(entry)} reads {', '.join(sorted(sources)) or 'nothing'}; expected "
                f"{', '.join(sorted(before))}: layers one after the other"
            )
        before = {_name(entry)}


def _sources(node: Any) -> Iterator[str]:
    """Names of the layers that a node reads, as Keras 3 ("keras_history") and Keras 2 (lists that
    start with a name and two numbers) write them."""
    if isinstance(node, Mapping):
        history = node.get("keras_history")
        if history:
            yield str(history[0])
        for value in node.values():
            yield from _sources(value)
    elif isinstance(node, list):
        if len(node) >= 3 and isinstance(node[0], str) and isinstance(node[1], int):
            yield node[0]
        else:
            for value in node:
                yield from _sources(value)


def _by_config(entries: list[Mapping[str, Any]], arrays: Mapping[str, Array]) -> KerasFile:
    """A .keras file names the groups of its weights by class and number."""
    arrays = _weights(arrays)
    counts: dict[str, int] = {}
    layers = []
    for number, entry in enumerate(entries):
        snake = snake_case(entry["class_name"])
        counts[snake] = counts.get(snake, -1) + 1
        at = "layers/" + (f"{snake}_{counts[snake]}" if counts[snake] else snake)
        layers.append(_layer(number, at, below(arrays, at), entry))
    return _complete(layers, arrays)


def _layer(number: int, at: str, arrays: dict[str, Array], entry: Mapping[str, Any]) -> Layer:
    kind, config = entry["class_name"].rpartition(">")[2], entry["config"]
    if kind == "TimeDistributed":  # a dense layer is the same for every step
        inner = config["layer"]
        kind, config = inner["class_name"], inner["config"]
        arrays = below(arrays, "layer") or arrays
    return Layer(at, f"layers.{number}", arrays, kind, config)


def _complete(layers: list[Layer], arrays: Mapping[str, Array]) -> KerasFile:
    known = tuple(f"{layer.at}/" for layer in layers)
    for key in arrays:
        if not key.startswith(known):
            raise UlnnError(f"array {key} is of no layer in the config: it is damaged")
    return KerasFile(tuple(layers), ordered=True)


def snake_case(name: str) -> str:
    """As Keras names layers in its files."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


# ---- layers by names alone ----------------------------------------------------------------------


def _by_names(arrays: Mapping[str, Array], idle: list[tuple[str, str]]) -> KerasFile:
    arrays = _weights(arrays)
    roots = {re.split(r"(?:^|/)(?:cell|vars)/", key, maxsplit=1)[0]: None for key in arrays}
    layers = [Layer(at, _numbered(at), below(arrays, at)) for at in roots]
    inside = tuple(f"{at}/" for at in roots if at)
    alone = [(at, name) for at, name in idle if not at.startswith(inside)]
    return KerasFile(tuple(layers), ordered=False, idle=tuple(alone))


def _numbered(at: str) -> str:
    """Keras counts cf_c, cf_c_1, cf_c_2: the first gets its 0."""
    parts = at.split("/") if at else []
    for k in range(1, len(parts)):
        if parts[k - 1] == "layers" and not re.search(r"_\d+$", parts[k]):
            parts[k] += "_0"
    return ".".join(parts)


# ---- legacy .h5 ---------------------------------------------------------------------------------


def _legacy(file: Any, arrays: Mapping[str, Array]) -> KerasFile:
    """A .h5 of `model.save`, or of `save_weights` in Keras 2."""
    whole = "model_weights" in file
    group = file["model_weights"] if whole else file
    arrays = _weights(below(arrays, "model_weights" if whole else ""))
    names = [_text(name) for name in group.attrs["layer_names"]]
    found = {name: _renamed(group, name, arrays) for name in names}
    if not whole:
        layers = [Layer(name, f"layers.{k}", found[name]) for k, name in enumerate(names)]
        idle = tuple((v.at, v.at) for v in layers if not v.arrays)
        return KerasFile(tuple(v for v in layers if v.arrays), ordered=True, idle=idle)
    entries = _entries(json.loads(_text(file.attrs["model_config"])))
    if entries is None:
        raise UlnnError(f"a legacy HDF5 model of a class of its own; {SAVE_AS}")
    plan = [
        _layer(number, _name(entry), found.get(_name(entry), {}), entry)
        for number, entry in enumerate(entries)
    ]
    return _complete(plan, arrays)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _renamed(group: Any, layer: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of a layer as a .weights.h5 numbers them."""
    listed = [_text(name) for name in group[layer].attrs.get("weight_names", ())]
    held = below(arrays, layer)
    if not set(held) <= set(listed):
        raise UlnnError(f"{layer} holds {some(set(held) - set(listed))}, which it does not list: "
                        "it is damaged")  # fmt: skip
    last = {name.removesuffix(":0").rpartition("/")[2] for name in held}
    cells: dict[str, int] = {}
    found = {}
    for k, name in enumerate(name for name in listed if name in held):
        parts = name.removesuffix(":0").split("/")
        key = f"cell/vars/{k}" if "gleak" in last else _numbered_array(parts, "w_tau" in last)
        if any(re.fullmatch(r"wired_cf_?c_cell(_\d+)?", part) for part in parts):
            cell = next((p for p in parts if re.fullmatch(r"cf_?c_cell(_\d+)?", p)), "")
            number = cells.setdefault(cell, len(cells))
            inner = f"cf_c_cell_{number}" if number else "cf_c_cell"
            key = f"cell/_cfc_layers/{inner}/{key.removeprefix('cell/')}"
        found[name if key in found else key] = held[name]  # two of a kind: of no layer we know
    return found


def _numbered_array(parts: list[str], pure: bool) -> str:
    last, owner = parts[-1], parts[-2] if len(parts) > 1 else ""
    plain = {"kernel": 0, "bias": 1, "mean": 0, "variance": 1}
    if (match := re.fullmatch(r"backbone(\d+)", owner)) and last in plain:
        stage = f"dense_{match[1]}".removesuffix("_0")
        return f"cell/backbone_fn/layers/{stage}/vars/{plain[last]}"
    if owner in ("time_a", "time_b") and last in plain:
        return f"cell/{owner}/vars/{plain[last]}"
    for names in (PURE if pure else CFC, GATES):
        if last in names and "_cell" in owner:
            return f"cell/vars/{names.index(last)}"
    return f"vars/{plain[last]}" if last in plain else "/".join(parts)
