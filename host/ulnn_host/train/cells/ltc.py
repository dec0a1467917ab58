"""The liquid time-constant cell (LTC); its network: `ltc_cell`."""

from __future__ import annotations

from typing import Any

from ..ltc_cell import LTC
from ..model_recipe import ModelRecipe
from ..rollout import Rollout
from .sparse import SparseCell, wires_of


class LtcCell(SparseCell):
    """An LTC of a wiring."""

    name = "ltc"
    keys = ("wiring", "unfolds")
    integers = True
    slow = True

    def build(self, model: ModelRecipe, inputs: int, outputs: int) -> Rollout:
        """As the base says."""
        return LTC(wires_of(model.wiring, inputs), outputs, model.unfolds)

    def described(self, model: ModelRecipe) -> dict[str, Any]:
        """As ncps.torch names its weights."""
        return super().described(model) | {
            "dialect": "ncps.torch",
            "ode_unfolds": model.unfolds,
            "implicit_param_constraints": True,
        }


CELL = LtcCell()
