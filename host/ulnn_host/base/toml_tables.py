"""TOML tables as dataclasses that refuse what they do not know.

A field is a bool, int, float or str, one of several of them (`int | str`), a tuple of one, a
dataclass (a table of its own), a `dict[str, Any]` (a table that is taken as it is), or a tuple of
those. `number`, `positive` and `choice` make fields with a rule; `check` holds a dataclass that
was made in another way to them.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from .errors import UlnnError

T = TypeVar("T")
WORDS = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}


def number(default: Any, low: float = -math.inf, high: float = math.inf) -> Any:
    """A finite number (or each number of a list) from low to high."""
    return field(default=default, metadata={"range": (low, high)})


def positive(default: Any) -> Any:
    """A finite number (or each number of a list) above 0."""
    return field(default=default, metadata={"positive": True})


def choice(default: str, *names: str) -> Any:
    """One of the names."""
    return field(default=default, metadata={"choice": names})


def table(kind: type[T], content: Mapping[str, Any], prefix: str = "") -> T:
    """The dataclass `kind` of a parsed table. Raises UlnnError that names the first wrong key."""
    hints = get_type_hints(kind)
    known = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in content:
        if key not in known:
            raise unknown_key(key, known, prefix)
    values = {}
    for name, spec in known.items():
        if name in content:
            values[name] = _value(hints[name], content[name], prefix + name, spec.metadata)
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise UlnnError(f"key {prefix}{name} is missing")
    return kind(**values)


def check(made: Any) -> None:
    """Hold a dataclass to the rules of its fields; None breaks none. Raises UlnnError that names
    the first field that does."""
    hints = get_type_hints(type(made))
    for spec in dataclasses.fields(made):
        value = getattr(made, spec.name)
        if spec.metadata and value is not None:
            value = value.item() if hasattr(value, "item") else value  # of numpy
            _value(hints[spec.name], value, spec.name, spec.metadata)


def unknown_key(key: str, known: Iterable[str], prefix: str = "") -> UlnnError:
    """The error for a key that is none of the known ones; it names the nearest one."""
    names = tuple(known)
    near = difflib.get_close_matches(key, names, 1)
    known_keys = f"{prefix}{near[0]}" if near else f"one of {', '.join(names)}"
    return UlnnError(f"unknown key {prefix}{key}, expected {known_keys}")


def _value(hint: Any, value: Any, name: str, rule: Mapping[str, Any]) -> Any:
    if dataclasses.is_dataclass(hint) or get_origin(hint) is dict:
        if not isinstance(value, Mapping):
            raise UlnnError(f"{name} is {value!r}, expected a table [{name}]")
        return table(hint, value, f"{name}.") if isinstance(hint, type) else dict(value)
    listed = next((arm for arm in get_args(hint) if get_origin(arm) is tuple), None)
    if listed is not None:
        plain = next(arm for arm in get_args(hint) if arm is not listed)
        return _value(listed if isinstance(value, list | tuple) else plain, value, name, rule)
    if get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)):
            raise UlnnError(f"{name} is {value!r}, expected a list")
        return tuple(_value(get_args(hint)[0], v, name, rule) for v in value)
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not type(None)]
    if kinds == [float] and type(value) is int:
        value = float(value)
    if type(value) not in kinds:
        expected = " or ".join(WORDS[kind] for kind in kinds)
        raise UlnnError(f"{name} is {value!r}, expected {expected}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UlnnError(f"{name} is {value}, expected a finite number")
    if "positive" in rule and not value > 0:
        raise UlnnError(f"{name} is {value}, expected a number above 0")
    if "range" in rule:
        low, high = rule["range"]
        if not low <= value <= high:
            limit = " or more" if high == math.inf else f" to {_plain(high)}"
            raise UlnnError(f"{name} is {value}, expected {_plain(low)}{limit}")
    if "choice" in rule and value not in rule["choice"]:
        raise UlnnError(f"{name} is {value!r}, expected one of {', '.join(rule['choice'])}")
    return value


def _plain(limit: float) -> str:
    return str(limit) if isinstance(limit, int) else f"{limit:g}"
