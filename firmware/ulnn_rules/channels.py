"""Which channel of a source is which input of a model: by their names, in the same unit."""

from array import array
from math import ldexp

from ulnn_rules import float64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

RULES = ("same", "convert", "ignore")
# float32 numbers m * 2 ** e: boards do not all read decimals alike.
_KNOWN = {
    ("g", "m/s2"): (10283018, -20),
    ("m/s2", "g"): (13686399, -27),
    ("deg/s", "rad/s"): (9370165, -29),
    ("rad/s", "deg/s"): (15019745, -18),
    ("mV", "V"): (8589935, -33),
    ("V", "mV"): (1000, 0),
}
_SPELLINGS = {"m/s^2": "m/s2", "m/s²": "m/s2", "m/s/s": "m/s2", "°/s": "deg/s", "dps": "deg/s"}


def order(names: "Sequence[str]", inputs: "Sequence[str]", size: int) -> "list[int]":
    """The channel for each of `size` inputs of a model. names: of the source's channels; inputs:
    of the model's inputs. Where either names none (() or "") they are the channels, one by one.

    Raises ValueError where an input has no channel, or the numbers differ.
    """
    if not inputs or not any(names):
        if len(names) != size:
            raise ValueError(
                "the source has %d channels (%s), the model %d inputs, and no names to go by: "
                "list the channels to take" % (len(names), ", ".join(names), size)
            )
        return list(range(size))
    if len(inputs) != size:
        raise ValueError("%d channels are named, the model has %d inputs" % (len(inputs), size))
    found = []
    for name in inputs:
        if name not in names:
            raise ValueError("no channel %s: the source has %s" % (name, ", ".join(names)))
        found.append(list(names).index(name))
    return found


def spelled(unit: str) -> str:
    """A unit in the one spelling of it that is compared."""
    return _SPELLINGS.get(unit, unit)


def factors(
    names: "Sequence[str]", given: "Sequence[str]", wanted: "Sequence[str]", rule: str = "same"
) -> "list[float]":
    """What the values of each input are multiplied with, to be in the model's unit: 1.0 but for
    rule "convert". names: of the inputs. given, wanted: units of the source and of the model, ""
    where one is not known; () for none. rule: one of RULES.

    Raises ValueError where units differ and the rule is "same", or no factor is known.
    """
    found = []
    for k in range(len(names)):
        unit = spelled(given[k])
        other = spelled(wanted[k]) if wanted else ""
        factor = 1.0
        if unit and other and unit != other and rule != "ignore":
            if (unit, other) not in _KNOWN:
                raise ValueError(
                    'channel %s is in %s, the model takes %s: no conversion is known, "ignore" '
                    "takes the numbers as they are" % (names[k], given[k], wanted[k])
                )
            if rule != "convert":
                raise ValueError(
                    'channel %s is in %s, the model takes %s: set units to "convert"'
                    % (names[k], given[k], wanted[k])
                )
            factor = ldexp(*_KNOWN[unit, other])
        found.append(factor)
    return found


def product(values: "Sequence[float]", by: "Sequence[float]") -> "array[float]":
    """Each of `values` times each of `by`, all taken as float32, rounded once: the same bits on
    every board."""
    a, b, out = array("f", values), array("f", by), array("f", values)
    for k in range(len(out)):
        if b[k] != 1:
            out[k] = float64.product(a[k], b[k])
    return out
