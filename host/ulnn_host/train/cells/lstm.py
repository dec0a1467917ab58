"""The LSTM of torch.nn, with dt as an input or without; its network: `recurrent`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from ..model_recipe import ModelRecipe
from ..recurrent import Kind, Recurrent
from ..rollout import Rollout
from .cell import Ask, Cell


class GatedCell(Cell):
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

    def words(self, model: ModelRecipe) -> str:
        """With dt or without."""
        return super().words(model) + (", with dt" if model.dt_input else "")

    def timed(self, model: ModelRecipe) -> bool:
        """Where dt is an input."""
        return model.dt_input

    def search(self, ask: Ask, model: ModelRecipe, own: ModelRecipe) -> ModelRecipe:
        """With dt or without, unless the recipe ignores dt."""
        model = super().search(ask, model, own)
        if not own.use_dt:
            return model
        return replace(model, dt_input=ask.one_of("dt_input", (False, True), own.dt_input))


class LstmCell(GatedCell):
    """LSTM layers."""

    name = kind = "lstm"


CELL = LstmCell()
