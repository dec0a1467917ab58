"""A recipe of beats: a TOML file, the section BEATS of a model file (SPEC.md 2.14), and the beats
of recordings of an ECG, with the integers that a board computes. No medical device."""

from __future__ import annotations

import dataclasses
import struct
from array import array
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulnn_rules import bands, beats

from ..base.errors import UlnnError
from ..base.toml_tables import choice, number, positive
from . import computed_inputs, features
from .feature_tracks import Filter, section
from .sequences import Sequences

EXTRAS = {
    "rhythm": beats.RHYTHM,
    "to mean": beats.TO_MEAN,
    "to last": beats.TO_LAST,
    "size": beats.SIZE,
}
FILTERS = (Filter("high-pass", 5.0), Filter("low-pass", 15.0))
FRAME = 0.09  # seconds of the energy in which beats are looked for
HOPS = 60.0  # levels a second
QRS = 0.013  # seconds, width of the wave by which the delay is measured
STEADY = 0.05  # of the time between two samples


@dataclass(frozen=True)
class BeatRecipe:
    """How the inputs of a model are computed from an ECG, a step for each beat.

    channel  of the ECG
    rate     samples a second
    scale    real value of one count of a sample; the other values are in its unit, such as mV
    offset   real value of a count of 0
    mains    Hz: a notch against it where beats are looked for, and values of a shape last about
             one turn of it, over which it has no mean; 0: none
    before, after  seconds of the shape before and behind R
    step     seconds of one value of it, 0: a turn of the mains, or 0.02
    filters  of the signal in which beats are looked for
    extras   "rhythm": log2 of the milliseconds since the beat before; "to mean", "to last": that
             less the mean of beats before, or the one before; "size": log2 of the shape's size
             less that of beats before
    low, high  where the amplifier ends
    flat     a lead that is on moves by more than that in a second
    noisy    octaves of energy by which beats are above the rest, at least
    """

    channel: str
    rate: float = positive(dataclasses.MISSING)
    scale: float = positive(0.001)
    offset: float = number(0.0)
    mains: float = number(50.0, 0.0, 100.0)
    before: float = number(0.24, 0.0, 0.5)
    after: float = number(0.16, 0.0, 0.3)
    step: float = number(0.0, 0.0, 0.1)
    filters: tuple[Filter, ...] = FILTERS
    extras: tuple[str, ...] = choice(tuple(EXTRAS), *EXTRAS)  # type: ignore[arg-type]
    low: float = number(-1e9)
    high: float = number(1e9)
    flat: float = number(0.02, 0.0)
    noisy: float = number(3.0, 0.0, 30.0)

    @property
    def _step(self) -> int:
        """Samples of a value."""
        return max(1, round(self.rate * (self.step or (1 / self.mains if self.mains else 0.02))))

    @property
    def _sides(self) -> tuple[int, int]:
        """Values before and behind R."""
        each = self._step / self.rate
        return round(self.before / each), round(self.after / each)

    @property
    def names(self) -> tuple[str, ...]:
        """Of a step's values, in their order."""
        before, after = self._sides
        ms = 1000 * self._step / self.rate
        shape = [f"{self.channel} {k * ms:+.0f} ms" for k in range(-before, after + 1)]
        return (*shape, *(name for name in EXTRAS if name in self.extras))

    @cached_property
    def content(self) -> bytes:
        """The section. Raises UlnnError where its parts do not go together."""
        if not beats.RATE_MIN <= round(self.rate * 1000) <= beats.RATE_MAX:
            raise UlnnError(f"rate is {self.rate:g}, expected 50 to 1999 samples a second")
        if self.low >= self.high:
            raise UlnnError(f"low is {self.low:g}, expected less than high, {self.high:g}")
        track = self._track()
        before, after = self._sides
        extras = sum(EXTRAS[name] for name in set(self.extras))
        low, high = (round((v - self.offset) / self.scale) for v in (self.low, self.high))
        flat, noisy = round(self.flat / self.scale), round(self.noisy * 256)
        head = struct.pack(
            "<IBBBBHHhhHHffI",
            round(self.rate * 1000),
            *(self._hop, self._step, before, after, _delay(track, self.rate), extras),
            *(max(low, -32768), min(high, 32767), min(flat, 65535), noisy),
            *(self.scale, self.offset, 0),
        )
        content = head + track.tobytes()
        try:
            beats.Recipe(content, len(self.names))
        except ValueError as error:
            raise UlnnError(str(error)) from None
        return content

    @property
    def _hop(self) -> int:
        return max(1, round(self.rate / HOPS))

    def _track(self) -> array[int]:
        found = list(self.filters)
        if self.mains:
            found.append(Filter("notch", self.mains, 5.0))
        parts = [section(f.kind, f.frequency, f.quality, self.rate) for f in found]
        decimate = max(1, round(self.rate * FRAME / 16))
        head = [1, 0, 4, 0, 0, decimate, len(parts), bands.RMS, 0]
        return array("h", [*head, *(v for part in parts for v in part)])


