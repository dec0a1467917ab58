"""What a model file says of itself, for people (`ulnn info`) and scripts (`--json`)."""

from __future__ import annotations

from typing import Any

from . import container
from .model import Kind, Layer, Matrix, Mode, ModelFile

NAMES = {
    Kind.CFC: "CfC",
    Kind.DENSE: "dense",
    Kind.LSTM: "LSTM",
    Kind.GRU: "GRU",
    Kind.LTC: "LTC",
    Kind.MIXED: "LSTM and CfC",
}


def of_content(data: bytes, model: ModelFile) -> dict[str, dict[str, Any]]:
    """Facts about a file and the model in it, by title: model, sections, layers, metadata."""
    return {
        "model": of_model(model),
        "sections, bytes": container.section_sizes(data),
        "layers": {str(k): describe(layer) for k, layer in enumerate(model.layers)},
        "metadata": model.meta,
    }


def of_model(model: ModelFile) -> dict[str, Any]:
    """Sizes, units and identity of a model."""
    return {
        "sha256": model.sha256,
        "file_size": model.file_size,
        "format": "{}.{}".format(*container.FORMAT),
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
