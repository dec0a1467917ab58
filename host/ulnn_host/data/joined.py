"""Several sets of sequences as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from .sequences import Sequences
from .targets import aligned, ordered


def joined(parts: Sequence[Sequences]) -> Sequences:
    """One after the other: channels in the order of the first, classes and groups by name.

    Raises UlnnError when the parts do not fit.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts:
        if part.x.shape[2] != first.x.shape[2]:
            raise UlnnError(f"{part.x.shape[2]} channels beside {first.x.shape[2]}")
        if (part.y is None) != (first.y is None):
            raise UlnnError("some data have targets y, others have none")
        for key in ("group", "channels", "labels", "groups"):
            there = [getattr(p, key) is not None and len(getattr(p, key)) > 0 for p in parts]
            if any(there) and not all(there):
                raise UlnnError(f"some data have {key}, others have none")
    labels = first.labels
    if any(part.labels != labels for part in parts):
        labels = ordered([name for part in parts for name in part.labels])
        parts = [aligned(part, labels) for part in parts]
    groups = ordered([name for part in parts for name in part.groups])
    steps = max(part.x.shape[1] for part in parts)
    per = {part.per_step for part in parts if part.y is not None}
    if len(per) > 1:
        raise UlnnError("some targets belong to steps, others to sequences")
    per_step = per == {True}
    return Sequences(
        x=np.concatenate([_padded(p.in_order(first.channels).x, steps, 0) for p in parts]),
        dt=np.concatenate([_padded(p.dt, steps, 1) for p in parts]),
        length=np.concatenate([p.length for p in parts]),
        y=_targets(parts, steps if per_step else 0),
        group=None if first.group is None else _groups(parts, groups),
        labels=labels,
        origin=_origins(parts),
        channels=first.channels,
        groups=groups,
        per=first.per,
    )


def _padded(values: NDArray[Any], steps: int, filler: int) -> NDArray[Any]:
    width = [(0, 0), (0, steps - values.shape[1]), *[(0, 0)] * (values.ndim - 2)]
    return np.pad(values, width, constant_values=filler)


def _targets(parts: Sequence[Sequences], steps: int) -> NDArray[Any] | None:
    found = [part.y for part in parts if part.y is not None]
    if not found:
        return None
    if len({(y.dtype.kind, y.shape[2 if steps else 1 :]) for y in found}) > 1:
        raise UlnnError("the targets y of the data have different shapes or types")
    return np.concatenate([_padded(y, steps, 0) for y in found] if steps else found)


def _groups(parts: Sequence[Sequences], groups: Sequence[str]) -> NDArray[np.int64]:
    found = []
    for part in parts:
        assert part.group is not None
        codes = np.array([groups.index(name) for name in part.groups], np.int64)
        found.append(codes[part.group] if groups else part.group)
    return np.concatenate(found)


def _origins(parts: Sequence[Sequences]) -> NDArray[np.int64] | None:
    """Recordings, none of two files the same."""
    if any(part.origin is None for part in parts):
        return None
    high, found = 0, []
    for part in parts:
        assert part.origin is not None
        found.append(part.origin + high)
        high += int(part.origin.max()) + 1
    return np.concatenate(found)
