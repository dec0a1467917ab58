"""The rule of the claims' verdicts, and the intervals of what was not found."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from claims import privacy
from claims.verdict import HOLDS, NO_VERDICT, NOT_SEEN, REVERSED, SMALLER, verdict
from ulnn_host.experiments.intervals import Interval


@pytest.mark.parametrize(
    ("low", "high", "claimed", "nothing", "said"),
    [
        (8.0, 12.0, 10.0, 0.0, HOLDS),
        (7.99, 12.0, 10.0, 0.0, SMALLER),
        (0.01, 30.0, 10.0, 0.0, SMALLER),
        (20.0, 30.0, 10.0, 0.0, HOLDS),
        (-0.01, 30.0, 10.0, 0.0, NOT_SEEN),
        (0.0, 30.0, 10.0, 0.0, NOT_SEEN),
        (-3.0, 0.0, 10.0, 0.0, NOT_SEEN),
        (-3.0, -0.01, 10.0, 0.0, REVERSED),
        # a ratio: 1 is no effect, and 0.8 of the way from it to 12 is 9.8
        (9.8, 14.0, 12.0, 1.0, HOLDS),
        (9.7, 14.0, 12.0, 1.0, SMALLER),
        (0.9, 1.2, 12.0, 1.0, NOT_SEEN),
        (0.5, 0.9, 12.0, 1.0, REVERSED),
        # a claim without a number
        (0.1, 2.0, 0.0, 0.0, HOLDS),
        (-0.1, 2.0, 0.0, 0.0, NOT_SEEN),
        (-2.0, -0.1, 0.0, 0.0, REVERSED),
    ],
)
def test_the_rule(low: float, high: float, claimed: float, nothing: float, said: str) -> None:
    measured = Interval((low + high) / 2, low, high)
    assert verdict(measured, claimed, 5, nothing) == said
    assert verdict(measured, claimed, 1, nothing) == NO_VERDICT


def test_a_share_of_none_found() -> None:
    assert privacy.kept(0, 300) == Interval(100.0, 99.0, 100.0)
    some = privacy.kept(30, 300)
    known = binomtest(30, 300).proportion_ci(method="wilson")
    expected = (90.0, 100 * (1 - known.high), 100 * (1 - known.low))
    assert (some.value, some.low, some.high) == pytest.approx(expected, abs=1e-3)
