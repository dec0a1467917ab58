"""Models of others with functions between and after their layers, and what comes out of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from ncps.torch import CfC
from numpy.typing import NDArray
from torch import nn

Pairs = dict[str, NDArray[Any]]


class Row(nn.Module):
    """Modules one after the other, as they are named; recurrent ones get the elapsed times."""

    def __init__(self, **modules: nn.Module) -> None:
        super().__init__()
        self.names = list(modules)
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: torch.Tensor, timespans: torch.Tensor) -> torch.Tensor:
        for name in self.names:
            module = self.get_submodule(name)
            if isinstance(module, nn.RNNBase):
                x = module(x)[0]
            elif hasattr(module, "rnn_cell"):
                x = module(x, timespans=timespans)[0]
            else:
                x = module(x)
        return x


def cfc(inputs: int, units: int, **keys: Any) -> CfC:
    """A CfC of ncps with a small backbone, batches first."""
    return CfC(inputs, units, **{"backbone_units": 7, **keys})


def seeded(seed: int = 0) -> None:
    """The same weights in every test."""
    torch.manual_seed(seed)


def samples(inputs: int = 3, steps: int = 40, seed: int = 1) -> Pairs:
    """x (1, T, I) and dt (1, T)."""
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(size=(1, steps, inputs)).astype(np.float32),
        "dt": rng.uniform(0.05, 2.0, (1, steps)).astype(np.float32),
    }


def pairs(model: nn.Module, inputs: int = 3, time_scale: float = 1.0) -> Pairs:
    """x, dt, y of a model."""
    made = samples(inputs)
    with torch.no_grad():
        y = model.eval()(torch.tensor(made["x"]), torch.tensor(made["dt"] / time_scale))
    return made | {"y": y.numpy()}


def arrays(state: Mapping[str, torch.Tensor]) -> Pairs:
    """numpy of a state dict, types kept."""
    return {key: value.detach().numpy() for key, value in state.items()}
