"""FastGRNN, the gated cell of the fewest weights, with dt as an input or without.

Source: Kusupati et al., "FastGRNN: a fast, accurate, stable and tiny kilobyte sized gated
recurrent neural network" (NeurIPS 2018, arXiv 1901.02358), with full matrices.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..model_recipe import ModelRecipe
from ..rollout import Rollout
from .cell import DtInputCell


class FastGrnn(Rollout):
    """The gate and the candidate share their matrices:

        p = input([x; ts]) + recurrent(h);  z = sigmoid(p + bias_z);  c = tanh(p + bias_c)
        h' = (zeta (1 - z) + nu) c + z h,  zeta and nu between 0 and 1

    State: h.
    """

    def __init__(self, inputs: int, units: int, proj_size: int | None, dt_input: bool) -> None:
        super().__init__(units, proj_size)
        self.input_size, self.state_size, self.dt_input = inputs, units, dt_input
        self.input = nn.Linear(inputs + dt_input, units, bias=False)
        self.recurrent = nn.Linear(units, units, bias=False)
        self.bias_z = nn.Parameter(torch.ones(units))
        self.bias_c = nn.Parameter(torch.ones(units))
        # through a sigmoid, from where the authors start
        self.zeta = nn.Parameter(torch.tensor([1.0]))
        self.nu = nn.Parameter(torch.tensor([-4.0]))

    def states(self, x: Tensor, h: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
        """As the base says."""
        x = x.transpose(0, 1)
        drive = self.input(torch.cat([x, ts], 2) if self.dt_input else x)
        zeta, nu = torch.sigmoid(self.zeta), torch.sigmoid(self.nu)
        every = []
        for now in drive.unbind():
            p = torch.addmm(now, h, self.recurrent.weight.t())
            z, c = torch.sigmoid(p + self.bias_z), torch.tanh(p + self.bias_c)
            h = (zeta * (1 - z) + nu) * c + z * h
            every.append(h)
        states = torch.stack(every)
        return states, states


class FastGrnnCell(DtInputCell):
    """One layer."""

    name = "fast_grnn"
    keys = ("hidden", "dt_input")

    def build(self, model: ModelRecipe, inputs: int, outputs: int) -> Rollout:
        """As the base says."""
        return FastGrnn(inputs, model.hidden, outputs, model.dt_input)


CELL = FastGrnnCell()
