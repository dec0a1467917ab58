"""An integer model in memory: to run, to measure, to save."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .base import files
from .base.errors import UlnnError, UlnnWarning
from .data.sequences import Sequences
from .engines import registry
from .engines.batch import quantise
from .engines.coverage import Coverage
from .engines.coverage import coverage as measure
from .engines.outputs import Outputs
from .engines.reference import Reference
from .format import container, facts

if TYPE_CHECKING:
    from .data.degrade import Fill, Pattern
    from .data.options import DataOptions
    from .data.scores import Scores
    from .experiments.adapt import Adapted
    from .experiments.robustness import Robustness
    from .importers.check import Agreement
    from .network.float_network import FloatNetwork
    from .report.convert_report import ConvertReport

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
            warnings.warn(line, UlnnWarning, stacklevel=2)
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
