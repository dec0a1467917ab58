"""What `ulnn data` prints about what was read."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..data.sampling import duration
from ..data.summary import SHOWN, Summary


def show(made: Summary, console: Console) -> None:
    """Print a summary."""
    length = f"{made.shortest:,} to {made.longest:,}" if made.shortest < made.longest else ""
    each = f" ({length} in each)" if length else ""
    files = f"{made.files:,} files, " if made.files > 1 else ""
    lines = [
        f"{files}{count(made.recordings, 'recording')}, {made.samples:,} samples{each}, "
        f"{duration(made.seconds)}",
        f"sampling: {made.sampling}",
    ]
    if made.gaps:
        lines.append(f"gaps: {made.gaps:,}, the longest {duration(made.longest_gap)}")
    lines += _done(made)
    for line in lines:
        console.print(Text(line), soft_wrap=True)
    console.print(_ranges(made))
    for what, counts in ((made.targets, made.classes), ("groups", made.groups)):
        if what and (counts or what != "groups"):
            console.print(Text(what + (f": {_list(counts)}" if counts else "")), soft_wrap=True)


def _done(made: Summary) -> list[str]:
    """Lines about what was done to the rows."""
    lines = []
    if made.dialects:
        lines.append(f"read as: {'; '.join(made.dialects)}")
    if made.left_out:
        lines.append(f"left out: {', '.join(made.left_out)}")
    if made.missing:
        lines.append(f"missing values: {_list(made.missing)}")
    for count, what in (
        (made.dropped, "samples dropped"),
        (made.split_at_gaps, "recordings begin after a gap"),
        (made.split_by_clock, "recordings begin where the clock went back or stood still"),
        (made.repeats, "samples with a time that was there before, left out"),
    ):
        if count:
            lines.append(f"{count:,} {what}")
    return lines


def _ranges(made: Summary) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("channel", "lowest", "1 %", "mean", "99 %", "highest", "outliers"):
        table.add_column(name, justify="left" if name == "channel" else "right")
    for c in made.channels:
        values = (c.low, c.usual_low, c.mean, c.usual_high, c.high)
        outliers = f"{c.outliers:,}" if c.outliers else ""
        table.add_row(Text(c.name), *(f"{value:.4g}" for value in values), outliers)
    return table


def count(number: int, what: str) -> str:
    """A number of things, in words."""
    return f"{number:,} {what}" + ("s" if number != 1 else "")


def _list(counts: Mapping[str, int]) -> str:
    shown = [f"{name} {count:,}" for name, count in list(counts.items())[:SHOWN]]
    more = f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
    return ", ".join(shown) + more
