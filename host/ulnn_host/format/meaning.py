"""The sections NAMES, DECISION and CENTRES (SPEC.md 2.9, 2.10, 2.12). `ulnn_rules` reads them, on
a PC as on a board; here they are written."""

from __future__ import annotations

import struct

import numpy as np

from ulnn_rules import centres, meaning

from ..base.errors import UlnnError
from .model import Centres, Decision, Names

_NAMES = struct.Struct("<HHI")
_DECISION = struct.Struct("<BBBBIHHHHI")


def names_bytes(names: Names) -> bytes:
    """The NAMES section. Raises UlnnError for a text that cannot stand in it."""
    content = _NAMES.pack(len(names.channels), len(names.labels), 0)
    for name, unit in zip(names.channels, names.units, strict=True):
        content += _text(name, "channel") + _text(unit, "channel", empty=True)
    return content + b"".join(_text(name, "class") for name in names.labels)


def _text(text: str, of: str, *, empty: bool = False) -> bytes:
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) > meaning.TEXT_MAX:
        raise UlnnError(
            f"the name {text[:20]!r}... has {len(encoded)} bytes, expected at most "
            f"{meaning.TEXT_MAX}; give the {of} a shorter one"
        )
    if not (text or empty) or not meaning.is_plain(encoded, 0, len(encoded)):
        raise UlnnError(
            f"the name {text!r} cannot be written, expected a text without control characters; "
            f"give the {of} another one"
        )
    return bytes([len(encoded)]) + encoded


def read_names(content: bytes, inputs: int, outputs: int) -> Names:
    """What a NAMES section says. Raises ValueError with the text of SPEC.md section 4."""
    return Names(*meaning.read_names(content, inputs, outputs))


def decision_bytes(decision: Decision) -> bytes:
    """The DECISION section."""
    return _DECISION.pack(
        meaning.READOUTS.index(decision.readout), decision.values, decision.ticks, decision.reset,
        decision.window, decision.votes, 0, decision.enter, decision.leave, decision.least,
    )  # fmt: skip


def read_decision(content: bytes) -> Decision:
    """What a DECISION section says. Raises ValueError with the text of SPEC.md section 4."""
    return Decision(*meaning.read_decision(content))


def centres_bytes(start: Centres) -> bytes:
    """The CENTRES section."""
    return struct.pack("<HH", start.weight, 0) + start.values.astype("<i2").tobytes()


def read_centres(content: bytes, outputs: int) -> Centres:
    """What a CENTRES section says. Raises ValueError with the text of SPEC.md section 4."""
    weight, values = centres.read_centres(content, outputs)
    return Centres(weight, np.array(values, np.int64).reshape(outputs, outputs))
