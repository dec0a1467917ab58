"""Events: the little that leaves a device. What one holds, its record of fixed size for flash, and
its line of JSON.

    {"device": "pump-3", "log": "9f3a01c2", "boot": 7, "seq": 120, "t": 1795678901234,
     "clock": "synchronised", "up": 93211, "kind": "decision", "what": "walking",
     "margin": 812, "model": "3b1f00c2a94e5d17"}

`device`, `log`, `boot` and `seq` name an event for ever: `log` is a random number that a device
draws when it has no log yet, `boot` counts its starts and `seq` the events of a start, both from
1. `t` is in milliseconds: of UTC since 1970 where `clock` is "synchronised", and since the start
where it is "since boot"; `up`, only beside UTC, since the start, too. `model` is the beginning of
the SHA-256 of the model's file.
"""

import json
from binascii import crc32, hexlify, unhexlify
from struct import pack_into, unpack_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

KINDS = ("decision", "alarm", "summary", "fault", "note")
SIZE = 128  # bytes of a record
TEXT_SIZE = 72  # bytes of `what`
CHANNELS = 12  # that one summary has room for; more channels take more summaries
MODEL_DIGITS = 16
ORDER = (
    "device", "log", "boot", "seq", "t", "clock", "up", "kind", "what", "margin", "model",
    "samples", "outside", "clamped", "faults", "lost", "first", "mean", "std",
)  # fmt: skip
# What no policy decides on: it names an event, or says of what kind it is.
FREE = ("log", "boot", "seq", "clock", "kind", "model", "first")
# What a line leaves out where it is that of the line before in the same message.
SAME = ("device", "log", "boot", "clock", "kind", "model")
_HEAD = "<IIIIIIQQ8sBBHi"
_HEAD_SIZE = 56
_FIGURES = "<IIIIIB"
_FIGURES_SIZE = 21


class Event:
    """One event.

    kind: of KINDS. what: text, cut to TEXT_SIZE bytes of UTF-8. margin: int32, how sure it is.
    model: 16 hex digits of SHA-256, or "". figures: of a summary (see `summary.Summary.take`).
    boot, seq: 1 to 2**32 - 1. up: milliseconds since the start; utc: since 1970, 0: not known.
    freed: (boot, seq) of the last event before it that is delivered; dropped: events that were
    overwritten before they were delivered, in all.
    """

    def __init__(
        self,
        kind: str,
        what: str = "",
        margin: int = 0,
        model: str = "",
        figures: "tuple[Any, ...] | None" = None,
    ) -> None:
        self.kind = kind
        self.what = what
        self.margin = margin
        self.model = model
        self.figures = figures
        self.boot = self.seq = self.up = self.utc = self.dropped = 0
        self.freed = (0, 0)

    def pack(self) -> bytearray:
        """The record. Raises ValueError for a kind that is none."""
        record = bytearray(SIZE)
        text = cut(self.what)
        if self.figures is not None:
            text = _pack_figures(self.figures)
        pack_into(
            _HEAD, record, 0,
            0, self.boot, self.seq, self.freed[0], self.freed[1], self.dropped, self.up, self.utc,
            unhexlify(self.model), KINDS.index(self.kind), len(text), 0, self.margin,
        )  # fmt: skip
        record[_HEAD_SIZE : _HEAD_SIZE + len(text)] = text
        pack_into("<I", record, 0, crc32(memoryview(record)[4:]))
        return record

    def fields(self) -> "dict[str, Any]":
        """What the line holds, but for `device` and `log`."""
        found: "dict[str, Any]" = {"boot": self.boot, "seq": self.seq}
        found["t"] = self.utc or self.up
        found["clock"] = "synchronised" if self.utc else "since boot"
        if self.utc:
            found["up"] = self.up
        found["kind"] = self.kind
        if self.what:
            found["what"] = self.what
        if self.kind in ("decision", "alarm"):
            found["margin"] = self.margin
        if self.model:
            found["model"] = self.model
        if self.figures is not None:
            samples, outside, clamped, faults, lost, first, mean, std = self.figures
            found["samples"] = samples
            found["outside"] = outside
            found["clamped"] = clamped
            found["faults"] = faults
            found["lost"] = lost
            found["first"] = first
            found["mean"] = list(mean)
            found["std"] = list(std)
        return found


def cut(text: str) -> bytes:
    """UTF-8 of a text, at most TEXT_SIZE bytes of whole characters."""
    data = text.encode()
    size = TEXT_SIZE
    if len(data) <= size:
        return data
    while data[size] & 0xC0 == 0x80:
        size -= 1
    return data[:size]


