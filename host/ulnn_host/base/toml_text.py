"""TOML text of plain values, which the standard library reads but does not write; and values that
are said on a command line.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import UlnnError


def dumps(table: Mapping[str, Any], prefix: str = "") -> str:
    """TOML of plain values, lists, tables and lists of tables; None is left out."""
    lines, tables = [], []
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            tables.append(f"\n[{name}]\n{dumps(value, name + '.')}")
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping):
            tables += [f"\n[[{name}]]\n{dumps(v, name + '.')}" for v in value]
        elif value is not None:
            lines.append(f"{key} = {_value(value)}\n")
    return "".join(lines + tables)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(v) for v in value)}]"
    return json.dumps(str(value), ensure_ascii=False)


def values(texts: Iterable[str]) -> dict[str, Any]:
    """The values of texts such as "epochs=50": TOML, or a word as it is. Raises UlnnError."""
    found: dict[str, Any] = {}
    for text in texts:
        key, sign, value = (part.strip() for part in text.partition("="))
        if not (key and sign and value):
            raise UlnnError(f"got {text!r}, expected KEY=VALUE such as epochs=50")
        if key in found:
            raise UlnnError(f"{key} is said twice, expected once")
        try:
            found[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key] = value
    return found
