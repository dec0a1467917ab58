"""What options say about the arrays of an .npz file, which has no columns and no lines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from .clocks import SLOW, rises, slow_step
from .columns import find
from .npz import from_arrays, read_arrays
from .options import TABLES_ONLY, UNITS, DataOptions
from .sequences import Sequences


def read_npz(path: Path, options: DataOptions) -> tuple[Sequences, list[str]]:
    """The sequences of a file, and lines about what looks wrong. Raises UlnnError."""
    arrays = read_arrays(path)
    try:
        for key in TABLES_ONLY:
            if getattr(options, key):
                raise UlnnError(f"{key} is for tables, this is an .npz file")
        kept = None
        numbers = arrays.get("x", np.zeros(0)).dtype.kind in "fiu"
        if numbers and (options.missing != "refuse" or options.missing_values):
            arrays, kept = _without_missing(arrays, options)
        data = from_arrays(arrays)
        if kept is not None:
            data = data.keep_steps(kept.reshape(data.dt.shape))
        data, doubts = _times(data, options.unit)
        if options.channels:
            data = _chosen(data, options.channels)
        if options.gap:
            data = split_gaps(data, options.gap)
    except UlnnError as error:
        raise UlnnError(f"{path}: {error}") from None
    return data, [f"{path}: {line}" for line in doubts]


def _times(data: Sequences, unit: str) -> tuple[Sequences, list[str]]:
    if rises(data.dt, data.mask):
        raise UlnnError(
            "dt rises from step to step: it holds timestamps, expected seconds since the "
            "previous sample (np.diff of the timestamps)"
        )
    if unit:
        return replace(data, dt=data.dt * np.float32(UNITS[unit])), []
    return data, [slow_step("dt", data.tick, data.tick)] if data.tick >= SLOW else []


def _chosen(data: Sequences, names: tuple[str, ...]) -> Sequences:
    if not data.channels:
        raise UlnnError("channels: the file has no names of channels")
    chosen = [find(name, data.channels, "channels") for name in names]
    names = tuple(data.channels[k] for k in chosen)
    return replace(data, x=data.x[..., chosen], channels=names)


def _without_missing(
    arrays: dict[str, NDArray[Any]], options: DataOptions
) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]:
    """Arrays without NaN in x, and which steps are kept."""
    x = arrays["x"].astype(np.float32)
    empty = np.isnan(x)
    for number in options.missing_values:
        empty |= arrays["x"] == number
    if options.missing == "refuse" and empty.any():
        at = ", ".join(str(k) for k in np.argwhere(empty)[0])
        raise UlnnError(
            f'x holds {int(empty.sum()):,} missing values, the first at [{at}]: missing = "hold" '
            'repeats the value before, missing = "drop" leaves the sample out'
        )
    x[empty] = np.nan
    if options.missing == "hold":
        axis = x.ndim - 2
        rows = np.arange(x.shape[axis]).reshape(-1, 1)
        last = np.maximum.accumulate(np.where(empty, -1, rows), axis=axis)
        x = np.take_along_axis(x, np.maximum(last, 0), axis)
        empty = last < 0
    kept: NDArray[np.bool_] = np.asarray(~empty.any(-1))
    return arrays | {"x": np.nan_to_num(x, nan=0.0, posinf=np.inf, neginf=-np.inf)}, kept


def split_gaps(data: Sequences, gap: float) -> Sequences:
    """The data with a new sequence wherever more than `gap` seconds passed."""
    late = (data.dt > gap) & data.mask
    late[:, 0] = False
    if not late.any():
        return data
    rows, starts = np.nonzero(late | (np.arange(data.dt.shape[1]) == 0))
    ends = np.append(starts[1:], 0)
    ends = np.where(ends > 0, ends, data.length[rows])
    cut = data.cut(rows, starts, ends - starts)
    dt = cut.dt.copy()
    dt[starts > 0, 0] = data.tick
    return replace(cut, dt=dt)
