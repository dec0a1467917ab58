"""What `ulnn convert` says at its end: an integer model beside its float network."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError, UlnnWarning
from ..data.sampling import duration, far_off
from ..data.scores import ClassScores, Scores, score
from ..data.sequences import Sequences
from ..engines import decided
from ..engines import registry as engines
from ..engines.batch import elapsed
from ..engines.coverage import Coverage, coverage
from ..engines.reference import BEFORE_TABLE
from ..format import container, cost
from ..format.cost import Estimate
from ..format.model import Decision, Int16, ModelFile
from ..network import contraction
from ..network.contraction import Contraction
from ..network.float_network import FloatNetwork
from ..network.layers import Array
from ..quantize.calibration import FloatRollout
from ..quantize.decisions import decision
from ..quantize.precision import Choice
from ..quantize.range_search import Found
from ..quantize.rollouts import Saturation, observed_run

CURVE_POINTS = 64
COARSE_DT = 0.01
FAR_INPUT = 10.0  # standard deviations
STILL_INPUT = 0.05  # standard deviations over which inputs of the right unit move
FEW = 30  # steps that say little about a range


@dataclass(frozen=True)
class ErrorCurve:
    """Integer against float outputs by step, over the sequences that are that long: largest and
    rms (longest sequence,), real units of the output."""

    largest: Array
    rms: Array

    @property
    def places(self) -> tuple[int, int, int]:
        """First, middle and last step, from 0."""
        last = len(self.rms) - 1
        return 0, last // 2, last

    @staticmethod
    def of(error: Array, valid: NDArray[np.bool_]) -> ErrorCurve:
        """error (N, T, O), valid (N, T)."""
        steps = int(valid.sum(axis=1).max())
        error, valid = error[:, :steps], valid[:, :steps]
        size = np.where(valid[..., None], error, 0.0)
        count = valid.sum(axis=0) * error.shape[2]
        return ErrorCurve(np.abs(size).max(axis=(0, 2)), np.sqrt((size**2).sum((0, 2)) / count))


@dataclass(frozen=True)
class ModelReport:
    """One integer model on the calibration data, its scores on what the report measures on.

    widths: bits of each matrix of each layer. max_error, rms_error: over all steps, real units of
    the output. clamped_steps: elapsed times that dt_max or a fixed dt replaced. coarse_dt: median
    relative error of the elapsed times in whole ticks. scores: None without targets. test_rms: as
    rms_error over the test data, None without. ram: bytes beside the file, as the C engine on
    this computer says (a 32-bit board needs less); None where it is not built. coverage: of the
    calibration data by the model. narrow: what int8 weights would need on a Cortex-M7, where these
    stream through its cache.
    """

    name: str
    file_bytes: int
    sections: dict[str, int]
    widths: tuple[tuple[int, ...], ...]
    max_error: float
    rms_error: float
    curve: ErrorCurve
    steps: int
    clamped_steps: int
    coarse_dt: float
    saturation: tuple[Saturation, ...]
    scores: Scores | None
    test_rms: float | None
    macs: int
    synapses: int
    neurons: int
    ram: int | None
    costs: tuple[Estimate, ...]
    coverage: Coverage
    narrow: Estimate | None

    @property
    def bits(self) -> int:
        """The largest width of a weight; 16 without matrices (LTC)."""
        return max((bits for layer in self.widths for bits in layer), default=16)

    @property
    def accuracy(self) -> float | None:
        """0 to 1; None without labels."""
        return _accuracy(self.scores)

    @property
    def harm(self) -> tuple[str, ...]:
        """A line for each table whose saturation the outputs do not say to be harmless."""
        lines = []
        for found in self.saturation:
            if not found.clipped or found.harmless or not found.tensor.endswith(BEFORE_TABLE):
                continue
            name = found.name.removesuffix(BEFORE_TABLE)
            timed = found.tensor.startswith(("gate", "elapsed"))
            cure = (
                "put the unit of dt right, or retrain with a time_scale near "
                f"{duration(self.coverage.median_dt)}"
                if timed
                else "retrain with a training.weight_limit"
            )
            lines.append(
                f"{name} saturates in {found.share:.2%} of its values, where the outputs are off "
                f"by {found.error:.0%} of their spread (rms): {cure}"
                + (", or try --bits 16" if self.bits == 8 else "")
            )
        return tuple(lines)

    @property
    def advice(self) -> tuple[str, ...]:
        """What would be better, one line each."""
        if self.narrow is None:
            return ()
        chip, now = self.costs[0], self.narrow
        return (
            f"int16 weights stream through the 16 KB D-cache of an STM32H743, where MicroPython's "
            f"heap is AXI SRAM: about {chip.likely:,} {chip.unit} a step; int8 needs about "
            f"{now.likely:,} (--bits 8)",
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON; the curve at most CURVE_POINTS steps."""
        at = np.unique(np.linspace(0, len(self.curve.rms) - 1, CURVE_POINTS).round().astype(int))
        return {
            "bytes": self.file_bytes,
            "bits": self.bits,
            "macs": self.macs,
            "max_error": self.max_error,
            "rms_error": self.rms_error,
            "steps": self.steps,
            "clamped_steps": self.clamped_steps,
            "accuracy": self.accuracy,
            "scores": self.scores.to_dict() if self.scores else None,
            "test_rms_error": self.test_rms,
            "synapses": self.synapses,
            "neurons": self.neurons,
            "ram": self.ram,
            "widths": self.widths,
            "sections": self.sections,
            "costs": [asdict(estimate) for estimate in self.costs],
            "coverage": self.coverage.to_dict(),
            "saturation": [asdict(s) for s in self.saturation],
            "error_over_time": {
                "step": at.tolist(),
                "max": self.curve.largest[at].tolist(),
                "rms": self.curve.rms[at].tolist(),
            },
        }


