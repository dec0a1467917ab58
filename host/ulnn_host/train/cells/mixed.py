"""Mixed memory: a CfC with an LSTM before it; its network: `cfc_cell`."""

from __future__ import annotations

from ..cfc_cell import CfC
from ..model_recipe import ModelRecipe
from ..rollout import Rollout
from .cfc import BACKBONE, CfcCell, shape


class MixedCell(CfcCell):
    """One layer."""

    name = "mixed"
    keys = (*BACKBONE, "use_dt")

    def build(self, model: ModelRecipe, inputs: int, outputs: int) -> Rollout:
        """As the base says."""
        return CfC(inputs, model.hidden, outputs, *shape(model), mixed_memory=True)

    def leaky(self, model: ModelRecipe) -> bool:
        """Where the recipe wants it, and not by itself."""
        return model.start == "leaky"


CELL = MixedCell()
