"""Sequences of samples with their elapsed times: files, checks, windows, dropped samples,
statistics.

The `.npz` contract: `x` float (T, I) or (N, T, I); `dt` float seconds since the previous sample,
(T,) or (N, T); optional `y` (one integer or float target per sequence or per step), `length` (N,)
valid steps (the rest is padding), `group` (N,) for splits (a person, a machine), `origin` (N,)
recordings, `labels` (names of the classes). The state of a network is reset at the start of every
sequence.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..base import archives, files
from ..base.errors import UlnnError

Float = NDArray[np.float32]
Int = NDArray[np.int64]

TIME_COLUMNS = ("timestamp", "time", "t")
DATA_LIMIT = 1 << 32  # bytes to which an .npz file may unpack
UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class Sequences:
    """N sequences of up to T samples of I channels.

    x: (N, T, I); dt: (N, T), seconds since the previous sample; length: (N,), valid steps. y:
    targets, integers for classes, shape (N,) per sequence or (N, T) per step, floats (N, O) or (N,
    T, O). group: (N,) integers, who or what each sequence comes from. labels: names of the
    classes. origin: (N,), which recording each window was cut from. flat: the file held one
    sequence without the leading axis. Making one checks it: UlnnError names the first thing that
    is wrong.
    """

    x: Float
    dt: Float
    length: Int
    y: NDArray[Any] | None = None
    group: Int | None = None
    labels: tuple[str, ...] = ()
    origin: Int | None = None
    flat: bool = False

    def __post_init__(self) -> None:
        if self.x.ndim != 3 or 0 in self.x.shape:
            raise UlnnError(
                f"x has shape {self.x.shape}, expected (T, I) or (N, T, I), none of them 0"
            )
        n, steps, _ = self.x.shape
        if self.dt.shape != (n, steps):
            raise UlnnError(f"dt has shape {self.dt.shape}, expected {(n, steps)} to match x")
        if self.length.shape != (n,):
            raise UlnnError(f"length has shape {self.length.shape}, expected {(n,)} to match x")
        if self.length.min() < 1 or self.length.max() > steps:
            bad = int(np.argmax((self.length < 1) | (self.length > steps)))
            raise UlnnError(
                f"length of sequence {bad} is {self.length[bad]}, expected 1 to {steps}"
            )
        valid = self.mask
        self._refuse(valid & ~np.isfinite(self.x).all(-1), "x is not a finite number")
        self._refuse(valid & ~np.isfinite(self.dt), "dt is not a finite number")
        self._refuse(valid & ~(self.dt > 0), "dt is not above 0 seconds")
        # padding may hold anything, but NaN must not reach a sum over all steps
        if not (np.isfinite(self.x).all() and np.isfinite(self.dt).all()):
            object.__setattr__(self, "x", np.where(valid[..., None], self.x, np.float32(0)))
            object.__setattr__(self, "dt", np.where(valid, self.dt, np.float32(1)))
        if self.y is not None:
            if self.y.ndim < 1 or self.y.shape[0] != n:
                raise UlnnError(f"y has shape {self.y.shape}, expected ({n}, ...) to match x")
            if self.y.dtype.kind == "f" and not np.isfinite(self._valid_y()).all():
                raise UlnnError("y holds values that are not finite numbers")
        for name, values in (("group", self.group), ("origin", self.origin)):
            if values is not None and values.shape != (n,):
                raise UlnnError(f"{name} has shape {values.shape}, expected {(n,)} to match x")

    def _refuse(self, bad: NDArray[np.bool_], what: str) -> None:
        if bad.any():
            sequence, step = (int(v) for v in np.argwhere(bad)[0])
            where = f"step {step}" if self.flat else f"sequence {sequence}, step {step}"
            raise UlnnError(f"{what} at {where}: clean the recording before it is used")

    def _valid_y(self) -> NDArray[Any]:
        assert self.y is not None
        per_step = self.y.ndim >= 2 and self.y.shape[1] == self.x.shape[1]
        return self.y[self.mask] if per_step else self.y

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(N, T): which steps are valid."""
        return np.arange(self.x.shape[1]) < self.length[:, None]

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def take(self, index: NDArray[Any]) -> Sequences:
        """The sequences of an index array or boolean mask, in that order."""
        y, group, origin = (
            None if a is None else a[index] for a in (self.y, self.group, self.origin)
        )
        if np.zeros(len(self))[index].size == 0:
            raise UlnnError("no sequence is left after the selection")
        return replace(
            self,
            x=self.x[index],
            dt=self.dt[index],
            length=self.length[index],
            y=y,
            group=group,
            origin=origin,
            flat=False,
        )

    def split(self, held_out: Collection[int]) -> tuple[Sequences, Sequences]:
        """(the rest, the sequences whose group is in held_out)."""
        if self.group is None:
            raise UlnnError("the data have no group, so they cannot be split by group")
        chosen = np.isin(self.group, np.array(sorted(held_out), np.int64))
        missing = set(held_out) - set(self.group.tolist())
        if missing:
            raise UlnnError(f"group {min(missing)} is not in the data")
        return self.take(~chosen), self.take(chosen)

    def drop_samples(self, fraction: float, rng: np.random.Generator) -> Sequences:
        """Without this fraction of every sequence's samples, chosen at random; each dt is the true
        one.

        At least one sample of a sequence stays. Raises UlnnError unless 0 <= fraction < 1.
        """
        if not 0 <= fraction < 1:
            raise UlnnError(f"fraction of dropped samples is {fraction}, expected 0 up to below 1")
        kept = np.maximum(1, np.rint(self.length * (1 - fraction))).astype(np.int64)
        order = rng.random(self.dt.shape)
        order[~self.mask] = 2.0
        return self._keep(np.argsort(order, 1, kind="stable"), kept)

    def _keep(self, index: Int, kept: Int) -> Sequences:
        """Steps index[n, :kept[n]] of every sequence n, in the order of time."""
        width = int(kept.max())
        index = index[:, :width].copy()
        padding = np.arange(width) >= kept[:, None]
        index[padding] = self.x.shape[1]
        index.sort(1)
        safe = np.where(padding, 0, index)
        rows = np.arange(len(self))[:, None]
        time = np.cumsum(np.where(self.mask, self.dt, 0), 1, dtype=np.float64)[rows, safe]
        dt = np.diff(time, axis=1, prepend=0.0).astype(np.float32)
        dt[padding] = 1.0
        x = self.x[rows, safe]
        x[padding] = 0
        y = self.y
        if y is not None and y.ndim >= 2 and y.shape[1] == self.x.shape[1]:
            y = y[rows, safe]
        return replace(self, x=x, dt=dt, length=kept, y=y)

    def windows(self, seconds: float, stride: float) -> Sequences:
        """Windows of that many seconds, one every `stride` seconds, each a sequence of its own.

        The number of samples comes from the median dt, so every window has the same; a sequence's
        rest that does not fill a window is left out. Raises UlnnError when no sequence is long
        enough.
        """
        tick = self.tick
        size, hop = round(seconds / tick), max(1, round(stride / tick))
        if size < 1:
            raise UlnnError(f"window of {seconds} s is shorter than a sample ({tick:g} s)")
        starts = [
            (n, s) for n in range(len(self)) for s in range(0, self.length[n] - size + 1, hop)
        ]
        if not starts:
            raise UlnnError(
                f"no sequence has {size} samples, the {seconds} s of a window: shorten the window"
            )
        pairs = np.array(starts, np.int64)
        return self.cut(pairs[:, 0], pairs[:, 1], size)

    def cut(self, rows: Int, starts: Int, size: int) -> Sequences:
        """One sequence of `size` samples for each pair of a sequence number and a first sample."""
        steps = starts[:, None] + np.arange(size)
        at = (rows[:, None], steps)
        y = self.y
        if y is not None:
            per_step = y.ndim >= 2 and y.shape[1] == self.x.shape[1]
            y = y[at] if per_step else y[rows]
        return replace(
            self,
            x=self.x[at],
            dt=self.dt[at],
            length=np.full(len(rows), size, np.int64),
            y=y,
            group=None if self.group is None else self.group[rows],
            origin=rows if self.origin is None else self.origin[rows],
            flat=False,
        )

    @property
    def tick(self) -> float:
        """Median dt of the valid steps, seconds."""
        return float(np.median(self.dt[self.mask]))


