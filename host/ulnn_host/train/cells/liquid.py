"""The leaky integrator that introductions to liquid networks show as LiquidCell.

There it is dh/dt = (tanh(W [x; h] + b) - h) / tau, one Euler step a sample, which diverges where
dt is above 2 tau. Here a step is exact in dt for a drive that is held between two samples, as an
exponential integrator has it (Hochbruck, Ostermann, "Exponential integrators", Acta Numerica 19,
2010).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..model_recipe import ModelRecipe
from ..rollout import Rollout
from ..start import Range
from .cell import Cell
from .min_gru import spread_rates


class Liquid(Rollout):
    """h' = f + exp(-ts / tau) (h - f), f = tanh(input(x) + recurrent(h)), a tau for each neuron,
    above 0, of which the logarithm is trained. State: h."""

    def __init__(self, inputs: int, units: int, proj_size: int | None = None) -> None:
        super().__init__(units, proj_size)
        self.input_size, self.state_size = inputs, units
        self.input = nn.Linear(inputs, units)
        self.recurrent = nn.Linear(units, units, bias=False)
        self.log_tau = nn.Parameter(torch.zeros(units))

    def states(self, x: Tensor, h: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
        """As the base says."""
        drive = self.input(x.transpose(0, 1))
        keep = torch.exp(-ts * torch.exp(-self.log_tau))
        every = []
        for now, kept in zip(drive.unbind(), keep.unbind(), strict=True):
            f = torch.tanh(torch.addmm(now, h, self.recurrent.weight.t()))
            h = torch.lerp(f, h, kept)
            every.append(h)
        states = torch.stack(every)
        return states, states


class LiquidCell(Cell):
    """One layer."""

    name = "liquid"

    def build(self, model: ModelRecipe, inputs: int, outputs: int) -> Rollout:
        """As the base says."""
        return Liquid(inputs, model.hidden, outputs)

    @torch.no_grad()
    def start(self, network: Rollout, model: ModelRecipe, taus: Range, usual: float) -> None:
        """Time constants of all lengths in the range."""
        network.get_parameter("log_tau").copy_(-torch.log(spread_rates(taus, model.hidden)))


CELL = LiquidCell()
