"""How CfC layers start: every neuron a leaky integrator of what it sees.

ff2 is the neuron's own state and the gate is exp(-ts / tau), so the state decays towards ff1
within tau, which differs between the neurons. Weights are scaled by the connections that a neuron
has.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..data.sequences import Sequences
from ..network.layers import LECUN_IN, LECUN_OUT

Range = tuple[float, float]

# time constants of a layer alone, in units of the elapsed time; and the scale of the weights of
# each head. Found by cross-validation over the demo's people to train on.
ONE_LAYER: Range = (1.0, 30.0)
SCALE = {"ff1": 1.0, "ff2": 0.3, "time_a": 0.5, "time_b": 0.5}
SMALL = 0.5  # so that a tanh of a state is nearly a line
SLOPE = {"tanh": 1.0, "lecun_tanh": LECUN_OUT * LECUN_IN}  # of the odd activations, at 0


class Cell(Protocol):
    """What a start reads of a `cells.CfCCell`."""

    input_size: int
    hidden_size: int
    backbone: nn.Sequential | None
    sparsity_mask: nn.Parameter | None

    @property
    def activation(self) -> str:
        """Of the backbone."""

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
    _own_state(cell, ff2.weight)
    ff1.bias.zero_()
    ff2.bias.zero_()
    time_a.bias.copy_(slope)
    time_b.bias.copy_(torch.logit(gate) - slope * usual)


def _own_state(cell: Cell, head: Tensor) -> None:
    """Make each row of a head the neuron's own state; through a backbone, as far as it is wide
    enough."""
    if cell.backbone is None:
        neurons = torch.arange(cell.hidden_size)
        head[neurons, cell.input_size + neurons] = 1.0
        return
    stages = [stage for stage in cell.backbone if isinstance(stage, nn.Linear)]
    width, slope = stages[0].out_features, SLOPE.get(cell.activation)
    # f(z) - f(-z) = z for relu, silu and gelu: there a state takes two units
    kept = torch.arange(min(cell.hidden_size, width if slope else width // 2))
    other = kept + len(kept)
    for k, stage in enumerate(stages):
        stage.weight[kept] *= SCALE["ff2"]
        stage.bias[kept] = 0.0
        if not k:
            stage.weight[kept, cell.input_size + kept] = SMALL if slope else 1.0
        elif slope:
            stage.weight[kept, kept] = 1 / slope
        else:
            stage.weight[kept, kept], stage.weight[kept, other] = 1.0, -1.0
        if not slope:
            stage.weight[other], stage.bias[other] = -stage.weight[kept], 0.0
    head[kept, kept] = 1 / (SMALL * slope) if slope else 1.0
    if not slope:
        head[kept, other] = -1.0
