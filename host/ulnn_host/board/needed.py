"""Which modules of `firmware` a board gets: those that it uses, and what these import.

A name is a path there without suffix, such as ulnn_rules/scaling. What a module imports inside of
a function or condition is not on every board: a section of the model's file or a key of the
app's settings asks for it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from ulnn_rules import sections
from ulnn_rules.beats import BEATS
from ulnn_rules.centres import CENTRES
from ulnn_rules.features import FEATURES
from ulnn_rules.meaning import UNKNOWN

from ..base.paths import board_files
from . import board_code

RULES, APP, SOURCES, SINKS = "ulnn_rules", "ulnn_app", "ulnn_sources", "ulnn_sinks"
PACKAGES = (RULES, APP, SOURCES, SINKS)
PURE = (f"{RULES}/bands",)  # what the engine in Python has from elsewhere
_LOOP = "ulnn_stream"
_ALWAYS = (_LOOP, f"{RULES}/decider", f"{RULES}/scaling")
_BY_SECTION = {
    FEATURES: (f"{RULES}/features",),
    BEATS: (f"{RULES}/beats",),
    CENTRES: (f"{RULES}/centres", f"{RULES}/session"),
    UNKNOWN: (f"{RULES}/unknown",),
}
_BUS, _BUSIO = f"{SOURCES}/bus", f"{SOURCES}/busio_bus"  # the other one is CircuitPython's
_APP = ("__init__", "loop", "stored", "values", "words")
_BY_SETTING = {
    "alarm": (f"{APP}/alarm",),
    "policy": (f"{APP}/private", f"{RULES}/mask", f"{SOURCES}/masked"),
    "adapt": (f"{APP}/wearer",),
    "sinks": (f"{APP}/reports", f"{SINKS}/__init__"),
}


def of_model(data: bytes) -> set[str]:
    """What the serial loop, and a program that runs this model file, may import."""
    _, _, found = sections.read(data, tuple(_BY_SECTION))
    names = with_imports([*_ALWAYS, *(name for kind in found for name in _BY_SECTION[kind])])
    return names - {_LOOP}


def of_app(settings: Mapping[str, Any], data: bytes | None = None) -> set[str]:
    """What an app with these settings imports. Their kinds of sources and sinks are known.

    data: its model's file; without it what an app of any model does.
    """
    names = [f"{APP}/{stem}" for stem in _APP] + [f"{APP}/{stem}" for stem in _fronts(data)]
    names += [name for key in _BY_SETTING if settings.get(key) for name in _BY_SETTING[key]]
    if isinstance(settings.get("alarm"), list):
        names.append(f"{APP}/alarms")
    kinds = board_code.package(SINKS).KINDS if settings.get("sinks") else {}
    names += [f"{SINKS}/{kinds[sink['kind']]}" for sink in settings.get("sinks", [])]
    return with_imports([*names, *of_source(settings.get("source", {}).get("kind", ""))])


def _fronts(data: bytes | None) -> list[str]:
    kinds: dict[int, str] = board_code.module(f"{APP}.front").MODULES
    found = kinds if data is None else sections.read(data, tuple(kinds))[2]
    return [kinds[kind] for kind in found]


def source(kind: str) -> str:
    """The module of a source; of a kind that is not known, what all sources import."""
    return f"{SOURCES}/{board_code.package(SOURCES).KINDS.get(kind, 'base')}"


def of_source(kind: str) -> set[str]:
    """What a source of this kind imports."""
    found = with_imports([source(kind)])
    return found | ({_BUSIO} if _BUS in found else set())


def known(names: Iterable[str]) -> set[str]:
    """Those of the names that there is a module for."""
    return {name for name in names if _there(*name.split("/", 1))}


def with_imports(names: Iterable[str]) -> set[str]:
    """Modules with all that they import, and the `__init__` of their packages."""
    found: set[str] = set()
    ahead = set(names)
    while ahead:
        name = ahead.pop()
        found.add(name)
        package = name.partition("/")[0]
        inside = {f"{package}/__init__"} if package in PACKAGES else set()
        ahead |= (inside | _imports(name)) - found
    return found


@cache
def _imports(name: str) -> frozenset[str]:
    """Modules of our packages that this one imports as soon as it is imported."""
    tree = ast.parse(board_files(f"firmware/{name}.py").read_bytes())
    found = set()
    for line in tree.body:
        if isinstance(line, ast.ImportFrom) and line.module:
            package, _, stem = line.module.partition(".")
            if package in PACKAGES:
                stems = [stem] if stem else [alias.name for alias in line.names]
                found |= {f"{package}/{stem}" for stem in stems if _there(package, stem)}
        elif isinstance(line, ast.Import):
            for alias in line.names:
                if alias.name in PACKAGES:
                    found.add(f"{alias.name}/__init__")
    return frozenset(found)


def _there(package: str, stem: str) -> bool:
    return board_files(f"firmware/{package}").joinpath(f"{stem}.py").is_file()
