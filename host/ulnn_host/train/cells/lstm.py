"""The LSTM of torch.nn, with dt as an input or without; its network: `recurrent`."""

from __future__ import annotations

from typing import Any, ClassVar

from ..model_recipe import ModelRecipe
from ..recurrent import Kind, Recurrent
from ..rollout import Rollout
from .cell import DtInputCell


class GatedCell(DtInputCell):
    """Layers of torch.nn."""

    kind: ClassVar[Kind]
    keys = ("hidden", "layers", "dt_input")
    integers = True

    def build(self, model: ModelRecipe, inputs: int, outputs: int) -> Rollout:
        """As the base says."""
        return Recurrent(self.kind, inputs, model.hidden, outputs, model.dt_input, model.layers)

    def described(self, model: ModelRecipe) -> dict[str, Any]:
        """As torch.nn names its weights."""
        return {
            "dialect": "torch",
            "hidden_size": model.hidden,
            "layers": model.layers,
            "dt_input": model.dt_input,
        }


class LstmCell(GatedCell):
    """LSTM layers."""

    name = kind = "lstm"


CELL = LstmCell()