def _pack_figures(figures: "tuple[Any, ...]") -> bytes:
    *head, mean, std = figures
    data = bytearray(_FIGURES_SIZE + 4 * len(mean))
    pack_into(_FIGURES, data, 0, *[min(v, 0xFFFFFFFF) for v in head])
    for k in range(len(mean)):
        pack_into("<hH", data, _FIGURES_SIZE + 4 * k, mean[k], std[k])
    return bytes(data)


def _unpack_figures(data: bytes) -> "tuple[Any, ...]":
    count = (len(data) - _FIGURES_SIZE) // 4
    pairs = [unpack_from("<hH", data, _FIGURES_SIZE + 4 * k) for k in range(count)]
    head: "tuple[Any, ...]" = unpack_from(_FIGURES, data, 0)
    return head + ([p[0] for p in pairs], [p[1] for p in pairs])  # noqa: RUF005, not on boards


def is_whole(record: "bytes | bytearray") -> bool:
    """Whether the CRC of a record is right."""
    return bool(unpack_from("<I", record, 0)[0] == crc32(memoryview(record)[4:]))


def unpack(record: "bytes | bytearray") -> Event:
    """The event of a whole record."""
    (
        _, boot, seq, freed_boot, freed_seq, dropped, up, utc, model, kind, size, _, margin,
    ) = unpack_from(_HEAD, record, 0)  # fmt: skip
    data = bytes(record[_HEAD_SIZE : _HEAD_SIZE + size])
    name = "" if model == bytes(8) else hexlify(model).decode()
    event = Event(KINDS[kind], "", margin, name)
    if KINDS[kind] == "summary":
        event.figures = _unpack_figures(data)
    else:
        event.what = data.decode()
    event.boot = boot
    event.seq = seq
    event.up = up
    event.utc = utc
    event.freed = (freed_boot, freed_seq)
    event.dropped = dropped
    return event


def to_line(fields: "dict[str, Any]", check: bool = False) -> str:
    """JSON on one line, keys in the order of ORDER, without its end. check: with a last key `crc`,
    eight hex digits of the CRC-32 of all that comes before it."""
    names = [name for name in ORDER if name in fields]
    names += [name for name in sorted(fields) if name not in ORDER]
    text = "{" + ",".join(['"%s":%s' % (name, _value(fields[name])) for name in names])
    if check:
        text += ',"crc":"%08x"' % crc32(text.encode())
    return text + "}"


def _value(value: "Any") -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([_value(v) for v in value]) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    text = value.replace("\\", "\\\\").replace('"', '\\"')  # UTF-8 everywhere
    return '"' + "".join([c if c >= " " else "\\u%04x" % ord(c) for c in text]) + '"'


def shorter(fields: "dict[str, Any]", before: "dict[str, Any] | None") -> "dict[str, Any]":
    """Fields without what `longer` finds in those of the event before, None where none is."""
    if before is None:
        return fields
    found = {}
    for name in fields:
        if name not in SAME or fields[name] != before.get(name):
            found[name] = fields[name]
    if _start(fields) is not None and _start(fields) == _start(before):
        del found["up"]
    # What the event before has and this one has not must not come back.
    return found if not [n for n in SAME if n in before and n not in fields] else fields


def longer(fields: "dict[str, Any]", before: "dict[str, Any] | None") -> "dict[str, Any]":
    """The fields that `shorter` was given; those without `device` are short ones."""
    if before is None or "device" in fields:
        return fields
    found = dict(fields)
    for name in SAME:
        if name not in found and name in before:
            found[name] = before[name]
    start, t = _start(before), found.get("t")
    if start is not None and isinstance(t, int) and found.get("clock") == "synchronised":
        found.setdefault("up", t - start)
    return found


def _start(fields: "dict[str, Any]") -> "Any":
    """When a device started, by its clock; None where that is not known."""
    t, up = fields.get("t"), fields.get("up")
    return t - up if isinstance(t, int) and isinstance(up, int) else None


def is_sound(line: str) -> bool:
    """Whether a line with a `crc` is as it was sent."""
    at = line.rfind(',"crc":"')
    return at > 0 and line[at + 8 :] == '%08x"}' % crc32(line[:at].encode())


def answer(log: str, boot: "Any", seq: "Any") -> str:
    """The line that acknowledges an event, and all before it, on a serial port, with a CRC."""
    text = "ack %s %s %s" % (log, boot, seq)
    return "%s %08x" % (text, crc32(text.encode()))


def is_after(boot: int, seq: int, other: "Sequence[int]") -> bool:
    """Whether an event of this boot and seq comes after the one of `other`, (boot, seq)."""
    return boot > other[0] or (boot == other[0] and seq > other[1])
