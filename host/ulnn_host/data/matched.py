"""Where data meet a network: channels and classes in the network's order, by name."""

from __future__ import annotations

from collections.abc import Sequence

from .sequences import Sequences
from .targets import aligned


def matched(data: Sequences, channels: Sequence[str], labels: Sequence[str]) -> Sequences:
    """The data with channels and classes as a network knows them; empty: it knows no names.

    Raises UlnnError for a channel that is missing, not known or there twice, and for a label that
    is not known.
    """
    return aligned(data.in_order(channels), labels)
