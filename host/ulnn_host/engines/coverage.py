"""Whether data lie within what a model knows: its times, and the ranges of its inputs.

What does not is clamped by every engine alike, so that outputs are equal, and wrong.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..data.sampling import duration, far_off, sampling
from ..data.sequences import Sequences
from ..format.model import Kind, ModelFile
from .batch import fitting

KEPT = 0.05  # of a fixed dt: who is that near keeps it
STILL = 0.005  # of the range of an input: who moves less in all inputs has another unit
FEW = 30  # steps that say little about a range
NAMED = 6  # channels that are named
MANY = 0.05  # of the values: more of them clipped, and their unit is doubtful
_STILL = "no input moves over more than a hundredth of the range that the model knows"


@dataclass(frozen=True)
class Coverage:
    """How far data lie within what a model knows.

    sampling: in words. steps: valid ones. median_dt, longest_dt, dt_max: seconds; known_dt: median
    seconds by what knows them ("the calibration", "time_scale"). late_steps: longer than dt_max.
    fixed_dt: seconds, 0 for none; other_steps: those that do not keep it. clipped: values outside
    the calibrated range by input, only those that have some. still: no input moves over more than
    a hundredth of its range.
    """

    sampling: str
    steps: int
    median_dt: float
    longest_dt: float
    known_dt: dict[str, float]
    dt_max: float
    late_steps: int
    fixed_dt: float
    other_steps: int
    inputs: int
    clipped: dict[str, int]
    still: bool

    @property
    def facts(self) -> tuple[str, ...]:
        """What the model does not know of the data, one line each; none where it knows all."""
        return tuple(fact for fact, _ in self._found())

    @property
    def warnings(self) -> tuple[str, ...]:
        """The facts, with what to do."""
        return tuple(fact + cure for fact, cure in self._found())

    def _found(self) -> list[tuple[str, str]]:
        """(fact, what to do) each."""
        found = []
        off = [far_off(self.median_dt, known, what) for what, known in self.known_dt.items()]
        unit = next(filter(None, off), "")
        if unit:
            found.append((unit, ""))
        if self.other_steps:
            promised = f"{duration(self.fixed_dt)} that the model was promised"
            cure = ": convert without --fixed-dt"
            found.append((f"{self._of(self.other_steps)} were not the {promised}", cure))
        elif self.late_steps:
            fact = (
                f"{self._of(self.late_steps)} were longer than the {duration(self.dt_max)} that "
                f"the model knows (the longest {duration(self.longest_dt)})"
            )
            gap = f": convert with --longest-gap {_rounded_up(self.longest_dt):g}"
            found.append((fact, "" if unit else gap))
        if self.clipped:
            found.append(self._clipped())
        if self.still:
            found.append((_STILL, ": is their unit right?"))
        return found

    def _of(self, steps: int) -> str:
        return f"{steps:,} of {self.steps:,} steps"

    def _clipped(self) -> tuple[str, str]:
        count, total = sum(self.clipped.values()), self.steps * self.inputs
        named = [f"{name} {n:,}" for name, n in list(self.clipped.items())[:NAMED]]
        more = f" and {len(self.clipped) - NAMED} more" if len(self.clipped) > NAMED else ""
        share = f"{100 * count / total:.3g} %" if count < total else "100 %"
        fact = (
            f"{count:,} of {total:,} input values ({share}) lie outside the range that the model "
            f"knows, and were clipped: {', '.join(named)}{more}"
        )
        return fact, "; is their unit right?" if count > MANY * total else ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON, the warnings included."""
        return asdict(self) | {"warnings": list(self.warnings)}


def coverage(model: ModelFile, data: Sequences) -> Coverage:
    """The coverage of data by a model. Raises UlnnError for channels that are not the model's."""
    data = fitting(model, data)
    dt = data.dt[data.mask].astype(np.float64)
    tick = model.tick_ns / 1e9
    fixed = model.dt_fixed * tick
    late = int((model.ticks(dt) > model.dt_max).sum())
    names = model.channels or data.channels or tuple(f"x{k}" for k in range(model.input_size))
    clipped, moved = _ranges(model, data)
    return Coverage(
        sampling=sampling(dt),
        steps=len(dt),
        median_dt=float(np.median(dt)),
        longest_dt=float(dt.max()),
        known_dt=known_dt(model),
        dt_max=model.dt_max * tick,
        late_steps=late if _needs_dt(model) else 0,
        fixed_dt=fixed,
        other_steps=unkept(dt, fixed),
        inputs=model.input_size,
        clipped={name: n for name, n in zip(names, clipped, strict=True) if n},
        still=len(dt) >= FEW and moved < STILL,
    )


def unkept(dt: Any, fixed: float) -> int:
    """How many elapsed times (seconds) do not keep a fixed one; 0: there is none."""
    return int((np.abs(dt - fixed) > KEPT * fixed).sum()) if fixed else 0


def known_dt(model: ModelFile) -> dict[str, float]:
    """What a model knows of the usual dt, in seconds: the median of its calibration, and its time
    scale, but not one of exactly 1 (whose unit nobody may have thought of)."""
    found = {"the calibration": "dt_median", "time_scale": "time_scale"}
    known = {}
    for what, key in found.items():
        value = model.meta.get(key)
        if not isinstance(value, int | float) or not 1e-12 < value < 1e12:
            continue
        if key != "time_scale" or value != 1:
            known[what] = float(value)
    return known


def _needs_dt(model: ModelFile) -> bool:
    """Does the elapsed time change anything? Not for dense layers, nor LSTM and GRU without it."""
    return any(
        layer.kind in (Kind.CFC, Kind.LTC, Kind.MIXED) or layer.mode != 0 for layer in model.layers
    )


def _ranges(model: ModelFile, data: Sequences) -> tuple[list[int], float]:
    """Clipped values of each input, and the largest share of a range that an input moves over."""
    clipped, moved = [], 0.0
    for k in range(model.input_size):
        scale, offset = float(model.input_scale[k]), float(model.input_offset[k])
        values = data.x[..., k][data.mask].astype(np.float64)
        if not (math.isfinite(scale) and scale != 0 and math.isfinite(offset)):
            clipped.append(0)
            continue
        real = np.rint((values - offset) / scale)
        clipped.append(int((np.abs(real + 0.5) > 32768).sum()))
        moved = max(moved, float(real.max() - real.min()) / 65536)
    return clipped, moved


def _rounded_up(value: float) -> float:
    """Two digits, not below the value."""
    size = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / size - 1e-6) * size:.6g}")
