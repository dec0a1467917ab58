"""From the `[model]` table of a recipe, or the TOML of a checkpoint, to a network to train."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import nn

from .cells import cell_of
from .model_recipe import ModelRecipe, WiringRecipe
from .rollout import Rollout
from .start import Range

SAVED_AS = {"hidden": "hidden_size", "unfolds": "ode_unfolds"}  # keys in a checkpoint's TOML


def build(model: ModelRecipe, inputs: int, outputs: int) -> Rollout:
    """A fresh network with a dense head for `outputs`. Raises UlnnError."""
    return cell_of(model.cell).build(model, inputs, outputs)


def start(network: Rollout, model: ModelRecipe, taus: Range, usual: float) -> None:
    """Start a fresh network as a recipe says. taus: the lowest and the highest time constant;
    usual: the elapsed time between two samples; both in units of the cell."""
    cell_of(model.cell).start(network, model, taus, usual)


def words(model: ModelRecipe) -> str:
    """The size of a network in a few words."""
    return cell_of(model.cell).words(model)


def describe(model: ModelRecipe, inputs: int, outputs: int) -> dict[str, Any]:
    """What the TOML of a checkpoint says about a network; None: does not apply."""
    sizes = {"input_size": inputs, "output_size": outputs, "proj_size": outputs}
    return {"cell": model.cell} | sizes | cell_of(model.cell).described(model)


def from_hyper(hyper: Mapping[str, Any]) -> Rollout:
    """The network, weights still random, of a checkpoint's TOML."""
    kept: Mapping[str, Any] = hyper.get("model", {})
    values: dict[str, Any] = {}
    for key in (f.name for f in dataclasses.fields(ModelRecipe)):
        value = kept.get(key, hyper.get(SAVED_AS.get(key, key)))
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
