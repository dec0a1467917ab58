"""The public face: from recordings to a proven board in ten names.

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
import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .base import files
from .base.errors import UlnnError
from .base.progress import bar, status
from .data.sequences import Sequences
from .engines.batch import quantise
from .engines.reference import Reference
from .format import container, facts

if TYPE_CHECKING:
    from torch import nn

    from .board.deploy import DeployReport
    from .board.validate import ValidationReport
    from .data.degrade import Fill, Pattern
    from .data.scores import Scores
    from .experiments.robustness import Robustness
    from .importers.check import Agreement
    from .network.float_network import FloatNetwork
    from .report.convert_report import ConvertReport
    from .train.train import TrainedNetwork

Float = NDArray[np.float32]


class Model:
    """An integer model: what reading its file gives, and a state to step it with.

    content: the bytes of the file. report: how good it was on the data it was calibrated on;
    original: how far the import is from the module it was made of. Both are None for a model that
    was loaded from a file.
    """

    def __init__(
        self,
        content: bytes,
        *,
        name: str = "",
        report: ConvertReport | None = None,
        original: Agreement | None = None,
    ) -> None:
        self.content = content
        self.file = container.read(content)
        self.name = name or str(self.file.meta.get("name", "")) or "model"
        self.conversion = report
        self.original = original
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
        return tuple(str(label) for label in self.file.meta.get("labels", ()))

    def run(
        self, x: ArrayLike | Sequences, dt: ArrayLike | None = None, engine: str = "reference"
    ) -> Float:
        """Real outputs for real inputs, from a zero state; `state` stays as it is.

        x: (T, I) or (N, T, I), or Sequences, which have their dt; dt: seconds since the sample
        before, a number or (T,) or (N, T). engine: reference, native, pure, unix, cortex-m7 or
        rv32. Returns (T, O) or (N, T, O), 0 after the end of shorter sequences.
        """
        from .board.board_engine import run

        if isinstance(x, Sequences):
            data = x
        elif dt is None:
            raise UlnnError("dt: expected seconds since the sample before, a number or an array")
        else:
            data = Sequences(np.asarray(x, np.float32), np.asarray(dt, np.float32))
        y = self.file.dequantise_output(run(self.content, quantise(self.file, data), engine).y)
        y = np.where(data.mask[..., None], y, 0).astype(np.float32)
        return y[0] if data.flat else y

    def step(self, x: ArrayLike, dt: float) -> Float:
        """One step from the state now: real inputs (I,), dt in seconds. Returns (O,)."""
        values = np.asarray(x, np.float64)
        if values.shape != (self.file.input_size,):
            raise UlnnError(f"x has shape {values.shape}, expected ({self.file.input_size},)")
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
        self._engine.state = np.asarray(values, np.int16)

    def info(self) -> dict[str, Any]:
        """Sizes, units and identity, as `ulnn info` shows them."""
        return facts.of_model(self.file)

    def report(self, data: Sequences) -> Scores:
        """Measures of the decisions, or of the values, on data with targets that calibration has
        not seen: the object that `conversion` holds for its data, and `ulnn score` prints.
        """
        from .data.matched import matched
        from .data.scores import score

        data = matched(dataclasses.replace(data, flat=False), self.file.channels, self.file.labels)
        return score(self.run(data), data, self.file.readout)

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

    def save(self, path: str | Path) -> Path:
        """Write the file; it is whole or not there."""
        files.write(path, self.content)
        return Path(path)


def load(path: str | Path) -> Model:
    """The model of a file (.ulnn)."""
    content, _ = container.read_file(Path(path))
    return Model(content, name=Path(path).stem)


def read(*sources: str | Path, **keys: Any) -> Sequences:
    """Recordings from files (CSV, Parquet, .npz), folders of them, or patterns as "logs/*.csv".

    keys: how the files are read, as `ulnn data --help` lists them: unit="ms", label="what",
    per="step", group="{}_*.csv", channels=("ax", "ay") ... Warns of what looks wrong.
    """
    from .data import logs

    return logs.read(*sources, **keys)


def train(recipe: str | Path) -> TrainedNetwork:
    """Train a network as a recipe says."""
    from .train.recipe import read_recipe
    from .train.train import train as fit

    return fit(read_recipe(Path(recipe)))


def convert(
    source: str | Path | FloatNetwork | TrainedNetwork | nn.Module,
    data: Sequences,
    *,
    bits: int | None = None,
    max_bytes: int | None = None,
    calibration: str = "max",
    fixed_dt: float | None = None,
    tick_ns: int = 1000,
    sparse: str = "auto",
    finetune: int = 0,
    towards: str = "float",
    learning_rate: float = 1e-4,
    test: Sequences | None = None,
    name: str = "",
    hyper: Mapping[str, Any] | None = None,
    call: Callable[..., Any] | None = None,
) -> Model:
    """An integer model of a network, calibrated on data, as `ulnn convert` makes it.

    source: what `train` returned; a module of torch (CfC, LTC or wired of ncps, LSTM or GRU of
    torch.nn, or a module around them), which is run beside the import and must give the same; a
    FloatNetwork; or a checkpoint's path. test: data that calibration does not see, for the scores
    in the model's `conversion`. hyper: what a checkpoint's TOML file says (mean, std,
    time_scale, labels, order ...). call(module, x, dt): how to call a module whose signature does
    not say it.
    """
    from .quantize.options import Options, sparsity
    from .report.conversion import Wishes, convert_network

    network, original, known = _network(source, data, dict(hyper or {}), call)
    options = Options(
        tick_ns=tick_ns, fixed_dt=fixed_dt, name=name or known, sparse=sparsity(sparse)
    )
    wishes = Wishes(
        bits, max_bytes, calibration, finetune=finetune, towards=towards,
        learning_rate=learning_rate,
    )  # fmt: skip
    with status() as shown:
        done = convert_network(network, data, options, wishes, shown, test)
    return Model(done.content, name=options.name, report=done.report, original=original)


def _network(
    source: Any, data: Sequences, hyper: dict[str, Any], call: Callable[..., Any] | None
) -> tuple[FloatNetwork, Agreement | None, str]:
    """A network, its agreement with the module it comes from, and its name."""
    from .network.float_network import FloatNetwork

    if isinstance(source, FloatNetwork):
        return source, None, str(source.meta.get("name", ""))
    if isinstance(source, str | Path):
        from .importers.checkpoint import read_checkpoint

        return read_checkpoint(Path(source)).network, None, Path(source).stem
    from torch import nn

    from .importers import checkpoint, torch_module
    from .train.train import TrainedNetwork

    if isinstance(source, TrainedNetwork):
        weights = {key: value.double().numpy() for key, value in source.state.items()}
        return checkpoint.from_weights(weights, source.hyper | hyper).network, None, ""
    if isinstance(source, nn.Module):
        loaded, agreement = torch_module.read_module(source, data.x, data.dt, hyper, call=call)
        return loaded.network, agreement, type(source).__name__.lower()
    raise UlnnError(
        f"convert: got {type(source).__name__}, expected a path, a torch module, or what train "
        "returned"
    )


def deploy(
    model: Model | str | Path, port: str = "auto", *, to: str | None = None
) -> DeployReport:
    """Put a model, the engine and the serial loop on a board, and run the self test there.

    port: a serial port, `auto` for the only board that is plugged in, or virtual:cortex-m7.
    to: path on the board.
    """
    from .board.deploy import deploy as send
    from .board.discover import resolve
    from .board.link import Board

    with _as_file(model) as path, Board.open(resolve(port)) as board:
        return send(board, path, to)


def validate(
    model: Model | str | Path, data: Sequences | str | Path, port: str = "auto"
) -> ValidationReport:
    """Stream data through a model on a board, and compare every output with the reference.

    `.equal` says whether all outputs and states are the same, bit for bit. port: as for `deploy`.
    """
    from .board.discover import resolve
    from .board.validate import validate as prove

    source = data if isinstance(data, Sequences) else Path(data)
    with _as_file(model) as path, bar("streaming") as shown:
        return prove(path, source, resolve(port), progress=shown.update)


@contextlib.contextmanager
def _as_file(model: Model | str | Path) -> Iterator[Path]:
    """The path of a model's file, made for a while where there is none."""
    if not isinstance(model, Model):
        yield Path(model)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield model.save(Path(folder) / f"{model.name}.ulnn")
