"""Prove that a board computes what the PC computes: every output, every state, bit for bit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import BrokenOff, UlnnError
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
from .exchange import LoopEnded
from .faults import Faults
from .identity import Identity, identify
from .kept import Kept
from .line import BAUDRATE, LineLost
from .link import Board
from .plan import default_target
from .stream import BoardInfo, RunBroken, Session

CYCLES_FROM_HZ = 2_000_000


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
    """What the line cost. lost: samples without an answer, which in a whole run are none. resent:
    frames, and answers, sent again. damaged_here, damaged_there: stretches of bytes that were no
    frame. restarts: loops started again; repeated: steps that the board made twice for that.
    faults: bytes damaged on purpose.
    """

    lost: int
    resent: int
    naks: int
    damaged_here: int
    damaged_there: int
    restarts: int
    repeated: int
    faults: int


@dataclass(frozen=True)
class Arrays:
    """What the figures need. Shapes as in Outputs; ticks of the board's clock, gc (N, T);
    received (N, T): steps that were answered; finished (N,): sequences whose last state came;
    decisions (N, T): the board's, as `decided.decisions` gives them, None without labels.
    """

    batch: Batch
    expected: Outputs
    got: Outputs
    ticks: NDArray[np.int64]
    gc: NDArray[np.bool_]
    received: NDArray[np.bool_]
    finished: NDArray[np.bool_]
    decisions: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class ValidationReport:
    """The result. equal: every output and every last state is the reference's. coverage: what
    board and reference clamped alike, since the model does not know it. broken_off: why the run
    ended after `compared` of `steps` steps, "" for a whole run. different_decisions: None without
    labels, and for a run that broke off. adapts: whether a wearer can move decisions; those here
    are the model's, without what one taught.
    """

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
    compared: int = 0
    broken_off: str = ""
    channels: tuple[str, ...] = ()
    different_decisions: int | None = None
    adapts: bool = False
    costs: tuple[Estimate, ...] = ()
    truth: NDArray[Any] | None = field(default=None, repr=False, compare=False)
    arrays: Arrays | None = field(default=None, repr=False, compare=False)
    kept: Kept | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        verdict = "equal" if self.equal else f"DIFFERENT in {self.different_steps:,} steps"
        if self.broken_off and not self.different_steps:
            verdict = f"broken off after {self.compared:,} steps"
        return (
            f"<ValidationReport {self.model} on {self.port}: {verdict}, {self.steps:,} steps, "
            f"{self.samples_per_second:,.0f} samples/s>"
        )

    def to_json(self) -> dict[str, Any]:
        """Everything but the arrays, ready for json.dump; of a run that broke off also what
        `--resume` needs.
        """
        content = {k: v for k, v in vars(self).items() if k not in ("arrays", "kept", "truth")}
        content["costs"] = [asdict(cost) for cost in self.costs]
        content["emulated"] = self.board.emulated
        if self.broken_off and self.kept:
            content["resume"] = self.kept.to_json()
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
    window: int = 0,
    timeout: float = 60,
    baudrate: int = BAUDRATE,
    wait: float = 0.0,
    faults: Faults | None = None,
    resume: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    notice: Callable[[str], None] | None = None,
    deployed: Callable[[deployment.DeployReport], None] | None = None,
) -> ValidationReport:
    """Stream all sequences of a data file (or a folder, or a pattern) through the board, the state
    reset before each; what has targets in the windows in which the model decides.

    options: how the data are read. to: path of the model on the board. deploy: send what is
    missing there, else refuse. window: bytes the board's port can hold; 0: what the board offers.
    timeout: seconds for loading. wait: seconds until an unplugged board is back. faults: damage on
    purpose. resume: the JSON report of a run that broke off, to go on with. progress(steps done,
    all), notice(a line about a restart). Raises UlnnError; BrokenOff holds a report of what came.
    """
    content, model = container.read_file(model_path)
    readout = model.readout
    data = source if isinstance(source, Sequences) else read_data(source, options, readout)
    data = matched(data, model.channels, model.labels)
    data = decided.windows(model.decision, model.tick_ns, data)
    batch = quantise(model, data)
    kept = Kept.read(resume, model, batch) if resume else Kept(model, batch)
    expected = engines.run(content, batch, "reference")
    score_reference = _score(model, data, expected)
    start = time.monotonic()
    report: deployment.DeployReport | None = None
    session: Session | None = None
    broken: UlnnError | None = None
    try:
        with Board.open(port, baudrate=baudrate, wait=wait, faults=faults, notice=notice) as board:
            if deploy:
                report = deployment.deploy(board, model_path, to)
                path = report.plan.model_path
                if deployed:
                    deployed(report)
            else:
                path = _present(board, identify(board), model_path, to)
                board.soft_reset()
            with board.stream(path, window=window, timeout=timeout) as session:
                _same_model(session, model, port, path)
                _same_board(session, kept, port)
                _stream(session, batch, kept, progress)
                _count(kept, session, faults, session.stats()["damaged"])
    except (RunBroken, LoopEnded, LineLost) as error:
        if session is None:
            raise
        if not kept.finished.all():
            broken = error
            _count(kept, session, faults, 0)
    assert session is not None
    info = session.info
    arrays = Arrays(
        *(batch, expected, kept.got, kept.ticks, kept.gc, kept.received, kept.finished)
    )
    different = None
    if isinstance(score_reference, ClassScores) and broken is None:
        arrays = replace(arrays, decisions=decided.decisions(model, kept.got.y, data))
        wanted = decided.decisions(model, expected.y, data)
        different = int(np.sum(arrays.decisions != wanted))
    steps = int(data.length.sum())
    clamped = int(clamped_steps(model, batch.dt)[data.mask].sum())
    result = _compare(
        ValidationReport(
            model=str(model_path),
            data="recordings" if isinstance(source, Sequences) else str(source),
            port=port,
            equal=False,
            sequences=len(data),
            steps=steps,
            outputs_compared=kept.done * model.output_size,
            different_steps=0,
            different_states=0,
            different_decisions=different,
            adapts=model.centres is not None,
            first_difference=None,
            clamped_steps=kept.clamped,
            clamped_equal=broken is not None or kept.clamped == clamped,
            readout=readout,
            score_board=None if broken else _score(model, data, kept.got),
            score_reference=score_reference,
            latency=Latency.of(kept.ticks[kept.received & ~kept.gc], info),
            latency_gc=Latency.of(kept.ticks[kept.received & kept.gc], info),
            samples_per_second=kept.done / kept.seconds if kept.seconds else 0.0,
            stream_seconds=kept.seconds,
            wall_seconds=time.monotonic() - start,
            traffic=Traffic(steps - kept.done, **kept.counters),
            board=info,
            model_facts=facts.of_model(model),
            deployment=report.to_json() if report else None,
            coverage=coverage(model, data),
            labels=data.labels,
            compared=kept.done,
            broken_off=str(broken or ""),
            channels=model.channels or data.channels,
            costs=estimates(model),
            truth=data.y,
            arrays=arrays,
            kept=kept,
        )
    )
    if broken is not None:
        done = f"(broken off after {result.compared:,} of {result.steps:,})"
        raise BrokenOff(f"{broken} {done}", result) from broken
    return result


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


def _same_board(session: Session, kept: Kept, port: str) -> None:
    """A run is gone on with on the kind of board on which it began."""
    seen = {name: session.info.facts.get(name, "") for name in ("board", "engine", "kernel")}
    kept.board = kept.board or seen
    if kept.board != seen:
        raise UlnnError(
            f"port {port}: the run began on {' '.join(kept.board.values())}, this is "
            f"{' '.join(seen.values())}: start without --resume"
        )


def _stream(
    session: Session,
    batch: Batch,
    kept: Kept,
    progress: Callable[[int, int], None] | None,
) -> None:
    total, done = int(batch.length.sum()), kept.done

    def count(steps: int) -> None:
        nonlocal done
        done += steps
        if progress:
            progress(min(done, total), total)

    for n in range(kept.sequence, len(batch.length)):
        steps, mark = int(batch.length[n]), kept.mark
        began = time.monotonic()
        session.reset()
        try:
            answers = session.run(
                *(batch.x[n, :steps], batch.dt[n, :steps], count),
                start=mark if mark.step else None,
            )
        except RunBroken as error:
            kept.take(n, error.answers, mark.step)
            kept.sequence, kept.mark = n, error.answers.end
            raise
        finally:
            kept.seconds += time.monotonic() - began
        kept.take(n, answers, mark.step)
        kept.finish(n, answers.end)


def _count(kept: Kept, session: Session, faults: Faults | None, damaged_there: int) -> None:
    """Add what the line cost to what it had cost before."""
    more = {
        "resent": session.resent,
        "naks": session.naks,
        "damaged_here": session.damaged,
        "damaged_there": damaged_there,
        "restarts": session.restarts,
        "repeated": session.repeated,
        "faults": faults.count if faults else 0,
    }
    kept.counters = {name: kept.counters[name] + value for name, value in more.items()}


def _compare(report: ValidationReport) -> ValidationReport:
    arrays = report.arrays
    assert arrays is not None
    wrong = (arrays.got.y != arrays.expected.y) & arrays.received[..., None]
    wrong_state = (arrays.got.state != arrays.expected.state) & arrays.finished[:, None]
    changes: dict[str, Any] = {
        "different_steps": int(wrong.any(-1).sum()),
        "different_states": int(wrong_state.any(-1).sum()),
        "equal": not wrong.any()
        and not wrong_state.any()
        and report.clamped_equal
        and report.compared == report.steps
        and bool(arrays.finished.all()),
        "first_difference": _first_difference(arrays, wrong, wrong_state),
    }
    return replace(report, **changes)


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
