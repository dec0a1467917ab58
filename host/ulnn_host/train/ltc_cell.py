"""The LTC network in PyTorch, with the parameter names of `ncps.torch.LTC`.

Only the synapses of the wiring are computed: each neuron has a list of its sources, filled up to
the longest one, and the recurrence has its own back-propagation. Unlike ncps 1.0.1, `timespans`
holds one elapsed time per sample and step and is right for every batch size.

Source of the equations: Hasani et al., "Liquid time-constant networks", AAAI 2021 (eq. 1,
algorithm 1), as coded in `ncps.torch` 1.0.1 with `implicit_param_constraints` (softplus).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..base.errors import UlnnError
from ..network.layers import EPSILON
from ..network.wiring import Wiring
from .rollout import Rollout

# where ncps starts, uniform
RANGES = {
    "gleak": (0.001, 1.0),
    "vleak": (-0.2, 0.2),
    "cm": (0.4, 0.6),
    "w": (0.001, 1.0),
    "sigma": (3.0, 8.0),
    "mu": (0.3, 0.8),
}


class LTCCell(nn.Module):
    """One LTC layer, one step: the readable form, which the fast path is tested against.

    Holds `gleak`, `vleak`, `cm` (N,), `sigma`, `mu`, `w`, `erev`, `sparsity_mask` (N, N), the same
    with `sensory_` (I, N), `input_w`, `input_b` (I,), `output_w`, `output_b` (M,).
    """

    gleak: nn.Parameter
    vleak: nn.Parameter
    cm: nn.Parameter

    def __init__(self, wiring: Wiring, unfolds: int = 6) -> None:
        super().__init__()
        if unfolds < 1:
            raise UlnnError(f"unfolds {unfolds}, expected 1 or more")
        self.units, self.inputs, self.outputs = wiring.units, wiring.inputs, wiring.outputs
        self.unfolds = unfolds
        for name in ("gleak", "vleak", "cm"):
            self._uniform(name, name, (self.units,))
        for prefix, adjacency in (("", wiring.adjacency), ("sensory_", wiring.sensory)):
            for name in ("sigma", "mu", "w"):
                self._uniform(prefix + name, name, adjacency.shape)
            erev = torch.tensor(adjacency, dtype=torch.get_default_dtype())
            self.register_parameter(f"{prefix}erev", nn.Parameter(erev))
            mask = nn.Parameter(erev.abs(), requires_grad=False)
            self.register_parameter(f"{prefix}sparsity_mask", mask)
        self.input_w = nn.Parameter(torch.ones(self.inputs))
        self.input_b = nn.Parameter(torch.zeros(self.inputs))
        self.output_w = nn.Parameter(torch.ones(self.outputs))
        self.output_b = nn.Parameter(torch.zeros(self.outputs))

    def _uniform(self, name: str, kind: str, shape: tuple[int, ...]) -> None:
        low, high = RANGES[kind]
        self.register_parameter(name, nn.Parameter(torch.rand(shape) * (high - low) + low))

    def _numbers(self, prefix: str) -> list[Tensor]:
        names = ("sigma", "mu", "w", "erev", "sparsity_mask")
        return [self.get_parameter(prefix + name) for name in names]

    def _currents(self, prefix: str, v: Tensor) -> tuple[Tensor, Tensor]:
        """(sum of w f erev, sum of w f) over the sources v (B, S), each (B, N)."""
        sigma, mu, w, erev, mask = self._numbers(prefix)
        f = F.softplus(w) * mask * torch.sigmoid(sigma * (v[:, :, None] - mu))
        return (f * erev).sum(1), f.sum(1)

    def forward(self, x: Tensor, v: Tensor, ts: Tensor | float = 1.0) -> Tensor:
        """New potentials (B, N) from x (B, I), v (B, N) and elapsed time ts, (B, 1) or one
        number."""
        numerator, denominator = self._currents("sensory_", x * self.input_w + self.input_b)
        gleak, cm = F.softplus(self.gleak), F.softplus(self.cm) / (ts / self.unfolds)
        for _ in range(self.unfolds):
            n, d = self._currents("", v)
            v = (cm * v + gleak * self.vleak + n + numerator) / (
                cm + gleak + d + denominator + EPSILON
            )
        return v

    def synapses(self, prefix: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Sources of every neuron, filled up to the longest list of K: indices (N * K,), sigma and
        offset (N * K, 1) of the sigmoid's argument sigma v + offset, weights (N, 2, K) of the two
        currents, 0 behind the list."""
        every = self._numbers(prefix)
        used = every[-1].detach() != 0
        width = max(1, int(used.sum(0).max()))
        # the sources first, in ascending order
        source = torch.argsort(used.t().to(torch.int8), dim=1, descending=True, stable=True)
        source = source[:, :width].contiguous()
        target = torch.arange(self.units)[:, None].expand_as(source)
        sigma, mu, w, erev, mask = (value[source, target] for value in every)
        w = F.softplus(w) * mask
        flat = sigma.reshape(-1, 1)
        return source.flatten(), flat, -flat * mu.reshape(-1, 1), torch.stack([w * erev, w], 1)


