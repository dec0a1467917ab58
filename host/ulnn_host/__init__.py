"""Liquid networks: trained on a PC, run in integers on microcontrollers, proven equal.

`api` has the names below; heavy packages are imported when a function needs them.
"""

# The room of this name is imported first, so that a later import does not put it in the place of
# the function.
from . import train as _room  # noqa: F401
from .api import Model, compare, convert, deploy, live, load, mask, read, record, train, validate
from .base.errors import UlnnError
from .base.version import __version__
from .data.sequences import Sequences

__all__ = [
    "Model",
    "Sequences",
    "UlnnError",
    "__version__",
    "compare",
    "convert",
    "deploy",
    "live",
    "load",
    "mask",
    "read",
    "record",
    "train",
    "validate",
]
