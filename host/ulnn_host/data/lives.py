"""Lives of machines: recordings in the order of time, with what is known about when a fault began
and when the machine failed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from . import features, machines
from .features import FeatureRecipe
from .sequences import Sequences

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
DAY = 86400.0
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class State:
    """When a machine is judged: where the mean of a feature, `channel`, is above `least`."""

    channel: str
    least: float

    @staticmethod
    def parse(text: str) -> State | None:
        """Of "acc rms > 9"; None of "". Raises UlnnError."""
        if not text:
            return None
        found = re.fullmatch(r"\s*(.+?)\s*>\s*(-?\d+\.?\d*)\s*", text)
        if not found:
            raise UlnnError(f'state is {text!r}, expected a feature and a number: "acc rms > 9"')
        return State(found[1], float(found[2]))

    def holds(self, data: Sequences) -> Bool:
        """(N,), for each recording. Raises UlnnError where the data have no such feature."""
        if self.channel not in data.channels:
            raise UlnnError(
                f"state: there is no {self.channel!r}, expected one of {', '.join(data.channels)}"
            )
        column = data.x[:, :, data.channels.index(self.channel)]
        return np.asarray((column * data.mask).sum(1) / data.length > self.least)


@dataclass(frozen=True)
class Lives:
    """M machines.

    data: N recordings, group: the machine, 0 to M - 1; those of a machine in the order of time.
    at: (N,) seconds since the machine's start. onset: (M,) seconds, when it was healthy no more;
    end: (M,) seconds, when it failed. running: (N,), whether a recording is judged; state: why.
    """

    data: Sequences
    at: Float
    onset: Float
    end: Float
    running: Bool
    state: State | None = None

    def __len__(self) -> int:
        return len(self.end)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the machines."""
        return self.data.groups

    @property
    def machine(self) -> NDArray[np.int64]:
        """(N,): which machine a recording is of."""
        assert self.data.group is not None
        return self.data.group

    def healthy(self, share: float = 1.0) -> Bool:
        """(N,): recordings before that share of the time up to the onset."""
        return np.asarray(self.at < share * self.onset[self.machine])

    def of(self, chosen: Sequence[int] | NDArray[np.int64]) -> Lives:
        """Some machines, in that order."""
        rows = np.concatenate([np.flatnonzero(self.machine == k) for k in chosen])
        group = np.repeat(np.arange(len(chosen)), [(self.machine == k).sum() for k in chosen])
        data = dataclasses.replace(
            self.data.take(rows), group=group, groups=tuple(self.names[k] for k in chosen)
        )
        machines = np.array(chosen)
        onset, end = self.onset[machines], self.end[machines]
        return Lives(data, self.at[rows], onset, end, self.running[rows], self.state)


def generated(
    split: machines.Split, recipe: FeatureRecipe, state: State | None, report: Report | None = None
) -> Lives:
    """The machines of the generated set, whose onset is known; without a state they are judged
    while they run. Raises UlnnError for a recipe that does not fit the samples."""
    made = machines.machines(split)
    parts = []
    for number, machine in enumerate(made):
        x = machine.snapshots()[..., None] * np.float32(machines.SCALE)
        raw = Sequences(x, np.full(x.shape[:2], 1 / machines.RATE), channels=(machines.CHANNEL,))
        parts.append(features.computed(raw, recipe))
        if report:
            report(number + 1, len(made))
    counts = [len(machine) for machine in made]
    data = dataclasses.replace(
        parts[0],
        x=np.concatenate([part.x for part in parts]),
        dt=np.concatenate([part.dt for part in parts]),
        length=np.concatenate([part.length for part in parts]),
        group=np.repeat(np.arange(len(made)), counts),
        groups=tuple(machine.name for machine in made),
    )
    return Lives(
        data,
        at=np.concatenate([machine.at for machine in made]),
        onset=np.array([machine.onset for machine in made]),
        end=np.array([machine.life for machine in made]),
        running=_running(data, state) if state else np.concatenate([m.running for m in made]),
        state=state,
    )


def recorded(data: Sequences, every: float, share: float, state: State | None) -> Lives:
    """Recordings of somebody's machines, each of which ends with a failure. data: with groups,
    the machines; recordings of each in the order of time, one in `every` seconds. share: of a
    machine's recordings, the first ones, in which it is taken to be healthy. Raises UlnnError."""
    if data.group is None:
        raise UlnnError("the data have no groups: --group says which machine a recording is of")
    codes, group = np.unique(data.group, return_inverse=True)
    names = tuple(data.groups[k] if data.groups else str(k) for k in codes)
    order = np.argsort(group, kind="stable")
    data = dataclasses.replace(data.take(order), group=group[order], groups=names)
    counts = np.bincount(group)
    at = np.concatenate([np.arange(count) for count in counts]) * every
    end = np.asarray(counts * every, np.float64)
    return Lives(data, at, np.asarray(share * end), end, _running(data, state), state)


def _running(data: Sequences, state: State | None) -> Bool:
    return np.ones(len(data), bool) if state is None else state.holds(data)
