"""A model's inputs from raw samples, by the recipe in its file (SPEC.md 2.12): the same integers
on a board and on a PC. Nothing is allocated while samples come.

    m = ulnn.load("/models/x.ulnn")
    f = Features("/models/x.ulnn", ulnn)
    while True:
        first = 0
        while first < samples:  # of `raw`, array('h') of all channels
            first = f.add(raw, first)
            if f.ready:
                m.step(f.x, y, dt)
"""

from array import array
from struct import unpack_from

from ulnn_rules import bands as twin
from ulnn_rules import sections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ulnn_rules.sections import Bytes

INPUT, FEATURES = 2, 0x8006
HEAD = 16
CHANNELS_MAX = 64
TRACKS_MAX = 32
RATE_MAX = 2147483647
HOP_MAX = 1048576
UNIT = 256  # counts of a feature's real 1


def _fail(text: str, *args: int) -> None:
    raise ValueError(text % args)


class Recipe:
    """What a FEATURES section says.

    channels: of a raw sample. rate: samples in 1000 s. hop: samples from one frame to the next.
    scales: scale and offset of each channel, float32. tracks: array('h') each (SPEC.md 2.12.1).
    outputs: features of all tracks. reach: samples until every frame is full.
    Raises ValueError for a damaged section, with the texts of SPEC.md 4.
    """

    def __init__(self, b: "Bytes", inputs: int) -> None:
        size = len(b)
        if size < HEAD:  # 94
            _fail("features: size %d, expected at least 16", size)
        channels, count, rate, hop, reserved = unpack_from("<HHIII", b, 0)
        if not 1 <= channels <= CHANNELS_MAX:  # 95
            _fail("features: channels %d, expected 1 to %d", channels, CHANNELS_MAX)
        if not 1 <= count <= TRACKS_MAX:  # 96
            _fail("features: tracks %d, expected 1 to %d", count, TRACKS_MAX)
        if not 1 <= rate <= RATE_MAX:  # 97
            _fail("features: rate %d, expected 1 to %d", rate, RATE_MAX)
        if not 1 <= hop <= HOP_MAX:  # 98
            _fail("features: hop %d, expected 1 to %d", hop, HOP_MAX)
        if reserved:  # 99
            _fail("features: reserved field is not 0")
        self.channels, self.rate, self.hop = channels, rate, hop
        o = HEAD + 8 * channels
        if o > size:  # 100
            _fail("features: scales do not fit in the section")
        self.scales = array("f", unpack_from("<%df" % (2 * channels), b, HEAD))
        for k in range(channels):  # 101
            scale, offset = self.scales[2 * k], self.scales[2 * k + 1]
            if scale - scale != 0 or offset - offset != 0 or not scale > 0:
                _fail("features: bad scale of channel %d", k)
        tracks = []
        self.outputs = self.reach = 0
        for k in range(count):
            n = twin.HEAD
            for _ in range(2):  # the head says how long all of it is
                if o + 2 * n > size:  # 102
                    _fail("features: track %d does not fit in the section", k)
                track = array("h", unpack_from("<%dh" % n, b, o))
                n = twin.length(track)
            outputs = twin.count(track)
            if not outputs or track[0] != channels:  # 103
                _fail("features: track %d is not supported", k)
            tracks.append(track)
            self.outputs += outputs
            self.reach = max(self.reach, track[twin.DECIMATE] << track[twin.SIZE])
            o += 2 * n
        self.tracks: "tuple[array[int], ...]" = tuple(tracks)
        if o != size:  # 104
            _fail("features: size %d, expected %d", size, o)
        if self.outputs != inputs:  # 105
            _fail("features: %d of them, expected %d", self.outputs, inputs)


