"""The examples that a wearer gives in one session, checked before they count: what a part of them
teaches must not make decisions about the rest worse.

    s = Session(c, d)                       # Centres, and the Decider that uses them
    s.begin(2)                              # from here on the wearer does class 2
    while giving_examples():
        ended = d.step(x, dt) is not None
        s.add(d.y, dt, ended)
    if s.finish():
        c.save("/models/x.centres")
"""

from array import array

from ulnn_rules.readout import Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ulnn_rules.centres import Centres
    from ulnn_rules.decider import Decider

PARTS = 4  # of a window: so many pieces are one example


class Session:
    """Pieces of a quarter of a window each, with the class that they are examples of.

    most: pieces that fit, of about 2 * outputs + 4 bytes; later ones are counted in `dropped`.
    Raises ValueError where a window has fewer than four samples, or no known length.

    The check sees this session only: the wearer's next one can still be worse. Examples from two
    sessions help.
    """

    def __init__(self, centres: "Centres", decider: "Decider", most: int = 64) -> None:
        rule = decider.rule
        if rule.readout not in ("last", "mean") or rule.window < PARTS:
            raise ValueError("session: expected a window of 4 or more steps, with mean or last")
        n = rule.output_size
        self._centres = centres
        self._piece = Window(rule.readout, n, rule.window // PARTS, rule.ticks)
        self._values = array("h", [0] * (n * most))
        self._counts = array("H", [0] * most)
        self._classes = array("h", [0] * most)
        self._example = array("h", [0] * n)
        self._most = most
        self._class = -1
        self.pieces = self.dropped = self._in_window = 0

    def begin(self, c: int) -> None:
        """What follows are examples of class c; -1: of none. What there is of a piece is lost."""
        self._class = c
        self._in_window = 0
        self._piece.start()

    def add(self, y: "Sequence[int]", dt: int, ended: bool) -> None:
        """The outputs of one step, its dt in ticks, and whether the decider's window ended with
        it. Allocates nothing."""
        piece = self._piece
        full = piece.add(y, dt)
        if ended or (full and self._in_window < PARTS - 1):
            self._store()
            piece.start()
            self._in_window = 0 if ended else self._in_window + 1

    def _store(self) -> None:
        if self._class < 0:
            return
        if self.pieces == self._most:
            self.dropped += 1
            return
        n = len(self._example)
        for k in range(n):
            self._values[self.pieces * n + k] = self._piece.value(k)
        self._counts[self.pieces] = min(self._piece.count, 65535)
        self._classes[self.pieces] = self._class
        self.pieces += 1

    def finish(self) -> bool:
        """Learn from all pieces, unless what the first three quarters of each class teach makes
        decisions about the last quarter worse (classes weigh the same). Returns whether it was
        learnt. The session is empty afterwards."""
        centres = self._centres
        classes = sorted(set(self._classes[: self.pieces]))
        found = [[i for i in range(self.pieces) if self._classes[i] == c] for c in classes]
        cuts = [3 * len(pieces) // 4 for pieces in found]
        before = self._right(classes, found, cuts)
        kept = centres.keep()
        self._learn(classes, found, cuts)
        worse = self._right(classes, found, cuts) < before
        centres.restore(kept)
        if not worse:
            self._learn(classes, found, [len(pieces) for pieces in found])
        self.clear()
        return not worse and len(classes) > 0

    def clear(self) -> None:
        """Drop all pieces."""
        self.pieces = self.dropped = 0
        self.begin(-1)

    def _right(self, classes: "list[int]", found: "list[list[int]]", cuts: "list[int]") -> int:
        n, total = len(self._example), 0
        for c, pieces, cut in zip(classes, found, cuts):  # noqa: B905, not in MicroPython
            right = 0
            for i in pieces[cut:]:
                right += self._centres.decide_values(self._values[i * n : i * n + n]) == c
            total += 10000 * right // (len(pieces) - cut)
        return total

    def _learn(self, classes: "list[int]", found: "list[list[int]]", cuts: "list[int]") -> None:
        n, example = len(self._example), self._example
        for c, pieces, cut in zip(classes, found, cuts):  # noqa: B905, not in MicroPython
            for first in range(0, cut, PARTS):
                group = pieces[first : min(first + PARTS, cut)]
                steps = 0
                for i in group:
                    steps += self._counts[i]
                for k in range(n):
                    s = 0
                    for i in group:
                        s += self._values[i * n + k] * self._counts[i]
                    example[k] = (s + steps // 2) // steps
                self._centres.learn_values(c, example)
