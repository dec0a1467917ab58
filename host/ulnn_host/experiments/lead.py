"""From looks to alarms, and what they are worth: days before the failure, and false alarms.

The rules are those of a board (`ulnn_rules.alarm`): each machine learns its own threshold in its
first days, for a number of false alarms that is expected. Here that number is only a scale: it is
set such that false alarms are as rare as was asked for on machines that nothing was trained on, so
detectors are compared at equal false alarms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ulnn_rules.alarm import Alarm

from ..base.errors import UlnnError
from ..data.lives import DAY, Lives
from .detectors import Looks, Pace

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
SETTINGS = tuple(
    dict.fromkeys(round(v) for v in np.geomspace(1e5, 1, 51).tolist())
)  # in 1000 days


@dataclass(frozen=True)
class Alarms:
    """Of one detector on M machines. lead: (M,) days from the first alarm after the onset to the
    failure, 0 without one; false: (M,) alarms before the onset; days: (M,) that the machine was
    watched before it."""

    lead: Float
    false: Float
    days: Float

    @property
    def rate(self) -> float:
        """False alarms a day."""
        return float(self.false.sum() / self.days.sum())

    @staticmethod
    def joined(parts: Sequence[Alarms]) -> Alarms:
        """Of all machines of some."""
        names = ("lead", "false", "days")
        return Alarms(*(np.concatenate([getattr(p, key) for p in parts]) for key in names))


def alarms(lives: Lives, looks: Sequence[Looks], pace: Pace, setting: int) -> Alarms:
    """The alarms on each machine. setting: false alarms in 1000 days, as a board's. Raises
    UlnnError where a machine has no healthy time to learn in, or none after that."""
    return Alarms.joined([_one(lives, k, seen, pace, setting) for k, seen in enumerate(looks)])


def equal(lives: Lives, looks: Sequence[Looks], pace: Pace, rate: float) -> tuple[int, Alarms]:
    """The largest setting, so the earliest alarms, with which there are no more false alarms a day
    than `rate`; with the smallest one there may be."""
    low, high = 0, len(SETTINGS) - 1  # a smaller one is a higher threshold
    while low < high:
        middle = (low + high) // 2
        if alarms(lives, looks, pace, SETTINGS[middle]).rate > rate:
            low = middle + 1
        else:
            high = middle
    return SETTINGS[low], alarms(lives, looks, pace, SETTINGS[low])


def _one(lives: Lives, k: int, looks: Looks, pace: Pace, setting: int) -> Alarms:
    at = lives.at[looks.recording]
    healthy = at < lives.onset[k]
    begins, watched = followed(looks, pace, setting)
    days = float(looks.ms[healthy & watched].sum()) / 1000 / DAY
    if not days:
        raise UlnnError(
            f"{lives.names[k]} is healthy for {lives.onset[k] / DAY:.3g} days, expected more than "
            f"the {pace.learn / DAY:.3g} days of learning: choose a shorter time"
        )
    late = np.flatnonzero(begins & ~healthy)
    lead = (lives.end[k] - at[late[0]]) / DAY if late.size else 0.0
    return Alarms(*(np.array([v], np.float64) for v in (lead, (begins & healthy).sum(), days)))


def followed(looks: Looks, pace: Pace, setting: int) -> tuple[Bool, Bool]:
    """(n,) looks at which an alarm begins, of one or of several that run side by side, and (n,)
    those at which all have learnt."""
    on, learnt = (np.zeros(looks.scores.shape, bool) for _ in range(2))
    for c, column in enumerate(looks.scores.T.tolist()):
        alarm = Alarm(
            int(pace.learn), setting, looks.usual > 0, smooth=pace.smooth,
            raise_after=pace.raise_after, clear_after=pace.clear_after,
        )  # fmt: skip
        for n, (score, ms) in enumerate(zip(column, looks.ms.tolist(), strict=True)):
            alarm.look(score, ms)
            on[n, c], learnt[n, c] = alarm.on, alarm.state != "learning"
    some = np.asarray(on.any(1))
    begins = some & ~np.concatenate([[False], some[:-1]])
    return np.asarray(begins), np.asarray(learnt.all(1))
