"""State dicts in files of torch and safetensors: which one of a file, and its floats."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..base.archives import check_total
from ..base.errors import UlnnError
from ..base.extras import explained
from ..network.layers import Array
from .state_dict import check_type, some
from .state_dict_forms import below

DEPTH = 3  # of dicts around a state dict
PLAIN = (int, float, str, bool, bytes, type(None))


def read_torch(path: Path, wanted: str) -> dict[str, Array]:
    """The state dict of a file written by `torch.save`. wanted: its key, where there are several,
    or the prefix of its names; else "". Raises UlnnError."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with path.open("rb") as file:  # by its content, whatever its name ends in
                content = torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise UlnnError(_refusal(str(error))) from error
    return floats_of(_chosen(content, wanted))


def _refusal(text: str) -> str:
    """What torch's unpickler, which takes tensors and plain values alone, did not take."""
    found = re.search(r"Unsupported global: GLOBAL (\S+)", text)
    if found is None:
        return "it is damaged, or no file of torch.save"
    return (
        f"it pickles other objects than tensors ({found[1]}), such as a whole model; save "
        "torch.save(model.state_dict(), ...) instead"
    )


def read_safetensors(path: Path, wanted: str) -> dict[str, Array]:
    """The tensors of a .safetensors file. wanted: the prefix of their names, or "". Raises
    UlnnError."""
    from safetensors import safe_open

    # torch reads what numpy has no type for (bfloat16)
    with safe_open(path, framework="pt") as file:
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    return floats_of(below(tensors, wanted) if wanted else tensors)


def is_safetensors(start: bytes, size: int) -> bool:
    """Whether a file of `size` bytes that begins so is one of safetensors."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < size


def read_metadata(path: Path) -> dict[str, str]:
    """The strings that a .safetensors file holds beside its tensors; none for any other file, or
    for one that is damaged: reading its tensors says so. Raises UlnnError."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
        if not is_safetensors(start, path.stat().st_size):
            return {}
    except OSError:
        return {}
    with explained(f"{path.name}: reading it"):
        from safetensors import SafetensorError, safe_open
    try:
        with safe_open(path, framework="np") as opened:
            return opened.metadata() or {}
    except SafetensorError:
        return {}


def _chosen(content: Any, wanted: str) -> Mapping[str, Any]:
    found = dict(_state_dicts(content))
    if not found:
        raise UlnnError(f"it holds a {_kind(content)}, expected a state dict of tensors")
    if wanted in found:
        return found[wanted]
    if len(found) > 1:
        raise UlnnError(
            f"it holds several state dicts: {some(found)}; say which, such as --weights "
            f"{next(iter(found))}"
        )
    only = next(iter(found.values()))
    return below(only, wanted) if wanted else only


def _state_dicts(content: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(key, tensors) of every dict of tensors by name; "" for the file's own."""
    seen: set[int] = set()  # a pickle may hold one dict a million times

    def below(node: Any, key: str, depth: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
        if not isinstance(node, Mapping) or id(node) in seen:
            return
        seen.add(id(node))
        tensors = _tensors(node)
        if tensors:
            yield key, tensors
        elif depth < DEPTH:
            for name, child in node.items():
                if isinstance(name, str):
                    yield from below(child, f"{key}.{name}" if key else name, depth + 1)

    yield from below(content, "", 0)


def _tensors(node: Mapping[Any, Any]) -> dict[str, Any]:
    """The tensors of a dict that holds tensors by name, and at most plain values beside them."""
    import torch

    values = {k: v for k, v in node.items() if torch.is_tensor(v)}
    rest = [v for k, v in node.items() if k not in values]
    named = all(isinstance(k, str) for k in node)
    return values if named and all(isinstance(v, PLAIN) for v in rest) else {}


def _kind(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"dict of {some(map(str, content))}" if content else "dict that is empty"
    return type(content).__name__


def floats_of(tensors: Mapping[str, Any]) -> dict[str, Array]:
    """float64 of dense tensors of a floating point type; masks and counters may be whole."""
    import torch

    total = 0
    for key, value in tensors.items():
        if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
            raise UlnnError(f"{key} is quantised, sparse or without data; expected plain floats")
        check_type(key, str(value.dtype).removeprefix("torch."), value.ndim)
        total += value.numel() * 8
        check_total(total)
    return {k: np.asarray(v.detach().to(torch.float64).numpy()) for k, v in tensors.items()}
