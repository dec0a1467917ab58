"""The CfC cell and network in PyTorch, in the dialect of `ncps.torch`.

Parameter names and shapes are those of `ncps.torch.CfC`, so a `state_dict` loads both ways. Unlike
ncps 1.0.1, `timespans` holds one elapsed time per sample and step and is right for every batch
size.

Source of the equations: Hasani et al., "Closed-form continuous-time neural networks", Nature
Machine Intelligence 4 (2022), as coded in `ncps.torch` 1.0.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .errors import UlnnError
from .network import ACTIVATIONS, LECUN_IN, LECUN_OUT, Activation

Mode = Literal["default", "no_gate", "pure"]
MODES: tuple[Mode, ...] = get_args(Mode)

_INV_SQRT2 = 2.0**-0.5
_INV_SQRT_2PI = 0.3989422804014327


class LeCun(nn.Module):
    """1.7159 tanh(0.666 x), elementwise."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return LECUN_OUT * torch.tanh(LECUN_IN * x)


_MODULES: dict[str, Callable[[], nn.Module]] = {
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "lecun_tanh": LeCun,
}


class CfCCell(nn.Module):
    """One CfC layer, one step: the readable form, which the fast path of `CfC` is tested against.

    Holds `backbone.{0,2,..}`, `ff1`, `ff2`, `time_a`, `time_b` (mode `pure`: `ff1`, `w_tau`, `A`).
    Raises UlnnError for an unknown mode or activation and for sizes below 1 (backbone_layers:
    below 0).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        mode: Mode = "default",
        activation: Activation = "lecun_tanh",
        backbone_units: int = 128,
        backbone_layers: int = 1,
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise UlnnError(f"mode {mode!r} not known, expected one of {', '.join(MODES)}")
        if activation not in ACTIVATIONS:
            raise UlnnError(
                f"activation {activation!r} not known, expected one of {', '.join(ACTIVATIONS)}"
            )
        sizes = {"input size": input_size, "hidden size": hidden_size}
        if backbone_layers:
            sizes["backbone units"] = backbone_units
        for name, size in sizes.items():
            if size < 1:
                raise UlnnError(f"{name} {size}, expected 1 or more")
        if backbone_layers < 0:
            raise UlnnError(f"backbone layers {backbone_layers}, expected 0 or more")
        self.input_size, self.hidden_size = input_size, hidden_size
        self.mode, self.activation = mode, activation
        self.backbone: nn.Sequential | None = None
        width = input_size + hidden_size
        if backbone_layers:
            parts: list[nn.Module] = []
            for _ in range(backbone_layers):
                parts += [nn.Linear(width, backbone_units), _MODULES[activation]()]
                width = backbone_units
            self.backbone = nn.Sequential(*parts)
        self.ff1 = nn.Linear(width, hidden_size)
        if mode == "pure":
            self.w_tau = nn.Parameter(torch.zeros(1, hidden_size))
            self.A = nn.Parameter(torch.ones(1, hidden_size))
        else:
            self.ff2 = nn.Linear(width, hidden_size)
            self.time_a = nn.Linear(width, hidden_size)
            self.time_b = nn.Linear(width, hidden_size)
        for weight in self.parameters():  # ncps does the same, w_tau and A included
            if weight.dim() == 2:
                nn.init.xavier_uniform_(weight)

    def forward(self, x: Tensor, h: Tensor, ts: Tensor | float = 1.0) -> Tensor:
        """New state (B, H) from x (B, I), state h (B, H) and elapsed time ts, (B, 1) or one
        number.
        """
        z = torch.cat([x, h], 1)
        if self.backbone is not None:
            z = self.backbone(z)
        a1: Tensor = self.ff1(z)
        if self.mode == "pure":
            return self.A - self.A * torch.exp(-ts * (self.w_tau.abs() + a1.abs())) * a1
        f1, f2 = torch.tanh(a1), torch.tanh(self.ff2(z))
        gate = torch.sigmoid(self.time_a(z) * ts + self.time_b(z))
        if self.mode == "no_gate":
            return f1 + gate * f2
        return f1 * (1.0 - gate) + gate * f2


class CfC(nn.Module):
    """A CfC layer over sequences, with a dense head where `proj_size` is given.

    forward(x (B, T, I), hx (B, H) or None, timespans (B, T), (B, T, 1) or None, length (B,) or
    None) returns the outputs (B, T, P or H) and the state after the last valid step (B, H).
    `timespans` None means 1.0 everywhere; `length` None means that every step is valid. Raises
    UlnnError when shapes do not fit.
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        proj_size: int | None = None,
        mode: Mode = "default",
        activation: Activation = "lecun_tanh",
        backbone_units: int = 128,
        backbone_layers: int = 1,
    ) -> None:
        super().__init__()
        self.rnn_cell = CfCCell(
            input_size, units, mode, activation, backbone_units, backbone_layers
        )
        self.proj_size = proj_size
        self.fc: nn.Module = nn.Identity() if proj_size is None else nn.Linear(units, proj_size)

    def forward(
        self,
        x: Tensor,
        hx: Tensor | None = None,
        timespans: Tensor | None = None,
        length: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Outputs and last state, as the class says."""
        cell = self.rnn_cell
        if x.dim() != 3 or x.shape[1] < 1 or x.shape[2] != cell.input_size:
            raise UlnnError(f"x has shape {tuple(x.shape)}, expected (B, T, {cell.input_size})")
        batch, steps, _ = x.shape
        ts = _time_major(timespans, batch, steps, x)
        h0 = x.new_zeros(batch, cell.hidden_size) if hx is None else hx
        if h0.shape != (batch, cell.hidden_size):
            raise UlnnError(
                f"state has shape {tuple(h0.shape)}, expected ({batch}, {cell.hidden_size})"
            )
        states = (_loop if cell.mode == "pure" else _fast)(cell, x, h0, ts)
        if length is None:
            last = states[-1]
        else:
            last = states[length.to(torch.int64) - 1, torch.arange(batch, device=x.device)]
        return self.fc(states).transpose(0, 1), last


def _time_major(timespans: Tensor | None, batch: int, steps: int, like: Tensor) -> Tensor:
    """Elapsed times as (T, B, 1)."""
    if timespans is None:
        return like.new_ones(steps, batch, 1)
    if timespans.numel() != batch * steps or timespans.shape[:2] != (batch, steps):
        raise UlnnError(
            f"timespans have shape {tuple(timespans.shape)}, expected ({batch}, {steps})"
        )
    return timespans.reshape(batch, steps, 1).transpose(0, 1).to(like)


def _loop(cell: CfCCell, x: Tensor, h: Tensor, ts: Tensor) -> Tensor:
    """States (T, B, H), step by step through the readable cell."""
    states = []
    for t in range(x.shape[1]):
        h = cell(x[:, t], h, ts[t])
        states.append(h)
    return torch.stack(states)


def _fast(cell: CfCCell, x: Tensor, h: Tensor, ts: Tensor) -> Tensor:
    """States (T, B, H) of the modes `default` and `no_gate`.

    The input's share of the first matrix is one product over all steps, the four heads are one
    matrix, and the two constants of lecun_tanh go into the weights before and behind it.
    """
    heads = [cell.ff1, cell.ff2, cell.time_a, cell.time_b]
    stages: list[tuple[Tensor, Tensor]] = []
    if cell.backbone is not None:
        stages = [(m.weight, m.bias) for m in cell.backbone if isinstance(m, nn.Linear)]
    stages.append((torch.cat([m.weight for m in heads]), torch.cat([m.bias for m in heads])))
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
    projected = F.linear(x.transpose(0, 1), first[:, : cell.input_size], bias)
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
