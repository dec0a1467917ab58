"""Integer models beside their float network over whole sequences: errors and saturation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..data.sequences import Sequences
from ..engines.batch import quantise
from ..engines.reference import BEFORE_TABLE, Clipped, Reference, clamped_steps
from ..format.model import Int16, ModelFile
from ..network.layers import Array
from .calibration import FloatRollout

SAMPLE_STEPS, SAMPLE_LENGTH = 4096, 512
FINE = 0.05  # of the outputs' spread: an error that is good enough
WORSE = 1.5  # times the error of other steps: as good as there
COMPARED = 0.1  # of the steps, without saturation, that make a comparison


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
    """How many of a tensor's values were clipped. layer: None for what comes in from outside.
    error: rms of the outputs' error in the steps in which some were, as a share of the spread of
    the outputs; harmless: the function after it is flat there (a table), and the outputs are as
    good as in the other steps, or good enough."""

    layer: int | None
    tensor: str
    clipped: int
    values: int
    error: float = 0.0
    harmless: bool = False

    @property
    def share(self) -> float:
        """Clipped values of all, 0 to 1."""
        return self.clipped / self.values if self.values else 0.0

    @property
    def name(self) -> str:
        """Such as `layer 0: backbone 0`."""
        return self.tensor if self.layer is None else f"layer {self.layer}: {self.tensor}"


Tensor = tuple[int | None, str]  # layer, name


@dataclass
class SaturationCounter:
    """An observer of `Reference`: adds up what saturated, in the lanes that are valid now.

    steps: for each tensor the steps (lanes, T) in which some value did; now: the step, None: all.
    """

    valid: NDArray[np.bool_]
    shape: tuple[int, int] = (1, 1)
    now: int | None = None
    counts: dict[Tensor, tuple[int, int]] = field(default_factory=dict)
    steps: dict[Tensor, NDArray[np.bool_]] = field(default_factory=dict)

    def __call__(self, layer: int | None, tensor: str, clipped: Clipped) -> None:
        """clipped: (lanes, ...)."""
        chosen = clipped[self.valid]
        clip, size = self.counts.get((layer, tensor), (0, 0))
        self.counts[layer, tensor] = clip + int(chosen.sum()), size + chosen.size
        if (layer, tensor) not in self.steps:
            self.steps[layer, tensor] = np.zeros(self.shape, bool)
        some = clipped.reshape(*self.valid.shape, -1).any(axis=-1)
        at = slice(None) if self.now is None else self.now
        self.steps[layer, tensor][:, at] |= some & self.valid

    @property
    def totals(self) -> tuple[Saturation, ...]:
        """One entry a tensor, in the order in which they came."""
        return tuple(Saturation(*key, *two) for key, two in self.counts.items())


@dataclass(frozen=True)
class IntegerRun:
    """integers: outputs (N, T, O); y: the same, real; saturation: per tensor, over the valid
    steps; steps: for each of them the steps (N, T) in which it saturated."""

    integers: Int16
    y: Array
    saturation: tuple[Saturation, ...]
    steps: tuple[NDArray[np.bool_], ...]

    def judged(self, error: Array, spread: float, valid: NDArray[np.bool_]) -> IntegerRun:
        """The same with the harm that saturation does. error (N, T, O): of the outputs; spread: of
        the float outputs, a standard deviation; valid (N, T)."""
        squares = np.mean(error**2, axis=2)
        judged = []
        for found, steps in zip(self.saturation, self.steps, strict=True):
            inside, outside = (squares[part & valid] for part in (steps, ~steps))
            if not inside.size:
                judged.append(found)
                continue
            rms = float(np.sqrt(inside.mean()))
            good = rms <= FINE * spread
            if outside.size >= COMPARED * squares[valid].size:
                good |= rms <= WORSE * float(np.sqrt(outside.mean()))
            harmless = good and found.tensor.endswith(BEFORE_TABLE)
            judged.append(replace(found, error=rms / max(spread, 1e-30), harmless=harmless))
        return replace(self, saturation=tuple(judged))


def observed_run(model: ModelFile, data: Sequences) -> IntegerRun:
    """Run the reference over the data and count what saturates."""
    batch, mask = quantise(model, data), data.mask
    counter = SaturationCounter(mask, mask.shape)
    real = (data.x.astype(np.float64) - model.input_offset) / model.input_scale
    counter(None, "inputs", np.abs(np.rint(real) + 0.5) > 32768)
    counter(None, "elapsed time", clamped_steps(model, batch.dt))
    engine = Reference(model, lanes=len(data), observe=counter)
    outputs = []
    for t in range(data.x.shape[1]):
        counter.valid, counter.now = mask[:, t], t
        outputs.append(engine.step(batch.x[:, t], batch.dt[:, t]))
    y = np.stack(outputs, axis=1)
    real = np.asarray(model.dequantise_output(y), np.float64)
    return IntegerRun(y, real, counter.totals, tuple(counter.steps.values()))


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
