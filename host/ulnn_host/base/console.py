"""What a person sees: a terminal that obeys no text it is given, and how every command ends, with
one clear line for an error and a traceback only with --debug.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from .errors import UlnnAssumption, UlnnError, UlnnWarning, one_line, printable
from .extras import explained


class Terminal(Console):
    """A console for texts of others: names in a file, answers of a board.

    Nothing in a text is markup, and characters that a terminal would obey are left out. Styles
    come from `style` and from `rich.text.Text`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """The segments of anything that can be printed; what is not printable is left out."""
        for segment in super().render(renderable, options):
            if not segment.control:
                segment = Segment(printable(segment.text), segment.style)
            yield segment


EXPECTED = (UlnnError, ValueError, OSError, MemoryError)


def run(app: typer.Typer, name: str | None = None) -> None:
    """Run a typer app made with `pretty_exceptions_enable=False`.

    Exit status: the app's own, 1 after an error (or the error's own `status`), 2 for bad usage,
    130 after Ctrl-C.
    `--debug` may stand anywhere on the command line. A package that is not installed is named,
    with what to type.
    """
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    warnings.simplefilter("always", UlnnWarning)
    warnings.showwarning = _show
    try:
        with explained(_called(app, name, arguments)):
            app(args=arguments, prog_name=name)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except EXPECTED as error:
        if debug:
            raise
        print(f"error: {one_line(str(error)) or type(error).__name__}", file=sys.stderr)
        sys.exit(getattr(error, "status", 1))


def _called(app: typer.Typer, name: str | None, arguments: list[str]) -> str:
    """What was started, for people: `ulnn train`."""
    program = name or Path(sys.argv[0]).name
    several = len(app.registered_commands) + len(app.registered_groups) > 1
    words = [word for word in arguments if not word.startswith("-")]
    return f"{program} {words[0]}" if several and words else program


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """One line on stderr; where in the code matters only for warnings that are not ours."""
    kind = "assumed" if issubclass(category, UlnnAssumption) else "warning"
    ours = issubclass(category, UlnnWarning)
    text = "" if ours else f"{filename}:{lineno}: {category.__name__}: "
    print(f"{kind}: {text}{one_line(str(message))}", file=file or sys.stderr)
