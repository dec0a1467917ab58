"""From a float network to an integer model: post-training quantisation calibrated on data.

What the integers mean is fixed by SPEC.md section 3; here only the free choices are made: scales
of inputs, outputs, rows and activations, shifts, and the rounding of the weights.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from ..base.errors import UlnnError
from ..base.version import __version__
from ..data.sequences import Sequences
from ..engines.batch import quantise
from ..engines.reference import Reference, clamped_steps
from ..format.model import Golden, Matrix, ModelFile, Table
from ..format.tables import decay_table, erf_table, tanh_table
from ..network.float_network import FloatNetwork
from ..network.layers import CfC
from .calibration import Calibration, Method, Ranges, calibrate
from .quantize_layer import DECAY, ERF, TANH, Converted, Setting
from .quantize_layer import convert as convert_layer
from .rounding import Signal, Style

GOLDEN_STEPS = 32
MAKERS: dict[str, Callable[[], Table]] = {TANH: tanh_table, ERF: erf_table, DECAY: decay_table}
# By weight width: what a listed column costs in those of a dense matrix, on the kernel that gains
# least (cortex-m4; on the others it is 1.2 to 1.6).
SPARSE_COST = {8: 2.0, 16: 2.2}

Sparsity = Literal["auto", "never", "always"]
SPARSITIES: tuple[Sparsity, ...] = get_args(Sparsity)


def sparsity(name: str) -> Sparsity:
    """The value of Options.sparse that a user named. Raises UlnnError."""
    for known in SPARSITIES:
        if name == known:
            return known
    raise UlnnError(f"sparse {name!r}, expected one of: {', '.join(SPARSITIES)}")


@dataclass(frozen=True)
class Options:
    """Free choices of the conversion.

    bits: weight width, 8 or 16; bits_of: other widths, by (layer, matrix). margin: room above the
    largest calibrated value, 1 = none (None: 1.5 for int8, where room costs resolution of the
    weights, 2 for int16). ranges: how ranges are taken from values. tick_ns: length of a tick.
    compensate: rounding that follows the data (else to nearest). fixed_dt: seconds, the promise
    that every sample comes that long after the one before (SPEC.md 3.4); None: any dt. sparse:
    whether matrices with weights that are 0 are stored sparse.
    """

    bits: int = 8
    margin: float | None = None
    tick_ns: int = 1000
    compensate: bool = True
    fixed_dt: float | None = None
    name: str = ""
    ranges: Method = "max"
    sparse: Sparsity = "auto"
    bits_of: Mapping[tuple[int, int], int] = field(default_factory=dict)

    @property
    def room(self) -> float:
        """The margin in force."""
        return self.margin or (1.5 if self.bits == 8 else 2.0)

    @property
    def dt_fixed(self) -> int:
        """The fixed dt in ticks, 0: none. Raises UlnnError below a tick."""
        if self.fixed_dt is None:
            return 0
        ticks = round(self.fixed_dt * 1e9 / self.tick_ns)
        if ticks < 1:
            raise UlnnError(
                f"fixed dt of {self.fixed_dt:g} s: expected at least a tick of {self.tick_ns} "
                "ns; choose a shorter tick with --tick-ns"
            )
        return ticks


def convert(network: FloatNetwork, data: Sequences, options: Options) -> ModelFile:
    """The integer model of a float network, with golden vectors from the data. Raises UlnnError
    when its numbers cannot be represented."""
    return with_golden(build(network, calibration(network, data, options), options), data)


def calibration(network: FloatNetwork, data: Sequences, options: Options) -> Calibration:
    """The rollout that `build` takes its ranges from."""
    if options.bits not in (8, 16):
        raise UlnnError(f"bits: expected 8 or 16, got {options.bits}")
    longest = options.fixed_dt or 0.0
    ranges = Ranges(options.room, options.ranges)
    return calibrate(network, data, ranges, options.tick_ns, longest)


def build(network: FloatNetwork, seen: Calibration, options: Options) -> ModelFile:
    """The integer model, without golden vectors, with the ranges of a calibration of this network
    or of one with the same structure."""
    return build_with_meaning(network, seen, options)[0]


def build_with_meaning(
    network: FloatNetwork, seen: Calibration, options: Options
) -> tuple[ModelFile, tuple[Converted, ...]]:
    """What `build` gives, and for each layer what its integers mean."""
    dt_fixed = options.dt_fixed
    if dt_fixed and not any(isinstance(layer, CfC) for layer in network.layers):
        raise UlnnError("--fixed-dt: expected a CfC layer, the others gain nothing by it")
    tables: list[str] = [TANH]

    def table(name: str) -> int:
        if name not in tables:
            tables.append(name)
        return tables.index(name)

    signal = Signal(
        seen.input_scale / network.std, (seen.input_offset - network.mean) / network.std
    )
    layers: list[Converted] = []
    for number, layer in enumerate(network.layers):

        def style(j: int, number: int = number) -> Style:
            return Style(options.bits_of.get((number, j), options.bits), options.compensate)

        setting = Setting(
            seen=seen.seen[number],
            ranges=Ranges(options.room, options.ranges),
            span=seen.span / network.time_scale,
            table=table,
            style=style,
            outputs=seen.outputs,
            fixed_dt=(options.fixed_dt or 0.0) / network.time_scale,
            dt_fixed=dt_fixed,
            sparse=_sparsity(options.sparse),
        )
        layers.append(convert_layer(layer, signal, setting))
        signal = layers[-1].output
    model = ModelFile(
        input_scale=seen.input_scale.astype(np.float32),
        input_offset=seen.input_offset.astype(np.float32),
        output_scale=signal.unit.astype(np.float32),
        output_offset=signal.offset.astype(np.float32),
        tick_ns=options.tick_ns,
        dt_max=seen.dt_max,
        tables=tuple(_table(name) for name in tables),
        layers=tuple(converted.layer for converted in layers),
        meta=_meta(network, options),
        dialect=network.dialect,
    )
    return model, tuple(layers)


@dataclass(frozen=True)
class RolloutError:
    """Integer against float outputs over whole sequences, in real units of the output.

    coarse_dt: median relative error of the elapsed times in whole ticks.
    """

    largest: float
    rms: float
    steps: int
    clamped: int
    coarse_dt: float


def rollout_error(network: FloatNetwork, model: ModelFile, data: Sequences) -> RolloutError:
    """Run both over the data, each with its own state, and compare the valid outputs."""
    batch = quantise(model, data)
    dt = batch.dt
    y = model.dequantise_output(Reference(model, lanes=len(data)).run(batch.x, dt))
    error = (y - network.run(data.x, data.dt, data.length).y)[data.mask]
    return RolloutError(
        largest=float(np.abs(error).max()),
        rms=float(np.sqrt(np.mean(error**2))),
        steps=int(data.length.sum()),
        clamped=int(clamped_steps(model, dt)[data.mask].sum()),
        coarse_dt=float(np.median(np.abs(dt * (model.tick_ns / 1e9) / data.dt - 1)[data.mask])),
    )


@functools.cache
def _table(name: str) -> Table:
    return MAKERS[name]()


def _sparsity(wish: Sparsity) -> Callable[[Matrix], Matrix]:
    def choose(matrix: Matrix) -> Matrix:
        if wish == "never":
            return matrix
        sparse = matrix.sparse()
        cheaper = SPARSE_COST[matrix.weight_bits] * sparse.synapses <= matrix.synapses
        return sparse if wish == "always" or cheaper else matrix

    return choose


def with_golden(model: ModelFile, data: Sequences) -> ModelFile:
    """The model with golden vectors: the first steps of the first sequence (SPEC.md 2.6)."""
    steps = min(GOLDEN_STEPS, int(data.length[0]))
    engine = Reference(model)
    x, dt = model.quantise_input(data.x[0, :steps]), model.ticks(data.dt[0, :steps])
    y = engine.run(x, dt)
    return dataclasses.replace(model, golden=Golden(dt, x, y, engine.state))


def _meta(network: FloatNetwork, options: Options) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "name": options.name,
        "tool": f"ulnn {__version__}",
        "time_scale": network.time_scale,
    }
    for layer in network.layers:
        if isinstance(layer, CfC):
            meta |= {
                "mode": layer.mode.name.lower(),
                "activation": layer.activation if layer.backbone else "none",
                "backbone": [int(linear.weight.shape[0]) for linear in layer.backbone],
            }
            break
    return meta | network.meta
