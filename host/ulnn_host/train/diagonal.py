"""States without a matrix between them: h_t = keep_t h_(t-1) + new_t, for all steps.

keep and new do not depend on h, so they are computed for all steps at once; what is left is one
multiply-add a step, with its own back-propagation. On a few cores that is faster than a parallel
scan, which does log2(T) times the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor


def scan(keep: Tensor, new: Tensor, h: Tensor) -> Tensor:
    """States (T, B, H); keep, new (T, B, H), h (B, H) before the first step."""
    return cast(Callable[..., Tensor], _Scan.apply)(keep, new, h)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, keep: Tensor, new: Tensor, h: Tensor) -> Tensor:
        states = torch.empty_like(new)
        before = h
        for t in range(len(new)):
            torch.addcmul(new[t], keep[t], before, out=states[t])
            before = states[t]
        ctx.save_for_backward(keep, states, h)
        return states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        keep, states, h = ctx.saved_tensors
        flow = grad.clone()
        for t in range(len(keep) - 1, 0, -1):
            flow[t - 1].addcmul_(keep[t], flow[t])
        before = torch.cat([h[None], states[:-1]])
        return flow * before, flow, keep[0] * flow[0]
