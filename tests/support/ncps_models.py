"""CfC models made with ncps itself: random ones, contractive ones, and quickly trained ones."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from ncps.torch import CfC

from support.every_cell import every_cell as every_cell
from ulnn_host.data.sequences import Sequences
from ulnn_host.importers import checkpoint
from ulnn_host.network.float_network import FloatNetwork


@dataclass(frozen=True)
class Spec:
    """An ncps CfC. gain scales every weight: at 0.7 and below such models are contractive."""

    inputs: int = 3
    hidden: int = 8
    backbone_layers: int = 1
    backbone_units: int = 16
    mode: str = "default"
    activation: str = "lecun_tanh"
    proj: int | None = None
    gain: float = 0.7
    seed: int = 0

    @property
    def name(self) -> str:
        """For test ids."""
        return (
            f"{self.mode}-I{self.inputs}-H{self.hidden}-"
            f"{self.backbone_layers}x{self.backbone_units}-{self.activation}"
        )


def state_dict(spec: Spec) -> dict[str, torch.Tensor]:
    """The state_dict of a fresh ncps model."""
    torch.manual_seed(spec.seed)
    model = CfC(
        spec.inputs,
        spec.hidden,
        proj_size=spec.proj,
        mode=spec.mode,
        activation=spec.activation,
        backbone_units=spec.backbone_units,
        backbone_layers=spec.backbone_layers,
    )
    return {key: spec.gain * value.detach() for key, value in model.state_dict().items()}


def network(spec: Spec) -> FloatNetwork:
    """The same as a FloatNetwork, through the checkpoint reader."""
    weights = {key: value.double().numpy() for key, value in state_dict(spec).items()}
    return checkpoint.from_weights(weights, {}, spec.mode, spec.activation).network


def data(spec: Spec, count: int, steps: int, seed: int, kind: str = "uniform") -> Sequences:
    """Inputs in -1 .. 1 (uniform) or of unit variance (normal), dt random in 0.1 .. 1 s."""
    rng = np.random.default_rng(seed)
    shape = (count, steps, spec.inputs)
    x = rng.uniform(-1, 1, shape) if kind == "uniform" else rng.normal(size=shape)
    return Sequences(
        x=x.astype(np.float32),
        dt=rng.uniform(0.1, 1, shape[:2]).astype(np.float32),
        length=np.full(count, steps),
    )


@functools.cache
def trained(mode: str, activation: str = "lecun_tanh") -> tuple[FloatNetwork, Spec]:
    """An ncps model trained for some seconds to follow a low-pass filter of its input."""
    spec = Spec(3, 16, 1, 24, mode, activation, proj=2, gain=1.0, seed=4)
    torch.manual_seed(1)
    model = CfC(
        3, 16, proj_size=2, mode=mode, activation=activation, backbone_units=24, backbone_layers=1
    )
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for step in range(60):
        batch = data(spec, 16, 30, 100 + step)
        x, dt = torch.tensor(batch.x), torch.tensor(batch.dt)
        target, h = torch.zeros(16, 30, 2), torch.zeros(16, 2)
        for t in range(30):
            h = h + (1 - torch.exp(-dt[:, t, None])) * (x[:, t, :2] - h)
            target[:, t] = h
        # ncps 1.0.1 multiplies (B,) with (B, H); a time per unit gets round that.
        y, _ = model(x, timespans=dt[:, :, None].expand(-1, -1, 16))
        loss = ((y - target) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert loss.item() < 0.02, f"the test model did not train: loss {loss.item()}"
    weights = {key: value.double().numpy() for key, value in model.state_dict().items()}
    return checkpoint.from_weights(weights, {}, mode, activation).network, spec
