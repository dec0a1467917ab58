"""CfC cells and networks in PyTorch: dense, stacked, wired, with mixed memory.

Parameter names and shapes are those of `ncps.torch.CfC`, so a `state_dict` loads both ways. Unlike
ncps 1.0.1, `timespans` holds one elapsed time per sample and step and is right for every batch
size.

Source of the equations: Hasani et al., "Closed-form continuous-time neural networks", Nature
Machine Intelligence 4 (2022), as coded in `ncps.torch` 1.0.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..base.errors import UlnnError
from ..format.model import MODES, ModeName
from ..network.layers import ACTIVATIONS, HEADS, LECUN_IN, LECUN_OUT, Activation
from ..network.wiring import DIALECTS, Dialect, Wiring
from .rollout import Rollout
from .scan import fast
from .start import ONE_LAYER, start_leaky

# time constants of our own wired networks in units of the elapsed time, from inter (fast) to motor
# neurons (slow). Found by cross-validation over the demo's people to train on.
TIME_CONSTANTS = ((0.5, 6.0), (1.0, 20.0), (4.0, 40.0))


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
    """One CfC layer, one step: the readable form, which the fast path is tested against.

    Holds `backbone.{0,2,..}`, `ff1`, `ff2`, `time_a`, `time_b` (mode `pure`: `ff1`, `w_tau`, `A`),
    and `sparsity_mask` (hidden, input + hidden) where a mask is given: a connection is where it is
    1, in ff1 and ff2 (as in ncps), with mask_times in all heads. Raises UlnnError for an unknown
    mode or activation and for sizes below 1 (backbone_layers: below 0).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        mode: ModeName = "default",
        activation: Activation = "lecun_tanh",
        backbone_units: int = 128,
        backbone_layers: int = 1,
        mask: Tensor | None = None,
        mask_times: bool = False,
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
        self.mode, self.activation, self.mask_times = mode, activation, mask_times
        self.sparsity_mask = None if mask is None else nn.Parameter(mask, requires_grad=False)
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
            if weight.dim() == 2 and weight.requires_grad:
                nn.init.xavier_uniform_(weight)
        self.clear()

    @property
    def head_names(self) -> tuple[str, ...]:
        """Heads that the mode has."""
        return HEADS[:1] if self.mode == "pure" else HEADS

    def _masked(self, name: str) -> Tensor | None:
        return self.sparsity_mask if self.mask_times or name in ("ff1", "ff2") else None

    def head(self, name: str) -> tuple[Tensor, Tensor]:
        """Weight (H, columns) and bias (H,) of a head; 0 where there is no connection."""
        linear: nn.Linear = getattr(self, name)
        mask = self._masked(name)
        return linear.weight if mask is None else linear.weight * mask, linear.bias

    @torch.no_grad()
    def clear(self) -> None:
        """Make the weights 0 that no connection has, for whoever reads them without the mask."""
        for name in self.head_names:
            mask = self._masked(name)
            if mask is not None:
                getattr(self, name).weight.mul_(mask)

    def forward(self, x: Tensor, h: Tensor, ts: Tensor | float = 1.0) -> Tensor:
        """New state (B, H) from x (B, I), state h (B, H) and elapsed time ts, (B, 1) or one
        number.
        """
        z = torch.cat([x, h], 1)
        if self.backbone is not None:
            z = self.backbone(z)
        a1, *others = (F.linear(z, *self.head(name)) for name in self.head_names)
        if self.mode == "pure":
            return self.A - self.A * torch.exp(-ts * (self.w_tau.abs() + a1.abs())) * a1
        a2, time_a, time_b = others
        f1, f2 = torch.tanh(a1), torch.tanh(a2)
        gate = torch.sigmoid(time_a * ts + time_b)
        if self.mode == "no_gate":
            return f1 + gate * f2
        return f1 * (1.0 - gate) + gate * f2


