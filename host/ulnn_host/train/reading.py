"""The float network of any checkpoint: of other libraries, of ours, also of cells without
integers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..importers.checkpoint import read_checkpoint
from ..importers.checkpoint_toml import read_hyper
from ..network.float_network import FloatNetwork
from ..network.layers import FLOAT_ONLY

if TYPE_CHECKING:
    from .train import TrainedNetwork


def read_network(path: Path) -> tuple[FloatNetwork | TrainedNetwork, tuple[str, ...]]:
    """The network, and what had to be assumed to read it. Raises UlnnError."""
    if path.suffix == ".safetensors" and read_hyper(path).get("dialect") == FLOAT_ONLY:
        from .train import read_trained  # torch, which others do not need

        return read_trained(path), ()
    loaded = read_checkpoint(path)
    return loaded.network, loaded.assumed
