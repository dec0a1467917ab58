"""GRU-D: a GRU whose state decays with the elapsed time, and inputs where they are missing.

Source: Che et al., "Recurrent neural networks for multivariate time series with missing values"
(Scientific Reports 8, 6085, 2018), equations 10 to 17.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..model_recipe import ModelRecipe
from ..rollout import Rollout
from .cell import Cell


class GruD(Rollout):
    """With m, which inputs are there (the others are nan), s, the time since each was there, u,
    the last value of each, and 0, the mean of each after normalisation:

        x^ = m x + (1 - m) g_x u;  g_x = exp(-relu(weight_x s + bias_x)), an own one for each input
        h^ = exp(-relu(decay(s))) h
        r, z = sigmoid(input([x^; m]) + recurrent(h^))
        c = tanh(input([x^; m]) + recurrent(r h^));  h' = (1 - z) h^ + z c

    State: h, u, and s less the next elapsed time.
    """

    def __init__(self, inputs: int, units: int, proj_size: int | None = None) -> None:
        super().__init__(units, proj_size)
        self.input_size, self.units, self.state_size = inputs, units, units + 2 * inputs
        self.input = nn.Linear(2 * inputs, 3 * units)
        self.gates = nn.Linear(units, 2 * units, bias=False)
        self.candidate = nn.Linear(units, units, bias=False)
        self.decay = nn.Linear(inputs, units)
        self.weight_x = nn.Parameter(torch.zeros(inputs))
        self.bias_x = nn.Parameter(torch.zeros(inputs))

    def states(self, x: Tensor, h: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
        """As the base says."""
        sizes = [self.units, self.input_size, self.input_size]
        h, last, since = torch.split(h, sizes, 1)
        x = x.transpose(0, 1)
        there = ~torch.isnan(x)
        u, s = _seen(x, there, ts, last, since)
        m = there.to(x.dtype)
        faded = u * torch.exp(-F.relu(self.weight_x * s + self.bias_x))
        drive = self.input(torch.cat([torch.where(there, u, faded), m], 2))
        keep = torch.exp(-F.relu(self.decay(s)))
        every = []
        into = torch.split(drive, [2 * self.units, self.units], 2)
        for fade, gates, new in zip(*(v.unbind() for v in (keep, *into)), strict=True):
            h = fade * h
            r, z = torch.sigmoid(torch.addmm(gates, h, self.gates.weight.t())).chunk(2, 1)
            c = torch.tanh(torch.addmm(new, r * h, self.candidate.weight.t()))
            h = torch.lerp(h, c, z)
            every.append(h)
        states = torch.stack(every)
        return states, torch.cat([states, u, s.masked_fill(there, 0.0)], 2)


def _seen(
    x: Tensor, there: Tensor, ts: Tensor, last: Tensor, since: Tensor
) -> tuple[Tensor, Tensor]:
    """The last value of each input and the time since then, (T, B, I). last, since (B, I): before
    the first sample."""
    if bool(there.all()):
        return x, torch.cat([since + ts[:1], ts[1:].expand_as(x[1:])])
    lasts, sinces = [], []
    for t in range(len(x)):
        since = since + ts[t]
        sinces.append(since)
        last = torch.where(there[t], x[t], last)
        lasts.append(last)
        since = since.masked_fill(there[t], 0.0)
    return torch.stack(lasts), torch.stack(sinces)


class GruDCell(Cell):
    """One layer."""

    name = "gru_d"

    def build(self, model: ModelRecipe, inputs: int, outputs: int) -> Rollout:
        """As the base says."""
        return GruD(inputs, model.hidden, outputs)


CELL = GruDCell()
