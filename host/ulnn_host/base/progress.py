"""Progress bars: one look for all long work, on stderr, and only where that is a terminal or a
notebook with ipywidgets.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from .console import Terminal

T = TypeVar("T")
BYTES = TextColumn("{task.completed:,}/{task.total:,} bytes")


@dataclass(frozen=True)
class Bar:
    """One running bar."""

    _progress: Progress
    _task: TaskID
    _lines: Console | None = None

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """Show that `done` of `total` (None: as before) is done, and a note after it."""
        self._progress.update(self._task, completed=done, total=total, note=note)
        if self._lines:
            task = next(t for t in self._progress.tasks if t.id == self._task)
            text = f"{task.description} {done}/{task.total:.0f}  {note}"
            self._lines.print(text, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Bars:
    """A place for bars, one for each label."""

    _progress: Progress
    _bars: dict[str, Bar] = field(default_factory=dict)

    def bar(self, label: str, total: int | None = None) -> Bar:
        """A new bar."""
        return Bar(self._progress, self._progress.add_task(label, total=total, note=""))

    def update(self, label: str, done: int, total: int) -> None:
        """How much is done of what the label says, in the bar that it has or now gets."""
        if label not in self._bars:
            self._bars[label] = self.bar(label, total)
        self._bars[label].update(done)


@contextlib.contextmanager
def bars(*, quiet: bool = False, count: ProgressColumn | None = None) -> Iterator[Bars]:
    """Bars while the block runs. quiet: show none. count: how an amount is written."""
    console = Terminal(stderr=True)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        count or MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
        disable=quiet or not _is_watched(console),
        transient=True,
    ) as progress:
        yield Bars(progress)


def _is_watched(console: Terminal) -> bool:
    if not console.is_jupyter:
        return console.is_terminal
    try:
        import ipywidgets  # noqa: F401, rich draws with it
    except ImportError:
        return False
    return True


@contextlib.contextmanager
def bar(
    label: str, total: int | None = None, *, quiet: bool = False, lines: bool = False
) -> Iterator[Bar]:
    """One bar while the block runs. lines: where there is no terminal, a line an update."""
    with bars(quiet=quiet) as shown:
        made, progress = shown.bar(label, total), shown._progress
        plain = lines and not quiet and progress.disable
        yield replace(made, _lines=progress.console) if plain else made


def track(
    items: Iterable[T], label: str, total: int | None = None, *, quiet: bool = False
) -> Iterator[T]:
    """The items, with a bar that counts them. total: how many, `len(items)` where None."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(label, total, quiet=quiet) as shown:
        for done, item in enumerate(items, 1):
            yield item
            shown.update(done)


@contextlib.contextmanager
def status() -> Iterator[Callable[[str], None]]:
    """A line that says what is being done now, for work without a total: call it with the text."""
    console = Terminal(stderr=True)
    if not _is_watched(console):
        yield lambda text: None
        return
    with console.status("") as shown:
        yield lambda text: shown.update(Text(text))
