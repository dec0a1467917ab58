"""What decides about a training, as a hash: recipe, data, code."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import cache

import numpy as np

from ..base.paths import PACKAGE
from ..data.sequences import Sequences
from ..train.recipe import FILES, Recipe


def digest(*parts: bytes) -> str:
    """Of parts, whose borders count: 64 hexadecimal digits."""
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "little") + part)
    return found.hexdigest()


def of_recipe(recipe: Recipe) -> bytes:
    """All of a recipe but the places of files, which differ from machine to machine."""
    content = dataclasses.asdict(recipe)
    for key in FILES:
        del content["data"][key]
    return json.dumps(content, sort_keys=True).encode()


def of_data(*parts: Sequences) -> str:
    """Of all that sequences hold."""
    values = [getattr(data, f.name) for data in parts for f in dataclasses.fields(data)]
    return digest(
        *(v.tobytes() if isinstance(v, np.ndarray) else repr(v).encode() for v in values)
    )


@cache
def of_code(rooms: tuple[str, ...]) -> str:
    """Of the source of some rooms of the package, as it was when this was first asked."""
    files = sorted(path for room in rooms for path in (PACKAGE / room).rglob("*.py"))
    named = ((path.relative_to(PACKAGE).as_posix().encode(), path.read_bytes()) for path in files)
    return digest(*(part for pair in named for part in pair))
