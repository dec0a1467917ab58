"""Tables of TOML as dataclasses, and text of strangers on one line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from ulnn_host.base.errors import UlnnError, one_line
from ulnn_host.base.toml_tables import check, choice, number, positive, table


@dataclass(frozen=True)
class Inner:
    """A table in a table."""

    size: int = number(1, 1, 9)


@dataclass(frozen=True)
class Outer:
    """One field of each kind."""

    name: str
    kind: str = choice("a", "a", "b")
    scale: float = positive(1.0)
    values: tuple[float, ...] = ()
    inner: Inner = Inner()
    notes: dict[str, Any] = field(default_factory=dict)
    rows: tuple[dict[str, Any], ...] = ()


def test_what_is_right_becomes_a_dataclass() -> None:
    content = {"name": "n", "scale": 2, "values": [1, 2.5], "inner": {"size": 3},
               "notes": {"any": [1]}, "rows": [{"a": 1}, {}]}  # fmt: skip
    made = table(Outer, content)
    assert made == Outer("n", "a", 2.0, (1.0, 2.5), Inner(3), {"any": [1]}, ({"a": 1}, {}))
    assert [type(value) for value in made.values] == [float, float]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"nmae": 1}, "unknown key nmae, expected name"),
        ({"x": 1}, "unknown key x, expected one of name, kind, scale, values, inner, notes, rows"),
        ({"inner": {"siz": 1}}, "unknown key inner.siz, expected inner.size"),
        ({"inner": {"size": 10}}, "inner.size is 10, expected 1 to 9"),
        ({"inner": 3}, r"inner is 3, expected a table \[inner\]"),
        ({"name": None}, "name is None, expected a string"),
        ({"kind": "c"}, "kind is 'c', expected one of a, b"),
        ({"scale": -1}, "scale is -1.0, expected a number above 0"),
        ({"scale": True}, "scale is True, expected a number"),
        ({"values": 1.0}, "values is 1.0, expected a list"),
        ({"values": [float("inf")]}, "values is inf, expected a finite number"),
        ({"notes": []}, r"notes is \[\], expected a table"),
        ({"rows": [1]}, r"rows is 1, expected a table"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], match: str) -> None:
    with pytest.raises(UlnnError, match=match):
        table(Outer, {"name": "n"} | change)
    with pytest.raises(UlnnError, match="key name is missing"):
        table(Outer, {})


def test_text_of_strangers_is_one_line() -> None:
    assert one_line("fc\x1b[31m.weight\n  \x07is  missing") == "fc[31m.weight is missing"


@dataclass(frozen=True)
class Checked:
    """Made by a call, held to the same rules."""

    scale: float | None = positive(None)
    size: int = number(1, 1, 2**32 - 1)
    free: float = 0.0

    def __post_init__(self) -> None:
        check(self)


def test_a_dataclass_that_is_called_keeps_its_rules() -> None:
    assert Checked(scale=2, free=float("nan")).scale == 2
    Checked(scale=np.float32(0.5), size=np.int64(3))  # type: ignore[arg-type]
    for key, value, text in (
        ("scale", float("nan"), "scale is nan, expected a finite number"),
        ("scale", -1, "scale is -1.0, expected a number above 0"),
        ("size", 0, "size is 0, expected 1 to 4294967295"),
        ("size", 1.5, "size is 1.5, expected a whole number"),
        ("size", True, "size is True, expected a whole number"),
        ("scale", "1", "scale is '1', expected a number"),
    ):
        with pytest.raises(UlnnError, match=text):
            Checked(**{key: value})  # type: ignore[arg-type]
