"""The closed-form continuous-time cell (CfC), one layer or some; its network: `cfc_cell`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from ...base.errors import UlnnError
from ...format.model import ModeName
from ...network.layers import Activation
from ..cfc_cell import CfC, CfCCell, stacked
from ..model_recipe import ModelRecipe
from ..rollout import Rollout
from ..start import Range, start_leaky
from .cell import Ask, Cell

BACKBONE = ("mode", "activation", "hidden", "backbone_units", "backbone_layers", "start")


class CfcCell(Cell):
    """CfC layers with or without a backbone."""

    name = "cfc"
    keys: tuple[str, ...] = (*BACKBONE, "layers", "use_dt")
    integers = True

    def check(self, model: ModelRecipe) -> None:
        """Refuse what mode "pure" cannot have."""
        if model.mode != "pure":
            return
        if not model.use_dt:
            raise UlnnError(
                'model.use_dt = false is not for mode "pure", whose integers take the elapsed '
                'time: expected "default" or "no_gate"'
            )
        if model.start == "leaky":
            raise UlnnError(
                'model.start = "leaky" is not for mode "pure", which has no gate: expected "auto"'
            )

    def build(self, model: ModelRecipe, inputs: int, outputs: int) -> Rollout:
        """As the base says."""
        if model.layers > 1:
            return stacked(inputs, model.hidden, model.layers, outputs, *shape(model))
        return CfC(inputs, model.hidden, outputs, *shape(model))

    def leaky(self, model: ModelRecipe) -> bool:
        """Whether the gates start with time constants."""
        bare = model.layers == 1 and not model.backbone_layers and model.mode != "pure"
        return model.start == "leaky" or (model.start == "auto" and bare)

    def start(self, network: Rollout, model: ModelRecipe, taus: Range, usual: float) -> None:
        """With time constants, where the recipe wants them."""
        if self.leaky(model):
            for cell in network.modules():
                if isinstance(cell, CfCCell):
                    start_leaky(cell, taus, usual)

    def described(self, model: ModelRecipe) -> dict[str, Any]:
        """As ncps.torch names its weights."""
        return {
            "dialect": "ncps.torch",
            "mode": model.mode,
            "activation": model.activation,
            "hidden_size": model.hidden,
            "layers": model.layers,
            "backbone_units": model.backbone_units if model.backbone_layers else 0,
            "backbone_layers": model.backbone_layers,
        }

    def words(self, model: ModelRecipe) -> str:
        """With the backbone."""
        backbone = [str(model.backbone_units)] * model.backbone_layers
        return f"{super().words(model)}, backbone {' + '.join(backbone) or 'none'}"

    def sized(self, model: ModelRecipe, units: int) -> ModelRecipe:
        """A backbone grows in proportion."""
        width = max(1, round(units * model.backbone_units / model.hidden))
        return replace(model, hidden=units, backbone_units=width)

    def search(self, ask: Ask, model: ModelRecipe, own: ModelRecipe) -> ModelRecipe:
        """With one backbone or none."""
        model = super().search(ask, model, own)
        layers = ask.whole("backbone_layers", 0, 1, own.backbone_layers)
        model = replace(model, backbone_layers=layers)
        if layers:
            width = ask.size("backbone_units", 8, 64, own.backbone_units)
            model = replace(model, backbone_units=width)
        return model


def shape(model: ModelRecipe) -> tuple[ModeName, Activation, int, int]:
    """Mode, activation and backbone, as `cfc_cell.CfC` takes them."""
    mode, activation = cast(ModeName, model.mode), cast(Activation, model.activation)
    return mode, activation, model.backbone_units, model.backbone_layers


CELL = CfcCell()
