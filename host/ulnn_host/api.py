"""The public face: from recordings to a proven board in a dozen names.

    import ulnn_host as uh
    data = uh.read("takes/a.csv", unit="ms", label="what", per="sequence")
    model = uh.convert(uh.train("recipe.toml"), data)
    model.save("net.ulnn")
    uh.deploy(model, port="auto")
    assert uh.validate(model, data, port="auto").equal

Every function raises `UlnnError`, with the words of the command line. Nothing here computes: the
rooms of the package do.
"""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base.errors import UlnnAssumption, UlnnError, UlnnWarning
from .base.progress import BYTES, bar, bars, status
from .base.toml_tables import table
from .data.sequences import Sequences
from .format import container
from .model import Model, load

if TYPE_CHECKING:
    from torch import nn

    from .board.deploy import DeployReport, Plan
    from .board.deployed import Deployed
    from .board.live import Moment
    from .board.record import Take
    from .board.validate import ValidationReport
    from .data.mask import Masked
    from .data.options import DataOptions
    from .experiments.compare import Comparison
    from .experiments.maintain import Maintained
    from .network.float_network import FloatNetwork
    from .train.train import TrainedNetwork

__all__ = [
    "Model",
    "compare",
    "convert",
    "deploy",
    "deployed",
    "live",
    "load",
    "maintain",
    "mask",
    "read",
    "record",
    "train",
    "validate",
]


def read(*sources: str | Path, **keys: Any) -> Sequences:
    """Recordings from files (CSV, Parquet, .npz), folders of them, or patterns as "logs/*.csv".

    keys: how the files are read, as `ulnn data --help` lists them: unit="ms", label="what",
    per="step", group="{}_*.csv", channels=("ax", "ay") ... Warns of what looks wrong.
    """
    from .data import logs

    return logs.read(*sources, **keys)


def mask(
    policy: str | Path, source: str | Path, output: str | Path | None = None, **keys: Any
) -> Masked:
    """Mask a file (CSV, Parquet, JSON lines) into one of the same kind, whole or not at all;
    without an output nothing is written, no budget is spent, and small groups are counted.

    policy: the path of one. keys: purpose, options, progress, as of `data.mask.mask`.
    """
    from .data import mask as room

    return room.mask(policy, source, output, **keys)


def train(source: str | Path | Sequences, /, **keys: Any) -> TrainedNetwork:
    """Train a network as a recipe says, or on data.

    source: a recipe's path (.toml); or data, or the path of some, with the keys of a recipe by
    their names alone: `train("takes/", label="what", cell="ltc", epochs=50, valid_fraction=0.2)`.
    Beside a recipe, keys take the place of its own. Ctrl-C raises `train.train.Stopped`, a
    KeyboardInterrupt whose `network` is the best so far.
    """
    from .train import recipe
    from .train.train import train as fit

    if not isinstance(source, Sequences) and Path(source).suffix == ".toml":
        return fit(recipe.read_recipe(Path(source), keys))
    if "source" in keys:
        raise UlnnError("train: got data and the key source, expected one of them")
    if isinstance(source, Sequences):
        return fit(recipe.with_keys({"data": {"source": ""}}, keys), source)
    return fit(recipe.with_keys({"data": {"source": str(source)}}, keys))


def compare(*recipes: str | Path, cache: str | Path | None = None, **keys: Any) -> Comparison:
    """Compare recipes (.toml), the first with all others, on data held out, as `ulnn compare`.

    keys: of `experiments.compare.Plan`: seeds=5, budget="12KB" ... cache: folder of trainings that
    are done; None: compare.cache beside the first recipe. Ctrl-C ends it: `.stopped`.
    """
    from .experiments.compare import Plan, compare_files

    plan = table(Plan, keys)
    with bar("trainings") as shown:
        return compare_files([Path(path) for path in recipes], plan, cache, shown.update)


def maintain(
    source: str,
    *recipes: str | Path,
    options: DataOptions | None = None,
    healthy: float = 0.4,
    state: str = "",
    cache: str | Path = "maintain.cache",
    **keys: Any,
) -> Maintained:
    """What warns longest before machines fail, at equal false alarms, as `ulnn maintain`.

    source: recordings of machines, a group each, or "machines", the generated set. recipes: of
    networks that predict the next step; none: a CfC's. healthy: share of each life; state: which
    recordings count, as "acc rms > 9". keys: of `experiments.maintain.Plan`: seeds=5 ...
    """
    from .data.options import DataOptions
    from .experiments.maintain import Plan, maintain_files

    plan = table(Plan, keys)
    paths = [Path(path) for path in recipes]
    said = options or DataOptions()
    with bar("trainings") as shown:
        return maintain_files(source, paths, said, healthy, state, plan, Path(cache), shown.update)


