"""The size of a network for a budget: bytes of its file, or cycles of a step."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from ..base.errors import UlnnError
from ..data.sequences import Sequences
from ..format import container
from ..format.limits import SIZE_MAX
from ..quantize.options import Options
from ..quantize.rollouts import sample
from ..train import train
from ..train.cells import cell_of
from ..train.recipe import Recipe
from .measured import converted, cycles, estimated

UNITS = {"B": 1, "KB": 1000, "KiB": 1024, "cycles": 1}
STEPS, LONGEST = 64, 32  # of the data: sizes hardly depend on them


@dataclass(frozen=True)
class Budget:
    """What a network is to have at most, as an integer model: bytes of its file, or cycles of a
    step on a Cortex-M7 from tightly coupled memory, modelled. Of a network without an integer
    engine both are estimated (`measured.Estimate`)."""

    most: int
    unit: Literal["bytes", "cycles"]

    @staticmethod
    def parse(text: str) -> Budget:
        """Of a text such as 12KB, 8KiB, 9000B or 5000cycles. Raises UlnnError."""
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *(B|KB|KiB|cycles)", text.strip())
        most = round(float(found[1]) * UNITS[found[2]]) if found else 0
        if not found or most < 1:
            raise UlnnError(
                f"budget {text!r}: expected bytes of the file, such as 12KB, or cycles of a step, "
                "such as 5000cycles"
            )
        return Budget(most, "cycles" if found[2] == "cycles" else "bytes")

    def __str__(self) -> str:
        return f"{self.most:,} {self.unit}"


def solved(recipe: Recipe, budget: Budget, data: Sequences, bits: int = 8) -> Recipe:
    """The recipe with the largest network within the budget, before it is trained: neurons change,
    and a backbone in proportion; of wired networks all but the motor neurons. data: what it is
    for. Raises UlnnError where the smallest one is too large.
    """
    few = sample(data, STEPS, LONGEST)
    least = cell_of(recipe.model.cell).least(recipe.model)
    cost = _cost(_sized(recipe, least), data, few, budget, bits)
    if cost > budget.most:
        raise UlnnError(
            f"the smallest {recipe.model.cell} has {cost:,} {budget.unit}, more than the "
            f"budget of {budget.most:,}"
        )

    def fits(units: int) -> bool:
        try:
            return _cost(_sized(recipe, units), data, few, budget, bits) <= budget.most
        except UlnnError:
            return False  # above what the format holds

    return _sized(recipe, _largest(fits, least))


def _largest(fits: Callable[[int], bool], low: int) -> int:
    """The largest number from low, which fits, to SIZE_MAX, where all below it do."""
    high = min(2 * low, SIZE_MAX + 1)
    while high <= SIZE_MAX and fits(high):
        low, high = high, min(2 * high, SIZE_MAX + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _sized(recipe: Recipe, units: int) -> Recipe:
    return replace(recipe, model=cell_of(recipe.model.cell).sized(recipe.model, units))


def _cost(recipe: Recipe, data: Sequences, few: Sequences, budget: Budget, bits: int) -> int:
    network = train.untrained(recipe, data)
    if not cell_of(recipe.model.cell).integers:
        guess = estimated(network.network(), bits)
        return guess.cycles if budget.unit == "cycles" else guess.size
    model = converted(network.float_network(), few, Options(bits=bits, compensate=False))
    return cycles(model) if budget.unit == "cycles" else len(container.write(model))
