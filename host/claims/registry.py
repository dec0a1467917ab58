"""All claims, in the order of the document."""

from __future__ import annotations

from . import timing
from .claim import Claim, Untested

CLAIMS: tuple[Claim, ...] = (timing.CLAIM,)
UNTESTED: tuple[Untested, ...] = ()
