"""What `ulnn maintain` prints: a table of the detectors, the choice, and notes."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from ..experiments.compare import Difference
from ..experiments.intervals import Interval
from ..experiments.maintain import Judged, Maintained
from .compare_text import verdict
from .data_text import count
from .scores_text import Cells


def show(found: Maintained, console: Console) -> None:
    """Print everything."""
    console.print(Text(title(found.judged), "bold"), soft_wrap=True)
    table(found.judged).show(console)
    console.print()
    console.print(Text(found.why), soft_wrap=True)
    for note in found.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)


def title(judged: Judged) -> str:
    """What was measured on what."""
    rate = judged.plan.false_alarms
    return (
        f"days of warning before the failure, on {count(len(judged.machines), 'machine')} held "
        f"out, at most {rate:g} false alarms a day; a fault lasts {judged.possible:.2f} days"
    )


def table(judged: Judged) -> Cells:
    """A row for each detector, the longest warning first."""
    changes = {change.name: change for change in judged.differences}
    best = next(iter(changes.values())).first if changes else ""
    header = ["detector", "days", "95 %", "found", "false a day", "95 %", "bytes", "cycles"]
    header += [f"less {best}", "95 %", ""] if best else []
    rows = []
    for entry in sorted(judged.entries, key=lambda entry: -entry.warning.value):
        row = [
            entry.name, f"{entry.warning.value:.2f}", ends(entry.warning), f"{entry.found:.0%}",
            f"{entry.rate.value:.3f}", ends(entry.rate, 3),
            f"{entry.size:,}", f"{entry.cycles:,}" if entry.cycles else "-",
        ]  # fmt: skip
        if best:
            row += _change(changes.get(entry.name))
        rows.append(tuple(row))
    return Cells(tuple(header), tuple(rows))


def ends(interval: Interval, digits: int = 2) -> str:
    """Of an interval."""
    return f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"


def _change(change: Difference | None) -> list[str]:
    if change is None:
        return ["", "", ""]
    low, high = change.interval.low, change.interval.high
    return [f"{change.interval.value:+.2f}", f"{low:+.2f} to {high:+.2f}", verdict(change)]
