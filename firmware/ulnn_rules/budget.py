"""How much privacy noise has cost: counted, kept over restarts, refused when it is spent."""

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MILLION = 1000000
BILLION = 1000000000


class Budget:
    """What may be spent on each person: epsilon, in millionths, and delta, in billionths.

    path: the file that remembers it; "" for none. ahead: uses that are written to it before they
    happen, so that flash is not written at each; after a restart they count as spent. 0: nothing
    is written but by `save`.
    Raises ValueError for a file that is damaged: what was spent is not known, then.
    """

    def __init__(self, epsilon: int, delta: int = 0, path: str = "", ahead: int = 16) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.path = path
        self.ahead = ahead
        self._spent = _read(path) if path else {}
        self._written = {who: tuple(self._spent[who]) for who in self._spent}

    def spent(self, who: str = "") -> "tuple[int, int]":
        """Epsilon in millionths and delta in billionths."""
        found = self._spent.get(who)
        return (found[0], found[1]) if found else (0, 0)

    def take(self, epsilon: int, delta: int = 0, who: str = "") -> bool:
        """Spend on one value; False where it is not there, or cannot be written down."""
        was = self.spent(who)
        now = [was[0] + epsilon, was[1] + delta]
        if now[0] > self.epsilon or now[1] > self.delta:
            return False
        if self.ahead and self.path:
            known = self._written.get(who, (0, 0))
            if now[0] > known[0] or now[1] > known[1]:
                self._written[who] = (
                    min(was[0] + self.ahead * epsilon, self.epsilon),
                    min(was[1] + self.ahead * delta, self.delta),
                )
                try:
                    _write(self.path, self._written)
                except OSError:
                    self._written[who] = known
                    return False
        self._spent[who] = now
        return True

    def save(self) -> None:
        """Write what was spent, exactly; before a restart that is planned. Raises OSError."""
        if self.path:
            _write(self.path, self._spent)
            self._written = {who: tuple(self._spent[who]) for who in self._spent}


def _read(path: str) -> "dict[str, list[int]]":
    """What is spent: the larger of the file and of a newer one that a power cut left."""
    found: "dict[str, list[int]]" = {}
    seen = whole = False
    for name in (path, path + ".tmp"):
        try:
            with open(name) as f:
                text = f.read()
        except OSError:
            continue
        seen = True
        try:
            content: "Any" = json.loads(text)
            for who in content:
                epsilon, delta = content[who]
                if type(epsilon) is not int or type(delta) is not int:
                    raise ValueError
                old = found.get(who, (0, 0))
                found[who] = [max(old[0], epsilon), max(old[1], delta)]
            whole = True
        except (ValueError, TypeError, LookupError):
            pass
    if seen and not whole:
        raise ValueError("budget %s: damaged, so what is spent is not known" % path)
    return found


def _write(path: str, spent: "dict[str, Any]") -> None:
    temporary = path + ".tmp"
    with open(temporary, "w") as f:
        f.write(json.dumps(spent))
    try:
        os.rename(temporary, path)
    except OSError:  # FAT does not rename over a file
        os.remove(path)
        os.rename(temporary, path)
