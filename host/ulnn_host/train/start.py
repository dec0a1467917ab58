"""How CfC layers start: every neuron a leaky integrator of what it sees.

ff2 is the neuron's own state and the gate is exp(-ts / tau), so the state decays towards ff1
within tau, which differs between the neurons. Weights are scaled by the connections that a neuron
has. Behind a backbone a head does not see the state itself, so there the gates alone start so:
states that were led through backbones as straight lines trained worse.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..data.sequences import Sequences

Range = tuple[float, float]

# time constants of a layer alone, in units of the elapsed time; and the scale of the weights of
# each head. Found by cross-validation over the demo's people to train on.
ONE_LAYER: Range = (1.0, 30.0)
SCALE = {"ff1": 1.0, "ff2": 0.3, "time_a": 0.5, "time_b": 0.5}


class Cell(Protocol):
    """What a start reads of a `cfc_cell.CfCCell`."""

    input_size: int
    hidden_size: int
    backbone: nn.Sequential | None
    sparsity_mask: nn.Parameter | None

    @property
    def mode(self) -> str:
        """`default`, `no_gate` or `pure`, which has no gate to start."""

    @property
    def head_names(self) -> tuple[str, ...]:
        """Heads that the mode has."""


def time_constants(data: Sequences, usual: float, window: float, time_scale: float) -> Range:
    """Of the neurons that are to learn some data, in units of the cell: from one usual elapsed
    time to half a sequence. usual, window (0: whole sequences), time_scale: seconds."""
    lasts = np.where(data.mask, data.dt, 0).sum(1, dtype=np.float64)
    whole = window or float(np.median(lasts))
    return usual / time_scale, max(2 * usual, whole / 2) / time_scale


@torch.no_grad()
def start_leaky(cell: Cell, taus: Range, usual: float = 1.0) -> None:
    """Start a cell. taus: the lowest and the highest time constant, usual: the elapsed time at
    which the gate is exact, all in units of the cell."""
    for name in cell.head_names:
        weight: Tensor = getattr(cell, name).weight
        mask = torch.ones_like(weight) if cell.sparsity_mask is None else cell.sparsity_mask
        limit = (3.0 / mask.sum(1, keepdim=True)).sqrt()
        weight.copy_(SCALE[name] * limit * mask * (torch.rand_like(weight) * 2 - 1))
    if cell.mode == "pure":
        return
    low, high = (math.log(tau) for tau in taus)
    rate = torch.exp(-(low + torch.rand(cell.hidden_size) * (high - low)))
    gate = torch.exp(-rate * usual)
    slope = -rate / (1 - gate)
    ff1, ff2, time_a, time_b = (getattr(cell, name) for name in cell.head_names)
    if cell.backbone is None:
        neurons = torch.arange(cell.hidden_size)
        ff2.weight[neurons, cell.input_size + neurons] = 1.0
    ff1.bias.zero_()
    ff2.bias.zero_()
    time_a.bias.copy_(slope)
    time_b.bias.copy_(torch.logit(gate) - slope * usual)
