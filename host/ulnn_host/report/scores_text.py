"""Measures as text: the same tables for the command line and for pages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ..data.measures import Decisions, Errors
from ..data.scores import ClassScores, Scores, group_names

CLASSES = 16  # of which a confusion matrix is written out
SHOWN = 40  # groups and outputs
WIDTH = 1000


@dataclass(frozen=True)
class Cells:
    """A table of text: the first column is of names, the others are numbers. note: about it."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def show(self, console: Console) -> None:
        """Print; a narrow console, such as a file, cuts nothing off."""
        table = Table(box=None, pad_edge=False)
        for k, name in enumerate(self.header):
            table.add_column(Text(name), justify="right" if k else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*map(Text, row))
        wide = console.options.update(max_width=WIDTH)
        table.width = Measurement.get(console, wide, table).maximum
        console.print(table, crop=False, no_wrap=True, overflow="ignore")
        if self.note:
            console.print(Text(self.note), soft_wrap=True)


def number(name: str, value: float) -> str:
    """A measure as people read it: shares in percent, errors in their unit."""
    if math.isnan(value):
        return "-"
    if name in ("RMSE", "MAE"):
        return f"{value:.4g}"
    return f"{value:.4f}" if name == "R2" else f"{value:.2%}"


def line(measures: Decisions | Errors) -> str:
    """The measures in one line."""
    return ", ".join(f"{name} {number(name, v)}" for name, v in measures.figures().items())


def figures(scores: Mapping[str, Scores]) -> Cells:
    """The measures of all classes or outputs together; a column for each of the scores."""
    names = dict.fromkeys(name for s in scores.values() for name in s.figures())
    rows = [
        (name, *(number(name, s.figures().get(name, math.nan)) for s in scores.values()))
        for name in names
    ]
    return Cells(("", *scores), tuple(rows))


def details(scores: Scores) -> Cells:
    """Measures of each class, and where there are few the decisions for each (the columns with a
    number); or of each output.
    """
    if isinstance(scores, ClassScores):
        return _classes(scores)
    rows = list(zip(scores.rmse, scores.mae, scores.r2, strict=True))
    names = ("RMSE", "MAE", "R2")
    return Cells(
        ("output", *names),
        tuple((str(k), *map(number, names, row)) for k, row in enumerate(rows[:SHOWN])),
        f"and {len(rows) - SHOWN} more" if len(rows) > SHOWN else "",
    )


def _classes(scores: ClassScores) -> Cells:
    few = len(scores.names) <= CLASSES
    columns = tuple(f"{k:3}" for k in range(len(scores.names))) if few else ()
    rows = []
    for k, name in enumerate(scores.names):
        shares = (scores.precision[k], scores.recall[k], scores.f1[k])
        counts = scores.confusion[k] if few else ()
        title = name if name == str(k) else f"{k} {name}"
        rows.append((title, *(f"{v:.1%}" for v in shares), f"{scores.support[k]:,}",
                     *(str(n) if n else "." for n in counts)))  # fmt: skip
    note = "" if few else f"the confusion matrix of {len(scores.names)} classes is in the JSON"
    return Cells(("class", "precision", "recall", "F1", "count", *columns), tuple(rows), note)


def groups(scores: Mapping[str, Scores], *, named: bool = False) -> Cells | None:
    """The first two measures of each group, for each of the scores; None without groups. named:
    groups by name, which may be a person's; else by number.
    """
    known: Mapping[str, Decisions | Errors] = next(iter(scores.values())).by_group
    if len(known) < 2:
        return None
    names = list(next(iter(known.values())).figures())[:2]
    called = group_names(known, named)
    rows = [
        (called[group], f"{measures.count:,}", *(
            number(name, s.by_group[group].figures()[name])
            for s in scores.values() for name in names
        ))
        for group, measures in list(known.items())[:SHOWN]
    ]  # fmt: skip
    several = len(scores) > 1
    columns = [heading(name, key if several else "") for key in scores for name in names]
    more = f"and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return Cells(("group", "count", *columns), tuple(rows), more)


def heading(measure: str, network: str) -> str:
    """The heading of a narrow column."""
    return "\n".join([*measure.split(), *network.split()])


def show(
    scores: Mapping[str, Scores], title: str, console: Console, *, named: bool = False
) -> None:
    """Print everything: scores of the same data by name, such as float and int8; of the last one
    also the classes. named: as for `groups`.
    """
    last = list(scores.values())[-1]
    console.print(Text(title, "bold"), soft_wrap=True)
    figures(scores).show(console)
    several = isinstance(last, ClassScores) or len(last.rmse) > 1
    for table in (details(last) if several else None, groups(scores, named=named)):
        if table:
            table.show(console)