def record(port: str = "auto", **keys: Any) -> Take:
    """Record the source on a board, every sample with its time, into a new take (CSV or Parquet,
    a session file beside it) until `seconds` have passed, the source ends, or Ctrl-C.

    keys: label, group, folder, source, seconds, kind, wait, progress ... of `board.record.record`.
    """
    from .board import record as room

    return room.record(port, **keys)


def live(port: str = "auto", **keys: Any) -> Moment:
    """Follow the app on a board: samples, outputs and decisions as they come, to callbacks.

    keys: settings, seconds, on_decision, progress ... of `board.live.live`. Returns the last
    moment, with counts of all decisions.
    """
    from .board import live as room

    return room.live(port, **keys)


def convert(
    source: str | Path | FloatNetwork | TrainedNetwork | nn.Module,
    data: Sequences | str | Path,
    *,
    bits: int | None = None,
    max_bytes: int | None = None,
    calibration: str = "max",
    fixed_dt: float | None = None,
    longest_gap: float | None = None,
    tick_ns: int = 1000,
    sparse: str = "auto",
    votes: int = 1,
    unsure: float = 0.0,
    least: float = 0.0,
    centres: int = 0,
    unknown: float = 0.0,
    finetune: int = 0,
    towards: str = "float",
    learning_rate: float = 1e-4,
    test: Sequences | str | Path | None = None,
    compare: bool = False,
    name: str = "",
    model_version: int = 1,
    hyper: Mapping[str, Any] | None = None,
    call: Callable[..., Any] | None = None,
    mode: str | None = None,
    activation: str | None = None,
    dialect: str | None = None,
    order: Sequence[str] = (),
    weights: str | None = None,
    check: str | Path | None = None,
    options: DataOptions | None = None,
) -> Model:
    """An integer model of a network, calibrated on data, as `ulnn convert` makes it.

    source: what `train` returned; a module of torch (CfC, LTC or wired of ncps, LSTM or GRU of
    torch.nn, or a module around them), which is run beside the import and must give the same; a
    FloatNetwork; or a checkpoint's path. data: what to calibrate on; test: data that calibration
    does not see, for the scores in the model's `conversion`; options: how they are read, where
    they are a path. hyper: of a module, what a checkpoint's TOML file says (mean, std,
    time_scale, labels, order ...). call(module, x, dt): how to call a module whose signature does
    not say it. name: stands in the file's metadata, where everybody can read it; model_version: in
    its header, counts the releases of one model. votes, unsure, least, centres, unknown: when a
    decision counts, and how a wearer may move it, as `ulnn convert --help` says. mode, activation,
    dialect, order, weights, check: of a path, as for `ulnn convert`.
    Warns (`UlnnWarning`) of what was assumed and of what looks wrong.
    """
    from .data import logs
    from .data.options import for_both
    from .quantize import sources
    from .quantize.options import Options, sparsity
    from .report.conversion import Wishes, convert_network

    of_data, of_test = for_both(options, data, test)
    if isinstance(source, str | Path):
        modules = order.split(",") if isinstance(order, str) else order
        said = sources.Said(mode, activation, dialect, tuple(modules), weights, check)
        network, original, assumed = sources.of_path(Path(source), said)
        known = Path(source).stem
    else:
        if not isinstance(data, Sequences):
            data = logs.read_data(data, of_data)
        network, original, known, assumed = sources.of_object(
            source, data, dict(hyper or {}), call
        )
    if not isinstance(data, Sequences):
        data = logs.read_data(data, of_data, network.readout or "last")
    if test is not None and not isinstance(test, Sequences):
        test = logs.read_data(test, of_test, network.readout or "last")
    if data.channels and not network.channels:
        assumed += (f"the inputs are {', '.join(data.channels)}",)
    for line in assumed:
        _warn(line, UlnnAssumption)
    chosen = Options(
        tick_ns=tick_ns,
        fixed_dt=fixed_dt,
        longest_gap=longest_gap,
        name=name,
        sparse=sparsity(sparse),
        model_version=model_version,
        votes=votes,
        centres=centres,
        unknown=unknown,
        unsure=unsure,
        least=least,
    )
    wishes = Wishes(bits, max_bytes, calibration, compare, finetune, towards, learning_rate)
    with status() as shown:
        done = convert_network(network, data, chosen, wishes, shown, test)
    for line in done.report.warnings:
        _warn(line)
    return Model(
        done.content, name=name or known, report=done.report, original=original, assumed=assumed
    )