@dataclass(frozen=True)
class Statistics:
    """Per channel mean and standard deviation, (I,) each; a constant channel has 1."""

    mean: Float
    std: Float

    @staticmethod
    def of(data: Sequences) -> Statistics:
        """Over the valid steps."""
        values = data.x[data.mask].astype(np.float64)
        std = values.std(0)
        std[std < 1e-8] = 1.0
        return Statistics(values.mean(0).astype(np.float32), std.astype(np.float32))

    def apply(self, x: Float) -> Float:
        """(x - mean) / std, any leading shape."""
        return ((x - self.mean) / self.std).astype(np.float32)


def read_sequences(path: Path) -> Sequences:
    """Sequences from a `.npz` or `.csv` file. Raises UlnnError."""
    if path.suffix == ".npz":
        return load_npz(path)
    if path.suffix == ".csv":
        return load_csv(path)
    raise UlnnError(f"{path}: expected a .npz or .csv file")


def load_npz(path: Path) -> Sequences:
    """Sequences from a file of the contract above. Raises UlnnError with the file's name."""
    try:
        arrays = archives.read_npz(path, DATA_LIMIT)
    except FileNotFoundError:
        raise UlnnError(f"{path}: no such file") from None
    except (UlnnError, OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise UlnnError(f"{path}: not a readable .npz file ({error})") from None
    try:
        return from_arrays(arrays)
    except UlnnError as error:
        raise UlnnError(f"{path}: {error}") from None


def from_arrays(arrays: dict[str, NDArray[Any]]) -> Sequences:
    """Sequences from the arrays of an `.npz` file. Raises UlnnError."""
    for key in ("x", "dt"):
        if key not in arrays:
            found = ", ".join(sorted(arrays)) or "nothing"
            raise UlnnError(f"key {key!r} is missing, found {found}")
    for key in ("x", "dt", "length", "y", "group", "origin"):
        if key in arrays and arrays[key].dtype.kind not in "fiub":
            raise UlnnError(f"{key} holds {arrays[key].dtype}, expected numbers")
    x, dt, y = arrays["x"], arrays["dt"], arrays.get("y")
    flat = x.ndim == 2
    if flat:
        steps = x.shape[0]
        x, dt = x[None], dt[None] if dt.ndim == 1 else dt
        if y is not None:
            y = y[None] if y.shape[:1] == (steps,) or y.ndim == 0 else y
    if x.ndim != 3:
        raise UlnnError(f"x has shape {x.shape}, expected (T, I) or (N, T, I)")
    length = arrays.get("length", np.full(x.shape[0], x.shape[1]))
    if y is not None:
        y = y.astype(np.float32 if y.dtype.kind == "f" else np.int64)
    group, origin = (
        np.atleast_1d(arrays[key]).astype(np.int64) if key in arrays else None
        for key in ("group", "origin")
    )
    return Sequences(
        x=x.astype(np.float32),
        dt=dt.astype(np.float32),
        length=np.atleast_1d(length).astype(np.int64),
        y=y,
        group=group,
        origin=origin,
        labels=tuple(str(name) for name in arrays.get("labels", np.array([], str))),
        flat=flat,
    )


def sequences_of(
    x: ArrayLike, dt: ArrayLike, y: ArrayLike | None = None, labels: Collection[str] = ()
) -> Sequences:
    """Sequences of equal length from arrays: x (T, I) or (N, T, I); dt seconds, a number, (T,) or
    (N, T); y one target a sequence or a step. Raises UlnnError for what does not fit.
    """
    values = np.asarray(x, np.float32)
    flat = values.ndim == 2
    values = values[None] if flat else values
    if values.ndim != 3:
        raise UlnnError(f"x has shape {values.shape}, expected (T, I) or (N, T, I)")
    try:
        steps = np.broadcast_to(np.asarray(dt, np.float32), values.shape[:2])
    except ValueError as error:
        raise UlnnError(
            f"dt has shape {np.shape(dt)}, expected a number, (T,) or (N, T) to match x"
        ) from error
    targets = None
    if y is not None:
        targets = np.asarray(y)[None] if flat else np.asarray(y)
        if targets.dtype.kind in "iub":
            targets = targets.astype(np.int64)
    length = np.full(len(values), values.shape[1], np.int64)
    return Sequences(
        x=values, dt=steps.copy(), length=length, y=targets, labels=tuple(labels), flat=flat
    )


def save_npz(path: str | Path, data: Sequences) -> None:
    """Write the file of the contract above; a flat one without the leading axis."""
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
    if data.labels:
        arrays["labels"] = np.array(data.labels, str)
    with files.replacing(path) as file:
        np.savez(file, **arrays)


def load_csv(
    path: Path, time: str | None = None, unit: str = "s", label: str | None = None
) -> Sequences:
    """One recording from a CSV file with a header line and a timestamp column; dt comes from the
    timestamps.

    time: name of the timestamp column, without it the first of timestamp, time, t. unit: of the
    timestamps (s, ms, us, ns). label: name of a column with the class of each step, numbers or
    names. The first dt is the median one. Raises UlnnError with the line of a missing or wrong
    value and of a timestamp that does not grow.
    """
    if unit not in UNITS:
        raise UlnnError(f"unit {unit!r} not known, expected one of {', '.join(UNITS)}")
    header, rows = _csv_rows(path)
    wanted = (time,) if time else TIME_COLUMNS
    column = next((header.index(name) for name in wanted if name in header), None)
    if column is None:
        raise UlnnError(
            f"{path}: no timestamp column {' or '.join(wanted)}, found {', '.join(header)}"
        )
    if label is not None and label not in header:
        raise UlnnError(f"{path}: no column {label}, found {', '.join(header)}")
    skip = {column} if label is None else {column, header.index(label)}
    channels = [k for k in range(len(header)) if k not in skip]
    if not channels:
        raise UlnnError(f"{path}: no column of samples beside {', '.join(header)}")
    names = [] if label is None else [row[header.index(label)].strip() for row in rows]
    values = np.empty((len(rows), len(header)))
    for k, row in enumerate(rows):
        for c in (column, *channels):
            try:
                values[k, c] = float(row[c])
            except ValueError:
                raise UlnnError(
                    f"{path}: sample {k}, column {header[c]}: {row[c]!r} is not a number"
                ) from None
    gaps = np.diff(values[:, column]) * UNITS[unit]
    bad = np.flatnonzero(~(gaps > 0))
    if bad.size:
        k = int(bad[0])
        raise UlnnError(
            f"{path}: sample {k + 1}: timestamp {rows[k + 1][column]} is not after "
            f"{rows[k][column]}"
        )
    classes = sorted(set(names), key=lambda n: (not n.lstrip("-").isdigit(), n))
    if all(name.lstrip("-").isdigit() for name in classes):
        y, classes = [int(name) for name in names], []
    else:
        y = [classes.index(name) for name in names]
    try:
        return Sequences(
            x=values[None, :, channels].astype(np.float32),
            dt=np.concatenate([[np.median(gaps)], gaps])[None].astype(np.float32),
            length=np.array([len(values)], np.int64),
            y=np.array([y], np.int64) if names else None,
            labels=tuple(classes),
            flat=True,
        )
    except UlnnError as error:
        raise UlnnError(f"{path}: {error}") from None


def _csv_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and samples, every line as wide as the header."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except FileNotFoundError:
        raise UlnnError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UlnnError(f"{path}: not a readable CSV file ({error})") from None
    if len(rows) < 3:
        raise UlnnError(f"{path}: expected a header and at least two lines of samples")
    header = [name.strip() for name in rows[0]]
    for k, row in enumerate(rows[1:]):
        if len(row) != len(header):
            raise UlnnError(f"{path}: sample {k} has {len(row)} fields, expected {len(header)}")
    return header, rows[1:]
