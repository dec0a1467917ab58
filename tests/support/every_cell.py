"""Networks of every cell, made with the frameworks themselves (ncps, torch.nn, Keras)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from ncps.torch import LTC, CfC
from ncps.wirings import AutoNCP
from torch import nn

from ulnn_host.importers import checkpoint
from ulnn_host.network.float_network import FloatNetwork

State = dict[str, torch.Tensor]


class Stacked(nn.Module):
    """Two CfC layers, one after the other, and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [CfC(3, 10, backbone_units=8), CfC(10, 7, mode="default", backbone_units=9)]
        )
        self.fc = nn.Linear(7, 2)

    def forward(self, x: torch.Tensor, timespans: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x, _ = layer(x, timespans=timespans)
        return self.fc(x)


class WithHead(nn.Module):
    """nn.LSTM or nn.GRU with a dense layer behind it."""

    def __init__(self, rnn: nn.LSTM | nn.GRU) -> None:
        super().__init__()
        self.rnn = rnn
        self.fc = nn.Linear(rnn.hidden_size, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.rnn(x)[0])


def torch_models(seed: int = 0) -> dict[str, tuple[nn.Module, dict[str, Any]]]:
    """Fresh models and the hyper-parameters that belong to them."""
    torch.manual_seed(seed)
    models: dict[str, tuple[nn.Module, dict[str, Any]]] = {}
    for mode in ("default", "no_gate", "pure"):
        model = CfC(3, 12, proj_size=2, mode=mode, backbone_units=16, backbone_layers=1)
        models[f"cfc-{mode}"] = model, {"mode": mode}
    models["wired"] = CfC(6, AutoNCP(19, 4)), {"mode": "default"}
    models["mixed"] = (
        CfC(3, 10, proj_size=2, mixed_memory=True, backbone_units=12),
        {"mode": "default"},
    )
    models["ltc-wired"] = LTC(3, AutoNCP(19, 4)), {}
    models["ltc-full"] = LTC(3, 8), {}
    for kind in (nn.LSTM, nn.GRU):
        for layers in (1, 2):
            for dt_input in (False, True):
                name = f"{kind.__name__.lower()}-{layers}{'-dt' if dt_input else ''}"
                rnn = kind(3 + dt_input, 11, layers, batch_first=True)
                models[name] = WithHead(rnn), {"dt_input": dt_input}
    models["stacked"] = Stacked(), {"mode": "default"}
    return models


def scaled(state: Mapping[str, torch.Tensor], gain: float) -> State:
    """Every weight times the gain; of an LTC the steepness sigma, as its potentials are bounded
    anyhow."""
    if not any(key.endswith("sensory_w") for key in state):
        return {k: v if "mask" in k else gain * v for k, v in state.items()}
    return {k: gain * v if k.endswith("sigma") else v for k, v in state.items()}


def keras_cfc(mode: str = "default", gain: float = 0.7, seed: int = 0, **keys: Any) -> Any:
    """An ncps.keras CfC of 3 inputs and 10 units, built, weights scaled."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    from ncps.keras import CfC as KerasCfC

    keras.utils.set_random_seed(seed)
    sizes = {"backbone_units": 9, **keys}
    layer = KerasCfC(10, mode=mode, return_sequences=True, **sizes)
    layer(np.zeros((1, 2, 3), np.float32))
    layer.set_weights([gain * w for w in layer.get_weights()])
    return layer


def keras_kernels(layer: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of a Keras CfC by the names of checkpoint.py."""
    cell = layer.cell
    found = {"ff1.kernel": cell.ff1_kernel, "ff1.bias": cell.ff1_bias}
    if cell.mode == "pure":
        found |= {"w_tau": cell.w_tau, "A": cell.A}
    else:
        found |= {"ff2.kernel": cell.ff2_kernel, "ff2.bias": cell.ff2_bias}
        for name in ("time_a", "time_b"):
            dense = getattr(cell, name)
            found |= {f"{name}.kernel": dense.kernel, f"{name}.bias": dense.bias}
    dense = [] if cell.backbone_fn is None else cell.backbone_fn.layers[::2]
    for k, stage in enumerate(dense):
        found |= {f"backbone.{k}.kernel": stage.kernel, f"backbone.{k}.bias": stage.bias}
    return {k: np.asarray(v.numpy(), np.float64) for k, v in found.items()}


def every_cell(gain: float = 0.7, seed: int = 0) -> list[tuple[str, FloatNetwork]]:
    """(name, network) of every kind of cell; at a gain of 0.7 and below they are contractive."""
    networks = []
    for name, (model, hyper) in torch_models(seed).items():
        state = scaled(model.state_dict(), gain)
        weights = {k: v.double().numpy() for k, v in state.items()}
        networks.append((name, checkpoint.from_weights(weights, hyper, name=name).network))
    for mode in ("default", "no_gate"):
        kernels = keras_kernels(keras_cfc(mode, gain, seed))
        loaded = checkpoint.from_weights(kernels, {"mode": mode}, dialect="ncps.keras")
        networks.append((f"keras-{mode}", loaded.network))
    return networks
