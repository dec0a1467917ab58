"""What was read, in numbers: for a person, for JSON, for a picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..base.errors import UlnnError
from .logs import Reading
from .outliers import ChannelRange
from .sampling import GAP, sampling
from .sequences import Sequences

SHOWN = 30  # classes or groups that are named


@dataclass(frozen=True)
class Summary:
    """recordings, samples: how many; shortest, longest: samples of a recording; seconds: of all;
    sampling: in words; gaps: steps longer than 3 times the median, the longest of longest_gap
    seconds; channels: their ranges; missing: values by column; targets: what they are, in words;
    classes, groups: how many sequences (or steps) have each.
    """

    files: int
    recordings: int
    samples: int
    shortest: int
    longest: int
    seconds: float
    sampling: str
    gaps: int
    longest_gap: float
    channels: tuple[ChannelRange, ...]
    missing: dict[str, int]
    dropped: int
    split_at_gaps: int
    split_by_clock: int
    repeats: int
    dialects: tuple[str, ...]
    left_out: tuple[str, ...]
    targets: str
    classes: dict[str, int]
    groups: dict[str, int]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def summary(reading: Reading) -> Summary:
    """The summary of what was read."""
    data, counts = reading.data, reading.counts
    dt = data.dt[data.mask] if data.length.min() < data.dt.shape[1] else data.dt.ravel()
    median = float(np.median(dt))
    late = dt > GAP * median
    return Summary(
        files=len(reading.files),
        recordings=len(data),
        samples=int(data.length.sum()),
        shortest=int(data.length.min()),
        longest=int(data.length.max()),
        seconds=float(dt.sum(dtype=np.float64)),
        sampling=sampling(dt),
        gaps=int(late.sum()),
        longest_gap=float(dt.max()) if late.any() else 0.0,
        channels=reading.ranges,
        missing=dict(counts.missing),
        dropped=counts.dropped,
        split_at_gaps=counts.gaps,
        split_by_clock=counts.splits,
        repeats=counts.repeats,
        dialects=reading.dialects,
        left_out=reading.left_out,
        targets=_targets(data),
        classes=_classes(data),
        groups=_groups(data),
        warnings=reading.warnings,
    )


def _targets(data: Sequences) -> str:
    if data.y is None:
        return ""
    what = "class" if data.y.dtype.kind in "iu" else "value"
    try:
        each = "step" if data.per_step else "sequence"
    except UlnnError:
        each = "sequence or step"
    width = data.y.shape[2:] if each == "step" else data.y.shape[1:]
    many = what == "value" and bool(width) and width[0] > 1
    return f"{width[0]} values for each {each}" if many else f"a {what} for each {each}"


def _classes(data: Sequences) -> dict[str, int]:
    y = data.y
    if y is None or y.dtype.kind not in "iu":
        return {}
    count = np.bincount((y[data.mask] if data.per_step else y).ravel(), minlength=len(data.labels))
    names = data.labels or tuple(str(k) for k in range(len(count)))
    return {name: int(n) for name, n in zip(names, count, strict=True) if n or data.labels}


def _groups(data: Sequences) -> dict[str, int]:
    if data.group is None:
        return {}
    codes, count = np.unique(data.group, return_counts=True)
    names = [data.groups[k] if data.groups else str(k) for k in codes]
    return {name: int(n) for name, n in zip(names, count, strict=True)}
