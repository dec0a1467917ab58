"""What `ulnn live` shows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..base.console import Terminal
from ..board.live import Decision, Moment
from ..data.sampling import duration
from .take_show import missing

BAR = 24  # characters
PICTURES_A_SECOND = 8


def decision_line(decision: Decision) -> str:
    """One decision as a line."""
    return f"{decision.seconds:10.2f} s  {decision.label}  margin {decision.margin}"


@contextlib.contextmanager
def watched(
    console: Terminal, *, quiet: bool = False
) -> Iterator[Callable[[Moment], None] | None]:
    """A picture that follows the moments it is called with; None where nobody watches."""
    if quiet or not console.is_terminal:
        yield None
        return
    with Live(console=console, refresh_per_second=PICTURES_A_SECOND, transient=True) as shown:
        yield lambda moment: shown.update(picture(moment))


def picture(moment: Moment) -> Group:
    """Channels, outputs and the decision now."""
    return Group(_head(moment), _channels(moment), _outputs(moment), _decision(moment))


def show_live(moment: Moment, console: Terminal) -> None:
    """Print what came, in the end."""
    console.print(_head(moment))
    if moment.decisions:
        made = sorted(moment.decisions.items(), key=lambda item: -item[1])
        console.print("decisions: " + ", ".join(f"{label} {count:,}" for label, count in made))
    else:
        console.print("no decision was made")
    if moment.fault:
        console.print(f"last fault of the source: {moment.fault}", soft_wrap=True)


def _head(moment: Moment) -> Text:
    parts = [
        moment.model,
        duration(moment.seconds) if moment.seconds else "0 s",
        f"{moment.samples:,} samples",
        f"{moment.rate:.4g} Hz",
        *missing(moment.gaps, moment.dropped + moment.lost, moment.faults, moment.restarts),
    ]
    return Text("  ".join(parts))


def _channels(moment: Moment) -> Table:
    table = Table("channel", "now", "last second", "unit", box=None, pad_edge=False)
    if moment.values is None or moment.low is None or moment.high is None:
        return table
    source = moment.source
    for k, (name, unit) in enumerate(zip(source.channels, source.units, strict=True)):
        span = f"{moment.low[k]:.3g} .. {moment.high[k]:.3g}"
        table.add_row(name, f"{moment.values[k]:.4g}", span, unit)
    return table


def _outputs(moment: Moment) -> Table:
    table = Table("output", "", "", box=None, pad_edge=False)
    if moment.y is None:
        return table
    low, high = int(moment.y.min()), int(moment.y.max())
    for k, value in enumerate(moment.y.tolist()):
        name = moment.source.labels[k] if moment.source.labels else str(k)
        bar = "█" * round(BAR * (value - low) / max(1, high - low))
        table.add_row(name, f"{value}", Text(bar, "green" if value == high else "dim"))
    return table


def _decision(moment: Moment) -> Text:
    if moment.decision is None:
        return Text("no decision yet", "dim")
    d = moment.decision
    return Text.assemble((d.label, "bold"), f"  margin {d.margin}, at {d.seconds:.1f} s")