class CfC(Rollout):
    """A CfC layer. State: its neurons; with mixed memory (an LSTM before it, as in ncps) hidden,
    then cell state.
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        proj_size: int | None = None,
        mode: ModeName = "default",
        activation: Activation = "lecun_tanh",
        backbone_units: int = 128,
        backbone_layers: int = 1,
        mixed_memory: bool = False,
    ) -> None:
        super().__init__(units, proj_size)
        self.rnn_cell = CfCCell(
            input_size, units, mode, activation, backbone_units, backbone_layers
        )
        self.lstm = Memory(input_size, units) if mixed_memory else None
        self.input_size, self.state_size = input_size, units * (2 if mixed_memory else 1)

    def states(self, x: Tensor, h: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
        """As the base says."""
        if self.lstm is None:
            states = _run(self.rnn_cell, x.transpose(0, 1), h, ts)
            return states, states
        hidden, cell = h.chunk(2, 1)
        projected = self.lstm.input_map(x.transpose(0, 1))
        both = []
        for t in range(x.shape[1]):
            hidden, cell = self.lstm.step(projected[t], hidden, cell)
            hidden = self.rnn_cell(x[:, t], hidden, ts[t])
            both.append(torch.cat([hidden, cell], 1))
        states = torch.stack(both)
        return states[..., : hidden.shape[1]], states


class Memory(nn.Module):
    """The LSTM of mixed memory: gates in the order cell, input, forget, output; 1 is added to the
    forget gate."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_map = nn.Linear(input_size, 4 * hidden_size)
        self.recurrent_map = nn.Linear(hidden_size, 4 * hidden_size, bias=False)
        nn.init.xavier_uniform_(self.input_map.weight)
        nn.init.uniform_(self.input_map.bias, -0.1, 0.1)
        nn.init.orthogonal_(self.recurrent_map.weight)

    def step(self, projected: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """New hidden and cell state (B, H); projected: input_map of the inputs (B, 4 H)."""
        i, ig, fg, og = (projected + self.recurrent_map(h)).chunk(4, 1)
        c = c * torch.sigmoid(fg + 1.0) + torch.tanh(i) * torch.sigmoid(ig)
        return torch.tanh(c) * torch.sigmoid(og), c


class CfCLayers(Rollout):
    """CfC layers one after the other within a step, each with its own state.

    State: layer by layer. In the state_dict they are `rnn_cell.layer_{k}` as in a wired CfC of
    ncps, or, with `apart`, `rnn.{k}.rnn_cell` as in a ModuleList of ncps.torch.CfC.
    """

    def __init__(
        self, cells: Sequence[CfCCell], proj_size: int | None = None, apart: bool = False
    ) -> None:
        super().__init__(cells[-1].hidden_size, proj_size)
        self.input_size = cells[0].input_size
        self.sizes = [cell.hidden_size for cell in cells]
        self.state_size = sum(self.sizes)
        if apart:
            self.rnn = nn.ModuleList(nn.ModuleDict({"rnn_cell": cell}) for cell in cells)
        else:
            self.rnn_cell = nn.ModuleDict({f"layer_{k}": cell for k, cell in enumerate(cells)})

    @property
    def cells(self) -> list[CfCCell]:
        """The layers in order."""
        return [module for module in self.modules() if isinstance(module, CfCCell)]

    def states(self, x: Tensor, h: Tensor, ts: Tensor) -> tuple[Tensor, Tensor]:
        """As the base says."""
        # no layer sees a later one, so each makes all its steps before the next begins
        every, flow = [], x.transpose(0, 1)
        for cell, state in zip(self.cells, torch.split(h, self.sizes, 1), strict=True):
            flow = _run(cell, flow, state, ts)
            every.append(flow)
        return flow, torch.cat(every, 2)


def stacked(
    input_size: int,
    units: int,
    layers: int,
    proj_size: int | None = None,
    mode: ModeName = "default",
    activation: Activation = "lecun_tanh",
    backbone_units: int = 128,
    backbone_layers: int = 1,
) -> CfCLayers:
    """Some CfC layers of equal size one after the other."""
    inputs = [input_size, *[units] * (layers - 1)]
    cells = [CfCCell(i, units, mode, activation, backbone_units, backbone_layers) for i in inputs]
    return CfCLayers(cells, proj_size, apart=True)


def wired(
    wiring: Wiring,
    proj_size: int | None = None,
    mode: ModeName = "default",
    dialect: Dialect = "ulnn",
) -> CfCLayers:
    """A CfC network of a wiring, a layer of neurons each, without backbones.

    dialect `ncps`: as `ncps.torch.CfC(inputs, wiring)`: only ff1 and ff2 are sparse, and the
    neurons of a layer all see each other, whatever the wiring says. dialect `ulnn`: connections
    are the synapses of the wiring, those inside a layer, too, in all heads; beside them a neuron
    sees its own state. Raises UlnnError for a wiring whose last layer has neurons without output.
    """
    if dialect not in DIALECTS:
        raise UlnnError(f"dialect {dialect!r} not known, expected one of {', '.join(DIALECTS)}")
    if len(wiring.layers[-1]) != wiring.outputs:
        raise UlnnError(
            f"{wiring.outputs} outputs of {wiring.units} units, expected {wiring.units}: in a CfC "
            "wiring of one layer all neurons are outputs (auto_ncp has layers)"
        )
    cells, inputs = [], wiring.inputs
    for k, neurons in enumerate(wiring.layers):
        size = len(neurons)
        own = dialect == "ulnn"
        inner = np.eye(size) + np.abs(wiring.within(k)) if own else np.ones((size, size))
        mask = np.concatenate([np.abs(wiring.into(k)), inner]).T > 0
        cell = CfCCell(
            inputs, size, mode, "lecun_tanh", 1, 0,
            torch.tensor(mask, dtype=torch.get_default_dtype()), mask_times=own,
        )  # fmt: skip
        if own:
            known = TIME_CONSTANTS[k] if len(wiring.layers) == 3 else ONE_LAYER
            start_leaky(cell, known)
        cells.append(cell)
        inputs = size
    return CfCLayers(cells, proj_size)


def _run(cell: CfCCell, x: Tensor, h: Tensor, ts: Tensor) -> Tensor:
    return (_loop if cell.mode == "pure" else fast)(cell, x, h, ts)


def _loop(cell: CfCCell, x: Tensor, h: Tensor, ts: Tensor) -> Tensor:
    """States (T, B, H), step by step through the readable cell; x (T, B, I)."""
    states = []
    for t in range(x.shape[0]):
        h = cell(x[t], h, ts[t])
        states.append(h)
    return torch.stack(states)
