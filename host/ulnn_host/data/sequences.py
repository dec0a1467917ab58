"""Sequences of samples with their elapsed times: checks, windows, statistics.

The state of a network is reset at the start of every sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError

Float = NDArray[np.float32]
Int = NDArray[np.int64]

CHUNK = 1 << 20  # values that a check looks at together
CONSTANT = 1e-9  # a spread of no more than this share of the values is rounding


@dataclass(frozen=True)
class Sequences:
    """N sequences of up to T samples of I channels.

    x: (N, T, I), or (T, I) for one; dt: (N, T), or (T,), or a number: seconds since the previous
    sample; length: (N,), valid steps, all where it is empty. y: targets, integers for classes,
    shape (N,) per sequence or (N, T) per step, floats (N, O) or (N, T) or (N, T, O); per:
    "sequence" or "step", which of them; empty: as the shape says. group: (N,) integers, who or
    what each sequence comes from. labels, channels, groups: names of the classes, of the columns
    of x, of the groups; empty: not known. origin: (N,), which recording each window was cut from.
    flat: the file held one sequence without the leading axis. features, beats: that section of a
    model file by which x was computed. Making one checks it: UlnnError names the first thing that
    is wrong. What is not finite in the padding becomes 0.
    """

    x: Float
    dt: Float
    y: NDArray[Any] | None = None
    length: Int = field(default_factory=lambda: np.zeros(0, np.int64))
    group: Int | None = None
    labels: tuple[str, ...] = ()
    origin: Int | None = None
    flat: bool = False
    channels: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    per: str = ""
    features: bytes = b""
    beats: bytes = b""

    def __post_init__(self) -> None:
        self._take_plain()
        if self.x.ndim != 3 or 0 in self.x.shape:
            raise UlnnError(
                f"x has shape {self.x.shape}, expected (T, I) or (N, T, I), none of them 0"
            )
        n, steps, width = self.x.shape
        if self.dt.shape != (n, steps):
            raise UlnnError(f"dt has shape {self.dt.shape}, expected {(n, steps)} to match x")
        if self.length.shape != (n,):
            raise UlnnError(f"length has shape {self.length.shape}, expected {(n,)} to match x")
        if self.length.min() < 1 or self.length.max() > steps:
            bad = int(np.argmax((self.length < 1) | (self.length > steps)))
            raise UlnnError(
                f"length of sequence {bad} is {self.length[bad]}, expected 1 to {steps}"
            )
        self._check_names(width)
        if self._holds(self.x, np.isfinite, "x is not a finite number"):
            self._set("x", np.where(self.mask[..., None], self.x, np.float32(0)))
        if self._holds(self.dt, np.isfinite, "dt is not a finite number"):
            self._set("dt", np.where(self.mask, self.dt, np.float32(1)))
        self._holds(self.dt, lambda dt: dt > 0, "dt is not above 0 seconds")
        self._check_targets()
        for name, values in (("group", self.group), ("origin", self.origin)):
            if values is not None and values.shape != (n,):
                raise UlnnError(f"{name} has shape {values.shape}, expected {(n,)} to match x")

    def __repr__(self) -> str:
        count, samples = len(self), int(self.length.sum())
        parts = [f"{count:,} recording{'s'[: count != 1]}", f"{samples:,} samples"]
        names = f" ({', '.join(self.channels)})" if self.channels else ""
        parts.append(f"{self.x.shape[2]} channels{names}")
        if self.y is not None:
            each = "step" if self.per == "step" else "recording" if self.per else ""
            kind = "labels" if self.y.dtype.kind in "iu" else "values"
            parts.append(f"{kind} of each {each}" if each else kind)
        if self.labels:
            parts.append(f"classes {', '.join(self.labels)}")
        return f"<Sequences {', '.join(parts)}>"

    def _take_plain(self) -> None:
        """Arrays as people have them: of any type, without the leading axis, one dt for all steps,
        no length where all sequences are equally long."""
        for name, names in (("y", "labels"), ("group", "groups"), ("x", ""), ("dt", "")):
            value = getattr(self, name)
            kind = "f" if value is None else np.asarray(value).dtype.kind
            if kind == "U" and names:
                arrays, words = without_words({name: np.asarray(value)}, name, names)
                self._set(name, arrays[name])
                self._set(names, words)
            elif kind not in "fiub":
                raise UlnnError(f"{name} holds {np.asarray(value).dtype}, expected numbers")
        for name in ("length", "group", "origin"):
            self._set(name, whole_numbers(name, getattr(self, name)))
        x = np.asarray(self.x, np.float32)
        if x.ndim == 2:
            for name in ("y", "group", "origin"):
                if getattr(self, name) is not None:
                    self._set(name, np.asarray(getattr(self, name))[None])
            self._set("flat", True)
            x = x[None]
        self._set("x", x)
        dt = np.asarray(self.dt, np.float32)
        if dt.ndim == 0 and x.ndim == 3:
            dt = np.full(x.shape[:2], dt)
        elif dt.ndim == 1 and self.flat:
            dt = dt[None]
        self._set("dt", dt)
        if self.y is not None:
            y = np.asarray(self.y)
            self._set("y", np.asarray(y, np.int64) if y.dtype.kind in "iub" else y)
        length = np.asarray(self.length, np.int64)
        full = len(length) == 0 and x.ndim == 3
        self._set("length", np.full(len(x), x.shape[1], np.int64) if full else length)

    def _check_names(self, width: int) -> None:
        if self.channels and len(self.channels) != width:
            raise UlnnError(
                f"channels has {len(self.channels)} names, expected {width} as x has columns"
            )
        for key, names in (("channels", self.channels), ("labels", self.labels)):
            double = next((name for name in names if names.count(name) > 1), None)
            if double is not None:
                raise UlnnError(f"{key} has {double!r} twice")
        if self.groups and self.group is not None:
            low, high = int(self.group.min()), int(self.group.max())
            if low < 0 or high >= len(self.groups):
                raise UlnnError(f"group {low} to {high} has no name in {len(self.groups)} groups")

    def _check_targets(self) -> None:
        if self.per not in ("", "sequence", "step"):
            raise UlnnError(f"per is {self.per!r}, expected sequence or step")
        y, (n, steps, _) = self.y, self.x.shape
        if y is None:
            return
        classes = y.dtype.kind in "iu"
        lead = (n, steps) if self.per == "step" else (n,)
        high = len(lead) + (not classes if self.per else 2)
        if y.shape[: len(lead)] != lead or y.ndim > high:
            expected = str(lead) if self.per else f"({n}, ...)"
            raise UlnnError(f"y has shape {y.shape}, expected {expected} to match x")
        if y.dtype.kind != "f" or np.isfinite(y).all():
            return
        # where both readings fit, only what is wrong in both is wrong here
        masked = self.per != "sequence" and y.shape[:2] == (n, steps)
        if not np.isfinite(y[self.mask] if masked else y).all():
            raise UlnnError("y holds values that are not finite numbers")
        mask = self.mask.reshape(self.mask.shape + (1,) * (y.ndim - 2))
        self._set("y", np.where(mask, y, y.dtype.type(0)))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _holds(
        self,
        values: Float,
        rule: Callable[[Float], NDArray[np.bool_]],
        what: str,
    ) -> bool:
        """Raise UlnnError unless all valid steps keep a rule. Is it broken in the padding?"""
        n, steps = values.shape[:2]
        width = values.size // (n * steps)
        rows, columns = max(1, CHUNK // (steps * width)), max(1, CHUNK // width)
        padding = False
        for row in range(0, n, rows):
            for step in range(0, steps, columns):
                part = values[row : row + rows, step : step + columns]
                good = rule(part)
                if good.all():
                    continue
                bad = ~good
                reach = self.length[row : row + rows, None] - step
                valid = np.arange(part.shape[1]) < reach
                found = np.argwhere(bad & valid.reshape(valid.shape + (1,) * (bad.ndim - 2)))
                if found.size:
                    self._refuse(what, row + found[0][0], step + found[0][1], *found[0][2:])
                padding = True
        return padding

    def _refuse(self, what: str, sequence: int, step: int, channel: int | None = None) -> None:
        where = f"step {step}" if self.flat else f"sequence {sequence}, step {step}"
        if channel is not None:
            name = self.channels[channel] if self.channels else str(channel)
            where += f", channel {name}"
        raise UlnnError(f"{what} at {where}: clean the recording before it is used")

    @property
    def per_step(self) -> bool:
        """Does a target belong to each step? Raises UlnnError where the shape of y fits both."""
        if self.y is None:
            raise UlnnError("the data have no targets y")
        shape, steps = self.y.shape, self.x.shape[1]
        if self.per:
            return self.per == "step"
        if len(shape) < 2 or shape[1] != steps:
            return False
        if self.y.dtype.kind in "iu" or len(shape) == 3 or steps == 1:
            return True
        raise UlnnError(
            f"y of shape {shape} may be a value per step or {steps} values per sequence: say "
            'per = "step" or per = "sequence"'
        )

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(N, T): which steps are valid."""
        if self.length.min() == self.x.shape[1]:
            return np.ones(self.dt.shape, bool)
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

    def split(self, held_out: Collection[int | str]) -> tuple[Sequences, Sequences]:
        """(the rest, the sequences whose group, or its name, is in held_out)."""
        if self.group is None:
            raise UlnnError("the data have no group, so they cannot be split by group")
        names = self.groups or tuple(str(k) for k in range(int(self.group.max()) + 1))
        wanted = {str(name) for name in held_out}
        there = {names[k] if k >= 0 else str(k) for k in np.unique(self.group)}
        if not wanted <= there:
            raise UlnnError(f"group {min(wanted - there)} is not in the data")
        codes = [k for k in np.unique(self.group) if names[k] in wanted]
        chosen = np.isin(self.group, codes)
        return self.take(~chosen), self.take(chosen)

    def in_order(self, channels: Sequence[str]) -> Sequences:
        """The data with their channels in that order, by name, in any case.

        As they are where one side has no names. Raises UlnnError for a channel that is missing,
        not known or there twice.
        """
        if not channels or not self.channels:
            return self
        have, want = ([name.casefold() for name in names] for names in (self.channels, channels))
        for wrong, other, what in ((want, have, "is missing"), (have, want, "is not known")):
            name = next((n for n in wrong if wrong.count(n) > 1), None)
            if name is not None:
                raise UlnnError(f"channel {name} is there twice")
            extra = [name for name in wrong if name not in other]
            if extra:
                raise UlnnError(
                    f"channel {extra[0]} {what}: the data have {', '.join(self.channels)}, "
                    f"expected {', '.join(channels)}"
                )
        order = [have.index(name) for name in want]
        if order == list(range(len(order))):
            return self
        return replace(self, x=self.x[..., order], channels=tuple(channels))

    def keep_steps(self, chosen: NDArray[np.bool_]) -> Sequences:
        """The chosen (N, T) steps, each with the true time since the one before. Sequences without
        any are left out. Raises UlnnError when none is left.
        """
        chosen = np.logical_and(chosen, self.mask)
        some: NDArray[np.bool_] = np.asarray(chosen.any(1))
        data = self if some.all() else replace(self.take(some), flat=self.flat)
        chosen = chosen[some]
        return data._keep(np.argsort(~chosen, 1, kind="stable"), chosen.sum(1))

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
        if y is not None and self.per_step:
            y = y[rows, safe]
        return replace(self, x=x, dt=dt, length=kept, y=y)

    def windows(self, seconds: float, stride: float) -> Sequences:
        """Windows of that many seconds, one every `stride` seconds, each a sequence of its own.

        The number of samples comes from the median dt, so every window has the same; a sequence's
        rest that does not fill a window is left out. Raises UlnnError when no sequence is long
        enough.
        """
        tick = self.tick
        for name, value in (("window", seconds), ("stride", stride)):
            if not (np.isfinite(value) and value >= 0):
                raise UlnnError(f"{name} is {value} s, expected a finite number, 0 or more")
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

    def cut(self, rows: Int, starts: Int, size: int | Int) -> Sequences:
        """One sequence of `size` samples (of one number, or one for each) for each pair of a
        sequence number and a first sample.
        """
        length = np.broadcast_to(np.asarray(size, np.int64), rows.shape).copy()
        steps = np.arange(int(length.max()))
        padding = steps >= length[:, None]
        at = (rows[:, None], np.where(padding, 0, starts[:, None] + steps))
        x, dt, y = self.x[at], self.dt[at], self.y
        if padding.any():
            x[padding], dt[padding] = 0, 1
        if y is not None:
            y = y[at] if self.per_step else y[rows]
        return replace(
            self,
            x=x,
            dt=dt,
            length=length,
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
        std[std <= CONSTANT * np.abs(values).max(0)] = 1.0
        return Statistics(values.mean(0).astype(np.float32), std.astype(np.float32))

    def apply(self, x: Float) -> Float:
        """(x - mean) / std, any leading shape."""
        return ((x - self.mean) / self.std).astype(np.float32)


def whole_numbers(name: str, values: Any) -> Int | None:
    """Whole numbers of any type. Raises UlnnError for others."""
    if values is None:
        return None
    found = np.asarray(values)
    if found.dtype.kind == "f" and not (found == np.rint(found)).all():
        raise UlnnError(f"{name} holds numbers that are not whole, expected whole ones")
    return found.astype(np.int64)


def names_of(arrays: Mapping[str, NDArray[Any]], key: str) -> tuple[str, ...]:
    """The words of an array; () where it is not there."""
    return tuple(str(name) for name in np.atleast_1d(arrays.get(key, np.array([], str))))


def without_words(
    arrays: dict[str, NDArray[Any]], key: str, names: str
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """The arrays with numbers in place of words, and the word of each number."""
    if key not in arrays or arrays[key].dtype.kind != "U":
        return arrays, names_of(arrays, names)
    found, codes = np.unique(arrays[key], return_inverse=True)
    return arrays | {key: codes.reshape(arrays[key].shape)}, tuple(str(word) for word in found)
