"""Documents that a program writes, in lines that a terminal shows whole."""

from __future__ import annotations

import textwrap

WIDTH = 100


def wrapped(text: str) -> str:
    """Markdown whose paragraphs and points, each a line so far, have lines of at most WIDTH
    characters. Tables and headings stay as they are.
    """
    lines = []
    for line in text.split("\n"):
        if len(line) <= WIDTH or line.startswith(("|", "#")):
            lines.append(line)
            continue
        indent = "  " if line.startswith("* ") else ""
        lines += textwrap.wrap(
            line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    return "\n".join(lines)
