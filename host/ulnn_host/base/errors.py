"""The one exception that commands turn into one line and a non-zero exit."""

from __future__ import annotations


class UlnnError(Exception):
    """One line: what was seen, what was expected, what to do."""


def one_line(text: str) -> str:
    """Text on one line, without characters that a terminal would obey: names in a file may hold
    them."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


class UlnnWarning(UserWarning):
    """One line about what was read: it may be right, but looks wrong."""


class UlnnAssumption(UlnnWarning):
    """One line about what a file does not say and was assumed."""
