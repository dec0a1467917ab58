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

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .base import files
from .base.errors import UlnnAssumption, UlnnError, UlnnWarning
from .base.progress import BYTES, bar, bars, status
from .base.toml_tables import table
from .board.live import live as live
from .board.record import record as record
from .data.mask import mask as mask
from .data.sequences import Sequences
from .engines import registry
from .engines.batch import quantise
from .engines.coverage import Coverage
from .engines.coverage import coverage as measure
from .engines.outputs import Outputs
from .engines.reference import Reference
from .format import container, facts

if TYPE_CHECKING:
    from torch import nn

    from .board.deploy import DeployReport, Plan
    from .board.deployed import Deployed
    from .board.validate import ValidationReport
    from .data.degrade import Fill, Pattern
    from .data.options import DataOptions
    from .data.scores import Scores
    from .experiments.adapt import Adapted
    from .experiments.compare import Comparison
    from .experiments.robustness import Robustness
    from .importers.check import Agreement
    from .network.float_network import FloatNetwork
    from .report.convert_report import ConvertReport
    from .train.train import TrainedNetwork

Float = NDArray[np.float32]


class Model:
    """An integer model: what reading its file gives, and a state to step it with.

    content: the bytes of the file. conversion: how good it was on the data it was calibrated on;
    original: how far the import is from the module or the pairs it was compared with; assumed:
    what the checkpoint did not say. None and () for a model that was loaded from a file.
    """

    def __init__(
        self,
        content: bytes,
        *,
        name: str = "",
        report: ConvertReport | None = None,
        original: Agreement | None = None,
        assumed: tuple[str, ...] = (),
    ) -> None:
        self.content = content
        self.file = container.read(content)
        self.name = name or str(self.file.meta.get("name", "")) or "model"
        self.conversion = report
        self.original = original
        self.assumed = assumed
        self._engine = Reference(self.file)

    def __repr__(self) -> str:
        layers = " > ".join(facts.NAMES[layer.kind] for layer in self.file.layers)
        return (
            f"<Model {self.name}: {layers}, {self.file.input_size} inputs, "
            f"{self.file.output_size} outputs, int{self.file.weight_bits}, "
            f"{len(self.content):,} bytes, sha256 {self.sha256[:12]}>"
        )

    @property
    def sha256(self) -> str:
        """Of the file, as in its header: 64 hexadecimal digits."""
        return self.file.sha256

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the outputs; () without."""
        return self.file.labels

    def run(
        self, x: ArrayLike | Sequences, dt: ArrayLike | None = None, engine: str = "reference"
    ) -> Float:
        """Real outputs for real inputs, from a zero state; `state` stays as it is.

        x: (T, I) or (N, T, I), or Sequences, which have their dt; dt: seconds since the sample
        before, a number or (T,) or (N, T). engine: reference, native, pure, unix, cortex-m7 or
        rv32. Returns (T, O) or (N, T, O), 0 after the end of shorter sequences. Warns
        (`UlnnWarning`) of times and inputs that the model does not know, as `coverage` counts.
        """
        if isinstance(x, Sequences):
            return self.outputs(x, engine).y
        if dt is None:
            raise UlnnError("dt: expected seconds since the sample before, a number or an array")
        data = Sequences(np.asarray(x, np.float32), np.asarray(dt, np.float32))
        return self.outputs(data, engine).y

    def outputs(self, data: Sequences, engine: str = "reference") -> Outputs:
        """As `run`, with the integers and the last states."""
        engines = registry.ENGINES
        if engine not in engines:
            from .board import board_engine  # which needs a serial port's drivers

            engines = board_engine.ENGINES
        done = registry.run(self.content, quantise(self.file, data), engine, engines)
        covered = self.coverage(data)
        for line in covered.warnings:
            _warn(line)
        y = np.where(data.mask[..., None], self.file.dequantise_output(done.y), 0)
        one = 0 if data.flat else slice(None)
        return Outputs(y.astype(np.float32)[one], done.y[one], done.state[one], covered)

    def read(
        self, *sources: str | Path, options: DataOptions | None = None, **keys: Any
    ) -> Sequences:
        """As the function `read`, for this model: its readout says whether labels belong to
        sequences or to steps.
        """
        from .data import logs

        return logs.read_data(sources, options or logs.said(keys), self.file.readout)

    def step(self, x: ArrayLike, dt: float) -> Float:
        """One step from the state now: real inputs (I,), dt in seconds. Returns (O,)."""
        values = np.asarray(x, np.float64)
        if values.shape != (self.file.input_size,):
            raise UlnnError(f"x has shape {values.shape}, expected ({self.file.input_size},)")
        if np.isnan(values).any():
            raise UlnnError("x holds NaN, expected numbers: leave the sample out, its dt grows")
        try:
            y = self._engine.step(self.file.quantise_input(values), self.file.ticks(dt))
        except ValueError as error:
            raise UlnnError(str(error)) from error
        return self.file.dequantise_output(y)

    def reset(self) -> None:
        """The state to 0."""
        self._engine.reset()

    @property
    def state(self) -> NDArray[np.int16]:
        """The state (state_size,) as integers; can be set."""
        return self._engine.state

    @state.setter
    def state(self, values: ArrayLike) -> None:
        found = np.asarray(values)
        inside = (found == np.rint(found)) & (np.abs(found + 0.5) < 32768)
        if found.shape != (self.file.state_size,) or not inside.all():
            raise UlnnError(
                f"state: expected {self.file.state_size} whole numbers from -32768 to 32767"
            )
        self._engine.state = found.astype(np.int16)

    def info(self) -> dict[str, Any]:
        """Sizes, units and identity, names of inputs and outputs, and how outputs become
        decisions."""
        named = {"channels": self.file.channels, "labels": self.file.labels}
        return facts.of_model(self.file) | named | {"decision": facts.of_decision(self.file)}

    def coverage(self, data: Sequences) -> Coverage:
        """How far data lie within the times and ranges that the model knows: `.warnings` in words,
        counts of what is clamped, by input."""
        return measure(self.file, data)

    def facts(self) -> dict[str, dict[str, Any]]:
        """All that `ulnn info` shows, by title: model, sections, layers, cost, metadata."""
        return facts.of_content(self.content, self.file)

    def report(self, data: Sequences) -> Scores:
        """Measures of the decisions, or of the values, on data with targets that calibration has
        not seen: the object that `conversion` holds for its data, and `ulnn score` prints.
        """
        from .data.matched import matched
        from .engines import decided

        data = matched(replace(data, flat=False), self.file.channels, self.file.labels)
        data = decided.windows(self.file.decision, self.file.tick_ns, data)
        return decided.score(self.file, self.outputs(data).y_int, data)

    def score(
        self,
        data: Sequences,
        drops: Sequence[float] = (),
        noises: Sequence[float] = (),
        *,
        pattern: Pattern = "samples",
        fill: Fill = "skip",
        network: FloatNetwork | None = None,
        seed: int = 0,
    ) -> Robustness:
        """Measures on data as they are, with shares of the samples lost (`drops`), and with noise
        in standard deviations of each channel, as `ulnn score`. pattern: "samples" or "bursts";
        fill: "skip", "hold" or "mean"; network: one in float to measure beside.
        """
        from .experiments.robustness import conditions, robustness

        tried = conditions(drops, noises, pattern, fill)
        return robustness(data, network=network, model=self.content, tried=tried, seed=seed)

    def adapt(
        self, data: Sequences, *, start: Path | None = None, test: Sequences | None = None
    ) -> Adapted:
        """What one wearer's labelled examples teach, as `ulnn adapt`; `.save` writes it for the
        board. start: his file of sessions before; test: recordings of another session."""
        from .experiments.adapt import adapt

        return adapt(self.content, data, start=start, test=test)

    def save(self, path: str | Path) -> Path:
        """Write the file; it is whole or not there."""
        files.write(path, self.content)
        return Path(path)


def load(path: str | Path) -> Model:
    """The model of a file (.ulnn)."""
    content, _ = container.read_file(Path(path))  # names the file in errors
    return Model(content, name=Path(path).stem)


def read(*sources: str | Path, **keys: Any) -> Sequences:
    """Recordings from files (CSV, Parquet, .npz), folders of them, or patterns as "logs/*.csv".

    keys: how the files are read, as `ulnn data --help` lists them: unit="ms", label="what",
    per="step", group="{}_*.csv", channels=("ax", "ay") ... Warns of what looks wrong.
    """
    from .data import logs

    return logs.read(*sources, **keys)


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

    keys: of `experiments.compare.Plan`: seeds=5, leave_out="group", budget="12KB" ... cache:
    folder of trainings that are done; None: compare.cache beside the first recipe. Ctrl-C ends it:
    `.stopped`.
    """
    from .experiments.compare import Plan, compare_files

    plan = table(Plan, keys)
    with bar("trainings") as shown:
        return compare_files([Path(path) for path in recipes], plan, cache, shown.update)


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
    its header, counts the releases of one model. votes, unsure, least: when a decision counts, as
    `ulnn convert --help` says. mode, activation, dialect, order, weights, check: of a path, as for
    `ulnn convert`. Warns (`UlnnWarning`) of what was assumed and of what looks wrong.
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
