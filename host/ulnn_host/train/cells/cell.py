"""What the toolkit asks of a cell that networks are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from ...network.layers import FLOAT_ONLY
from ..model_recipe import ModelRecipe
from ..rollout import Rollout
from ..start import Range

COMMON = ("cell", "readout", "time_scale")  # keys of [model] that every cell has
NOT_KEPT = ("start", "use_dt")  # keys that a network, once trained, does not need


class Ask(Protocol):
    """Whoever draws a value in a search: a trial of `ulnn tune`. own: the recipe's value, which
    every range includes."""

    def one_of(self, name: str, values: Sequence[Any], own: Any) -> Any:
        """One of the values."""

    def whole(self, name: str, low: int, high: int, own: int, *, log: bool = False) -> int:
        """A whole number from low to high."""

    def size(self, name: str, low: int, high: int, own: int) -> int:
        """A number of neurons from low to high."""

    def real(self, name: str, low: float, high: float, own: float, *, log: bool = True) -> float:
        """A number from low to high."""


class Cell:
    """A cell. A file of this folder makes it known by `CELL`, an instance of a subclass.

    name: as in a recipe. keys: of [model] beside COMMON, in the order in which they are listed.
    integers: whether there is an integer engine for it; where there is none, the network is
    trained and compared in float alone. slow: whether a training takes several times as long as
    others, so that a search does not try it unasked.
    """

    name = ""
    keys: tuple[str, ...] = ("hidden", "use_dt")
    integers = False
    slow = False

    @property
    def every_key(self) -> tuple[str, ...]:
        """The keys of [model] that it has."""
        return COMMON + self.keys

    def check(self, model: ModelRecipe) -> None:
        """Raise UlnnError for keys that do not go together."""

    def build(self, model: ModelRecipe, inputs: int, outputs: int) -> Rollout:
        """A fresh network with a dense head for `outputs`. Raises UlnnError."""
        raise NotImplementedError

    def start(self, network: Rollout, model: ModelRecipe, taus: Range, usual: float) -> None:
        """Start a fresh network. taus: the lowest and the highest time constant, usual: the
        elapsed time between two samples, both in units of the cell."""

    def described(self, model: ModelRecipe) -> dict[str, Any]:
        """What the checkpoint says of the network beside its sizes; None: does not apply."""
        kept = {key: getattr(model, key) for key in self.keys if key not in NOT_KEPT}
        return {"dialect": FLOAT_ONLY, "model": kept}

    def words(self, model: ModelRecipe) -> str:
        """The size of the network in a few words."""
        return f"{model.hidden}" + (f" x {model.layers}" if model.layers > 1 else "")

    def timed(self, model: ModelRecipe) -> bool:
        """Whether the elapsed time changes anything."""
        return True

    def least(self, model: ModelRecipe) -> int:
        """The fewest neurons that make a network."""
        return 1

    def sized(self, model: ModelRecipe, units: int) -> ModelRecipe:
        """The network with that many neurons."""
        return replace(model, hidden=units)

    def search(self, ask: Ask, model: ModelRecipe, own: ModelRecipe) -> ModelRecipe:
        """The network that a search asks for. model: with what the cell has in common with the
        recipe's own network, which may be of another cell."""
        return replace(model, hidden=ask.size("hidden", 8, 48, own.hidden))


class DtInputCell(Cell):
    """A cell that takes the elapsed time as one more input, or not at all: key `dt_input`."""

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