class LTC(Rollout):
    """An LTC network of a wiring; the head, where there is one, sees the mapped motor neurons.
    State: the neurons' potentials."""

    def __init__(self, wiring: Wiring, proj_size: int | None = None, unfolds: int = 6) -> None:
        super().__init__(wiring.outputs, proj_size)
        self.rnn_cell = LTCCell(wiring, unfolds)
        self.input_size, self.state_size = wiring.inputs, wiring.units

    def states(self, x: Tensor, h: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
        """As the base says."""
        states = _fast(self.rnn_cell, x, h, ts)
        motor = states[..., : self.rnn_cell.outputs]
        return motor * self.rnn_cell.output_w + self.rnn_cell.output_b, states


def _loop(cell: LTCCell, x: Tensor, v: Tensor, ts: Tensor) -> Tensor:
    """Potentials (T, B, N), step by step through the readable cell; x (B, T, I)."""
    states = []
    for t in range(x.shape[1]):
        v = cell(x[:, t], v, ts[t])
        states.append(v)
    return torch.stack(states)


def _fast(cell: LTCCell, x: Tensor, v: Tensor, ts: Tensor) -> Tensor:
    """Potentials (T, B, N); x (B, T, I), v (B, N), ts (T, B, 1)."""
    batch, steps, _ = x.shape
    gleak = F.softplus(cell.gleak)
    rest = torch.stack([gleak * cell.vleak, gleak + EPSILON], 1)  # (N, 2)
    source, sigma, offset, weight = cell.synapses("sensory_")
    mapped = (x.transpose(0, 1) * cell.input_w + cell.input_b).reshape(steps * batch, -1).t()
    active = torch.sigmoid(torch.addcmul(offset, mapped[source], sigma))
    drive = weight @ active.view(cell.units, -1, steps * batch) + rest[:, :, None]
    drive = drive.view(cell.units, 2, steps, batch).permute(2, 0, 1, 3)
    capacity = F.softplus(cell.cm)[:, None] / (ts.transpose(1, 2) / cell.unfolds)  # (T, N, B)
    drive = torch.stack([drive[:, :, 0], drive[:, :, 1] + capacity], 2)
    scan = cast(Callable[..., Tensor], _Scan.apply)
    states = scan(drive, capacity, v.t(), *cell.synapses(""), cell.unfolds)
    return states.transpose(1, 2)


class _Scan(torch.autograd.Function):
    """The fused steps v <- (capacity v + drive_0 + sum of w f erev) / (drive_1 + sum of w f), with
    the neurons in rows and the samples in columns."""

    @staticmethod
    def forward(
        ctx: Any,
        drive: Tensor,
        capacity: Tensor,
        v: Tensor,
        source: Tensor,
        sigma: Tensor,
        offset: Tensor,
        weight: Tensor,
        unfolds: int,
    ) -> Tensor:
        """Potentials (T, N, B); drive (T, N, 2, B), the capacity in its second part, capacity
        (T, N, B), v (N, B), synapses as `LTCCell.synapses` gives them."""
        steps, units, _, batch = drive.shape
        count = len(source)
        seen = drive.new_empty(steps, unfolds, units, batch)  # v before each step
        below = torch.empty_like(seen)  # denominators
        active = drive.new_empty(steps, unfolds, count, batch)
        states = drive.new_empty(steps, units, batch)
        current = drive.new_empty(units, 2, batch)
        for t in range(steps):
            for u in range(unfolds):
                seen[t, u] = v
                f = active[t, u]
                torch.index_select(v, 0, source, out=f)
                f.mul_(sigma).add_(offset).sigmoid_()
                torch.baddbmm(drive[t], weight, f.view(units, -1, batch), out=current)
                current[:, 0].addcmul_(capacity[t], v)
                below[t, u] = current[:, 1]
                v = current[:, 0] / current[:, 1]
            states[t] = v
        ctx.save_for_backward(capacity, source, sigma, weight, seen, below, active, states)
        return states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        capacity, source, sigma, weight, seen, below, active, states = ctx.saved_tensors
        steps, unfolds, units, batch = seen.shape
        turned = weight.transpose(1, 2).contiguous()
        d_drive = grad.new_empty(steps, units, 2, batch)
        d_capacity = torch.empty_like(capacity)
        d_sigma, d_offset = torch.zeros_like(sigma), torch.zeros_like(sigma)
        d_weight = torch.zeros_like(weight)
        d_current = grad.new_empty(unfolds, units, 2, batch)
        d_argument = grad.new_empty(unfolds, len(source), batch)
        dv = torch.zeros_like(grad[0])
        for t in range(steps - 1, -1, -1):
            dv = dv + grad[t]
            after = states[t]
            for u in range(unfolds - 1, -1, -1):
                above, before = d_current[u, :, 0], seen[t, u]
                torch.div(dv, below[t, u], out=above)
                torch.mul(above, after, out=d_current[u, :, 1]).neg_()
                f = active[t, u]
                d_f = torch.bmm(turned, d_current[u])
                torch.ops.aten.sigmoid_backward.grad_input(
                    d_f.view_as(f), f, grad_input=d_argument[u]
                )
                dv = capacity[t] * above
                dv.index_add_(0, source, d_argument[u] * sigma)
                after = before
            torch.sum(d_current, 0, out=d_drive[t])
            torch.sum(seen[t] * d_current[:, :, 0], 0, out=d_capacity[t])
            d_offset += d_argument.sum((0, 2))[:, None]
            d_sigma += (d_argument * seen[t][:, source]).sum((0, 2))[:, None]
            f = active[t].view(unfolds, units, -1, batch)
            d_weight += torch.einsum("unjb,unkb->njk", d_current, f)
        return d_drive, d_capacity, dv, None, d_sigma, d_offset, d_weight, None
