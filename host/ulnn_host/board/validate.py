"""Prove that a board computes what the PC computes: every output, every state, bit for bit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import UlnnError
from ..data.logs import read_data
from ..data.matched import matched
from ..data.options import DataOptions
from ..data.scores import ClassScores, Scores
from ..data.sequences import Sequences
from ..engines import decided
from ..engines import registry as engines
from ..engines.batch import Batch, Outputs, quantise
from ..engines.coverage import Coverage, coverage
from ..engines.reference import clamped_steps
from ..format import container, facts
from ..format.cost import Estimate, estimates
from ..format.model import ModelFile
from . import deploy as deployment
from .link import Board
from .plan import Identity, default_target, identify
from .stream import BoardInfo, Session

CYCLES_FROM_HZ = 2_000_000
VIRTUAL_WINDOW = 1024


@dataclass(frozen=True)
class Latency:
    """Times of `count` steps in microseconds; cycles: the same in CPU cycles, where known (an
    emulator's are not a chip's, so they are left out).
    """

    count: int
    min: float
    p50: float
    p99: float
    max: float
    mean: float
    cycles: dict[str, int] | None

    @classmethod
    def of(cls, ticks: NDArray[np.int64], board: BoardInfo) -> Latency | None:
        """From ticks of the board's clock; None without any."""
        clock_hz = board.clock_hz
        if not len(ticks):
            return None
        values = np.percentile(ticks, [0, 50, 99, 100], method="higher")
        lowest, middle, high, highest = (float(v) * 1e6 / clock_hz for v in values)
        names = ("min", "p50", "p99", "max")
        cycles = None
        if clock_hz > CYCLES_FROM_HZ and not board.emulated:
            cycles = dict(zip(names, (int(v) for v in values), strict=True))
        mean = float(ticks.mean()) * 1e6 / clock_hz
        return cls(len(ticks), lowest, middle, high, highest, mean, cycles)


@dataclass(frozen=True)
class Difference:
    """Where the board first differs: output or state value `index` after a step."""

    what: str
    sequence: int
    step: int
    index: int
    board: int
    reference: int


@dataclass(frozen=True)
class Traffic:
    """What the line cost. lost: samples without an answer; the session ends with an error first,
    so this is 0 in every report. damaged_here, damaged_there: frames that failed their check.
    """

    lost: int
    resent: int
    naks: int
    damaged_here: int
    damaged_there: int


@dataclass(frozen=True)
class Arrays:
    """What the figures need. Shapes as in Outputs; ticks of the board's clock, gc (N, T);
    decisions (N, T) of the board, as `decided.decisions` gives them, None of values."""

    batch: Batch
    expected: Outputs
    got: Outputs
    ticks: NDArray[np.int64]
    gc: NDArray[np.bool_]
    decisions: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class ValidationReport:
    """The result. equal: every output and every last state is the reference's. coverage: what
    board and reference clamped alike, since the model does not know it. different_decisions: None
    where there are no labels."""

    model: str
    data: str
    port: str
    equal: bool
    sequences: int
    steps: int
    outputs_compared: int
    different_steps: int
    different_states: int
    first_difference: Difference | None
    clamped_steps: int
    clamped_equal: bool
    readout: str
    score_board: Scores | None
    score_reference: Scores | None
    latency: Latency | None
    latency_gc: Latency | None
    samples_per_second: float
    stream_seconds: float
    wall_seconds: float
    traffic: Traffic
    board: BoardInfo
    model_facts: dict[str, Any]
    deployment: dict[str, Any] | None
    coverage: Coverage
    labels: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    different_decisions: int | None = None
    costs: tuple[Estimate, ...] = ()
    truth: NDArray[Any] | None = field(default=None, repr=False, compare=False)
    arrays: Arrays | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        verdict = "equal" if self.equal else f"DIFFERENT in {self.different_steps:,} steps"
        return (
            f"<ValidationReport {self.model} on {self.port}: {verdict}, {self.steps:,} steps, "
            f"{self.samples_per_second:,.0f} samples/s>"
        )

    def to_json(self) -> dict[str, Any]:
        """Everything but the arrays, ready for json.dump."""
        content = {k: v for k, v in vars(self).items() if k not in ("arrays", "truth")}
        content["costs"] = [asdict(cost) for cost in self.costs]
        content["emulated"] = self.board.emulated
        for key, value in content.items():
            if isinstance(value, Scores):
                content[key] = value.to_dict()
            elif hasattr(value, "__dataclass_fields__"):
                content[key] = asdict(value)
        content["coverage"] = self.coverage.to_dict()
        return content


