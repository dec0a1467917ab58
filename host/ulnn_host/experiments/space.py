"""What `ulnn tune` changes in a recipe: the cell, and for each cell parameters of its own.

Optuna draws the parameters (`Space.recipe`); a parameter's name starts with its cell, so that what
is good for one cell is not taken to be good for another. Every range includes the recipe's own
value, and those values together are the recipe (`Space.own`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from optuna.trial import BaseTrial

from ..base.errors import UlnnError
from ..train.cells import CELLS, cell_of
from ..train.model_recipe import ModelRecipe
from ..train.recipe import Recipe

CELL = "cell"


@dataclass(frozen=True)
class Space:
    """base: the recipe to start from, its cell among `cells`. tick: seconds that its own time
    scale is, also where the recipe leaves it to the data."""

    base: Recipe
    tick: float
    cells: tuple[str, ...]

    @property
    def own(self) -> dict[str, Any]:
        """The parameters that give the recipe itself."""
        asked = _Asked(None)
        self._made(asked)
        return asked.own

    def recipe(self, trial: BaseTrial) -> Recipe:
        """The recipe that a trial asks for."""
        return self._made(_Asked(trial))

    def _made(self, ask: _Asked) -> Recipe:
        own, training = self.base.model, self.base.training
        cell = cell_of(ask.one_of(CELL, self.cells, own.cell))
        shared = set(cell.every_key) & set(cell_of(own.cell).every_key) - {CELL}
        model = ModelRecipe(cell=cell.name, **{key: getattr(own, key) for key in shared})
        ask = replace(ask, prefix=f"{cell.name}.")
        model = cell.search(ask, model, own)
        if cell.timed(model):
            factor = ask.real("time_scale", 0.5, 4.0, 1.0)
            scale = own.time_scale if factor == 1 else _three_digits(self.tick * factor)
            model = replace(model, time_scale=scale)
        factor = ask.real("learning_rate", 0.4, 2.5, 1.0)
        if factor != 1:
            rate = min(10.0, _three_digits(training.learning_rate * factor))
            training = replace(training, learning_rate=rate)
        return replace(self.base, model=model, training=training)


def cells_of(base: Recipe, wanted: Sequence[str]) -> tuple[str, ...]:
    """The cells to compare: those wanted, else all that have integer engines and are quick to
    train; the recipe's own cell is among them. Raises UlnnError for a name that is no cell."""
    for cell in map(cell_of, wanted):
        if cell.timed(base.model) and not base.model.use_dt and "use_dt" not in cell.keys:
            raise UlnnError(
                f"model.use_dt = false is not for cell {cell.name!r}: leave it out of the cells"
            )
    chosen = wanted or [cell.name for cell in CELLS.values() if cell.integers and not cell.slow]
    return tuple(cell for cell in CELLS if cell in chosen or cell == base.model.cell)


@dataclass(frozen=True)
class _Asked:
    """Parameters drawn by a trial, or the recipe's own where there is none. own: those that were
    asked for, as they are in the recipe."""

    trial: BaseTrial | None
    prefix: str = ""
    own: dict[str, Any] = field(default_factory=dict)

    def one_of(self, name: str, values: Sequence[Any], own: Any) -> Any:
        """One of the values."""
        self.own[self.prefix + name] = own
        return self.trial.suggest_categorical(self.prefix + name, values) if self.trial else own

    def whole(self, name: str, low: int, high: int, own: int, *, log: bool = False) -> int:
        """A whole number, low and high included."""
        self.own[self.prefix + name] = own
        low, high = min(low, own), max(high, own)
        return (
            self.trial.suggest_int(self.prefix + name, low, high, log=log) if self.trial else own
        )

    def size(self, name: str, low: int, high: int, own: int) -> int:
        """A number of neurons: the recipe's, or one of the fours that kernels compute at once."""
        size = self.whole(name, low, high, own, log=True)
        return size if size == own else max(4, 4 * round(size / 4))

    def real(self, name: str, low: float, high: float, own: float, *, log: bool = True) -> float:
        """A number."""
        self.own[self.prefix + name] = own
        low, high = min(low, own), max(high, own)
        if self.trial is None:
            return own
        return self.trial.suggest_float(self.prefix + name, low, high, log=log)


def _three_digits(value: float) -> float:
    return float(f"{value:.3g}")
