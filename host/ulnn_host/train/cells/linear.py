"""The baseline without a network: logistic or linear regression on simple statistics.

A network that is no better than this has not learnt more than what a mean, a spread and the last
samples say. weight_decay of the recipe makes it a ridge regression.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..model_recipe import ModelRecipe
from ..rollout import Rollout
from .cell import Ask, Cell


class Linear(Rollout):
    """The head sees the mean and the standard deviation of each input over all samples so far, and
    the last `taps` samples [x; ts], zeros where there is none.

    State: the number of samples, the sums of the inputs and of their squares, the last samples.
    """

    def __init__(self, inputs: int, proj_size: int | None, taps: int) -> None:
        super().__init__(2 * inputs + taps * (inputs + 1), proj_size)
        self.input_size, self.taps = inputs, taps
        self.sizes = [1, inputs, inputs, (taps - 1) * (inputs + 1)]
        self.state_size = sum(self.sizes)

    def states(self, x: Tensor, h: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
        """As the base says, with the last state alone."""
        batch, steps, inputs = x.shape
        *before, last = torch.split(h, self.sizes, 1)
        parts = (torch.ones_like(x[..., :1]), x, x * x)
        count, total, squares = (
            old[:, None] + part.cumsum(1) for old, part in zip(before, parts, strict=True)
        )
        mean = total / count
        spread = (squares / count - mean * mean).clamp_min(0).sqrt()
        old = last.view(batch, self.taps - 1, inputs + 1)
        rows = torch.cat([old, torch.cat([x, ts.transpose(0, 1)], 2)], 1)
        seen = [rows[:, k : k + steps] for k in range(self.taps)]
        ends = [part[:, -1] for part in (count, total, squares)]
        state = torch.cat([*ends, rows[:, steps:].reshape(batch, -1)], 1)
        return torch.cat([mean, spread, *seen], 2).transpose(0, 1), state[None]


class LinearCell(Cell):
    """No neurons, so no size to choose for a budget."""

    name = "linear"
    keys = ("taps", "use_dt")

    def build(self, model: ModelRecipe, inputs: int, outputs: int) -> Rollout:
        """As the base says."""
        return Linear(inputs, outputs, model.taps)

    def words(self, model: ModelRecipe) -> str:
        """What it sees."""
        return f"mean, spread, last {model.taps}"

    def sized(self, model: ModelRecipe, units: int) -> ModelRecipe:
        """As it is."""
        return model

    def search(self, ask: Ask, model: ModelRecipe, own: ModelRecipe) -> ModelRecipe:
        """With one to eight samples."""
        return replace(model, taps=ask.whole("taps", 1, 8, own.taps))


CELL = LinearCell()
