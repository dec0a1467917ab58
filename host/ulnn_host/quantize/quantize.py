"""From a float network to an integer model: post-training quantisation calibrated on data.

What the integers mean is fixed by SPEC.md section 3; here only the free choices are made: scales
of inputs, outputs, rows and activations, shifts, and the rounding of the weights.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base.errors import UlnnError
from ..base.version import __version__
from ..data.outliers import ranges
from ..engines.batch import elapsed
from ..engines.reference import clamped_steps
from ..format.model import Matrix, ModelFile, Table
from ..format.tables import decay_table, erf_table, tanh_table
from ..network.float_network import FloatNetwork
from ..network.layers import CfC, FloatLayer
from .calibration import Calibration, FloatRollout, calibrate
from .decisions import centres, names, with_thresholds
from .golden import with_golden
from .options import Options, Sparsity
from .quantize_layer import DECAY, ERF, TANH, Converted, Setting
from .quantize_layer import convert as convert_layer
from .rollouts import errors
from .rounding import Style, WeightsTooLargeError
from .unknown import with_unknown

MAKERS: dict[str, Callable[[], Table]] = {TANH: tanh_table, ERF: erf_table, DECAY: decay_table}
# By weight width: what a listed column costs in those of a dense matrix, on the kernel that gains
# least (cortex-m4; on the others it is 1.2 to 1.6).
SPARSE_COST = {8: 2.0, 16: 2.2}


def convert(rollout: FloatRollout, options: Options) -> ModelFile:
    """The integer model of a float network, with ranges from the data, and golden vectors. Raises
    UlnnError when its numbers cannot be represented."""
    model = build(rollout.network, calibrate(rollout, options), options)
    return with_golden(with_unknown(model, rollout.data, options.unknown), options.room)


def build(network: FloatNetwork, calibration: Calibration, options: Options) -> ModelFile:
    """The integer model, without golden vectors, with the ranges of a calibration of this network
    or of one with the same structure."""
    return build_with_meaning(network, calibration, options)[0]


def build_with_meaning(
    network: FloatNetwork, calibration: Calibration, options: Options
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

    signal = calibration.inputs_of(network)
    layers: list[Converted] = []
    for number, layer in enumerate(network.layers):
        setting = Setting(
            seen=calibration.rollout.seen[number],
            ranges=calibration.ranges,
            span=calibration.span / network.time_scale,
            table=table,
            style=functools.partial(_style, options, number),
            outputs=calibration.rollout.outputs,
            fixed_dt=(options.fixed_dt or 0.0) / network.time_scale,
            dt_fixed=dt_fixed,
            stored=functools.partial(_stored, options.sparse),
        )
        try:
            layers.append(convert_layer(layer, signal, setting))
        except WeightsTooLargeError as error:
            raise UlnnError(_cause(error, number, layer, calibration)) from None
        signal = layers[-1].output
    seen = calibration.rollout
    rule = with_thresholds(calibration.decision, seen.data, seen.y, signal, options)
    model = ModelFile(
        input_scale=calibration.input_scale.astype(np.float32),
        input_offset=calibration.input_offset.astype(np.float32),
        output_scale=signal.unit.astype(np.float32),
        output_offset=signal.offset.astype(np.float32),
        tick_ns=options.tick_ns,
        dt_max=calibration.dt_max,
        tables=tuple(_table(name) for name in tables),
        layers=tuple(converted.layer for converted in layers),
        meta=_meta(network, options) | {"dt_median": calibration.rollout.dt_median},
        names=names(network),
        decision=rule,
        centres=centres(rule, seen.data, seen.y, signal, options.centres),
        features=seen.data.features,
        beats=seen.data.beats,
        dialect=network.dialect,
        model_version=options.model_version,
    )
    return model, tuple(layers)


def _cause(
    error: WeightsTooLargeError, number: int, layer: FloatLayer, calibration: Calibration
) -> str:
    """The error with the input that makes the weights large, or the layer that has them."""
    if number or error.column >= layer.input_size:
        name = type(layer).__name__
        return f"{error.text}, in layer {number} ({name}); check it, or use --bits 16"
    found = ranges(calibration.rollout.data)[error.column]
    network, k = calibration.rollout.network, error.column
    far = max(abs(v - network.mean[k]) for v in (found.low, found.high)) / network.std[k]
    if far <= USUAL_REACH:
        name = type(layer).__name__
        return f"{error.text}, in layer 0 ({name}), whose weights are that large; check them"
    reach = found.outlier if found.outliers else f"it reaches from {found.low:g} to {found.high:g}"
    reach += f", {far:.3g} times its std" if network.std[k] != 1 else ""
    return (
        f"{error.text}, because of input {found.name}: {reach}; clean the data, or use "
        "--calibration percentile or --bits 16"
    )


USUAL_REACH = 30.0  # of an input that is normalised


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


def rollout_error(rollout: FloatRollout, model: ModelFile) -> RolloutError:
    """Run the model over the data of a float network, and compare the valid outputs."""
    data = rollout.data
    dt = elapsed(data, model.tick_ns)
    error = errors(rollout, model)[data.mask]
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


def _style(options: Options, layer: int, matrix: int) -> Style:
    return Style(options.bits_of.get((layer, matrix), options.bits), options.compensate)


def _stored(wish: Sparsity, matrix: Matrix) -> Matrix:
    """The matrix, sparse where that is wished for or cheaper."""
    if wish == "never":
        return matrix
    sparse = matrix.sparse()
    cheaper = SPARSE_COST[matrix.weight_bits] * sparse.synapses <= matrix.synapses
    return sparse if wish == "always" or cheaper else matrix


def _meta(network: FloatNetwork, options: Options) -> dict[str, Any]:
    """Nothing of anybody's data, and no file's name: everybody can read it."""
    meta: dict[str, Any] = {"tool": f"ulnn {__version__}", "time_scale": network.time_scale}
    if options.name:
        meta["name"] = options.name
    for layer in network.layers:
        if isinstance(layer, CfC):
            meta |= {
                "mode": layer.mode.name.lower(),
                "activation": layer.activation if layer.backbone else "none",
                "backbone": [int(linear.weight.shape[0]) for linear in layer.backbone],
            }
            break
    return meta
