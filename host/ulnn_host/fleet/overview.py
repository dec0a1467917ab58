"""What the events of a fleet say: a line for each device, and how far its inputs have moved."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

EDGE = 5  # summaries that are looked at together, at the beginning and at the end
_SMALLEST = 1.0  # deviation, in int16 units, that a shift is measured by at least

Figures = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """What inputs were like in the calibration, in the model's int16 units: mean, std (I,);
    channels: their names; () where they have none."""

    mean: Figures
    std: Figures
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drift:
    """How far the inputs of a device are from where they were. shift: of the channel that moved
    most, in standard deviations of the reference; spread: of the channel whose deviation changed
    most, the new one divided by the old one."""

    shift: float
    shift_channel: int
    spread: float
    spread_channel: int


@dataclass
class Device:
    """One device. seen: when its last event came; starts: boots that events are of; decisions:
    by what was decided; missing: events that are not here although later ones are; samples,
    outside, clamped, faults, lost: sums over its summaries; drift: None without summaries.
    """

    name: str
    seen: datetime
    events: int = 0
    starts: int = 0
    missing: int = 0
    models: tuple[str, ...] = ()
    decisions: Counter[str] = field(default_factory=Counter)
    alarms: int = 0
    samples: int = 0
    outside: int = 0
    clamped: int = 0
    faults: int = 0
    lost: int = 0
    drift: Drift | None = None

    @property
    def outside_share(self) -> float:
        """The share of samples with an input at the end of its range."""
        return self.outside / self.samples if self.samples else 0.0


@dataclass(frozen=True)
class Overview:
    """A fleet. reference: what drift is measured against: the calibration, or None: each device's
    first summaries. hours: (hour, events in it), in the order of time."""

    devices: tuple[Device, ...]
    hours: tuple[tuple[datetime, int], ...]
    reference: Reference | None = None

    @property
    def events(self) -> int:
        """Of all devices."""
        return sum(device.events for device in self.devices)

    def silent(self, hours: float, now: datetime | None = None) -> tuple[Device, ...]:
        """Devices whose last event came more than so many hours ago."""
        now = now or datetime.now(UTC)
        return tuple(d for d in self.devices if now - d.seen > timedelta(hours=hours))

    def channel(self, k: int) -> str:
        """The name of an input."""
        names = self.reference.channels if self.reference else ()
        return names[k] if k < len(names) else f"input {k}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "events": self.events,
            "drift_against": "calibration" if self.reference else "first summaries",
            "devices": [_plain(device) for device in self.devices],
        }


def _plain(device: Device) -> dict[str, Any]:
    return vars(device) | {
        "seen": device.seen.isoformat(timespec="milliseconds"),
        "decisions": dict(device.decisions.most_common()),
        "drift": vars(device.drift) if device.drift else None,
    }


def overview(events: Any, reference: Reference | None = None, *, whole: bool = True) -> Overview:
    """The overview of a table of `data.events.read`. whole: it holds all that ever came, so that
    events are missing which come before the first one of a start."""
    devices: dict[str, Device] = {}
    hours: Counter[datetime] = Counter()
    summaries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    numbers: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for row in _rows(events):
        name = row["device"]
        device = devices.setdefault(name, Device(name, row["received"]))
        device.seen = max(device.seen, row["received"])
        device.events += 1
        hours[row["when"].replace(minute=0, second=0, microsecond=0)] += 1
        numbers[name, row["log"], row["boot"]].append(row["seq"])
        if row["model"] and row["model"] not in device.models:
            device.models += (row["model"],)
        if row["kind"] == "decision":
            device.decisions[row["what"] or ""] += 1
        elif row["kind"] == "alarm":
            device.alarms += 1
        elif row["kind"] == "summary":
            summaries[name].append(row)
    for (name, _, _), seqs in numbers.items():
        devices[name].starts += 1
        first = 1 if whole else min(seqs)
        devices[name].missing += max(seqs) - first + 1 - len(seqs)
    for name, rows in summaries.items():
        _add_summaries(devices[name], rows, reference)
    order = sorted(devices.values(), key=lambda device: device.name)
    return Overview(tuple(order), tuple(sorted(hours.items())), reference)


def _rows(events: Any) -> Iterable[dict[str, Any]]:
    for batch in events.to_batches(max_chunksize=1 << 14):
        yield from batch.to_pylist()


def _add_summaries(
    device: Device, rows: Sequence[dict[str, Any]], reference: Reference | None
) -> None:
    for row in rows:
        if not row["first"]:  # the others are of the same samples
            for name in ("samples", "outside", "clamped", "faults", "lost"):
                setattr(device, name, getattr(device, name) + (row[name] or 0))
    model = rows[-1]["model"]  # inputs of another one have other units
    rows = [row for row in rows if row["model"] == model and row["samples"] and row["mean"]]
    if not rows:
        return
    mean, std = pooled(rows, -EDGE)
    if reference:
        old_mean, old_std = reference.mean, reference.std
    else:
        old_mean, old_std = pooled(rows, EDGE)
    size = min(len(mean), len(old_mean))
    if size:
        device.drift = drift(mean[:size], std[:size], old_mean[:size], old_std[:size])


def pooled(rows: Sequence[dict[str, Any]], count: int) -> tuple[Figures, Figures]:
    """Mean and deviation of each channel over the first (`count` above 0) or the last summaries.

    A summary of many channels comes as several events, which say which channel is their first.
    """
    means, stds = {}, {}
    for first in {row["first"] or 0 for row in rows}:
        part = [row for row in rows if (row["first"] or 0) == first]
        part = part[:count] if count > 0 else part[count:]
        width = min(min(len(row["mean"]), len(row["std"] or ())) for row in part)
        weight = np.array([row["samples"] for row in part], float)[:, None]
        mean = np.array([row["mean"][:width] for row in part], float)
        std = np.array([row["std"][:width] for row in part], float)
        middle = (weight * mean).sum(0) / weight.sum()
        square = (weight * (std**2 + (mean - middle) ** 2)).sum(0) / weight.sum()
        for k in range(width):
            means[first + k], stds[first + k] = middle[k], np.sqrt(square[k])
    known = range(len(means)) if sorted(means) == list(range(len(means))) else ()
    return np.array([means[k] for k in known]), np.array([stds[k] for k in known])


def drift(mean: Figures, std: Figures, old_mean: Figures, old_std: Figures) -> Drift:
    """How far (mean, std) is from the older ones; all (I,)."""
    base = np.maximum(old_std, _SMALLEST)
    shifts = np.abs(mean - old_mean) / base
    ratios = np.maximum(std, _SMALLEST) / base
    moved, spread = int(np.argmax(shifts)), int(np.argmax(np.abs(np.log(ratios))))
    return Drift(float(shifts[moved]), moved, float(ratios[spread]), spread)
