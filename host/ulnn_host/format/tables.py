"""The lookup tables of SPEC.md 2.4: tanh, erf for gelu, and a decay for mode `pure`.

`python -m ulnn_host.format.tables` prints the SHA-256 of each, as in tests/format/tables.json.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable

import numpy as np

from .model import Table

SEGMENTS = 512
LIMIT = 32767


def make_table(function: Callable[[float], float]) -> Table:
    """The minimax line of `function` (values in -1 .. 1) on each segment of 1/32 over -8 .. 8."""
    slope = np.zeros(SEGMENTS, np.int16)
    offset = np.zeros(SEGMENTS, np.int16)
    for k in range(SEGMENTS):
        x0 = (k - SEGMENTS // 2) / 32
        y0, y1, middle = function(x0), function(x0 + 1 / 32), function(x0 + 1 / 64)
        slope_k = _round((y1 - y0) * 32 * 8192)
        line = (y0 + y1) / 4 + middle / 2
        offset_k = _round(line * 32768 - slope_k * (x0 + 1 / 64) * 4 + 0.5)
        u0 = (k - SEGMENTS // 2) * 8192
        ends = [(u * slope_k) >> 16 for u in (u0, u0 + 8191)]
        offset_k = max(-LIMIT - min(ends), min(LIMIT - max(ends), offset_k))
        slope[k], offset[k] = slope_k, offset_k
    return Table(slope, offset)


def tanh_table() -> Table:
    """Table 0 of every model with tanh, lecun_tanh or silu units, and of every CfC layer."""
    return make_table(math.tanh)


def erf_table() -> Table:
    """The gate of gelu: gelu(x) = x (1 + erf(x / sqrt 2)) / 2."""
    return make_table(lambda x: math.erf(x / math.sqrt(2)))


def decay_table() -> Table:
    """exp(-x), 1 below 0, of mode `pure` (SPEC.md 3.5)."""
    return make_table(lambda x: math.exp(-max(0.0, x)))


def table_bytes(table: Table) -> bytes:
    """The 2048 bytes of a TABLE section."""
    return np.stack([table.slope, table.offset], axis=1).astype("<i2").tobytes()


def first_bad_segment(table: Table) -> int | None:
    """The first segment that leaves -32767 .. 32767 at one of its ends, or None."""
    start = (np.arange(SEGMENTS, dtype=np.int64) - SEGMENTS // 2) * 8192
    ends = np.stack([start, start + 8191]) * table.slope.astype(np.int64) >> 16
    bad = (np.abs(ends + table.offset.astype(np.int64)) > LIMIT).any(axis=0)
    return int(np.argmax(bad)) if bad.any() else None


def _round(value: float) -> int:
    return math.floor(value + 0.5)


def digests() -> dict[str, str]:
    """SHA-256 of the table bytes, by name."""
    tables = {"tanh": tanh_table(), "erf": erf_table(), "decay": decay_table()}
    return {name: hashlib.sha256(table_bytes(table)).hexdigest() for name, table in tables.items()}


if __name__ == "__main__":
    print(json.dumps(digests(), indent=2))
