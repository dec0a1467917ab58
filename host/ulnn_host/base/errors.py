"""The one exception that commands turn into one line and a non-zero exit."""

from __future__ import annotations

from typing import Any


class UlnnError(Exception):
    """One line: what was seen, what was expected, what to do."""


def one_line(text: str) -> str:
    """Text on one line, without characters that a terminal would obey: names in a file may hold
    them."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Text without characters that a terminal would obey, but for the ends of its lines."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else " " * c.isspace() for c in text)


class UlnnWarning(UserWarning):
    """One line about what was read: it may be right, but looks wrong."""


class UlnnAssumption(UlnnWarning):
    """One line about what a file does not say and was assumed."""


class BrokenOff(UlnnError):
    """A run that ended before its end. report: what came until then, marked as broken off."""

    def __init__(self, text: str, report: Any) -> None:
        super().__init__(text)
        self.report = report
