"""What a policy does to one value: keep, drop, pseudonym, round, clip, noise.

An action is made of its settings (`ulnn_rules.settings`) and raises ValueError for those that do
not fit; `mask` raises Refused, with one of `REASONS`, for a value that must not go on.
"""

from ulnn_rules import exact, instants, noise, places
from ulnn_rules.float64 import nearest
from ulnn_rules.settings import REQUIRED, Key, check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ulnn_rules.keeper import Keys

    Record = dict[str, Any]

PURPOSES = ("store", "send", "log", "network")
REASONS = ("unknown", "dropped", "purpose", "waveform", "text", "unfit", "spent")
UNITS = {"s": 1, "ms": 1000, "us": 1000000, "ns": 1000000000}
_DELTAS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
_STEPS_MOST = 1000000


class Refused(Exception):
    """A value that does not go on. why: one of REASONS."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def _number(value: "Any") -> "tuple[int, int]":
    try:
        return exact.fraction(value)
    except ValueError:
        raise Refused("unfit") from None


def _text(value: "Any") -> str:
    """An id: a text without the spaces around it, or a whole number."""
    if type(value) is str:
        value = value.strip(" \t\r\n")
    elif type(value) is float and value == value and abs(value) < exact.LARGEST:
        value = str(int(value)) if value == int(value) else ""
    else:
        value = str(value) if type(value) is int else ""
    if not value:
        raise Refused("unfit")
    return str(value)


class Action:
    """purposes: for which a value may leave. many: how many numbers a list of it may have."""

    def __init__(self, given: "Any", where: str, own: "dict[str, Key]") -> None:
        table = {"do": Key(str), "for": Key(list, PURPOSES), "list": Key(int, 0, 0, 64)}
        table.update(own)
        self.set = check(given, table, where)
        for purpose in self.set["for"]:
            if purpose not in PURPOSES:
                raise ValueError("%s.for: expected some of %s" % (where, ", ".join(PURPOSES)))
        self.purposes = tuple(self.set["for"])
        self.many: int = self.set["list"]
        self.where = where

    def mask(self, value: "Any", record: "Record") -> "Any":
        """What may leave of a value that is not None. record: the one that it is of."""
        raise Refused("dropped")

    def decimal(self, key: str) -> "tuple[int, int]":
        """A number of the settings as `exact.decimal` gives it."""
        try:
            return exact.decimal(self.set[key])
        except ValueError as error:
            raise ValueError("%s.%s: %s" % (self.where, key, error)) from None


class Drop(Action):
    """Never leaves."""

    def __init__(self, given: "Any", where: str) -> None:
        super().__init__(given, where, {})


class Keep(Action):
    """Where words are named, those alone; else numbers, true and false, and free text only where
    it is allowed."""

    def __init__(self, given: "Any", where: str) -> None:
        super().__init__(given, where, {"words": Key(list, ()), "text": Key(bool, False)})
        self.words = self.set["words"]
        if self.words and self.set["text"]:
            raise ValueError("%s: expected words or text, not both" % where)

    def mask(self, value: "Any", record: "Record") -> "Any":
        if self.words:
            if not any(type(word) is type(value) and word == value for word in self.words):
                raise Refused("text" if type(value) is str else "unfit")
        elif type(value) is str:
            if not self.set["text"]:
                raise Refused("text")
        elif type(value) is not bool:
            _number(value)
        return value


class Pseudonym(Action):
    """A keyed pseudonym of a text or a whole number."""

    def __init__(self, given: "Any", where: str, name: str, keys: "Keys") -> None:
        table = {"length": Key(int, 16, 8, 64), "domain": Key(str, "")}
        super().__init__(given, where, table)
        self.domain: str = self.set["domain"] or name
        self._keys = keys

    def mask(self, value: "Any", record: "Record") -> "Any":
        return self._keys.pseudonym(self.domain, _text(value), self.set["length"])


_ROUND = {
    "step": Key(float, 0, 1e-9, 1000000000),
    "metres": Key(int, 0, 20, 1000000),
    "at": Key(str, ""),
    "bucket": Key(str, ""),
    "unit": Key(str, "s", choices=tuple(sorted(UNITS))),
}


class Round(Action):
    """To a grid: a step, metres of a place, a bucket of time."""

    def __init__(self, given: "Any", where: str) -> None:
        super().__init__(given, where, _ROUND)
        ways = [key for key in ("step", "metres", "bucket") if self.set[key]]
        if len(ways) != 1:
            raise ValueError("%s: expected one of step, metres and bucket" % where)
        self.way = ways[0]
        self.at: str = self.set["at"]
        if self.at and self.way != "metres":
            raise ValueError("%s.at: the latitude's field goes with metres" % where)
        if self.way == "step":
            self.step, self.places = self.decimal("step")
        elif self.way == "bucket":
            try:
                self.bucket = instants.bucket(self.set["bucket"])
            except ValueError as error:
                raise ValueError("%s.bucket: %s" % (where, error)) from None

    def mask(self, value: "Any", record: "Record") -> "Any":
        if self.way == "step":
            n, d = _number(value)
            k = nearest(n * 10**self.places, d * self.step)
            return exact.number(k * self.step, self.places)
        if self.way == "metres":
            return exact.number(self._place(value, record), places.PLACES)
        if type(value) is str and len(value) > 7 and value.find("-", 1) > 0:
            try:
                seconds, clock, zone = instants.parse(value)
            except ValueError:
                raise Refused("unfit") from None
            return instants.write(instants.start(seconds, self.bucket), clock, zone)
        n, d = _number(value)
        unit = UNITS[self.set["unit"]]
        return instants.start(n // (d * unit), self.bucket) * unit

    def _place(self, value: "Any", record: "Record") -> int:
        n, d = _number(value)
        metres: int = self.set["metres"]
        if abs(n) > (180 if self.at else 90) * d:
            raise Refused("unfit")
        if not self.at:
            return places.latitude(n, d, metres)
        north, of = _number(record.get(self.at))
        if abs(north) > 90 * of:
            raise Refused("unfit")
        return places.longitude(n, d, metres, places.latitude(north, of, metres))


_CLIP = {
    "low": Key(float, REQUIRED, -1000000000, 1000000000),
    "high": Key(float, REQUIRED, -1000000000, 1000000000),
    "step": Key(float, 0, 1e-9, 1000000000),
}


class Clip(Action):
    """Into low to high, and to a step there."""

    def __init__(self, given: "Any", where: str) -> None:
        super().__init__(given, where, _CLIP)
        self.low, self.high = self.decimal("low"), self.decimal("high")
        self.step, self.places = self.decimal("step") if self.set["step"] else (0, 0)
        if self.set["low"] >= self.set["high"]:
            raise ValueError("%s: expected low below high" % where)

    def mask(self, value: "Any", record: "Record") -> "Any":
        n, d = _number(value)
        k, dec = n, 0
        if self.step:
            k, dec, d = nearest(n * 10**self.places, d * self.step) * self.step, self.places, 1
        for (end, of), sign in ((self.low, -1), (self.high, 1)):
            if (k * 10**of - end * d * 10**dec) * sign > 0:
                return exact.number(end, of)
        return exact.number(k, dec) if self.step else value


_NOISE = {
    "kind": Key(str, "laplace", choices=("laplace", "gaussian")),
    "low": Key(float, REQUIRED, -1000000000, 1000000000),
    "high": Key(float, REQUIRED, -1000000000, 1000000000),
    "step": Key(float, 1, 1e-9, 1000000000),
    "epsilon": Key(float, REQUIRED, 0.000001, 100),
    "delta": Key(float, 0),
}


class Noise(Action):
    """Clipped into low to high, put on a grid, and noise added: differential privacy."""

    def __init__(
        self,
        given: "Any",
        where: str,
        random: "noise.Random",
        spend: "Callable[[int, int, Record], bool]",
    ) -> None:
        super().__init__(given, where, _NOISE)
        low, high, step = (self.decimal(key) for key in ("low", "high", "step"))
        self.places = max(low[1], high[1], step[1])
        self.low, top, self.step = (n * 10 ** (self.places - of) for n, of in (low, high, step))
        self.steps = (top - self.low) // self.step
        if self.steps < 1 or self.steps > _STEPS_MOST or self.steps * self.step + self.low != top:
            raise ValueError("%s: expected 1 to 1000000 steps from low to high" % where)
        self.epsilon, self.delta = micro(self, "epsilon"), 0
        self._random, self._spend = random, spend
        self._gauss = (0, 0)
        if self.set["kind"] == "gaussian":
            if self.set["delta"] not in _DELTAS:
                raise ValueError("%s.delta: expected 1e-3, 1e-4 ... or 1e-9" % where)
            digits = 3 + _DELTAS.index(self.set["delta"])
            self.delta = 10 ** (9 - digits)
            try:
                self._gauss = noise.variance(self.steps, self.epsilon, digits)
            except ValueError as error:
                raise ValueError("%s: %s" % (where, error)) from None
        elif self.set["delta"]:
            raise ValueError("%s.delta: goes with the kind gaussian" % where)

    def mask(self, value: "Any", record: "Record") -> "Any":
        n, d = _number(value)
        k = nearest(n * 10**self.places - self.low * d, d * self.step)
        k = min(max(k, 0), self.steps)
        if not self._spend(self.epsilon, self.delta, record):
            raise Refused("spent")
        if self.delta:
            k += self._random.gauss(self._gauss[0], self._gauss[1])
        else:
            k += self._random.laplace(self.steps * 1000000, self.epsilon)
        return exact.number(self.low + k * self.step, self.places)


def micro(action: "Action", key: str) -> int:
    """A number of the settings in millionths."""
    n, of = action.decimal(key)
    if of > 6:
        raise ValueError("%s.%s: expected at most 6 decimals" % (action.where, key))
    return n * int(10 ** (6 - of))
