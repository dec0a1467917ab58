"""Integer models beside their float network over whole sequences: errors and saturation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..data.sequences import Sequences
from ..engines.batch import quantise
from ..engines.reference import BEFORE_TABLE, Clipped, Reference, clamped_steps
from ..format.model import ModelFile
from ..network.layers import Array
from .calibration import FloatRollout

SAMPLE_STEPS, SAMPLE_LENGTH = 4096, 512


def sample(data: Sequences, steps: int = SAMPLE_STEPS, longest: int = SAMPLE_LENGTH) -> Sequences:
    """About that many steps of the data, evenly chosen: whole sequences, those longer than
    `longest` cut into pieces (which then start from a zero state), without labels. The data
    themselves where that is all of them."""
    starts = [(n, s) for n in range(len(data)) for s in range(0, int(data.length[n]), longest)]
    pieces = np.array(starts, np.int64)
    sizes = np.minimum(data.length[pieces[:, 0]] - pieces[:, 1], longest)
    # what is left over behind whole pieces is short and would weigh as much as they do
    whole = (pieces[:, 1] == 0) | (sizes == longest)
    pieces, sizes = pieces[whole], sizes[whole]
    count = min(len(pieces), max(1, round(steps / float(sizes.mean()))))
    chosen = np.linspace(0, len(pieces) - 1, count).round().astype(np.int64)
    rows, sizes = pieces[chosen, :1], sizes[chosen]
    if np.array_equal(rows[:, 0], np.arange(len(data))) and np.array_equal(sizes, data.length):
        return data
    at = np.minimum(pieces[chosen, 1:] + np.arange(sizes.max()), data.x.shape[1] - 1)
    return Sequences(data.x[rows, at], data.dt[rows, at], length=sizes)


def errors(rollout: FloatRollout, model: ModelFile) -> Array:
    """Integer minus float outputs (N, T, O), real units, both with their own state."""
    batch = quantise(model, rollout.data)
    y = Reference(model, lanes=len(rollout.data)).run(batch.x, batch.dt)
    return np.asarray(model.dequantise_output(y) - rollout.y)


def rms(rollout: FloatRollout, model: ModelFile) -> float:
    """Root mean square of the errors over the valid steps."""
    return float(np.sqrt(np.mean(errors(rollout, model)[rollout.data.mask] ** 2)))


@dataclass(frozen=True)
class Saturation:
    """How many of a tensor's values were clipped. layer: None for what comes in from outside."""

    layer: int | None
    tensor: str
    clipped: int
    values: int

    @property
    def harmless(self) -> bool:
        """Whether the function behind it is flat there, so that nothing is lost: tables end
        where theirs has reached its limit."""
        return self.tensor.endswith(BEFORE_TABLE)

    @property
    def share(self) -> float:
        """Clipped values of all, 0 to 1."""
        return self.clipped / self.values if self.values else 0.0

    @property
    def name(self) -> str:
        """Such as `layer 0: backbone 0`."""
        return self.tensor if self.layer is None else f"layer {self.layer}: {self.tensor}"


@dataclass
class SaturationCounter:
    """An observer of `Reference`: adds up what saturated, in the lanes that are valid now."""

    valid: NDArray[np.bool_]
    counts: dict[tuple[int | None, str], list[int]] = field(default_factory=dict)

    def __call__(self, layer: int | None, tensor: str, clipped: Clipped) -> None:
        """clipped: (lanes, ...)."""
        chosen = clipped[self.valid]
        count = self.counts.setdefault((layer, tensor), [0, 0])
        count[0] += int(chosen.sum())
        count[1] += chosen.size

    @property
    def totals(self) -> tuple[Saturation, ...]:
        """One entry a tensor, in the order in which they came."""
        return tuple(Saturation(*key, *count) for key, count in self.counts.items())


@dataclass(frozen=True)
class IntegerRun:
    """y: real outputs (N, T, O); saturation: per tensor, over the valid steps."""

    y: Array
    saturation: tuple[Saturation, ...]


def observed_run(model: ModelFile, data: Sequences) -> IntegerRun:
    """Run the reference over the data and count what saturates."""
    batch, mask = quantise(model, data), data.mask
    counter = SaturationCounter(mask)
    real = (data.x.astype(np.float64) - model.input_offset) / model.input_scale
    counter(None, "inputs", np.abs(np.rint(real) + 0.5) > 32768)
    counter(None, "elapsed time", clamped_steps(model, batch.dt))
    engine = Reference(model, lanes=len(data), observe=counter)
    outputs = []
    for t in range(data.x.shape[1]):
        counter.valid = mask[:, t]
        outputs.append(engine.step(batch.x[:, t], batch.dt[:, t]))
    y = model.dequantise_output(np.stack(outputs, axis=1))
    return IntegerRun(np.asarray(y, np.float64), counter.totals)


def halves(data: Sequences) -> tuple[Sequences, Sequences]:
    """Two parts that have no step in common: every other sequence, or the halves of a single
    one (a single step is in both)."""
    if len(data) > 1:
        odd = np.arange(len(data)) % 2 == 1
        return data.take(~odd), data.take(odd)
    whole = int(data.length[0])
    middle = whole // 2
    if middle == 0:
        return data, data
    parts = (slice(0, middle), slice(middle, whole))
    first, second = (
        replace(
            data, x=data.x[:, p], dt=data.dt[:, p], y=None,
            length=np.array([p.stop - p.start]),
        )
        for p in parts
    )  # fmt: skip
    return first, second
