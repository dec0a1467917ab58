"""State dicts as they are saved, brought to the weights that the network computes with.

form                                   what becomes of it
averages (SWA, EMA), torch.compile     without module. in front, and counters such as n_averaged
`torch.nn.utils.prune`                 weight_orig * weight_mask
`weight_norm`, old and parametrized    weight_g * weight_v / |weight_v|
`spectral_norm`, old and parametrized  weight_orig / (u' weight_orig v), as in evaluation
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..base.errors import UlnnError
from ..network.layers import Array
from .state_dict import COUNTERS, some

WRAPPED = re.compile(r"((module|_orig_mod)\.)+")  # DataParallel, AveragedModel, torch.compile
PARAMETRIZED = re.compile(r"(?P<module>(.*\.)?)parametrizations\.(?P<name>\w+)\.")


def below(weights: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """What has names under a prefix such as "ema_model", without it. Raises UlnnError."""
    found = {
        k.removeprefix(f"{prefix}."): v for k, v in weights.items() if k.startswith(f"{prefix}.")
    }
    if not found:
        raise UlnnError(f"there are no weights {prefix}; found {some(weights)}")
    return found


def resolve(weights: Mapping[str, Array]) -> dict[str, Array]:
    """The weights by their plain names. Raises UlnnError where a form is unknown."""
    found = {k: v for k, v in weights.items() if k not in COUNTERS}
    if all(WRAPPED.match(key) for key in found):
        found = {WRAPPED.sub("", key): value for key, value in found.items()}
    with np.errstate(all="ignore"):  # what is not finite is refused when it is taken
        for name in [k.removesuffix("_mask") for k in found if k.endswith("_mask")]:
            if f"{name}_orig" in found:
                weight, mask = found.pop(f"{name}_orig"), found.pop(f"{name}_mask")
                if mask.shape != weight.shape:
                    raise UlnnError(f"{name}_mask has shape {mask.shape}, expected {weight.shape}")
                found[name] = weight * mask
        for name in [k.removesuffix("_orig") for k in found if k.endswith("_orig")]:
            if f"{name}_u" in found:
                parts = [found.pop(f"{name}_{part}") for part in ("orig", "u", "v")]
                found[name] = _spectral(name, *parts)
        for name in [k.removesuffix("_g") for k in found if k.endswith("_g")]:
            if f"{name}_v" in found:
                found[name] = _normed(name, found.pop(f"{name}_g"), found.pop(f"{name}_v"))
        return _parametrized(found)


def _parametrized(found: dict[str, Array]) -> dict[str, Array]:
    groups: dict[str, dict[str, Array]] = {}
    rest: dict[str, Array] = {}
    for key, value in found.items():
        match = PARAMETRIZED.match(key)
        if match:
            name = match["module"] + match["name"]
            groups.setdefault(name, {})[key[match.end() :]] = value
        else:
            rest[key] = value
    for name, parts in groups.items():
        if set(parts) == {"original0", "original1"}:
            rest[name] = _normed(name, parts["original0"], parts["original1"])
        elif set(parts) == {"original", "0._u", "0._v"}:
            rest[name] = _spectral(name, parts["original"], parts["0._u"], parts["0._v"])
        else:
            raise UlnnError(
                f"{name} has a parametrization ({', '.join(sorted(parts))}); call "
                "torch.nn.utils.parametrize.remove_parametrizations(module, "
                f"{name.rpartition('.')[2]!r}) before saving"
            )
    return rest


def _normed(name: str, size: Array, direction: Array) -> Array:
    """weight_norm: size is of shape (), or has the length of the direction in one axis."""
    axes = tuple(k for k, n in enumerate(size.shape) if n == 1) if size.ndim else None
    if size.ndim not in (0, direction.ndim) or not direction.size:
        raise _damaged(name, size, direction)
    norm = np.sqrt(np.square(direction).sum(axis=axes, keepdims=size.ndim > 0))
    if norm.shape != size.shape:
        raise _damaged(name, size, direction)
    return np.asarray(size * direction / norm)


def _spectral(name: str, weight: Array, u: Array, v: Array) -> Array:
    if weight.ndim != 2 or sorted(weight.shape) != sorted((u.size, v.size)):
        raise _damaged(name, weight, u, v)
    matrix = weight if weight.shape == (u.size, v.size) else weight.T
    return np.asarray(weight / (u.ravel() @ matrix @ v.ravel()))


def _damaged(name: str, *parts: Array) -> UlnnError:
    shapes = ", ".join(str(part.shape) for part in parts)
    return UlnnError(f"{name} is normed, but its parts of shapes {shapes} do not fit each other")