def _warn(line: str, kind: type[UlnnWarning] = UlnnWarning) -> None:
    warnings.warn(line, kind, stacklevel=3)


def deploy(
    model: Model | str | Path,
    port: str = "auto",
    *,
    to: str | None = None,
    app: str | Path | None = None,
    dry_run: bool = False,
    pure: bool = False,
    baudrate: int = 115200,
    quiet: bool = False,
    planned: Callable[[Plan], None] | None = None,
    done: Callable[[DeployReport], None] = lambda report: None,
    then: str = "",
) -> DeployReport:
    """Put a model, the engine and the serial loop on a board, and run the self test there.

    When that fails, the board goes back to what it had. port: a serial port, `auto` for the only
    board that is plugged in, or virtual:cortex-m7. to: path on the board. app: settings (JSON) of
    an app that starts with the board, firmware/docs/app.md. pure: use the engine in Python.
    planned: called with what is to be done; done: with the report. then: tail or repl.
    """
    from .board import terminal
    from .board.app import read_app
    from .board.deploy import deploy as send
    from .board.discover import opened

    with _as_file(model) as path:
        program = read_app(Path(app), container.read_file(path)[0], to) if app else None
        with opened(port, baudrate) as board:
            with bars(quiet=quiet, count=BYTES) as shown:
                report = send(board, path, to, dry_run, pure, shown.update, planned, program)
            done(report)
            terminal.follow(board, then)
    return report


def deployed(port: str = "auto", *, baudrate: int = 115200) -> Deployed:
    """What a board holds: `versions()`, `rollback()` and `remove()`, each of which opens it."""
    from .board.deployed import Deployed

    return Deployed(port, baudrate)


def validate(
    model: Model | str | Path,
    data: Sequences | str | Path,
    port: str = "auto",
    *,
    options: DataOptions | None = None,
    to: str | None = None,
    may_deploy: bool = True,
    window: int = 0,
    baudrate: int = 115200,
    wait: float = 10,
    faults: str | None = None,
    resume: Path | None = None,
    notice: Callable[[str], None] | None = None,
    timeout: float = 60,
    deployed: Callable[[DeployReport], None] | None = None,
) -> ValidationReport:
    """Stream data through a model on a board, and compare every output with the reference.

    `.equal` says whether all outputs and states are the same, bit for bit; `.coverage` counts what
    all engines clamp alike, of which this warns (`UlnnWarning`). port, to: as for `deploy`.
    options: how data are read, where they are a path. may_deploy: bring what is missing there
    first, and call deployed with what was done. window: bytes that the port holds while a step
    runs; 0: as the board offers. timeout: seconds for loading the model there. wait: seconds until
    an unplugged board is back. faults: damage on purpose, RATE[:KIND]. resume: report (JSON) of a
    run that broke off (base.errors.BrokenOff, which has it). notice: a line about each restart.
    """
    from .board.discover import resolve
    from .board.faults import Faults
    from .board.validate import validate as prove

    source = data if isinstance(data, Sequences) else Path(data)
    with _as_file(model) as path, bar("streaming") as shown:
        done = prove(
            path,
            source,
            resolve(port),
            options=options,
            to=to,
            deploy=may_deploy,
            window=window,
            baudrate=baudrate,
            timeout=timeout,
            wait=wait,
            faults=Faults.parse(faults) if faults else None,
            resume=resume,
            progress=shown.update,
            notice=notice,
            deployed=deployed,
        )
    for line in done.coverage.warnings:
        _warn(line)
    return replace(done, model=model.name) if isinstance(model, Model) else done


@contextlib.contextmanager
def _as_file(model: Model | str | Path) -> Iterator[Path]:
    """The path of a model's file, made for a while where there is none."""
    if not isinstance(model, Model):
        yield Path(model)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield model.save(Path(folder) / f"{model.name}.ulnn")
