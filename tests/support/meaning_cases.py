"""Broken sections NAMES, DECISION, CENTRES and UNKNOWN, one or more for every check of SPEC.md
section 4 on them, written from SPEC.md alone."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

# (number of the check and what is wrong, the section, the text of the ValueError)
Case = tuple[str, bytes, str]
INPUTS, OUTPUTS = 2, 3


def texts(*words: str | bytes) -> bytes:
    """Each with its length before it."""
    encoded = [word.encode() if isinstance(word, str) else word for word in words]
    return b"".join(bytes([len(word)]) + word for word in encoded)


CHANNELS = ("ax", "m/s²", "pulse", "")
LABELS = ("still", "walking", "läuft")


def names(
    channels: int = INPUTS,
    labels: int = OUTPUTS,
    reserved: int = 0,
    words: Sequence[str | bytes] = (*CHANNELS, *LABELS),
) -> bytes:
    return struct.pack("<HHI", channels, labels, reserved) + texts(*words)


def decision(**fields: int) -> bytes:
    """A DECISION section: mean over 200 samples, reset, three votes, margins."""
    given = {
        "readout": 2, "task": 0, "unit": 0, "reset": 1, "window": 200, "votes": 3, "reserved": 0,
        "enter": 9000, "leave": 4000, "least": 50,
    } | fields  # fmt: skip
    return struct.pack("<BBBBIHHHHI", *given.values())


def names_cases() -> Iterator[Case]:
    good = names()
    for size in (0, 7):
        yield f"size {size}", good[:size], f"names: size {size}, expected at least 8"
    for got in (1, 3, 65535):
        text = f"names: channels {got}, expected 0 or {INPUTS}"
        yield f"channels {got}", names(channels=got), text
    for got in (2, 4, 65535):
        yield f"labels {got}", names(labels=got), f"names: labels {got}, expected 0 or {OUTPUTS}"
    for got in (1, 2**31):
        yield f"reserved {got}", names(reserved=got), "names: reserved field is not 0"
    fit = "names: text {} does not fit in the section"
    yield "no text", good[:8], fit.format(0)
    yield "cut before a text", names(words=CHANNELS), fit.format(4)
    yield "cut in a text", good[:-1], fit.format(6)
    long = good[:8] + b"\xff" + good[9:]
    yield "a length beyond the end", long, fit.format(0)
    for k in (0, 2, 4, 6):
        words = [*CHANNELS, *LABELS]
        words[k] = ""
        yield f"text {k} is empty", names(words=words), f"names: text {k} is empty"
    plain = "names: text {} is not plain UTF-8"
    for bad in (
        b"\x00", b"a\nb", b"\x1b[2J", b"\x7f", b"\x80", b"\xc2", b"\xc2\x80", b"\xc2\x9f",
        b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf0\x80\x80\xaf", b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80", b"\xff", b"a\xe2\x82", b"\xe2\x28\xa1",
    ):  # fmt: skip
        for k in (1, 6):
            words = [*CHANNELS, *LABELS]
            words[k] = bad  # type: ignore[call-overload]
            yield f"text {k} is {bad!r}", names(words=words), plain.format(k)
    both = names(words=("\n", "", *CHANNELS[2:], "", *LABELS[1:]))
    yield "the first of two", both, plain.format(0)
    want = len(good)
    yield "longer", good + b"\0", f"names: size {want + 1}, expected {want}"
    yield "no names, longer", bytes(9), "names: size 9, expected 8"


def decision_cases() -> Iterator[Case]:
    good = decision()
    for size in (0, 19, 21):
        text = f"decision: size {size}, expected 20"
        yield f"size {size}", (good + b"\0")[:size], text

    def refused(name: str, got: int, **more: int) -> Case:
        text = f"decision: {name} {got} not supported"
        return f"{name} {got} {more}", decision(**{name: got}, **more), text

    for got in (4, 255):
        yield refused("readout", got)
    for got in (2, 255):
        yield refused("task", got)
    yield refused("task", 1, readout=3)
    for got in (2, 255):
        yield refused("unit", got)
        yield refused("reset", got)
    yield refused("reset", 1, readout=0, window=0)
    for got in (2**31, 2**32 - 1):
        text = f"decision: window {got}, expected 0 to 2147483647"
        yield f"window {got}", decision(window=got), text
        text = f"decision: least {got}, expected 0 to 2147483647"
        yield f"least {got}", decision(least=got), text
    each = decision(readout=0, reset=0, window=1)
    yield "window of each", each, "decision: window 1, expected 0 to 0"
    for got in (0, 256, 65535):
        yield f"votes {got}", decision(votes=got), f"decision: votes {got}, expected 1 to 255"
    yield "reserved", decision(reserved=1), "decision: reserved field is not 0"
    for got, most in ((1, 0), (9001, 9000)):
        text = f"decision: leave {got}, expected 0 to {most}"
        yield f"leave {got}", decision(enter=most, leave=got), text


def centres(weight: int = 2, reserved: int = 0, values: Sequence[int] = range(9)) -> bytes:
    return struct.pack("<HH", weight, reserved) + struct.pack(f"<{len(values)}h", *values)


def centres_cases() -> Iterator[Case]:
    good = centres()
    for size in (0, 21, 23):
        text = f"centres: size {size}, expected 22"
        yield f"size {size}", (good + b"\0")[:size], text
    for got in (0, 65, 65535):
        yield f"weight {got}", centres(weight=got), f"centres: weight {got}, expected 1 to 64"
    yield "reserved", centres(reserved=1), "centres: reserved field is not 0"
    for k in (0, 8):
        values = [-32768 * (j == k) for j in range(9)]
        yield f"value {k}", centres(values=values), f"centres: value {k} is -32768"


def unknown(
    centres: int = OUTPUTS,
    reserved: int = 0,
    threshold: int = 3000,
    changed: Sequence[tuple[int, int]] = (),
) -> bytes:
    """An UNKNOWN section of two inputs; changed: (number of a value, value)."""
    n = 3 * INPUTS
    values = [100] * INPUTS + [7] * INPUTS + [300] * n + [3] * n
    values += [2000 if k == j else -150 for j in range(n) for k in range(j + 1)]
    values += [100 * (k % 11) - 500 for k in range(OUTPUTS * n)]
    for k, value in changed:
        values[k] = value
    return struct.pack(f"<HHI{len(values)}h", centres, reserved, threshold, *values)


def unknown_cases() -> Iterator[Case]:
    good = unknown()
    for size in (0, 7):
        yield f"size {size}", good[:size], f"unknown: size {size}, expected at least 8"
    for got in (0, 1025, 65535):
        text = f"unknown: centres {got}, expected 1 to 1024"
        yield f"centres {got}", unknown(centres=got), text
    yield "reserved", unknown(reserved=1), "unknown: reserved field is not 0"
    for got in (2**30, 2**32 - 1):
        text = f"unknown: threshold {got}, expected 0 to 1073741823"
        yield f"threshold {got}", unknown(threshold=got), text
    for size in (8, len(good) - 1, len(good) + 1):
        text = f"unknown: size {size}, expected {len(good)}"
        yield f"size {size}", (good + b"\0")[:size], text
    for k in (0, 2, (len(good) - 8) // 2 - 1):
        yield f"value {k}", unknown(changed=[(k, -32768)]), f"unknown: value {k} is -32768"
    for k, got in ((2, 0), (3, -5)):
        text = f"unknown: floor {got}, expected 1 to 32767"
        yield f"floor {got}", unknown(changed=[(k, got)]), text
    for k, got in ((10, -1), (15, 16)):
        text = f"unknown: shift {got}, expected 0 to 15"
        yield f"shift {got}", unknown(changed=[(k, got)]), text
