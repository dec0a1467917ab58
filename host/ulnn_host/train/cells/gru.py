"""The GRU of torch.nn, with dt as an input or without; its network: `recurrent`."""

from __future__ import annotations

from .lstm import GatedCell


class GruCell(GatedCell):
    """GRU layers."""

    name = kind = "gru"


CELL = GruCell()
