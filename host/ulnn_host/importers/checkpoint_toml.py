"""What weights do not say, as TOML: in the metadata of a .safetensors file of `ulnn train`, or in
`NAME.toml` beside another checkpoint. The keys are checked like those of a recipe.
"""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..base.errors import UlnnError, UlnnWarning, one_line
from ..base.toml_tables import choice, number, positive, table
from ..data.scores import READOUTS
from ..format.limits import SIZE_MAX, UNFOLDS_MAX
from ..format.model import DIALECTS, MODES
from ..network.layers import ACTIVATIONS, CELLS, FLOAT_ONLY
from .torch_files import read_metadata

METADATA = "ulnn"  # the key in the metadata of a .safetensors file
ALIASES = {"lecun": "lecun_tanh", "swish": "silu"}


@dataclass(frozen=True)
class CheckpointToml:
    """All keys, each may be missing.

    dialect, cell, mode, activation (of the backbone of a CfC), dt_input (LSTM, GRU: the last
    input is the elapsed time), ode_unfolds, implicit_param_constraints, motor_neurons (LTC)
    order    the modules from input to output, with the functions between and after them, such as
             ["rnn", "relu", "fc"]
    weights  which state dict, where a file holds several: its key, or the prefix of its names
    mean, std, time_scale   inputs are normalised as (x - mean) / std, seconds by time_scale
    fixed_dt the network takes every sample to come that many seconds after the one before
    labels, readout; channels: names of the inputs (inputs: the same, as older files have it),
    units: their units, "" where there is none
    all others: what `ulnn train` notes about a network; sizes must be those of the weights
    """

    dialect: str = choice("", *DIALECTS.values(), FLOAT_ONLY)
    cell: str = ""
    mode: str = choice("", *MODES)
    activation: str = choice("", *ACTIVATIONS, *ALIASES)
    dt_input: bool = False
    ode_unfolds: int = number(6, 1, UNFOLDS_MAX)
    implicit_param_constraints: bool = True
    motor_neurons: int = number(1, 1, SIZE_MAX)
    order: tuple[str, ...] = ()
    weights: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = positive(())
    time_scale: float = positive(1.0)
    fixed_dt: float = positive(0.0)
    labels: tuple[str, ...] = ()
    readout: str = choice("last", *READOUTS)
    channels: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    dataset: str = ""
    input_size: int = number(1, 1)
    output_size: int = number(1, 1)
    hidden_size: int = number(1, 1)
    proj_size: int = number(1, 1)
    layers: int = number(1, 1)
    backbone_units: int = number(0, 0)
    backbone_layers: int = number(0, 0)
    wiring: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    history: tuple[dict[str, Any], ...] = ()


def read_hyper(path: Path) -> dict[str, Any]:
    """What is known of the weights of a checkpoint: the keys in its own metadata, where it has
    them; else those of the TOML file beside it, NAME.toml for NAME.pt and NAME.weights.h5; else
    none. Warns of a TOML file that does not count. Raises UlnnError with the file's name."""
    if not path.name:
        return {}  # a folder, which is no checkpoint
    toml = path.with_name(path.name.removesuffix(path.suffix).removesuffix(".weights") + ".toml")
    inside = read_metadata(path).get(METADATA)
    if inside is not None:
        if toml.exists() and not _is_recipe(toml):
            text = f"{toml} is not read: {path.name} holds its hyper-parameters itself"
            warnings.warn(text, UlnnWarning, stacklevel=2)
        return _keys(inside, f"{path}: metadata")
    if not toml.exists():
        return {}
    if _is_recipe(toml):
        raise UlnnError(
            f"{toml} is a training recipe; expected the hyper-parameters of {path.name}: give one "
            "of the two another name"
        )
    try:
        return _keys(toml.read_text(encoding="utf-8-sig"), str(toml))
    except UnicodeDecodeError as error:
        raise UlnnError(f"{toml}: not valid TOML ({error})") from error


def _is_recipe(toml: Path) -> bool:
    try:
        return isinstance(tomllib.loads(toml.read_text(encoding="utf-8-sig")).get("data"), Mapping)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False


def _keys(text: str, name: str) -> dict[str, Any]:
    try:
        return checked(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UlnnError(f"{name}: not valid TOML ({error})") from error
    except UlnnError as error:
        raise UlnnError(f"{name}: {one_line(str(error))}") from error


def checked(content: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that are given, when all have the right type and range; None counts as not given.
    Raises UlnnError that names the key."""
    given = {key: value for key, value in content.items() if value is not None}
    table(CheckpointToml, given)
    if given.get("cell", "") not in ("", *CELLS) and given.get("dialect") != FLOAT_ONLY:
        raise UlnnError(f"cell is {given['cell']!r}, expected one of {', '.join(CELLS)}")
    for key, other in (("mean", "std"), ("std", "mean")):
        if key in given and other not in given:
            raise UlnnError(f"{key} without {other}: expected both, as (x - mean) / std")
    if len(given.get("mean", ())) != len(given.get("std", ())):
        raise UlnnError(
            f"mean has {len(given['mean'])} numbers and std {len(given['std'])}, "
            "expected one of each for every input"
        )
    if "inputs" in given:
        if "channels" in given:
            raise UlnnError("channels and inputs are the same: expected one of them")
        given["channels"] = given.pop("inputs")
    for key in ("labels", "channels"):
        names = given.get(key, [])
        for name in names:
            if not name.strip() or names.count(name) > 1:
                raise UlnnError(f"{key} holds {name!r}, expected names that differ")
    return given


def check_sizes(given: Mapping[str, Any], inputs: int, outputs: int) -> None:
    """Refuse sizes, scales and labels that are not those of the network. Raises UlnnError."""
    for key, size in (("input_size", inputs), ("output_size", outputs)):
        if given.get(key, size) != size:
            raise UlnnError(f"{key} is {given[key]}, but the weights have {size}")
    for key, size, what in (
        ("mean", inputs, "inputs"),
        ("channels", inputs, "inputs"),
        ("units", inputs, "inputs"),
        ("labels", outputs, "outputs"),
    ):
        found = len(given.get(key, ()))
        if found not in (0, size):
            raise UlnnError(f"{key} has {found} entries, expected {size}, one for each of the "
                            f"{what}")  # fmt: skip
