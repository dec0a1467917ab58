"""Files of trained arrays: safetensors, torch, NumPy, Keras; and the TOML beside them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import UlnnError
from ..base.extras import explained
from ..network.layers import Array
from . import import_keras
from .import_cells import Arrays

EXPECTED = "torch.save(model.state_dict(), ...), .safetensors, .npz, .keras or .weights.h5"


def read(path: Path) -> Arrays:
    """The arrays of a file, and what it says about its layers. Raises UlnnError."""
    if not path.exists():
        raise UlnnError(
            f"{path}: no such file; expected a checkpoint (.safetensors, .pt, .npz, .keras or "
            ".weights.h5)"
        )
    if path.suffix == ".ulnn":
        raise UlnnError(
            f"{path}: an integer model; expected the checkpoint from which it was converted"
        )
    try:
        with explained(f"reading {path.name}"):
            if path.suffix in (".keras", ".h5"):
                return import_keras.read(path)
            return Arrays(_READERS.get(path.suffix, _torch)(path))
    except UlnnError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if "Weights only" in reason:
            reason = "it pickles other objects than tensors, such as a whole model"
        raise UlnnError(f"{path}: cannot be read ({reason[:120]}); expected {EXPECTED}") from error


def hyperparameters(path: Path) -> dict[str, Any]:
    """The TOML beside a file: NAME.toml for NAME.pt and NAME.weights.h5. Raises UlnnError."""
    toml = path.with_name(path.name.removesuffix(path.suffix).removesuffix(".weights") + ".toml")
    if not toml.exists():
        return {}
    try:
        return tomllib.loads(toml.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UlnnError(f"{toml}: not valid TOML ({error})") from error


def _safetensors(path: Path) -> dict[str, Array]:
    from safetensors import safe_open

    # torch reads what numpy has no type for (bfloat16)
    with safe_open(path, framework="pt") as file:
        return {k: file.get_tensor(k).double().numpy() for k in file.keys()}  # noqa: SIM118


def _npz(path: Path) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as file:
        return {k: np.asarray(file[k], np.float64) for k in file.files}


def _torch(path: Path) -> dict[str, Array]:
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(torch.is_tensor(v) for v in state.values()):
        raise UlnnError(
            f"{path}: holds a {type(state).__name__}, expected a state dict of tensors"
        )
    return {str(k): v.detach().to(torch.float64).numpy() for k, v in state.items()}


_READERS: dict[str, Callable[[Path], dict[str, Array]]] = {
    ".safetensors": _safetensors,
    ".npz": _npz,
}
