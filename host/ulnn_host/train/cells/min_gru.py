"""The minGRU with a gate that knows the elapsed time.

Source: Feng et al., "Were RNNs all we needed?" (arXiv 2410.01201): h' = (1 - z) h + z c with
z = sigmoid(gate(x)) and c = new(x), neither of which sees h. Here 1 - z = exp(-ts softplus(gate)),
which is 1 - sigmoid(gate) for ts = 1, and exact where x is held between two samples. Each layer
ends with a gated linear unit (Dauphin et al., arXiv 1612.08083).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..diagonal import scan
from ..model_recipe import ModelRecipe
from ..rollout import Rollout
from ..start import Range
from .cell import Ask, Cell


class MinGru(Rollout):
    """Layers of H neurons:

        keep = exp(-ts softplus(gate(x)));  h' = keep h + (1 - keep) new(x)
        y = out(h') sigmoid(mask(h'))

    `input` has the rows of gate, then of new; `output` those of out, then of mask. State: h, layer
    by layer.
    """

    def __init__(self, inputs: int, units: int, proj_size: int | None, layers: int) -> None:
        super().__init__(units, proj_size)
        self.input_size, self.units, self.state_size = inputs, units, units * layers
        widths = [inputs, *[units] * (layers - 1)]
        self.input = nn.ModuleList(nn.Linear(width, 2 * units) for width in widths)
        self.output = nn.ModuleList(nn.Linear(units, 2 * units) for _ in widths)

    def states(self, x: Tensor, h: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
        """As the base says."""
        flow, every = x.transpose(0, 1), []
        befores = h.chunk(len(self.input), 1)
        for into, out, before in zip(self.input, self.output, befores, strict=True):
            gate, new = into(flow).chunk(2, 2)
            keep = torch.exp(-ts * F.softplus(gate))
            every.append(scan(keep, (1 - keep) * new, before))
            flow = F.glu(out(every[-1]), 2)
        return flow, torch.cat(every, 2)


class MinGruCell(Cell):
    """One layer or some."""

    name = "min_gru"
    keys = ("hidden", "layers", "use_dt")

    def build(self, model: ModelRecipe, inputs: int, outputs: int) -> Rollout:
        """As the base says."""
        return MinGru(inputs, model.hidden, outputs, model.layers)

    @torch.no_grad()
    def start(self, network: Rollout, model: ModelRecipe, taus: Range, usual: float) -> None:
        """Gates with time constants of all lengths in the range."""
        for k in range(model.layers):
            rate = spread_rates(taus, model.hidden)
            network.get_parameter(f"input.{k}.bias")[: model.hidden] = rate.expm1().log()

    def search(self, ask: Ask, model: ModelRecipe, own: ModelRecipe) -> ModelRecipe:
        """With one to three layers."""
        model = super().search(ask, model, own)
        return replace(model, layers=ask.whole("layers", 1, 3, own.layers))


def spread_rates(taus: Range, units: int) -> Tensor:
    """1 / tau (units,), tau drawn evenly on a logarithmic scale."""
    low, high = torch.log(torch.tensor(taus)).tolist()
    return torch.exp(-(low + torch.rand(units) * (high - low)))


CELL = MinGruCell()
