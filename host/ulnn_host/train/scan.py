"""The recurrence of a CfC layer with its own back-propagation through time: the fast path.

It is tested against the readable form, `cfc_cell.CfCCell.forward`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..network.layers import HEADS, LECUN_IN, LECUN_OUT

_INV_SQRT2 = 2.0**-0.5
_INV_SQRT_2PI = 0.3989422804014327


class Cell(Protocol):
    """What the fast path reads of a `cfc_cell.CfCCell`."""

    input_size: int
    backbone: nn.Sequential | None

    @property
    def activation(self) -> str:
        """Of the backbone."""

    @property
    def mode(self) -> str:
        """`default` or `no_gate`."""

    def head(self, name: str) -> tuple[Tensor, Tensor]:
        """Weight and bias of the head of that name (of HEADS)."""


def fast(cell: Cell, x: Tensor, h: Tensor, ts: Tensor) -> Tensor:
    """States (T, B, H) of the modes `default` and `no_gate`.

    The input's share of the first matrix is one product over all steps, the four heads are one
    matrix, and the two constants of lecun_tanh go into the weights before and behind it.
    """
    heads = [cell.head(name) for name in HEADS]
    stages: list[tuple[Tensor, Tensor]] = []
    if cell.backbone is not None:
        stages = [(m.weight, m.bias) for m in cell.backbone if isinstance(m, nn.Linear)]
    stages.append((torch.cat([weight for weight, _ in heads]), torch.cat([b for _, b in heads])))
    kind: str = cell.activation
    if kind == "lecun_tanh":
        kind, last = "tanh", len(stages) - 1
        stages = [
            (
                w * ((LECUN_OUT if k else 1.0) * (LECUN_IN if k < last else 1.0)),
                b * LECUN_IN if k < last else b,
            )
            for k, (w, b) in enumerate(stages)
        ]
    (first, bias), rest = stages[0], stages[1:]
    projected = F.linear(x, first[:, : cell.input_size], bias)
    flat = [tensor for stage in rest for tensor in stage]
    gated = cell.mode == "default"
    scan = cast(Callable[..., Tensor], _Scan.apply)
    return scan(projected, h, ts, first[:, cell.input_size :], kind, gated, *flat)


class _Scan(torch.autograd.Function):
    """The recurrence with its own back-propagation through time.

    What does not depend on the recurrence is done for all steps at once: the local derivatives
    before the backward loop, the products that give the weights' gradients after it. That leaves
    few kernels per step.
    """

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        h0: Tensor,
        ts: Tensor,
        recurrent: Tensor,
        kind: str,
        gated: bool,
        *flat: Tensor,
    ) -> Tensor:
        """States (T, B, H); projected (T, B, R), h0 (B, H), ts (T, B, 1), recurrent (R, H); flat:
        weight, bias of the stages behind the first, the heads (4H, *) last (none: first =
        heads).
        """
        steps, batch, _ = projected.shape
        size = h0.shape[1]
        weights, biases = flat[0::2], flat[1::2]
        turned = [w.t() for w in weights]
        back = recurrent.t()
        post = [
            projected.new_empty(steps, batch, w.shape[0])
            for w in ([recurrent, *weights[:-1]] if weights else [])
        ]
        # silu and gelu need the value before them for their derivative, tanh and relu do not
        pre = post if kind in ("tanh", "relu") else [torch.empty_like(p) for p in post]
        linear = projected.new_empty(steps, batch, 4 * size)
        heads = projected.new_empty(steps, batch, 3 * size)
        states = projected.new_empty(steps + 1, batch, size)
        states[0] = h0
        for t in range(steps):
            h = states[t]
            row = linear[t]
            if not weights:
                torch.addmm(projected[t], h, back, out=row)
            else:
                for k, buffer in enumerate(pre):
                    if k:
                        torch.addmm(biases[k - 1], post[k - 1][t], turned[k - 1], out=buffer[t])
                    else:
                        torch.addmm(projected[t], h, back, out=buffer[t])
                    _activate(kind, buffer[t], post[k][t])
                torch.addmm(biases[-1], post[-1][t], turned[-1], out=row)
            head = heads[t]
            f1, f2, gate = head[:, :size], head[:, size : 2 * size], head[:, 2 * size :]
            torch.tanh(row[:, : 2 * size], out=head[:, : 2 * size])
            torch.addcmul(row[:, 3 * size :], row[:, 2 * size : 3 * size], ts[t], out=gate)
            gate.sigmoid_()
            if gated:
                torch.lerp(f1, f2, gate, out=states[t + 1])
            else:
                torch.addcmul(f1, gate, f2, out=states[t + 1])
        ctx.save_for_backward(ts, recurrent, linear, heads, states, *weights, *post, *pre)
        ctx.count, ctx.kind, ctx.gated = len(weights), kind, gated
        return states[1:]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        count: int = ctx.count
        ts, recurrent, linear, heads, states, *saved = ctx.saved_tensors
        weights, post, pre = saved[:count], saved[count : 2 * count], saved[2 * count :]
        steps, batch, size = grad.shape
        f1, f2, gate = heads[..., :size], heads[..., size : 2 * size], heads[..., 2 * size :]
        local = torch.empty_like(linear).view(steps, batch, 4, size)
        if ctx.gated:
            torch.mul(1 - gate, 1 - f1 * f1, out=local[:, :, 0])
            through = f2 - f1
        else:
            torch.mul(f1, -f1, out=local[:, :, 0]).add_(1)
            through = f2
        torch.mul(gate, 1 - f2 * f2, out=local[:, :, 1])
        torch.mul(through, gate * (1 - gate), out=local[:, :, 3])
        torch.mul(local[:, :, 3], ts, out=local[:, :, 2])
        slopes = [_slope(ctx.kind, p, z) for p, z in zip(pre, post, strict=True)]

        d_heads = torch.empty_like(local)
        d_rows = d_heads.view(steps, batch, 4 * size)
        d_post = [torch.empty_like(p) for p in post]
        dh = grad[-1]
        for t in range(steps - 1, -1, -1):
            torch.mul(local[t], dh.unsqueeze(1), out=d_heads[t])
            flow = d_rows[t]
            for k in range(count - 1, -1, -1):
                flow = torch.mm(flow, weights[k], out=d_post[k][t]).mul_(slopes[k][t])
            dh = torch.addmm(grad[t - 1], flow, recurrent) if t else flow @ recurrent

        flows = [*d_post, d_rows]
        d_first = flows[0]
        flat: list[Tensor] = []
        for k in range(count):
            flow = flows[k + 1].flatten(0, 1)
            flat += [flow.t() @ post[k].flatten(0, 1), flow.sum(0)]
        d_recurrent = d_first.flatten(0, 1).t() @ states[:-1].flatten(0, 1)
        d_ts = None
        if ctx.needs_input_grad[2]:
            d_ts = (d_heads[:, :, 3] * linear[..., 2 * size : 3 * size]).sum(-1, keepdim=True)
        return (d_first, dh, d_ts, d_recurrent, None, None, *flat)


def _activate(kind: str, pre: Tensor, post: Tensor) -> None:
    """post = activation(pre); in place for tanh and relu, where both are the same buffer."""
    if kind == "tanh":
        pre.tanh_()
    elif kind == "relu":
        pre.relu_()
    elif kind == "silu":
        post.copy_(F.silu(pre))
    else:
        post.copy_(F.gelu(pre))


def _slope(kind: str, pre: Tensor, post: Tensor) -> Tensor:
    """Derivative of the activation, from its argument or its value."""
    if kind == "tanh":
        return 1 - post * post
    if kind == "relu":
        return (post > 0).to(post.dtype)
    if kind == "silu":
        gate = torch.sigmoid(pre)
        return gate * (1 + pre * (1 - gate))
    return 0.5 * (1 + torch.erf(pre * _INV_SQRT2)) + pre * _INV_SQRT_2PI * torch.exp(
        -0.5 * pre * pre
    )