def input_scales(
    pairs: "Sequence[float]", what: str = "features"
) -> "tuple[array[int], array[int]]":
    """(offsets, shifts) with input = (feature - offset) << shift, from the pairs of scale and
    offset in INPUT. Raises ValueError (check 106) for a scale that is not 2 ** -(8 + shift) and an
    offset that is no int16 times 2 ** -8; its text begins with `what`."""
    offsets, shifts = array("h"), array("h")
    for k in range(0, len(pairs), 2):
        shift = 0
        while shift < 15 and pairs[k] * (UNIT << shift) != 1.0:
            shift += 1
        offset = pairs[k + 1] * UNIT
        good = pairs[k] * (UNIT << shift) == 1.0 and -32768 <= offset <= 32767
        if not good or offset != int(offset):
            _fail(what + ": input %d has not the scale of one", k // 2)
        offsets.append(int(offset))
        shifts.append(shift)
    return offsets, shifts


def to_inputs(
    values: "array[int]", offsets: "array[int]", shifts: "array[int]", x: "array[int]"
) -> None:
    """The inputs of features, into `x`."""
    for k in range(len(x)):
        v = (values[k] - offsets[k]) << shifts[k]
        x[k] = v if -32768 <= v <= 32767 else 32767 if v > 0 else -32768


class Features:
    """The recipe of one model at work.

    source: the path (str) of its file, or a buffer of bytes, which is not kept. native: the module
    `ulnn`, whose `bands` are used where it has them; else, and without it, those in Python are.
    recipe: what the file says. values: the features, array('h') in 2 ** -8. x: the model's inputs,
    array('h'), both always the same objects. ended: whether `add` just came to the end of a hop;
    ready: of one with frames that are full.
    Raises ValueError for a damaged file and for one without FEATURES.
    """

    def __init__(self, source: "str | Bytes", native: "Any" = None) -> None:
        inputs, _, found = sections.read(source, (INPUT, FEATURES))
        if FEATURES not in found:
            raise ValueError("features: the file has none; its inputs are what sensors give")
        self.recipe = Recipe(found[FEATURES], inputs)
        if INPUT not in found or len(found[INPUT]) != 8 * inputs:
            raise ValueError("the file has no scales: section INPUT is damaged")
        pairs = unpack_from("<%df" % (2 * inputs), found[INPUT], 0)
        self._offsets, self._shifts = input_scales(pairs)
        make = getattr(native, "bands", None) or twin.Bands
        self._bands = [make(track) for track in self.recipe.tracks]
        self._parts = [array("h", bytes(2 * twin.count(track))) for track in self.recipe.tracks]
        self.values = array("h", bytes(2 * inputs))
        self.x = array("h", bytes(2 * inputs))
        self.reset()

    def reset(self) -> None:
        """As if no sample had been there: after a gap, for instance."""
        for bands in self._bands:
            bands.reset()
        self.ended = self.ready = False
        self._left = self.recipe.hop  # samples of this hop
        self._missing = self.recipe.reach  # samples until all frames are full

    def add(self, raw: "Sequence[int]", first: int = 0, end: int = -1) -> int:
        """Take samples of `raw` (array('h') of all channels, one sample after the other) from
        sample `first` on, up to the end of the hop, or to sample `end` (-1: all), which is not
        taken. Returns the first that was not taken."""
        count: int = (end if end >= 0 else len(raw) // self.recipe.channels) - first
        if count > self._left:
            count = self._left
        for bands in self._bands:
            bands.feed(raw, first, count)
        self._missing = max(0, self._missing - count)
        self._left -= count
        self.ended = self._left == 0
        self.ready = self.ended and self._missing == 0
        if self.ended:
            self._left = self.recipe.hop
        if self.ready:
            self._read()
        return first + count

    def _read(self) -> None:
        """Compute `values` and `x`."""
        o = 0
        for k in range(len(self._bands)):
            part = self._parts[k]
            self._bands[k].read(part)
            for v in part:
                self.values[o] = v
                o += 1
        to_inputs(self.values, self._offsets, self._shifts, self.x)