@dataclass(frozen=True)
class ConvertReport:
    """The model that was written, and others to compare it with.

    scores: of the float network, None without targets; readout: how outputs become decisions;
    measured_on: the data of all scores, in words, "calibration data" where no others were given.
    chosen, searched: how widths and ranges were chosen, where they were. native_self_test: golden
    steps that the C engine on this computer repeated; None where it is not built. outliers: lines
    about inputs whose ranges come from one. times: lines about the elapsed times.
    """

    model: ModelReport
    contraction: tuple[Contraction, ...]
    scores: Scores | None = None
    readout: str = ""
    measured_on: str = ""
    compared: tuple[ModelReport, ...] = ()
    chosen: Choice | None = None
    searched: Found | None = None
    native_self_test: int | None = None
    outliers: tuple[str, ...] = ()
    times: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float | None:
        """Of the float network, 0 to 1; None without labels."""
        return _accuracy(self.scores)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line each, for the user."""
        lines = [layer.warning for layer in self.contraction if not layer.contractive]
        lines += [*self.outliers, *self.times, *self.model.harm]
        if self.model.coarse_dt > COARSE_DT:
            lines.append(
                f"whole ticks miss the elapsed times by {self.model.coarse_dt:.0%}; "
                "choose a shorter tick with --tick-ns"
            )
        return tuple(lines)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        content = self.model.to_dict() | {
            "float_accuracy": self.accuracy,
            "float_scores": self.scores.to_dict() if self.scores else None,
            "measured_on": self.measured_on,
            "contraction": [
                asdict(layer) | {"contractive": layer.contractive} for layer in self.contraction
            ],
            "warnings": self.warnings,
            "advice": self.model.advice,
            "native_self_test": self.native_self_test,
        }
        if self.compared:
            content["compared"] = {other.name: other.to_dict() for other in self.compared}
        if self.chosen:
            content["max_bytes"] = self.chosen.max_bytes
            content["promotions"] = [asdict(step) for step in self.chosen.promotions]
        if self.searched:
            content["range_trials"] = [asdict(trial) for trial in self.searched.trials]
        return content


class Reporter:
    """Makes reports of the integer models of one float network over its data.

    test: other data, for the scores, cut into the windows in which a model decides; tick_ns: of a
    tick of these. Raises UlnnError when their targets do not fit the network;
    for those of the calibration data, which conversion does not need, it warns.
    """

    def __init__(
        self, rollout: FloatRollout, test: Sequences | None = None, tick_ns: int = 1000
    ) -> None:
        self._rollout = rollout
        self._test = None
        if test is not None:
            self._test = FloatRollout(rollout.network, test)
            rule = decision(rollout.network, rollout.data, tick_ns)
            self._test = self._test.on(decided.windows(rule, tick_ns, self._test.data))
        self.measured_on = "calibration data" if test is None else "test data"
        self.readout = ""
        self.scores = None
        measured = self._test or rollout
        if test is not None and test.y is None:
            raise UlnnError("the test data have no targets y, so there is nothing to measure")
        if measured.data.y is None:
            return
        try:
            self.readout = _readout(rollout.network, measured.data)
            self.scores = score(measured.y, measured.data, self.readout)
        except UlnnError as error:
            if test is not None:
                raise UlnnError(f"test data: {error}") from error
            self.readout = ""
            warnings.warn(f"no measures: {error}", UlnnWarning, stacklevel=2)

    def measure(self, name: str, content: bytes) -> ModelReport:
        """The report of a model file."""
        data, model = self._rollout.data, container.read(content)
        run = observed_run(model, data)
        error = run.y - self._rollout.y
        valid = error[data.mask]
        spread = float(np.sqrt(self._rollout.outputs.var(axis=0).mean()))
        run = run.judged(error, spread, data.mask)
        ticks = elapsed(data, model.tick_ns) * (model.tick_ns / 1e9)
        scores, test_rms = self._measured(model, run.integers)
        late = next(s for s in run.saturation if s.layer is None and s.tensor == "elapsed time")
        return ModelReport(
            name=name,
            file_bytes=len(content),
            sections=container.section_sizes(content),
            widths=tuple(tuple(m.weight_bits for m in layer.matrices) for layer in model.layers),
            max_error=float(np.abs(valid).max()),
            rms_error=float(np.sqrt(np.mean(valid**2))),
            curve=ErrorCurve.of(error, data.mask),
            steps=int(data.length.sum()),
            clamped_steps=late.clipped,
            coarse_dt=float(np.median(np.abs(ticks[data.mask] / data.dt[data.mask] - 1))),
            saturation=run.saturation,
            scores=scores,
            test_rms=test_rms,
            macs=model.macs,
            synapses=model.synapses,
            neurons=model.neurons,
            ram=_ram(content),
            costs=cost.estimates(model),
            coverage=coverage(model, data),
            narrow=cost.better_narrow(model),
        )

    def report(
        self,
        model: ModelReport,
        compared: tuple[ModelReport, ...] = (),
        chosen: Choice | None = None,
        searched: Found | None = None,
    ) -> ConvertReport:
        """The whole, contraction of the float network included."""
        measured = contraction.measure(self._rollout.network, self._rollout.data)
        report = ConvertReport(
            model, measured, self.scores, self.readout, self.measured_on if self.scores else "",
            compared, chosen, searched,
        )  # fmt: skip
        return replace(report, times=self._times(model.coverage))

    def _times(self, found: Coverage) -> tuple[str, ...]:
        """Lines about the elapsed times of the data, for the float network and for the model."""
        off = time_doubt(self._rollout.network, self._rollout.data)
        promised = replace(found, known_dt={}, clipped={}, late_steps=0, still=False)
        return tuple(filter(None, (off, *promised.warnings, *self._units())))

    def _units(self) -> list[str]:
        """Lines about inputs that lie far from those that the network was trained on."""
        network, data = self._rollout.network, self._rollout.data
        if (network.std == 1).all() and not network.mean.any():
            return []
        x = (data.x[data.mask] - network.mean) / network.std
        if len(x) >= FEW and np.ptp(x, axis=0).max() < STILL_INPUT:
            return [
                f"no input moves over more than {np.ptp(x, axis=0).max():.2g} of the standard "
                "deviations that the network was trained with: is their unit right?"
            ]
        x = np.abs(x)
        names = data.channels or tuple(f"x{k}" for k in range(x.shape[1]))
        return [
            f"input {name} lies {middle:,.3g} standard deviations from the mean that the network "
            "was trained with (median): is its unit right?"
            for name, middle in zip(names, np.median(x, axis=0), strict=True)
            if middle > FAR_INPUT
        ]

    def _measured(self, model: ModelFile, y: Int16) -> tuple[Scores | None, float | None]:
        """The scores of a model, and its rms error over the test data. y: its integer outputs over
        the calibration data."""
        if model.decision is None:
            model = replace(model, decision=Decision(self.readout or "last"))
        if self._test is None:
            data = self._rollout.data
            return decided.score(model, y, data) if self.readout else None, None
        data = self._test.data
        run = observed_run(model, data)
        error = (run.y - self._test.y)[data.mask]
        return decided.score(model, run.integers, data), float(np.sqrt(np.mean(error**2)))


def _accuracy(scores: Scores | None) -> float | None:
    return scores.accuracy if isinstance(scores, ClassScores) else None


def _readout(network: FloatNetwork, data: Sequences) -> str:
    """How outputs become decisions or values: as trained, else one a step or one a sequence as the
    targets are. Raises UlnnError where that is not certain."""
    return network.readout or ("each" if data.per_step else "last")


def _ram(content: bytes) -> int | None:
    try:
        return engines.native_memory(content)
    except (UlnnError, ValueError):
        return None  # not built, or built without these cells


def time_doubt(network: FloatNetwork, data: Sequences) -> str:
    """The line about a median dt that is far from the time scale that was said; else empty."""
    return far_off(data.tick, network.time_scale, "time_scale") if network.timed else ""
