"""What `ulnn mask` prints. It may be shared: no value from before is in it."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..data.mask import Masked
from ..data.mask_groups import SMALL, Groups
from ..data.mask_run import DISTINCT
from .data_text import count

_REASONS = {
    "dropped": "dropped",
    "purpose": "not for this",
    "waveform": "waveform",
    "text": "free text",
    "unfit": "do not fit",
    "spent": "budget is spent",
}


def show(made: Masked, console: Console) -> None:
    """Print what was masked, or would be."""
    bad = f", and {made.bad:,} that are none and stay" if made.bad else ""
    console.print(
        Text(f'{count(made.records - made.bad, "record")} for "{made.purpose}"{bad}'),
        soft_wrap=True,
    )
    console.print(_table(made))
    if made.absent:
        console.print(Text(f"only in the policy: {', '.join(made.absent)}"), soft_wrap=True)
    if made.unknown:
        line = (
            f"not in the policy: {count(made.unknown, 'field')} with "
            f"{count(made.unknown_values, 'value')}, which stay"
        )
        console.print(Text(line), soft_wrap=True)
    if made.groups:
        for line in group_lines(made.groups):
            console.print(Text(line), soft_wrap=True)


def _table(made: Masked) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("field", "what is done", "leave", "distinct", "stay", "leaves as"):
        right = name in ("leave", "distinct", "stay")
        table.add_column(name, justify="right" if right else "left")
    for found in made.fields:
        why = ", ".join(_REASONS[reason] for reason in found.refused)
        stay = f"{sum(found.refused.values()):,} {why}" if found.refused else ""
        more = "+" if found.distinct == DISTINCT else ""
        table.add_row(
            Text(found.name),
            Text(found.does),
            f"{found.left:,}",
            f"{found.distinct:,}{more}",
            stay,
            Text(", ".join(found.examples)),
        )
    return table


def group_lines(groups: Groups) -> list[str]:
    """What small groups there are, in words."""
    if not groups.fields:
        return ["no field that leaves tells one record from another"]
    alike = f"alike in {', '.join(groups.fields)}"
    lines = [
        f"{count(groups.count, 'group')} of {groups.of} {alike}; the smallest has "
        f"{groups.smallest:,}"
    ]
    if groups.small:
        lines.append(
            f"{groups.small:,} of them have fewer than {SMALL} {groups.of}, with "
            f"{count(groups.small_records, 'record')}; in {groups.unique:,} there is only one: "
            "who knows these values of somebody finds the record; coarser steps make larger groups"
        )
    return lines
