"""The page of `ulnn fleet --html`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from matplotlib.figure import Figure

from ..fleet.overview import Overview
from . import fleet_text
from .page import Page
from .pictures import BOARD, new_figure


def fleet_page(made: Overview, folders: Sequence[str], silent_hours: float) -> Page:
    """The page of an overview."""
    now = datetime.now(UTC)
    silent = made.silent(silent_hours, now)
    page = Page("Fleet", f"{', '.join(folders)} at {now:%Y-%m-%d %H:%M} UTC")
    heard = f"heard of in the last {silent_hours:g} hours"
    if silent:
        text = f"{len(silent):,} of {len(made.devices):,} devices were not {heard}."
    else:
        text = f"All {len(made.devices):,} devices were {heard}."
    page.verdict(not silent, text)
    page.numbers(
        [
            (f"{len(made.devices):,}", "devices"),
            (f"{made.events:,}", "events"),
            (f"{sum(d.alarms for d in made.devices):,}", "alarms"),
            (f"{sum(d.missing for d in made.devices):,}", "events missing"),
            (f"{sum(d.clamped for d in made.devices):,}", "steps with dt clamped"),
        ]
    )
    page.section("Devices")
    page.table(fleet_text.HEADER, [fleet_text.cells(made, device, now) for device in made.devices])
    page.text(fleet_text.against(made) + ".")
    if made.hours:
        page.section("Over time")
        page.figure(_hours(made), "Events in each hour, by the time at which they happened")
    return page


def _hours(made: Overview) -> Figure:
    figure, (ax,) = new_figure(9, 2.6)
    begin: Any = [hour for hour, _ in made.hours]
    ax.bar(begin, [count for _, count in made.hours], 1 / 24, align="edge", color=BOARD)
    ax.set_ylabel("events in an hour")
    figure.autofmt_xdate()
    return figure
