"""What a model file says of itself, for people (`ulnn info`) and scripts (`--json`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import container
from .model import Kind, Layer, ModelFile


def of_file(path: Path) -> dict[str, dict[str, Any]]:
    """Facts by title: model, sections, layers, metadata. Raises UlnnError naming the file."""
    data, model = container.read_file(path)
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
        "format": "1.0",
        "model_version": model.model_version,
        "dialect": model.dialect,
        "input_size": model.input_size,
        "output_size": model.output_size,
        "state_size": model.state_size,
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
    parts = [
        f"{m.columns}x{m.rows} int{m.weight_bits} {m.activation.name.lower()}"
        + (f" shift {m.shift}" if m.shift else "")
        for m in layer.matrices
    ]
    name = f"CfC {layer.mode.name.lower()}" if layer.kind is Kind.CFC else "dense"
    if layer.dt_fixed:
        name = (
            f"CfC {layer.mode.name.lower().removesuffix('_fixed_dt')}, dt {layer.dt_fixed} ticks,"
        )
    gate = f", gate shift {layer.gate_shift}" if layer.gate_shift else ""
    return f"{name} {layer.input_size} -> {layer.output_size}{gate}: " + " | ".join(parts)
