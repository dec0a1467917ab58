"""What an interval says about a claim: a rule, so that nobody decides by hand."""

from __future__ import annotations

from ulnn_host.experiments.intervals import Interval

HOLDS = "holds"
SMALLER = "smaller than claimed"
NOT_SEEN = "not seen"
REVERSED = "reversed"
NOT_TESTABLE = "not testable"
NO_VERDICT = "no verdict"
ENOUGH = 0.8  # share of what is claimed that counts as all of it


def verdict(measured: Interval, claimed: float, seeds: int, nothing: float = 0.0) -> str:
    """The verdict on an effect with a 95 % interval.

    claimed: the effect that the article names; where it names none, `nothing`, and any effect in
    that direction holds. nothing: the number that means no effect: 0, or 1 for a ratio. What is
    claimed is not less than that. seeds: one gives no verdict.
    """
    if seeds < 2:
        return NO_VERDICT
    if measured.low <= nothing <= measured.high:
        return NOT_SEEN
    if measured.high < nothing:
        return REVERSED
    return HOLDS if measured.low >= nothing + ENOUGH * (claimed - nothing) else SMALLER
