"""What people want converted: a checkpoint's path, a module of torch, what training returned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.errors import UlnnError
from ..data.sequences import Sequences
from ..importers import check, checkpoint
from ..importers.check import Agreement
from ..network.float_network import FloatNetwork


@dataclass(frozen=True)
class Said:
    """What is said about a checkpoint."""

    mode: str | None
    activation: str | None
    dialect: str | None
    order: tuple[str, ...]
    weights: str | None
    check: str | Path | None


def of_path(path: Path, said: Said) -> tuple[FloatNetwork, Agreement | None, tuple[str, ...]]:
    """The network of a file, its agreement with pairs of the original, if there are some, and
    what was assumed without them.
    """
    loaded = checkpoint.read_checkpoint(
        path, said.mode, said.activation, said.dialect, order=list(said.order),
        weights=said.weights,
    )  # fmt: skip
    if said.check is not None:
        return loaded.network, check.check_file(loaded, Path(said.check)), ()
    return loaded.network, None, loaded.assumed


def of_object(
    source: Any, data: Sequences, hyper: dict[str, Any], call: Callable[..., Any] | None
) -> tuple[FloatNetwork, Agreement | None, str, tuple[str, ...]]:
    """A network, its agreement with the module it comes from, its name, and what was assumed."""
    if isinstance(source, FloatNetwork):
        return source, None, str(source.meta.get("name", "")), ()
    from torch import nn

    from ..importers import torch_module
    from ..train.train import TrainedNetwork

    if isinstance(source, TrainedNetwork):
        return source.float_network(**hyper), None, "", ()
    if isinstance(source, nn.Module):
        loaded, agreement = torch_module.read_module(source, data.x, data.dt, hyper, call=call)
        return loaded.network, agreement, type(source).__name__.lower(), loaded.assumed
    raise UlnnError(
        f"convert: got {type(source).__name__}, expected a path, a torch module, or what train "
        "returned"
    )
