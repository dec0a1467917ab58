"""Class centres that a wearer's examples move: a model's decisions adapted on the board, in
integers (SPEC.md 2.12). The model itself stays what was tested.

    c = Centres("/models/x.ulnn")
    c.load("/models/x.centres")             # what was learnt before, if anything was
    d = Decider("/models/x.ulnn", ulnn.load("/models/x.ulnn"), c)
    ...
    c.learn(2, d.window)                    # where a window ends: it was an example of class 2
    c.save("/models/x.centres")
"""

from array import array
from struct import pack_into, unpack_from

from ulnn_rules import sections
from ulnn_rules.readout import argmax
from ulnn_rules.slots import Slots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ulnn_rules.readout import Window
    from ulnn_rules.sections import Bytes

CENTRES = 0x8005
WEIGHT_MAX = 64
MOST = 64  # examples of a class; the oldest fade
_LIMIT = 32767


def read_centres(b: "Bytes", outputs: int) -> "tuple[int, array[int]]":
    """weight and the centres, array('h'), of a CENTRES section. Raises ValueError (checks 90 to
    93 of SPEC.md 4)."""
    size = 4 + 2 * outputs * outputs
    if len(b) != size:  # 90
        raise ValueError("centres: size %d, expected %d" % (len(b), size))
    weight, reserved = unpack_from("<HH", b, 0)
    if not 1 <= weight <= WEIGHT_MAX:  # 91
        raise ValueError("centres: weight %d, expected 1 to %d" % (weight, WEIGHT_MAX))
    if reserved:  # 92
        raise ValueError("centres: reserved field is not 0")
    values = array("h", unpack_from("<%dh" % (outputs * outputs), b, 4))
    for k in range(len(values)):
        if values[k] < -_LIMIT:  # 93
            raise ValueError("centres: value %d is -32768" % k)
    return weight, values


class Centres:
    """What one wearer's examples say about the outputs of each class.

    source: the path (str) of the model's file, or a buffer of it, which is not kept.
    counts: examples of each class. Raises ValueError where the file has no CENTRES.

    `learn`, `decide` and all they call allocate nothing.
    """

    def __init__(self, source: "str | Bytes") -> None:
        _, outputs, found = sections.read(source, (CENTRES,))
        if CENTRES not in found:
            raise ValueError("centres: the file has none; convert it again with --centres")
        self._weight, self._factory = read_centres(found[CENTRES], outputs)
        n = self._outputs = outputs
        self.counts = array("h", [0] * n)
        self._sums = array("i", [0] * (n * n))
        self._centres = array("h", [0] * (n * n))
        self._halves = array("i", [0] * n)
        self._last = array("h", [0] * n)
        self._last_class = -1
        self._values = array("h", [0] * n)
        self._scores = [0] * n
        self._slots = Slots(b"ULNC", sections.digest(source), 2 * n + 4 * n * n)
        self._make()

    @property
    def active(self) -> bool:
        """Whether there is an example; without any, decisions are the factory's."""
        return max(self.counts) > 0

    def reset(self) -> None:
        """Forget every example: decisions are the factory's."""
        for k in range(len(self._sums)):
            self._sums[k] = 0
        for c in range(self._outputs):
            self.counts[c] = 0
        self._last_class = -1
        self._make()

    def learn(self, c: int, window: "Window") -> None:
        """The window is an example of class c: call this where it ends, before its next step.
        Raises ValueError for another class, and for a window without a step."""
        self.learn_values(c, self._of(window))

    def learn_values(self, c: int, values: "Sequence[int]") -> None:
        """As `learn`, of results as values (SPEC.md 2.10), int16, one for each output."""
        if not 0 <= c < self._outputs:
            raise ValueError("centres: class %d, expected 0 to %d" % (c, self._outputs - 1))
        sums, at = self._sums, c * self._outputs
        if self.counts[c] == MOST:
            for k in range(self._outputs):
                sums[at + k] >>= 1
            self.counts[c] = MOST // 2
        for k in range(self._outputs):
            self._last[k] = values[k]
            sums[at + k] += values[k]
        self.counts[c] += 1
        self._last_class = c
        self._make()

    def _of(self, window: "Window") -> "array[int]":
        if not window.count:
            raise ValueError("centres: the window has no step")
        for k in range(self._outputs):
            self._values[k] = window.value(k)
        return self._values

    def undo(self) -> bool:
        """Forget the last example. False: there is none, or it was forgotten before."""
        c = self._last_class
        if c < 0:
            return False
        for k in range(self._outputs):
            self._sums[c * self._outputs + k] -= self._last[k]
        self.counts[c] -= 1
        self._last_class = -1
        self._make()
        return True

    def _make(self) -> None:
        n, weight = self._outputs, self._weight
        sums, factory, centres = self._sums, self._factory, self._centres
        for c in range(n):
            w = self.counts[c] + weight
            half = 0
            for k in range(c * n, c * n + n):
                m = (sums[k] + weight * factory[k] + (w >> 1)) // w
                m = max(-_LIMIT, min(_LIMIT, m))
                centres[k] = m
                half += m * m >> 8
            self._halves[c] = half

    def decide(self, window: "Window") -> int:
        """The class whose centre is nearest to the window's result, the first of equals; without
        examples the one with the largest result."""
        return self.decide_values(self._of(window)) if self.active else argmax(window.result)

    def decide_values(self, values: "Sequence[int]") -> int:
        """As `decide`, of results as values."""
        if not self.active:
            return argmax(values)
        n, centres, scores = self._outputs, self._centres, self._scores
        for c in range(n):
            at, score = c * n, -self._halves[c]
            for k in range(n):
                score += centres[at + k] * values[k] >> 7
            scores[c] = score
        return argmax(scores)

    # ---- the file ---------------------------------------------------------------------------

    def save(self, path: str) -> None:
        """Write what was learnt into the older of the file's two slots: a power cut leaves the
        state before, or this one."""
        content, n = self._slots.content, self._outputs
        for c in range(n):
            pack_into("<h", content, 2 * c, self.counts[c])
        for k in range(n * n):
            pack_into("<i", content, 2 * n + 4 * k, self._sums[k])
        self._slots.save(path)

    def load(self, path: str) -> bool:
        """Take what was saved last. False: there is no such file, or no whole slot in it.
        Raises ValueError where it belongs to another model."""
        if not self._slots.load(path):
            return False
        content, n = self._slots.content, self._outputs
        for c in range(n):
            self.counts[c] = unpack_from("<h", content, 2 * c)[0]
        for k in range(n * n):
            self._sums[k] = unpack_from("<i", content, 2 * n + 4 * k)[0]
        self._last_class = -1
        self._make()
        return True

    def keep(self) -> "Any":
        """All that was learnt, for `restore`. Allocates."""
        return array("h", self.counts), array("i", self._sums)

    def restore(self, kept: "Any") -> None:
        """What `keep` gave."""
        counts, sums = kept
        for c in range(self._outputs):
            self.counts[c] = counts[c]
        for k in range(len(sums)):
            self._sums[k] = sums[k]
        self._last_class = -1
        self._make()
