"""What `ulnn fleet` prints, and the rows that its page shows too."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..fleet.overview import Device, Overview

HEADER = ("device", "last seen", "starts", "events", "missing", "decisions", "alarms", "clamped",
          "faults", "outside", "drift")  # fmt: skip
_CLASSES = 3  # of decisions that a line names
_WORDS = ("device", "last seen", "decisions", "drift")


def ago(seconds: float) -> str:
    """How long ago something was."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


def drift_words(made: Overview, device: Device) -> str:
    """How far the inputs of a device have moved."""
    drift = device.drift
    if drift is None:
        return "not known"
    text = f"{drift.shift:.1f} std ({made.channel(drift.shift_channel)})"
    if not 0.5 < drift.spread < 2:
        text += f", spread x{drift.spread:.2g} ({made.channel(drift.spread_channel)})"
    return text


def cells(made: Overview, device: Device, now: datetime) -> list[object]:
    """The cells of a device, as in HEADER."""
    common = device.decisions.most_common(_CLASSES)
    decisions = ", ".join(f"{what or '(none)'} {count:,}" for what, count in common)
    more = len(device.decisions) - len(common)
    return [
        device.name,
        ago((now - device.seen).total_seconds()),
        device.starts,
        device.events,
        device.missing,
        decisions + (f" and {more} more" if more else ""),
        device.alarms,
        device.clamped,
        device.faults,
        f"{device.outside_share:.1%}" if device.samples else None,
        drift_words(made, device),
    ]


def against(made: Overview) -> str:
    """What drift is measured against."""
    old = "in the calibration" if made.reference else "in the first summaries of each device"
    return (
        f"drift: how far the mean of an input is from that {old}, in standard deviations there; "
        "outside: samples with an input at the end of the range that the model was calibrated for"
    )


def show(made: Overview, silent_hours: float, console: Console) -> None:
    """Print an overview."""
    now = datetime.now(UTC)
    silent = made.silent(silent_hours, now)
    console.print(f"{len(made.devices):,} devices, {made.events:,} events", highlight=False)
    table = Table(box=None, pad_edge=False)
    for name in HEADER:
        words = name in _WORDS
        table.add_column(name, justify="left" if words else "right", no_wrap=not words)
    quiet = {device.name for device in silent}
    for device in made.devices:
        row = [f"{c:,}" if isinstance(c, int) else str(c or "") for c in cells(made, device, now)]
        table.add_row(*row, style="yellow" if device.name in quiet else None)
    console.print(table)
    if silent:
        names = ", ".join(device.name for device in silent[:10])
        more = f" and {len(silent) - 10} more" if len(silent) > 10 else ""
        console.print(Text(f"not heard of for {silent_hours:g} h: {names}{more}", "yellow"))
    console.print(Text(against(made)), soft_wrap=True)
