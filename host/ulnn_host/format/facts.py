"""What a model file says of itself, for people (`ulnn info`) and scripts (`--json`)."""

from __future__ import annotations

import dataclasses
from itertools import zip_longest
from typing import Any

from ulnn_rules.beats import Recipe as BeatRecipe
from ulnn_rules.features import Recipe
from ulnn_rules.unknown import read_unknown

from . import container, cost
from .model import FORMAT, Kind, Layer, Matrix, Mode, ModelFile

NAMES = {
    Kind.CFC: "CfC",
    Kind.DENSE: "dense",
    Kind.LSTM: "LSTM",
    Kind.GRU: "GRU",
    Kind.LTC: "LTC",
    Kind.MIXED: "LSTM and CfC",
}


def of_content(data: bytes, model: ModelFile) -> dict[str, dict[str, Any]]:
    """Facts about a file and the model in it, by title: model, channels with their units, labels,
    decision, features, beats, sections, layers, cost, metadata."""
    units = model.names.units if model.names else ()
    return {
        "model": of_model(model),
        "channels": dict(zip_longest(model.channels, units, fillvalue="")),
        "labels": {str(k): label for k, label in enumerate(model.labels)},
        "decision": of_decision(model),
        "features": of_features(model),
        "beats": of_beats(model),
        "sections, bytes": container.section_sizes(data),
        "layers": {str(k): describe(layer) for k, layer in enumerate(model.layers)},
        "cost of a step, about": of_cost(model),
        "metadata": model.meta,
    }


def of_model(model: ModelFile) -> dict[str, Any]:
    """Sizes, units and identity of a model."""
    return {
        "sha256": model.sha256,
        "file_size": model.file_size,
        "format": f"{FORMAT[0]}.{model.format_minor}",
        "model_version": model.model_version,
        "dialect": model.dialect,
        "input_size": model.input_size,
        "output_size": model.output_size,
        "state_size": model.state_size,
        "neurons": model.neurons,
        "synapses": model.synapses,
        "weight_bits": model.weight_bits,
        "macs": model.macs,
        "tick_ns": model.tick_ns,
        "dt_max": model.dt_max,
        "dt_fixed": model.dt_fixed,
        "golden_steps": 0 if model.golden is None else len(model.golden.dt),
        "input_scale": [float(v) for v in model.input_scale],
        "input_offset": [float(v) for v in model.input_offset],
        "output_scale": [float(v) for v in model.output_scale],
        "output_offset": [float(v) for v in model.output_offset],
    }


def of_cost(model: ModelFile) -> dict[str, Any]:
    """What a step costs, and where that holds; a range behind the cache, where it has to fetch."""
    found: dict[str, Any] = {}
    for estimate in cost.estimates(model):
        what = f"{estimate.machine}, {estimate.unit}"
        found[f"{what} in {estimate.memory}" if estimate.memory else what] = estimate.count
        if estimate.cached:
            found[f"{what} from {cost.AXI}"] = list(estimate.cached)
            found["lines fetched there"] = estimate.misses
    return found


def of_decision(model: ModelFile) -> dict[str, Any]:
    """How outputs become decisions; of a file without DECISION what its metadata say."""
    if model.decision is None:
        return {"readout": model.readout} if "readout" in model.meta else {}
    adapts = {} if model.centres is None else {"centres weigh": model.centres.weight}
    knows = {}
    if model.unknown:
        centres, threshold, _ = read_unknown(model.unknown, model.input_size)
        knows = {"unknown beyond": threshold / 64, "known centres": centres}
    return dataclasses.asdict(model.decision) | adapts | knows


def of_features(model: ModelFile) -> dict[str, Any]:
    """How the inputs are computed from raw samples; empty where they are what sensors give."""
    if not model.features:
        return {}
    recipe = Recipe(model.features, model.input_size)
    return {
        "raw channels": recipe.channels,
        "raw samples a second": recipe.rate / 1000,
        "raw samples a step": recipe.hop,
        "raw samples until the first step": recipe.reach,
    }


def of_beats(model: ModelFile) -> dict[str, Any]:
    """How the inputs are computed from an ECG; empty where they are not."""
    if not model.beats:
        return {}
    recipe = BeatRecipe(model.beats, model.input_size)
    return {
        "samples a second": recipe.rate / 1000,
        "values of a beat's shape": recipe.before + 1 + recipe.after,
        "milliseconds of a value": round(1e6 * recipe.step / recipe.rate, 3),
        "octaves above the noise": recipe.noisy / 256,
    }


def describe(layer: Layer) -> str:
    """One line: kind, sizes, weight widths, activations."""
    name = NAMES[layer.kind]
    shape = f"{layer.input_size} -> {layer.output_size}"
    if layer.ltc is not None:
        ltc = layer.ltc
        return (
            f"{name} {shape}: {ltc.neurons} neurons, {ltc.sensory.sum()} sensory and "
            f"{ltc.internal.sum()} internal synapses, {ltc.unfolds} unfolds"
        )
    if layer.kind.is_cfc:
        name += " " + layer.mode.name.lower().removesuffix("_fixed_dt")
    elif layer.mode is Mode.DT_INPUT:
        name += " with dt as an input"
    parts = [name + " " + shape]
    for what, value in (
        ("dt", f"{layer.dt_fixed} ticks" if layer.dt_fixed else 0),
        ("gate shift", layer.gate_shift),
        ("state shift", layer.state_shift),
        ("cell shift", layer.cell_shift),
    ):
        if value:
            parts.append(f"{what} {value}")
    return ", ".join(parts) + ": " + " | ".join(map(_matrix, layer.matrices))


def _matrix(matrix: Matrix) -> str:
    text = f"{matrix.columns}x{matrix.rows} int{matrix.weight_bits}"
    if matrix.lists is not None:
        text += f" sparse ({matrix.macs} of {matrix.columns * matrix.rows})"
    text += f" {matrix.activation.name.lower()}"
    return text + (f" shift {matrix.shift}" if matrix.shift else "")
