"""Numbers as exact fractions and decimals, so that a board whose floats are short, or which has
none, computes what a PC does.

A number is an int, a finite float, or a text such as "-12.50" or "1e-3".
"""

from math import frexp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LARGEST = 10**18  # absolute value of a number, and of one over the smallest
_LONGEST = 40  # characters of a number in a text
_PLACES = 9  # decimals of a number in a policy


def fraction(value: "Any") -> "tuple[int, int]":
    """(n, d) with value = n / d, exactly; d is above 0. Raises ValueError for what is no number,
    and for one of 10**18 or more."""
    kind = type(value)
    if kind is int:
        n, d = value, 1
    elif kind is float:
        if value - value != 0 or abs(value) > 2e18:
            raise ValueError("not a number in range")
        m, e = frexp(value)
        n, d = int(m * 9007199254740992.0), 1
        if e > 53:
            n <<= e - 53
        else:
            d <<= 53 - e
    elif kind is str:
        n, d = _of_text(value)
    else:
        raise ValueError("not a number")
    if abs(n) >= LARGEST * d:
        raise ValueError("not a number in range")
    return n, d


def _of_text(text: str) -> "tuple[int, int]":
    text = text.strip(" \t")
    at = 1 if text[:1] in ("-", "+") else 0
    digits = places = power = 0
    n, point = 0, False
    if len(text) > _LONGEST:
        raise ValueError("not a number")
    while at < len(text):
        c = text[at]
        if "0" <= c <= "9":
            n = 10 * n + ord(c) - 48
            digits += 1
            places += point
        elif c == "." and not point:
            point = True
        elif c in ("e", "E") and digits:
            power = _power(text[at + 1 :])
            break
        else:
            raise ValueError("not a number")
        at += 1
    if not digits:
        raise ValueError("not a number")
    if text[0] == "-":
        n = -n
    power -= places
    return (n * 10**power, 1) if power > 0 else (n, 10**-power)


def _power(text: str) -> int:
    sign = -1 if text[:1] == "-" else 1
    if text[:1] in ("-", "+"):
        text = text[1:]
    if not 1 <= len(text) <= 2 or not all("0" <= c <= "9" for c in text):
        raise ValueError("not a number")
    return sign * int(text)


def decimal(value: float) -> "tuple[int, int]":
    """(n, places) with value = n / 10**places: what a person wrote in a policy, in up to six
    digits. Raises ValueError where nine decimals do not hold it."""
    if type(value) is int:
        return value, 0
    for places in range(_PLACES + 1):
        scaled = value * 10**places
        n = round(scaled)
        if abs(scaled - n) <= abs(scaled) * 1e-6:
            return n, places
    raise ValueError("expected a number with at most %d decimals" % _PLACES)


def number(n: int, places: int) -> float:
    """n / 10**places: an int where it is whole, else the nearest float."""
    one: int = 10**places
    return n / one if n % one else n // one
