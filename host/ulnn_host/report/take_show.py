"""What commands print about takes, while they are recorded and afterwards."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from ..base.console import Terminal
from ..board.record import Take
from ..data.sampling import duration

GAPS_SHOWN = 5


def line(take: Take) -> str:
    """The take now, in one line: time, rate, what is missing, and the ranges of a second."""
    s = take.session
    channels = zip(s.channels, take.low, take.high, strict=True)
    ranges = "  ".join(f"{name} {low:.3g}..{high:.3g}" for name, low, high in channels)
    parts = [f"{s.seconds:.1f} s", f"{s.samples:,} samples", f"{s.rate:.4g} Hz"]
    return "  ".join([*parts, *_missing(take), ranges])


def missing(gaps: int, lost: int, faults: int, restarts: int) -> list[str]:
    """What is missing, in words."""
    found = [f"{gaps} gap{'s'[: gaps != 1]}", f"{lost} lost"]
    if faults:
        found.append(f"{faults} fault{'s'[: faults != 1]}")
    if restarts:
        found.append(f"{restarts} restart{'s'[: restarts != 1]}")
    return found


def _missing(take: Take) -> list[str]:
    s = take.session
    return missing(s.gap_count, s.dropped + s.lost, s.faults, s.restarts)


def show_take(take: Take, console: Terminal) -> None:
    """Print what was recorded."""
    s = take.session
    of = ", ".join(word for word in (s.label, s.group) if word)
    console.print(
        f"{take.path}: {s.samples:,} samples in {duration(s.seconds)}, {s.rate:.4g} Hz"
        f"{f' ({of})' if of else ''}; {s.ended}",
        soft_wrap=True,
    )
    trouble = bool(s.gap_count or s.dropped or s.lost or s.faults or s.restarts)
    console.print(Text(", ".join(_missing(take)), "yellow" if trouble else "green"))
    if s.dropped:
        console.print(f"{s.dropped} samples found no room on the board; the times are right")
    if s.lost:
        console.print(f"{s.lost} samples were lost by the sensor; the times are right")
    if s.fault:
        console.print(f"last fault of the source: {s.fault}", soft_wrap=True)
    if s.gaps:
        table = Table("gap", "at", box=None, pad_edge=False)
        for gap in sorted(s.gaps, key=lambda gap: -gap.seconds)[:GAPS_SHOWN]:
            table.add_row(duration(gap.seconds), f"{gap.at:.2f} s")
        console.print(table)
