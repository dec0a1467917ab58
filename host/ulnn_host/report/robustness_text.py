"""What `ulnn score` prints: a table of the conditions."""

from __future__ import annotations

from ..experiments.robustness import Condition, Robustness
from .scores_text import Cells, heading, number

FILLED = {"skip": "dt grows", "hold": "the value before held", "mean": "filled with the mean"}
CLAMPED = "clamped: steps with an elapsed time that the integer model does not compute with"


def table(found: Robustness) -> Cells:
    """A row for each condition; two measures of each network side by side."""
    networks, names = found.results[0].scores, shown(found)
    late = any(any(result.clamped.values()) for result in found.results)
    header = ["data", "steps", *(heading(m, network) for m in names for network in networks)]
    rows = []
    for result in found.results:
        values = [
            number(name, result.scores[network].figures()[name])
            for name in names
            for network in networks
        ]
        row = [str(result.condition), f"{result.samples:,}", *values]
        rows.append((*row, f"{sum(result.clamped.values()):,}") if late else tuple(row))
    condition = found.results[-1].condition
    notes = [f"lost: {lost(condition)}"] if condition.drop else []
    notes += [CLAMPED] if late else []
    return Cells((*header, "clamped") if late else tuple(header), tuple(rows), "\n".join(notes))


def lost(condition: Condition) -> str:
    """How samples are lost."""
    pattern = "in bursts" if condition.pattern == "bursts" else "one by one"
    return f"{pattern}, {FILLED[condition.fill]}"


def shown(found: Robustness) -> tuple[str, str]:
    """The two measures that say most."""
    names = list(next(iter(found.results[0].scores.values())).figures())
    # of values: the error in their unit, and the share that is explained
    return (names[0], "R2") if "R2" in names else (names[0], names[1])
