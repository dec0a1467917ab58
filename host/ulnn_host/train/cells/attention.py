"""One layer of causal attention over the last samples, with their times.

Sources: Vaswani et al., "Attention is all you need" (arXiv 1706.03762), one block of the encoder,
one head, normalised before each part; Su et al., "RoFormer" (arXiv 2104.09864), whose rotation by
the position is here one by the time, so that it depends on the time between two samples alone.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..model_recipe import ModelRecipe
from ..rollout import Rollout
from ..windowed import Windowed
from .cell import Ask, Cell

SLOWEST = 100.0  # units of time: turns of the slowest pair are 2 pi times as long


class Attention(Windowed):
    """With e = embed([x; ts]), t the sum of the elapsed times, and D neurons:

        q, k, v = project(norm(e));  a = e + out(sum of softmax(rot(q, t) rot(k, t') / sqrt(D)) v)
        y = a + down(relu(up(norm(a))))

    over the last `reach` samples. rot turns pair j of the neurons by t SLOWEST^(-2 j / D).
    """

    def __init__(self, inputs: int, units: int, proj_size: int, reach: int) -> None:
        super().__init__(inputs, units, proj_size, reach)
        self.units = units
        self.embed = nn.Linear(inputs + 1, units)
        self.project = nn.Linear(units, 3 * units)
        self.out = nn.Linear(units, units)
        self.up = nn.Linear(units, 2 * units)
        self.down = nn.Linear(2 * units, units)
        self.norm = nn.LayerNorm(units)
        self.norm2 = nn.LayerNorm(units)

    @property
    def products(self) -> int:
        """Beside the matrices a product with each key and each value that is kept."""
        return super().products + 2 * self.reach * self.units

    def window(self, x: Tensor, ts: Tensor, there: Tensor) -> Tensor:
        """As the base says."""
        e = self.embed(torch.cat([x, ts], 2))
        q, k, v = self.project(self.norm(e)).chunk(3, 2)
        before = self.reach - 1
        turn = _turns(ts.cumsum(1), self.units)
        q, k = _rotated(q, turn)[:, before:], _rotated(k, turn)
        rows, columns = q.shape[1], k.shape[1]
        age = torch.arange(rows)[:, None] + before - torch.arange(columns)
        seen = ((age >= 0) & (age < self.reach)) & (there.transpose(1, 2) > 0)
        a = e[:, before:] + self.out(F.scaled_dot_product_attention(q, k, v, seen))
        result: Tensor = a + self.down(F.relu(self.up(self.norm2(a))))
        return result


def _turns(t: Tensor, units: int) -> Tensor:
    """Angles (B, T, pairs) at times (B, T, 1)."""
    pairs = torch.arange(units // 2, dtype=t.dtype)
    return t * torch.exp(-math.log(SLOWEST) * pairs / max(1, units // 2))


def _rotated(v: Tensor, turn: Tensor) -> Tensor:
    """Pairs of neurons, turned; an odd one stays."""
    half = turn.shape[2]
    a, b, rest = torch.split(v, [half, half, v.shape[2] - 2 * half], 2)
    cos, sin = turn.cos(), turn.sin()
    return torch.cat([a * cos - b * sin, a * sin + b * cos, rest], 2)


class AttentionCell(Cell):
    """`hidden` neurons, twice as many between up and down."""

    name = "attention"
    keys = ("hidden", "reach", "use_dt")

    def build(self, model: ModelRecipe, inputs: int, outputs: int) -> Rollout:
        """As the base says."""
        return Attention(inputs, model.hidden, outputs, model.reach)

    def words(self, model: ModelRecipe) -> str:
        """With the samples it sees."""
        return f"{super().words(model)}, {model.reach} samples"

    def search(self, ask: Ask, model: ModelRecipe, own: ModelRecipe) -> ModelRecipe:
        """With 16 to 128 samples."""
        model = super().search(ask, model, own)
        return replace(model, reach=ask.whole("reach", 16, 128, own.reach, log=True))


CELL = AttentionCell()
