"""From the `[model]` table of a recipe, or the TOML of a checkpoint, to a network to train."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

from torch import nn

from ..format.model import ModeName
from ..network import wiring
from ..network.layers import Activation
from ..network.wiring import Dialect
from .cells import CfC, CfCCell, Rollout, stacked, wired
from .ltc_cell import LTC
from .recipe import ModelRecipe, WiringRecipe
from .recurrent import Kind, Recurrent
from .start import Range, start_leaky


def build(model: ModelRecipe, inputs: int, outputs: int) -> Rollout:
    """A fresh network with a dense head for `outputs`. Raises UlnnError."""
    mode, activation = cast(ModeName, model.mode), cast(Activation, model.activation)
    shape = (mode, activation, model.backbone_units, model.backbone_layers)
    if model.cell == "wired":
        dialect = cast(Dialect, model.wiring.dialect)
        return wired(wires(model.wiring, inputs), outputs, mode, dialect)
    if model.cell == "ltc":
        return LTC(wires(model.wiring, inputs), outputs, model.unfolds)
    if model.cell in ("lstm", "gru"):
        kind = cast(Kind, model.cell)
        return Recurrent(kind, inputs, model.hidden, outputs, model.dt_input, model.layers)
    if model.layers > 1:
        return stacked(inputs, model.hidden, model.layers, outputs, *shape)
    return CfC(inputs, model.hidden, outputs, *shape, mixed_memory=model.cell == "mixed")


def start(network: Rollout, model: ModelRecipe, taus: Range, usual: float) -> None:
    """Start a fresh network as a recipe says. taus: the lowest and the highest time constant;
    usual: the elapsed time between two samples; both in units of the cell."""
    if model.leaky:
        for cell in network.modules():
            if isinstance(cell, CfCCell):
                start_leaky(cell, taus, usual)


def wires(recipe: WiringRecipe, inputs: int) -> wiring.Wiring:
    """The wiring of a recipe. Raises UlnnError."""
    seed = recipe.seed
    if seed < 0:
        seed = wiring.NCP_SEED if recipe.kind == "auto_ncp" else wiring.RANDOM_SEED
    return wiring.make(recipe.kind, inputs, recipe.units, recipe.outputs, recipe.sparsity, seed)


def describe(model: ModelRecipe, inputs: int, outputs: int) -> dict[str, Any]:
    """What the TOML file of a checkpoint says about a network; None: does not apply."""
    wires_any = model.cell in ("wired", "ltc")
    has_gates = model.cell in ("lstm", "gru")
    is_cfc = model.cell in ("cfc", "wired", "mixed")
    dialect = "torch" if has_gates else "ncps.torch"
    if model.cell == "wired" and model.wiring.dialect == "ulnn":
        dialect = "ulnn"
    backbone = model.cell in ("cfc", "mixed")
    return {
        "dialect": dialect,
        "cell": model.cell,
        "mode": model.mode if is_cfc else None,
        "activation": model.activation if backbone else "lecun_tanh" if is_cfc else None,
        "input_size": inputs,
        "hidden_size": model.wiring.units if wires_any else model.hidden,
        "output_size": outputs,
        "proj_size": outputs,
        "layers": None if wires_any else model.layers,
        "backbone_units": (model.backbone_units if model.backbone_layers else 0)
        if backbone
        else None,
        "backbone_layers": model.backbone_layers if backbone else None,
        "dt_input": model.dt_input if has_gates else None,
        "ode_unfolds": model.unfolds if model.cell == "ltc" else None,
        "implicit_param_constraints": True if model.cell == "ltc" else None,
        "wiring": dataclasses.asdict(model.wiring) if wires_any else None,
    }


def from_hyper(hyper: Mapping[str, Any]) -> Rollout:
    """The network, weights still random, of a checkpoint's TOML file."""
    names = {"hidden": "hidden_size", "unfolds": "ode_unfolds"}
    values: dict[str, Any] = {}
    for key in (f.name for f in dataclasses.fields(ModelRecipe)):
        value = hyper.get(names.get(key, key))
        if value is not None:
            values[key] = WiringRecipe(**value) if key == "wiring" else value
    return build(ModelRecipe(**values), hyper["input_size"], hyper["output_size"])


def decayed(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(weights and biases, which weight decay and a weight limit are for; all other trainable
    numbers: conductances, potentials, time constants)."""
    plain: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, value in network.named_parameters():
        if value.requires_grad:
            usual = name.rpartition(".")[2].startswith(("weight", "bias"))
            (plain if usual else others).append(value)
    return plain, others
