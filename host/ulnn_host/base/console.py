"""How every command ends: one clear line for an error, a traceback only with --debug."""

from __future__ import annotations

import sys
import warnings
from typing import TextIO

import typer

from .errors import UlnnError, UlnnWarning

EXPECTED = (UlnnError, ValueError, OSError, MemoryError)


def run(app: typer.Typer, name: str | None = None) -> None:
    """Run a typer app made with `pretty_exceptions_enable=False`.

    Exit status: the app's own, 1 after an error (or the error's own `status`), 2 for bad usage,
    130 after Ctrl-C.
    `--debug` may stand anywhere on the command line.
    """
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    warnings.simplefilter("always", UlnnWarning)
    warnings.showwarning = _show
    try:
        app(args=arguments, prog_name=name)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except EXPECTED as error:
        if debug:
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        print(f"error: {text}", file=sys.stderr)
        sys.exit(getattr(error, "status", 1))


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """One line on stderr; where in the code matters only for warnings that are not ours."""
    ours = issubclass(category, UlnnWarning)
    text = "" if ours else f"{filename}:{lineno}: {category.__name__}: "
    print(f"warning: {text}{' '.join(str(message).split())}", file=file or sys.stderr)
