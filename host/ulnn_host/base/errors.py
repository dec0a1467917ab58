"""The one exception that commands turn into one line and a non-zero exit."""

from __future__ import annotations


class UlnnError(Exception):
    """One line: what was seen, what was expected, what to do."""


class UlnnWarning(UserWarning):
    """One line about what was read: it may be right, but looks wrong."""
