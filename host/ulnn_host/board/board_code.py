"""Packages that are made for boards and do not touch hardware when they are imported: here they
check on a PC what a board would refuse."""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from types import ModuleType

from ..base.paths import board_files


def package(name: str) -> ModuleType:
    """`firmware/NAME` (ulnn_sources, ulnn_sinks, ulnn_app), imported under its own name. Its
    modules can be imported afterwards."""
    if name not in sys.modules:
        folder = board_files(f"firmware/{name}")
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def module(name: str) -> ModuleType:
    """A module of such a package, as `ulnn_app.settings`."""
    for top in ("ulnn_sources", "ulnn_sinks", "ulnn_app"):
        package(top)
    return import_module(name)