def validate(
    model_path: Path,
    source: Path | Sequences,
    port: str,
    *,
    options: DataOptions | None = None,
    to: str | None = None,
    deploy: bool = True,
    window: int | None = None,
    timeout: float = 60,
    progress: Callable[[int, int], None] | None = None,
    deployed: Callable[[deployment.DeployReport], None] | None = None,
) -> ValidationReport:
    """Stream all sequences of a data file (or a folder, or a pattern) through the board, the state
    reset before each; what has targets in the windows in which the model decides.

    options: how the data are read. to: path of the model on the board. deploy: send what is
    missing there, else refuse. window: bytes the board's port can hold. timeout: seconds for
    loading. progress(steps done, all). Raises UlnnError.
    """
    content, model = container.read_file(model_path)
    readout = model.readout
    data = source if isinstance(source, Sequences) else read_data(source, options, readout)
    data = matched(data, model.channels, model.labels)
    data = decided.windows(model.decision, model.tick_ns, data)
    batch = quantise(model, data)
    expected = engines.run(content, batch, "reference")
    score_reference = _score(model, data, expected)
    start = time.monotonic()
    with Board.open(port) as board:
        report = None
        if deploy:
            report = deployment.deploy(board, model_path, to)
            path = report.plan.model_path
            if deployed:
                deployed(report)
        else:
            path = _present(board, identify(board), model_path, to)
            board.soft_reset()
        window = window or (VIRTUAL_WINDOW if port.startswith("virtual:") else 256)
        with board.stream(path, window=window, timeout=timeout) as session:
            _same_model(session, model, port, path)
            arrays, clamped, seconds = _stream(session, model, batch, expected, progress)
            stats = session.stats()
            info = session.info
    different = None
    if isinstance(score_reference, ClassScores):
        arrays = replace(arrays, decisions=decided.decisions(model, arrays.got.y, data))
        wanted = decided.decisions(model, expected.y, data)
        different = int(np.sum(arrays.decisions != wanted))
    traffic = Traffic(0, session.resent, session.naks, session.damaged, stats["damaged"])
    wall = time.monotonic() - start
    return _compare(
        ValidationReport(
            model=str(model_path),
            data="recordings" if isinstance(source, Sequences) else str(source),
            port=port,
            equal=False,
            sequences=len(data),
            steps=int(data.length.sum()),
            outputs_compared=int(data.length.sum()) * model.output_size,
            different_steps=0,
            different_states=0,
            different_decisions=different,
            first_difference=None,
            clamped_steps=clamped,
            clamped_equal=clamped == int(clamped_steps(model, batch.dt)[data.mask].sum()),
            readout=readout,
            score_board=_score(model, data, arrays.got),
            score_reference=score_reference,
            latency=Latency.of(arrays.ticks[data.mask & ~arrays.gc], info),
            latency_gc=Latency.of(arrays.ticks[data.mask & arrays.gc], info),
            samples_per_second=int(data.length.sum()) / seconds,
            stream_seconds=seconds,
            wall_seconds=wall,
            traffic=traffic,
            board=info,
            model_facts=facts.of_model(model),
            deployment=report.to_json() if report else None,
            coverage=coverage(model, data),
            labels=data.labels,
            channels=model.channels or data.channels,
            costs=estimates(model),
            truth=data.y,
            arrays=arrays,
        ),
        data,
    )


def _score(model: ModelFile, data: Sequences, outputs: Outputs) -> Scores | None:
    """Measures against the targets, where the data have any. Raises UlnnError when they do not fit
    the model.
    """
    if data.y is None:
        return None
    return decided.score(model, outputs.y, data)


def _present(board: Board, identity: Identity, model_path: Path, to: str | None) -> str:
    """Path of the model on the board, and is everything else there?"""
    path = default_target(identity, model_path, to)
    if board.sha256(path) is None:
        raise UlnnError(
            f"port {board.name}: {path} is not on the board; deploy it first "
            f"(tools/deploy.py --port {board.name} {model_path}), or leave --no-deploy away"
        )
    return path


def _same_model(session: Session, model: ModelFile, port: str, path: str) -> None:
    if session.info.sha256 != model.sha256:
        raise UlnnError(
            f"port {port}: {path} on the board is another model "
            f"({session.info.sha256[:12]}..., expected {model.sha256[:12]}...); deploy again, "
            "or leave --no-deploy away"
        )


def _stream(
    session: Session,
    model: ModelFile,
    batch: Batch,
    expected: Outputs,
    progress: Callable[[int, int], None] | None,
) -> tuple[Arrays, int, float]:
    got = Outputs.empty(model, batch)
    ticks = np.zeros(batch.dt.shape, np.int64)
    gc = np.zeros(batch.dt.shape, bool)
    total, done, clamped, seconds = int(batch.length.sum()), 0, 0, 0.0

    def count(steps: int) -> None:
        nonlocal done
        done += steps
        if progress:
            progress(done, total)

    for n, steps in enumerate(batch.length):
        session.reset()
        start = time.monotonic()
        try:
            trace = session.run(batch.x[n, :steps], batch.dt[n, :steps], count)
        except UlnnError as error:
            raise UlnnError(f"{error} (after {done} of {total} samples)") from error
        seconds += time.monotonic() - start
        got.y[n, :steps], ticks[n, :steps], gc[n, :steps] = trace.y, trace.ticks, trace.gc
        got.state[n] = session.state()
        clamped += session.stats()["clamped"]
    return Arrays(batch, expected, got, ticks, gc), clamped, seconds


def _compare(report: ValidationReport, data: Sequences) -> ValidationReport:
    arrays = report.arrays
    assert arrays is not None
    wrong = (arrays.got.y != arrays.expected.y) & data.mask[..., None]
    wrong_state = arrays.got.state != arrays.expected.state
    changes: dict[str, Any] = {
        "different_steps": int(wrong.any(-1).sum()),
        "different_states": int(wrong_state.any(-1).sum()),
        "equal": not wrong.any() and not wrong_state.any() and report.clamped_equal,
        "first_difference": _first_difference(arrays, wrong, wrong_state),
    }
    return ValidationReport(**{**vars(report), **changes})


def _first_difference(
    arrays: Arrays, wrong: NDArray[np.bool_], wrong_state: NDArray[np.bool_]
) -> Difference | None:
    if wrong.any():
        n, t, k = (int(v) for v in np.argwhere(wrong)[0])
        return Difference(
            "output", n, t, k, int(arrays.got.y[n, t, k]), int(arrays.expected.y[n, t, k])
        )
    if wrong_state.any():
        n, k = (int(v) for v in np.argwhere(wrong_state)[0])
        last = int(arrays.batch.length[n]) - 1
        return Difference(
            "state", n, last, k, int(arrays.got.state[n, k]), int(arrays.expected.state[n, k])
        )
    return None
