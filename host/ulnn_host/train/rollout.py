"""What all networks over sequences have in common."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..base.errors import UlnnError


class Rollout(nn.Module):
    """Base of the networks over sequences: a cell or some, and a dense head `fc` where `proj_size`
    is given.

    forward(x (B, T, I), hx (B, S) or None, timespans (B, T), (B, T, 1) or None, length (B,) or
    None) returns the outputs (B, T, P or M) and the state after the last valid step (B, S). S: all
    state values, layer by layer, M: neurons with an output. `timespans` None means 1.0 everywhere;
    `length` None means that every step is valid. Raises UlnnError when shapes do not fit.
    """

    input_size: int
    state_size: int

    def __init__(self, output_size: int, proj_size: int | None) -> None:
        super().__init__()
        self.proj_size = proj_size
        self.fc: nn.Module = (
            nn.Identity() if proj_size is None else nn.Linear(output_size, proj_size)
        )

    @property
    def products(self) -> int:
        """Multiply-accumulates of a step: every matrix once, as nothing is computed twice."""
        return sum(value.numel() for value in self.parameters() if value.dim() > 1)

    def states(self, x: Tensor, h: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
        """What the head sees (T, B, M) and the states (T, B, S), or the last state alone
        (1, B, S); x (B, T, I), h (B, S), ts (T, B, 1)."""
        raise NotImplementedError

    def forward(
        self,
        x: Tensor,
        hx: Tensor | None = None,
        timespans: Tensor | None = None,
        length: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Outputs and last state, as the class says."""
        if x.dim() != 3 or x.shape[1] < 1 or x.shape[2] != self.input_size:
            raise UlnnError(f"x has shape {tuple(x.shape)}, expected (B, T, {self.input_size})")
        batch, steps, _ = x.shape
        ts = _time_major(timespans, batch, steps, x)
        h0 = x.new_zeros(batch, self.state_size) if hx is None else hx
        if h0.shape != (batch, self.state_size):
            raise UlnnError(
                f"state has shape {tuple(h0.shape)}, expected ({batch}, {self.state_size})"
            )
        outputs, states = self.states(x, h0, ts)
        last = states[-1]
        if length is not None and len(states) == steps:
            last = states[length.to(torch.int64) - 1, torch.arange(batch, device=x.device)]
        elif length is not None:
            # without the states of all steps those that end earlier go for themselves
            last = last.clone()
            for valid in torch.unique(length[length < steps]).tolist():
                rows = length == valid
                last[rows] = self.states(x[rows, :valid], h0[rows], ts[:valid, rows])[1][-1]
        return self.fc(outputs).transpose(0, 1), last


def _time_major(timespans: Tensor | None, batch: int, steps: int, like: Tensor) -> Tensor:
    """Elapsed times as (T, B, 1)."""
    if timespans is None:
        return like.new_ones(steps, batch, 1)
    if timespans.numel() != batch * steps or timespans.shape[:2] != (batch, steps):
        raise UlnnError(
            f"timespans have shape {tuple(timespans.shape)}, expected ({batch}, {steps})"
        )
    return timespans.reshape(batch, steps, 1).transpose(0, 1).to(like)