def _delay(track: array[int], rate: float) -> int:
    """Samples from the middle of a wave as narrow as a QRS complex to the peak of its level."""
    middle = round(0.5 * rate)
    t = (np.arange(2 * middle) - middle) / rate
    wave = array("h", np.rint(20000 * np.exp(-((t / QRS) ** 2) / 2)).astype("<i2").tobytes())
    running, level, found = bands.Bands(track), array("h", [0]), []
    for k in range(len(wave)):
        running.feed(wave, k, 1)
        running.read(level)
        found.append(level[0])
    top = np.flatnonzero(np.array(found) == max(found))
    return round(float(top.mean())) + 1 - middle


def read_recipe(path: str | Path) -> BeatRecipe:
    """The recipe of a TOML file. Raises UlnnError that names the file and the first wrong key."""
    return computed_inputs.read(BeatRecipe, path, "beats")


@dataclass(frozen=True)
class Found:
    """The beats of one recording.

    r: the sample of each R; values: int16 (beats, outputs) in 2 ** -8; us: microseconds since the
    beat before; fresh: the beat before is not known; problem: for each sample, an index of
    `ulnn_rules.beats.PROBLEMS`.
    """

    r: NDArray[np.int64]
    values: NDArray[np.int16]
    us: NDArray[np.int64]
    fresh: NDArray[np.bool_]
    problem: NDArray[np.int8]


def find(
    counts: NDArray[np.int16], us: NDArray[np.int64], recipe: beats.Recipe, native: Any = None
) -> Found:
    """The beats in samples (T,), each so many microseconds after the one before. native: the
    module `ulnn`, or None for the features in Python."""
    finder = beats.Finder(recipe, native)
    problem = np.empty(len(counts), np.int8)
    grid = np.empty(len(counts), np.int64)
    at, values, between, fresh = [], [], [], []
    for k, (v, gap) in enumerate(zip(counts.tolist(), us.tolist(), strict=True)):
        if finder.add(v, gap):
            at.append(finder.r)
            values.append(list(finder.values))
            between.append(finder.us)
            fresh.append(finder.fresh)
        problem[k] = finder.problem
        grid[k] = finder.now - 1
    r = np.searchsorted(grid, np.array(at, np.int64))
    return Found(
        r=np.minimum(r, len(counts) - 1),
        values=np.array(values, np.int16).reshape(-1, recipe.outputs),
        us=np.array(between, np.int64),
        fresh=np.array(fresh, bool),
        problem=problem,
    )


def computed(data: Sequences, recipe: BeatRecipe) -> Sequences:
    """The beats of recordings, a step each. x: the values (a shape's largest is 32); dt: seconds
    since the beat before; targets of steps: those of the sample at R. Recordings without a beat
    are left out.

    Raises UlnnError for a channel that is missing, for samples that are not `rate` a second, and
    where no recording has a beat.
    """
    data = dataclasses.replace(data.in_order((recipe.channel,)), flat=False)
    if data.x.shape[2] != 1:
        raise UlnnError(
            f"the data have {data.x.shape[2]} channels, expected one, {recipe.channel}, as the "
            "recipe of beats says"
        )
    _check_rate(data, recipe.rate)
    content = recipe.content
    made = beats.Recipe(content, len(recipe.names))
    real = (data.x[..., 0].astype(np.float64) - made.offset) / made.scale
    raw = np.clip(np.rint(real), -32768, 32767).astype(np.int16)
    us = np.rint(data.dt.astype(np.float64) * 1e6).astype(np.int64)
    native = features.native()
    parts = [
        find(raw[k, :length], us[k, :length], made, native)
        for k, length in enumerate(data.length.tolist())
    ]
    steps = computed_inputs.gathered(
        data, [part.values for part in parts], [part.r for part in parts],
        "no beat was found in the data: is the lead on, the scale right, and are there 5 s or "
        "more?",
    )  # fmt: skip
    dt = np.ones(steps.x.shape[:2], np.float32)
    for row, k in enumerate(steps.kept.tolist()):
        dt[row, : steps.length[row]] = parts[k].us / 1e6
    return dataclasses.replace(
        steps.data,
        x=steps.x,
        dt=dt,
        y=steps.y,
        length=steps.length,
        channels=recipe.names,
        beats=content,
    )


def _check_rate(data: Sequences, rate: float) -> None:
    """Samples may be missing, so only the usual time counts."""
    later = data.mask.copy()
    later[:, 0] = False
    dt = data.dt[later].astype(np.float64)
    if dt.size and abs(np.median(dt) * rate - 1) > STEADY:
        raise UlnnError(
            f"the data have {1 / np.median(dt):.6g} samples a second, expected {rate:g} as the "
            "recipe of beats says"
        )
