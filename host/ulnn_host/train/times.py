"""Whether the elapsed times of a recipe and its data belong together."""

from __future__ import annotations

import warnings

from ..base.errors import UlnnWarning
from ..data.sampling import far_off
from ..data.sequences import Sequences
from .recipe import Recipe


def warn_of_times(recipe: Recipe, fit: Sequences, valid: Sequences | None) -> None:
    """Warn (`UlnnWarning`) of a median dt that is far from the time scale that the recipe says,
    and of validation data whose median dt is far from that of the data to fit.
    """
    kept = 1 / recipe.data.stretch  # samples are dropped later, in fit alone
    scale = recipe.model.time_scale * kept
    lines = [far_off(fit.tick, scale, "model.time_scale") if scale else ""]
    if valid is not None:
        off = far_off(valid.tick * kept, fit.tick, "the data to fit")
        lines.append(f"validation: {off}" if off else "")
    for line in filter(None, lines):
        warnings.warn(line, UlnnWarning, stacklevel=3)
