"""Sequences in `.npz` files.

The `.npz` contract: `x` float (T, I) or (N, T, I); `dt` float seconds since the previous sample,
(T,) or (N, T); optional `y` (one integer or float target per sequence or per step), `per`
("sequence" or "step": which of them, where the shape fits both), `length` (N,) valid steps (the
rest is padding), `group` (N,) for splits (a person, a machine), `origin` (N,) recordings; names:
`channels`, `labels` (of the classes), `groups`.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base import archives, files
from ..base.errors import UlnnError
from .sequences import Sequences, names_of, whole_numbers, without_words

DATA_LIMIT = 1 << 32  # bytes to which a file may unpack


def load_npz(path: Path) -> Sequences:
    """Sequences from a file of that form. Raises UlnnError with the file's name."""
    try:
        return from_arrays(read_arrays(path))
    except UlnnError as error:
        text = str(error)
        raise UlnnError(text if text.startswith(str(path)) else f"{path}: {text}") from None


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file. Raises UlnnError with the file's name."""
    try:
        return archives.read_npz(path, DATA_LIMIT)
    except FileNotFoundError:
        raise UlnnError(f"{path}: no such file") from None
    except (UlnnError, OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise UlnnError(f"{path}: not a readable .npz file ({error})") from None


def from_arrays(arrays: dict[str, NDArray[Any]]) -> Sequences:
    """Sequences from the arrays of an `.npz` file. Raises UlnnError."""
    for key in ("x", "dt"):
        if key not in arrays:
            found = ", ".join(sorted(arrays)) or "nothing"
            raise UlnnError(f"key {key!r} is missing, found {found}")
    arrays, labels = without_words(arrays, "y", "labels")
    arrays, groups = without_words(arrays, "group", "groups")
    for key in ("x", "dt", "length", "y", "group", "origin"):
        if key in arrays and arrays[key].dtype.kind not in "fiub":
            raise UlnnError(f"{key} holds {arrays[key].dtype}, expected numbers")
    x, dt, y = arrays["x"], arrays["dt"], arrays.get("y")
    per = str(arrays.get("per", ""))
    flat = x.ndim == 2
    if flat:
        steps = x.shape[0]
        x, dt = x[None], dt[None] if dt.ndim == 1 else dt
        if y is not None:
            whole = y.shape[:1] == (steps,) or y.ndim == 0 or per
            y = y[None] if whole else y
    if x.ndim != 3:
        raise UlnnError(f"x has shape {x.shape}, expected (T, I) or (N, T, I)")
    length = arrays.get("length", np.full(x.shape[0], x.shape[1]))
    if y is not None:
        y = y.astype(np.float32 if y.dtype.kind == "f" else np.int64)
    group, origin = (
        whole_numbers(key, np.atleast_1d(arrays[key])) if key in arrays else None
        for key in ("group", "origin")
    )
    return Sequences(
        x=x.astype(np.float32, copy=False),
        dt=dt.astype(np.float32, copy=False),
        length=np.atleast_1d(length),
        y=y,
        group=group,
        origin=origin,
        labels=labels,
        flat=flat,
        channels=names_of(arrays, "channels"),
        groups=groups,
        per=per,
    )


def save_npz(path: str | Path, data: Sequences) -> None:
    """Write the file; a flat one without the leading axis."""
    arrays: dict[str, Any] = {"x": data.x, "dt": data.dt}
    if data.y is not None:
        arrays["y"] = data.y
    if data.flat:
        arrays = {key: value[0] for key, value in arrays.items()}
    if (data.length < data.x.shape[1]).any():
        arrays["length"] = data.length
    for key, values in (("group", data.group), ("origin", data.origin)):
        if values is not None:
            arrays[key] = values
    for name in ("labels", "channels", "groups"):
        if getattr(data, name):
            arrays[name] = np.array(getattr(data, name), str)
    if data.per and data.y is not None:
        arrays["per"] = np.array(data.per)
    with files.replacing(path) as file:
        np.savez(file, **arrays)
