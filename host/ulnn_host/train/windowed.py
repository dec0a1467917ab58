"""Networks that see the last samples, and no others: their state is those samples."""

from __future__ import annotations

import torch
from torch import Tensor

from .rollout import Rollout


class Windowed(Rollout):
    """A network over the last `reach` samples.

    State: the samples before, the oldest first, each as inputs, elapsed time, and 1 where there
    was a sample. A board would keep what it computed of them, so `products` counts every sample
    once.
    """

    def __init__(self, inputs: int, seen: int, proj_size: int | None, reach: int) -> None:
        super().__init__(seen, proj_size)
        self.input_size, self.reach = inputs, reach
        self.state_size = (reach - 1) * (inputs + 2)

    def window(self, x: Tensor, ts: Tensor, there: Tensor) -> Tensor:
        """What the head sees (B, T, M), of samples (B, reach - 1 + T, ...): x, ts and there."""
        raise NotImplementedError

    def states(self, x: Tensor, h: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
        """As the base says, with the last state alone."""
        batch = len(x)
        new = torch.cat([x, ts.transpose(0, 1), torch.ones_like(x[..., :1])], 2)
        rows = torch.cat([h.view(batch, self.reach - 1, self.input_size + 2), new], 1)
        parts = torch.split(rows, [self.input_size, 1, 1], 2)
        last = rows[:, rows.shape[1] - self.reach + 1 :].reshape(1, batch, -1)
        return self.window(*parts).transpose(0, 1), last
