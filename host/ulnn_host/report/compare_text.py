"""What `ulnn compare` prints: a table of the networks, one of the differences, and notes."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from ..experiments.compare import BETTER, NOT_SEEN, WORSE, Comparison, Difference
from ..experiments.intervals import Interval
from ..experiments.measured import RMSE
from .data_text import count
from .scores_text import Cells, number

VERDICTS = {
    BETTER: "{name} is better",
    WORSE: "{name} is worse",
    NOT_SEEN: "no difference seen",
}


def show(found: Comparison, console: Console) -> None:
    """Print everything, one seed's worth at least."""
    console.print(Text(title(found), "bold"), soft_wrap=True)
    networks(found).show(console)
    console.print()
    differences(found).show(console)
    for note in found.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)


def title(found: Comparison) -> str:
    """What was measured on what."""
    return (
        f"{found.measure}, held out: {found.clusters} {found.unit}, {count(found.seeds, 'seed')}"
        + (f", at most {found.budget}" if found.budget else "")
    )


def networks(found: Comparison) -> Cells:
    """A row for each recipe."""
    header = ["", "cell", "network", "bytes", "cycles", "float", found.integers, "95 %", "seeds"]
    header += ["rates"] if len(found.plan.rates) > 1 else []
    rows = []
    for entry in found.entries:
        about = "~" if entry.float_only else ""
        low, high = (number(found.measure, end(entry.by_seed)) for end in (min, max))
        row = [
            entry.name, entry.recipe.model.cell, entry.what, f"{about}{entry.size:,}",
            f"{about}{entry.cycles:,}", number(found.measure, entry.floats.value),
            "-" if entry.integers is None else number(found.measure, entry.integers.value),
            _range(found.measure, entry.judged),
            f"{low} to {high}", ", ".join(f"{rate:g}" for rate in entry.rates),
        ]  # fmt: skip
        rows.append(tuple(row[: len(header)]))
    return Cells(tuple(header), tuple(rows))


def differences(found: Comparison) -> Cells:
    """A row for each rival of the first recipe."""
    rows = [
        (
            f"{change.name} - {change.first}",
            "float" if change.in_float else found.integers,
            signed(found.measure, change.interval.value),
            _range(found.measure, change.interval, signs=True),
            verdict(change),
        )
        for change in found.differences
    ]
    return Cells(("difference", "of", "value", "95 %", "verdict"), tuple(rows))


def verdict(change: Difference) -> str:
    """In words."""
    return VERDICTS.get(change.verdict, change.verdict).format(name=change.name)


def signed(measure: str, value: float) -> str:
    """A difference: of shares in points."""
    return f"{value:+.4g}" if measure == RMSE else f"{100 * value:+.2f}"


def _range(measure: str, interval: Interval, *, signs: bool = False) -> str:
    write = signed if signs else number
    return f"{write(measure, interval.low)} to {write(measure, interval.high)}"
