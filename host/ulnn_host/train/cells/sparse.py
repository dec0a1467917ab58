"""What cells with a wiring have in common."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from ...network import wiring
from ..model_recipe import ModelRecipe, WiringRecipe
from .cell import Ask, Cell


class SparseCell(Cell):
    """A cell whose neurons are connected as a wiring says. Its size is that of the wiring; motor
    neurons stay as many."""

    def described(self, model: ModelRecipe) -> dict[str, Any]:
        """The wiring."""
        return {"hidden_size": model.wiring.units, "wiring": asdict(model.wiring)}

    def words(self, model: ModelRecipe) -> str:
        """Neurons, motor neurons, sparsity."""
        wires = model.wiring
        return f"{wires.units}/{wires.outputs}, sparsity {wires.sparsity:.2g}"

    def least(self, model: ModelRecipe) -> int:
        """Motor neurons, and three more where they are of a kind of their own."""
        wires = model.wiring
        if wires.outputs == wires.units:
            return 1
        return wires.outputs + (3 if wires.kind == "auto_ncp" else 0)

    def sized(self, model: ModelRecipe, units: int) -> ModelRecipe:
        """With as many motor neurons, unless all neurons are."""
        wires = model.wiring
        outputs = units if wires.outputs == wires.units else wires.outputs
        return replace(model, wiring=replace(wires, units=units, outputs=outputs))

    def search(self, ask: Ask, model: ModelRecipe, own: ModelRecipe) -> ModelRecipe:
        """A wiring of the recipe's kind where the recipe has this cell; others get auto_ncp, which
        fits all."""
        same = own.cell == self.name
        wires = own.wiring if same else replace(own.wiring, kind="auto_ncp")
        units = ask.size("units", 12, 48, wires.units)
        outputs = units
        if wires.kind == "auto_ncp" or wires.outputs != wires.units:
            outputs = ask.whole("outputs", 4, 8, wires.outputs)
            if (units, outputs) != (wires.units, wires.outputs):
                outputs = min(outputs, units - 3)
        sparsity = wires.sparsity
        if wires.kind != "full":
            drawn = ask.real("sparsity", 0.3, 0.7, sparsity, log=False)
            sparsity = sparsity if drawn == sparsity else float(f"{drawn:.3g}")
        wires = replace(wires, units=units, outputs=outputs, sparsity=sparsity)
        return replace(model, wiring=wires)


def wires_of(recipe: WiringRecipe, inputs: int) -> wiring.Wiring:
    """The wiring of a recipe. Raises UlnnError."""
    seed = recipe.seed
    if seed < 0:
        seed = wiring.NCP_SEED if recipe.kind == "auto_ncp" else wiring.RANDOM_SEED
    return wiring.make(recipe.kind, inputs, recipe.units, recipe.outputs, recipe.sparsity, seed)
