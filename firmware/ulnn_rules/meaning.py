"""What a model's inputs and outputs mean, and how outputs become decisions: the sections NAMES,
DECISION and UNKNOWN of its file (SPEC.md 2.9, 2.10, 2.15), which no engine reads. PC and board
read them here.

    m = Meaning("/models/x.ulnn")
    m.channels, m.units, m.labels       # ("ax", "ay"), ("m/s2", "m/s2"), ("still", "walking")
    m.readout, m.window, m.reset        # "mean", 200, True
"""

from struct import unpack_from

from ulnn_rules import sections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ulnn_rules.sections import Bytes

NAMES = 0x8003
DECISION = 0x8004
UNKNOWN = 0x8008
DECISION_SIZE = 20
READOUTS = ("each", "last", "mean", "vote")
TEXT_MAX = 255  # bytes of a name or a unit
VOTES_MAX = 255
TICKS_MAX = 2147483647


class Meaning:
    """What one model file says: a path (str), or a buffer of bytes, which is not kept.

    input_size, output_size: values of a step.
    channels, units: name and unit of each input; labels: name of each output; () where the file
    has none, and "" for a unit that it does not say.
    readout: "each", "last", "mean" or "vote"; "" without DECISION.
    values: outputs are values and not the scores of classes. window, least: in ticks where `ticks`
    is true, else in samples. reset: the state is reset at the start of a window.
    votes, enter, leave: integers (SPEC.md 2.10).
    unknown: the section by which a model knows what it does not know (`unknown.Unknown`), or b"".
    Raises ValueError for a damaged file, with the texts of SPEC.md 4.
    """

    def __init__(self, source: "str | Bytes") -> None:
        inputs, outputs, found = sections.read(source, (NAMES, DECISION, UNKNOWN))
        self.input_size, self.output_size = inputs, outputs
        self.channels: "tuple[str, ...]" = ()
        self.units: "tuple[str, ...]" = ()
        self.labels: "tuple[str, ...]" = ()
        if NAMES in found:
            self.channels, self.units, self.labels = read_names(found[NAMES], inputs, outputs)
        self.unknown: "Bytes" = found.get(UNKNOWN, b"")
        self.readout = ""
        self.values = self.ticks = self.reset = False
        self.window = self.enter = self.leave = self.least = 0
        self.votes = 1
        if DECISION in found:
            (
                self.readout, self.values, self.ticks, self.reset, self.window, self.votes,
                self.enter, self.leave, self.least,
            ) = read_decision(found[DECISION])  # fmt: skip


def _fail(text: str, *args: int) -> None:
    raise ValueError(text % args)


def is_plain(b: "Bytes", o: int, end: int) -> bool:
    """Whether b[o:end] is UTF-8 without control characters."""
    more = code = least = 0
    for k in range(o, end):
        c = b[k]
        if more:
            if c & 0xC0 != 0x80:
                return False
            code = code << 6 | c & 0x3F
            more -= 1
            if not more and (
                code < least or code > 0x10FFFF or code >> 11 == 0x1B or 0x80 <= code < 0xA0
            ):
                return False
        elif c < 0x80:
            if c < 0x20 or c == 0x7F:
                return False
        elif c & 0xE0 == 0xC0:
            more, code, least = 1, c & 0x1F, 0x80
        elif c & 0xF0 == 0xE0:
            more, code, least = 2, c & 0x0F, 0x800
        elif c & 0xF8 == 0xF0:
            more, code, least = 3, c & 0x07, 0x10000
        else:
            return False
    return not more


def read_names(
    b: "Bytes", inputs: int, outputs: int
) -> "tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]":
    """Channels, units and labels of a NAMES section. Raises ValueError (checks 72 to 79)."""
    size = len(b)
    if size < 8:  # 72
        _fail("names: size %d, expected at least 8", size)
    channels, labels, reserved = unpack_from("<HHI", b, 0)
    if channels and channels != inputs:  # 73
        _fail("names: channels %d, expected 0 or %d", channels, inputs)
    if labels and labels != outputs:  # 74
        _fail("names: labels %d, expected 0 or %d", labels, outputs)
    if reserved:  # 75
        _fail("names: reserved field is not 0")
    texts = []
    o = 8
    for k in range(2 * channels + labels):
        end = o + 1 + b[o] if o < size else size + 1
        if end > size:  # 76
            _fail("names: text %d does not fit in the section", k)
        if end == o + 1 and (k >= 2 * channels or k & 1 == 0):  # 77
            _fail("names: text %d is empty", k)
        if not is_plain(b, o + 1, end):  # 78
            _fail("names: text %d is not plain UTF-8", k)
        texts.append(str(b[o + 1 : end], "utf-8"))
        o = end
    if o != size:  # 79
        _fail("names: size %d, expected %d", size, o)
    channels *= 2
    both = texts[:channels]
    return tuple(both[::2]), tuple(both[1::2]), tuple(texts[channels:])


def read_decision(b: "Bytes") -> "tuple[str, bool, bool, bool, int, int, int, int, int]":
    """readout, values, ticks, reset, window, votes, enter, leave and least of a DECISION section.
    Raises ValueError (checks 80 to 89)."""
    if len(b) != DECISION_SIZE:  # 80
        _fail("decision: size %d, expected %d", len(b), DECISION_SIZE)
    readout, task, unit, reset, window, votes, reserved, enter, leave, least = unpack_from(
        "<BBBBIHHHHI", b, 0
    )
    if readout >= len(READOUTS):  # 81
        _fail("decision: readout %d not supported", readout)
    if task > (0 if readout == 3 else 1):  # 82
        _fail("decision: task %d not supported", task)
    if unit > 1:  # 83
        _fail("decision: unit %d not supported", unit)
    if reset > (1 if readout else 0):  # 84
        _fail("decision: reset %d not supported", reset)
    most = TICKS_MAX if readout else 0
    if window > most:  # 85
        _fail("decision: window %d, expected 0 to %d", window, most)
    if votes < 1 or votes > VOTES_MAX:  # 86
        _fail("decision: votes %d, expected 1 to %d", votes, VOTES_MAX)
    if reserved:  # 87
        _fail("decision: reserved field is not 0")
    if leave > enter:  # 88
        _fail("decision: leave %d, expected 0 to %d", leave, enter)
    if least > TICKS_MAX:  # 89
        _fail("decision: least %d, expected 0 to %d", least, TICKS_MAX)
    return (
        READOUTS[readout], bool(task), bool(unit), bool(reset), window, votes, enter, leave, least
    )  # fmt: skip
