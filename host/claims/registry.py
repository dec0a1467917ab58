"""All claims, in the order of the document."""

from __future__ import annotations

from . import cheetah, missing, neurons, speed, timing
from .claim import Claim, Untested

CLAIMS: tuple[Claim, ...] = (
    timing.CLAIM,
    missing.CLAIM,
    speed.CLAIM,
    neurons.CLAIM,
    cheetah.CLAIM,
)
UNTESTED: tuple[Untested, ...] = ()
