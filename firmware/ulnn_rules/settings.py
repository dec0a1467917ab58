"""Settings of a person, as JSON gives them: checked against a table before anything starts.
The same code checks them on the board and, earlier, on the PC.

    TABLE = {"rate": Key(int, 100, 4, 1000), "range": Key(int, 2, choices=(2, 4, 8, 16))}
    settings = check({"rate": 200}, TABLE, "source")  # {"rate": 200, "range": 2}
"""

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REQUIRED = object()
_WORDS: "dict[type | None, str]" = {None: "a value"}
_WORDS.update({int: "a whole number", float: "a number", str: "a text", bool: "true or false"})
_WORDS.update({list: "a list", dict: "an object"})


class Key:
    """What one key may hold.

    kind: int, float (a whole number, too), str, bool, list or dict; None: anything, which somebody
    else checks. default: REQUIRED where the key must be there. low, high: of a number, or of the
    length of a text or a list; None: no limit. choices: the only values, () for no limit.
    """

    def __init__(
        self,
        kind: "type | None",
        default: "Any" = REQUIRED,
        low: "float | None" = None,
        high: "float | None" = None,
        choices: "tuple[Any, ...]" = (),
    ) -> None:
        self.kind = kind
        self.default = default
        self.low = low
        self.high = high
        self.choices = choices

    def _says(self) -> str:
        text = _WORDS[self.kind]
        if self.choices:
            return "one of " + ", ".join(str(v) for v in self.choices)
        of = " of length" if self.kind in (str, list) else ""
        if self.low is not None and self.high is not None:
            return "%s%s from %s to %s" % (text, of, self.low, self.high)
        if self.low is not None:
            return "%s%s of at least %s" % (text, of, self.low)
        return text if self.high is None else "%s%s of at most %s" % (text, of, self.high)

    def check(self, value: "Any", where: str) -> "Any":
        """`value`, if it fits. Raises ValueError: `where`, what was expected, what was seen."""
        kind = self.kind
        good = kind is None or type(value) is kind or (kind is float and type(value) is int)
        if good and kind is float:
            good = value - value == 0  # JSON of Python knows NaN and Infinity
        if good and self.choices:
            good = value in self.choices
        if good and kind not in (bool, dict):
            size = len(value) if kind in (str, list) else value
            good = (self.low is None or size >= self.low) and (
                self.high is None or size <= self.high
            )
        if not good:
            raise ValueError("%s: expected %s, got %r" % (where, self._says(), value))
        return value


def check(given: "Any", table: "dict[str, Key]", where: str) -> "dict[str, Any]":
    """Every key of `table`, from `given` or with its default. Raises ValueError for a key that
    is missing, not known or of another form; the text begins with `where` and the key."""
    if not isinstance(given, dict):
        raise ValueError("%s: expected an object, got %r" % (where, given))
    for name in given:
        if name not in table:
            known = ", ".join(sorted(table))
            raise ValueError("%s: %r is not a key of it; it has %s" % (where, name, known))
    found = {}
    for name in table:
        key = table[name]
        if name in given:
            found[name] = key.check(given[name], where + "." + name)
        elif key.default is REQUIRED:
            raise ValueError("%s.%s is missing: expected %s" % (where, name, key._says()))
        else:
            found[name] = key.default
    return found


def of_kind(
    package: str, kinds: "dict[str, str]", given: "Any", where: str
) -> "tuple[Any, dict[str, Any]]":
    """The module of a package that settings name by their "kind", and the other settings.

    kinds: names of modules by kind. Raises ValueError for no such kind; ImportError where the
    module is not on this board.
    """
    if not isinstance(given, dict) or given.get("kind") not in kinds:
        raise ValueError("%s.kind: expected one of %s" % (where, ", ".join(sorted(kinds))))
    name = kinds[given["kind"]]
    # MicroPython's __import__ gives the package, whose attribute the module is.
    module = getattr(__import__("%s.%s" % (package, name)), name)
    return module, {key: given[key] for key in given if key != "kind"}


def load(path: str, what: str = "") -> "Any":
    """What a file of JSON holds. Raises ValueError, which begins with `what` (the path) and shows
    nothing of what is in it."""
    try:
        with open(path) as f:
            return json.loads(f.read())
    except OSError:
        raise ValueError("%s: no such file" % (what or path)) from None
    except ValueError:
        raise ValueError("%s: not JSON" % (what or path)) from None
