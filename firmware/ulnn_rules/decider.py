"""From a model's outputs to decisions, by the rule in its file (SPEC.md 2.10): the decisions that
`ulnn validate` scores. Integers in and out; nothing is allocated (see `readout.Window`).

    m = ulnn.load("/models/x.ulnn")
    d = Decider("/models/x.ulnn", m)
    while True:
        if d.step(x, dt) is not None:
            print(d.label, d.margin)
"""

from array import array

from ulnn_rules.meaning import Meaning
from ulnn_rules.readout import Window, argmax

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ulnn_rules.centres import Centres
    from ulnn_rules.sections import Bytes

UNSURE, UNKNOWN = -1, -3  # -2 is no decision in PROTOCOL.md 4.6


class Decider:
    """Decisions of one model.

    source: the path (str) of its file, a buffer of bytes, which is not kept, or an object with the
    attributes of `Meaning`. model: from `ulnn.load`, which `step` needs; it is reset at the end
    of each window, if the file asks for that. centres: what a wearer's examples say (`Centres` of
    the same file); a window then decides for the nearest centre.
    labels: names of the classes, () where the file has none. rule: what the file says.
    decision: the class that is decided, UNSURE (-1), or UNKNOWN (-3): what was seen is nothing
    that the model was made for (SPEC.md 2.15). margin: by how much the last window's class won, in
    output units (of readout "vote" in steps). y: outputs of the last `step`, array('h').
    Raises ValueError for a damaged file, for one without DECISION, and where its outputs are not
    scores of two or more classes.
    """

    def __init__(
        self, source: "str | Bytes | Any", model: "Any" = None, centres: "Centres | None" = None
    ) -> None:
        known = isinstance(source, (str, bytes, bytearray, memoryview))
        rule: "Any" = Meaning(source) if known else source
        self.rule = rule
        if not rule.readout:
            raise ValueError("decision: the file does not say how to decide; convert it again")
        outputs = rule.output_size
        if rule.values or outputs < 2:
            raise ValueError("decision: the outputs are not scores of 2 or more classes")
        self.labels: "tuple[str, ...]" = rule.labels
        self.y = array("h", [0] * outputs)
        self.window = Window(rule.readout, outputs, rule.window, rule.ticks)
        self._model = model
        self._centres = centres
        self._unknown = None
        if rule.unknown:
            from ulnn_rules.unknown import Unknown  # not on every heap

            self._unknown = Unknown(rule.unknown, rule.input_size)
        self._wins = [0] * (outputs + 1)  # of the windows that vote; the last: unknown
        self._classes = array("H", [0] * rule.votes)  # that they decided for, in a ring
        self._margins = [0] * rule.votes
        self.reset()

    def reset(self) -> None:
        """As if nothing had been seen; the model's state, too."""
        self.decision = self._new = UNSURE
        self.margin = self._held = 0
        self._at = self._voters = 0
        for k in range(len(self._wins)):
            self._wins[k] = 0
        self.start()
        if self._model is not None:
            self._model.reset()

    def start(self) -> None:
        """Begin a window here; what there is of one is lost."""
        self.window.start()
        if self._unknown is not None:
            self._unknown.start()

    @property
    def label(self) -> str:
        """The decision's name: "unsure", "unknown", the name of a class, or its number without
        names."""
        if self.decision < 0:
            return "unsure" if self.decision == UNSURE else "unknown"
        return self.labels[self.decision] if self.labels else str(self.decision)

    def step(self, x: "Sequence[int]", dt: int) -> "int | None":
        """Run the model on `x` (int16, array('h')), `dt` ticks after the step before; returns what
        `update` does."""
        self._model.step(x, self.y, dt)
        self.see(x)
        return self.update(self.y, dt)

    def see(self, x: "Sequence[int]") -> None:
        """The inputs `x` (int16) of the step of which `update` gets the outputs next."""
        if self._unknown is not None:
            self._unknown.add(x)

    def update(self, y: "Sequence[int]", dt: int) -> "int | None":
        """The outputs `y` of one step and its dt in ticks, after `see` got its inputs. Returns
        None, and the decision where a window ends."""
        if self.window.add(y, dt):
            return self.end()
        return None

    def end(self) -> "int | None":
        """End the window here, as at the end of a sequence that its model takes as a whole.
        Returns the decision; None where the window has no step."""
        window, rule = self.window, self.rule
        if not window.count:
            return None
        centres = self._centres
        new = argmax(window.result) if centres is None else centres.decide(window)
        self.margin = window.margin()
        length = window.elapsed if rule.ticks else window.count
        unknown = self._unknown
        if unknown is not None and unknown.count and unknown.far():
            new = UNKNOWN
        self.start()
        if rule.reset and self._model is not None:
            self._model.reset()
        if rule.votes > 1:
            new = self._vote(new)
        if new >= 0 and self.margin < (rule.leave if new == self.decision else rule.enter):
            new = UNSURE
        if new != self._new:
            self._new = new
            self._held = 0
        if self._held < rule.least:
            self._held += length
        if self._held >= rule.least:
            self.decision = new
        return self.decision

    def _vote(self, new: int) -> int:
        """What most of the last windows chose, a class or UNKNOWN; on a tie, the latest."""
        if new == UNKNOWN:
            new = len(self._wins) - 1
        wins, classes = self._wins, self._classes
        at, votes = self._at, self.rule.votes
        if self._voters == votes:
            wins[classes[at]] -= 1
        else:
            self._voters += 1
        classes[at] = new
        self._margins[at] = self.margin
        wins[new] += 1
        self._at = (at + 1) % votes
        best = at
        for k in range(1, self._voters):
            other = (at - k) % votes
            if wins[classes[other]] > wins[classes[best]]:
                best = other
        self.margin = self._margins[best]
        new = classes[best]
        return new if new < len(wins) - 1 else UNKNOWN
