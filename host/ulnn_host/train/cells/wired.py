"""A CfC of a sparse wiring; its network: `cfc_cell`."""

from __future__ import annotations

from typing import Any, cast

from ...format.model import ModeName
from ...network.wiring import Dialect
from ..cfc_cell import wired
from ..model_recipe import ModelRecipe
from ..rollout import Rollout
from . import cfc
from .sparse import SparseCell, wires_of


class WiredCell(SparseCell):
    """CfC layers without backbones."""

    name = "wired"
    keys = ("mode", "wiring", "use_dt")
    integers = True

    def check(self, model: ModelRecipe) -> None:
        """As a CfC."""
        cfc.CELL.check(model)

    def build(self, model: ModelRecipe, inputs: int, outputs: int) -> Rollout:
        """As the base says."""
        dialect = cast(Dialect, model.wiring.dialect)
        wires = wires_of(model.wiring, inputs)
        return wired(wires, outputs, cast(ModeName, model.mode), dialect)

    def described(self, model: ModelRecipe) -> dict[str, Any]:
        """As ncps.torch names its weights; in our own dialect the mask holds for all heads."""
        own = model.wiring.dialect == "ulnn"
        return super().described(model) | {
            "dialect": "ulnn" if own else "ncps.torch",
            "mode": model.mode,
            "activation": "lecun_tanh",
        }


CELL = WiredCell()
