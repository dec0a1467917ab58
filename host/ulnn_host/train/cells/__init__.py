"""The cells that networks are made of: a file each.

A file that defines `CELL` is all that a cell needs to be trained, tuned and compared, to have a
size for a budget and its own keys in a recipe, and to come back from a checkpoint
(host/docs/cells.md).
"""

from __future__ import annotations

import importlib
import pkgutil

from ...base.errors import UlnnError
from .cell import Cell


def _found() -> dict[str, Cell]:
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    modules = [importlib.import_module(f"{__name__}.{name}") for name in sorted(names)]
    cells = [module.CELL for module in modules if hasattr(module, "CELL")]
    return {cell.name: cell for cell in cells}


CELLS = _found()


def cell_of(name: str) -> Cell:
    """The cell of that name. Raises UlnnError."""
    if name not in CELLS:
        raise UlnnError(f"cell is {name!r}, expected one of {', '.join(CELLS)}")
    return CELLS[name]
