"""A recipe of features: a TOML file, the section FEATURES of a model file (SPEC.md 2.12), and the
features of recordings, with the integers that a board computes."""

from __future__ import annotations

import dataclasses
import struct
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ulnn_rules import bands, features

from ..base.errors import UlnnError
from ..base.toml_tables import number, positive
from . import computed_inputs
from .feature_tracks import Track
from .sequences import Sequences

TOLERANCE = 0.02  # of the time between two samples


@dataclass(frozen=True)
class FeatureRecipe:
    """How the inputs of a model are computed from raw samples.

    channels  of the raw samples, in the order in which a board gives them
    tracks    [[tracks]]: what is computed (`Track`)
    rate      raw samples a second
    hop       raw samples from one step of the model to the next
    scale     real value of one count of a raw sample, one for all channels or one for each
    offset    real value of a count of 0
    """

    channels: tuple[str, ...]
    tracks: tuple[Track, ...]
    rate: float = positive(dataclasses.MISSING)
    hop: int = number(dataclasses.MISSING, 1, features.HOP_MAX)
    scale: tuple[float, ...] = positive((1.0,))
    offset: tuple[float, ...] = number((0.0,))

    def __post_init__(self) -> None:
        for name, most in (("channels", features.CHANNELS_MAX), ("tracks", features.TRACKS_MAX)):
            count = len(getattr(self, name))
            if not 1 <= count <= most:
                raise UlnnError(f"{name}: {count} of them, expected 1 to {most}")
        for name in ("scale", "offset"):
            if len(getattr(self, name)) not in (1, len(self.channels)):
                raise UlnnError(
                    f"{name} has {len(getattr(self, name))} numbers, expected one for "
                    f"all channels, or {len(self.channels)}"
                )
        if not 1 <= round(self.rate * 1000) <= features.RATE_MAX:
            raise UlnnError(f"rate is {self.rate:g}, expected 0.001 to 2147483 samples a second")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features, in their order; those that are there twice have a number."""
        found: list[str] = []
        for name in (name for track in self.tracks for name in track.names):
            copies = sum(other.partition(" #")[0] == name for other in found)
            found.append(f"{name} #{copies + 1}" if copies else name)
        return tuple(found)

    @property
    def content(self) -> bytes:
        """The section. Raises UlnnError where frequencies and rate do not go together."""
        count = len(self.channels)
        head = struct.pack("<HHIII", count, len(self.tracks), round(self.rate * 1000), self.hop, 0)
        pairs = np.empty((count, 2), "<f4")
        pairs[:, 0], pairs[:, 1] = self.scale, self.offset
        words = [track.words(self.channels, self.rate) for track in self.tracks]
        return head + pairs.tobytes() + b"".join(np.array(w, "<i2").tobytes() for w in words)


def read_recipe(path: str | Path) -> FeatureRecipe:
    """The recipe of a TOML file. Raises UlnnError that names the file and the first wrong key."""
    return computed_inputs.read(FeatureRecipe, path, "features")


def computed(data: Sequences, recipe: FeatureRecipe) -> Sequences:
    """The features of recordings, one step after each hop for which all frames are full. x: in
    units of the logarithm (counts of 2 ** -8); dt: that of a hop; targets of steps: those of a
    frame's last sample. Recordings that are too short are left out.

    Raises UlnnError for channels that are missing, for samples that are not `rate` a second, and
    where no recording is long enough.
    """
    data = dataclasses.replace(data.in_order(recipe.channels), flat=False)
    if data.x.shape[2] != len(recipe.channels):
        raise UlnnError(
            f"the data have {data.x.shape[2]} channels, expected {len(recipe.channels)} as the "
            "recipe of features has"
        )
    _check_rate(data, recipe.rate)
    content = recipe.content
    made = features.Recipe(content, len(recipe.names))
    raw = _counts(data.x, made)
    parts, ends = [], []
    runners = [_make(track) for track in made.tracks]
    for x, length in zip(raw, data.length, strict=True):
        ends.append(_ends(made, int(length)))
        parts.append(_of_one(made, runners, x[:length], ends[-1]))
    steps = computed_inputs.gathered(
        data, parts, ends,
        f"no recording has {made.reach} samples, {made.reach / recipe.rate:.3g} s, the frames "
        "of the features: record longer, or choose a smaller size",
    )  # fmt: skip
    return dataclasses.replace(
        steps.data,
        x=steps.x,
        dt=np.full(steps.x.shape[:2], recipe.hop / recipe.rate, np.float32),
        y=steps.y,
        length=steps.length,
        channels=recipe.names,
        features=content,
    )


def _check_rate(data: Sequences, rate: float) -> None:
    """The first sample of a recording has no sample before it."""
    later = data.mask.copy()
    later[:, 0] = False
    dt = data.dt[later].astype(np.float64)
    off = np.abs(dt * rate - 1)
    if dt.size and np.median(off) > TOLERANCE:
        raise UlnnError(
            f"the data have {1 / np.median(dt):.6g} samples a second, expected {rate:g} as the "
            "recipe of features says"
        )
    if dt.size and off.max() > 0.5:
        raise UlnnError(
            f"samples are missing: two are {dt[np.argmax(off)]:.3g} s apart, expected "
            f"{1 / rate:.3g} s; features need them all, and --gap splits recordings there"
        )


def _counts(x: NDArray[np.float32], made: features.Recipe) -> NDArray[np.int16]:
    """The raw integers of real values."""
    pairs = np.array(made.scales, np.float64).reshape(-1, 2)
    real = (x.astype(np.float64) - pairs[:, 1]) / pairs[:, 0]
    return np.clip(np.rint(real), -32768, 32767).astype(np.int16)


def _ends(made: features.Recipe, length: int) -> NDArray[np.int64]:
    """The last sample of each hop after which all frames are full."""
    ends = np.arange(made.hop, length + 1, made.hop)
    return ends[ends >= made.reach] - 1


def _of_one(
    made: features.Recipe, runners: list[Any], x: NDArray[np.int16], ends: NDArray[np.int64]
) -> NDArray[np.int16]:
    """Features (steps, outputs) of raw samples (T, channels), after each of `ends`. runners: of
    the tracks."""
    found = np.empty((len(ends), made.outputs), np.int16)
    column = 0
    for track, running in zip(made.tracks, runners, strict=True):
        running.reset()
        y = array("h", bytes(2 * bands.count(track)))
        first = 0
        for row, end in enumerate(ends):
            part = np.ascontiguousarray(x[first : end + 1])
            running.feed(part.reshape(-1), 0, len(part))
            first = end + 1
            running.read(y)
            found[row, column : column + len(y)] = y
        column += len(y)
    return found


def native() -> Any:
    """The module `ulnn`, or None: the same integers, and a hundred times as fast."""
    try:
        import ulnn
    except ImportError:
        return None
    return ulnn


def _make(track: array[int]) -> Any:
    return getattr(native(), "bands", bands.Bands)(track)
