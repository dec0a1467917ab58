"""A model as C, and what native_module/examples make of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from support.paths import NATIVE
from support.random_models import Shape, random_model, with_golden
from ulnn_host.engines.reference import Reference
from ulnn_host.engines.registry import native_memory
from ulnn_host.format import c_source, container
from ulnn_host.format.model import Activation, Float, Matrix, ModelFile

LISTED = [NATIVE / name for name in (NATIVE / "sources.txt").read_text().split()]
ENGINE = [path for path in LISTED if path.suffix == ".c"]
LABELS = ['say "yes"', "nö", "what??/n??!\\"]
STEPS = 20
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion"]


def export(model: ModelFile, folder: Path, name: str = "model") -> bytes:
    """Writes NAME.h and NAME.c; answers the model's file, with golden vectors."""
    data = with_golden(model)
    made = c_source.c_source(data, container.read(data), name, native_memory(data))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{made.name}.h").write_text(made.header)
    (folder / f"{made.name}.c").write_text(made.source)
    return data


def compile_c(command: str, flags: Sequence[str], source: Path, folder: Path) -> Path:
    """One source to an object in the folder. Warnings of STRICT flags are failures."""
    words = command.split()
    if shutil.which(words[0]) is None:
        pytest.skip(f"no {words[0]} here")
    made = folder / f"{source.name}.o"
    done = subprocess.run(
        [*words, *flags, "-c", source, "-o", made], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return made


def example_model() -> ModelFile:
    """Sparse, with labels, every output with a scale of its own, and decisions that change."""
    shape = Shape(hidden=24, backbone=((40, Activation.TABLE),), outputs=3, density=0.4)
    model = random_model(5, shape)
    model = replace(
        model,
        layers=tuple(
            replace(part, matrices=tuple(map(_lively, part.matrices))) for part in model.layers
        ),
        input_scale=np.array([3e-5, 0.01, -2.5], np.float32),
        input_offset=np.array([0.1, -4, 1e6], np.float32),
        output_scale=np.array([3e-5, 2e-5, 4e-5], np.float32),
        meta={"labels": LABELS},
    )
    middle = np.median(outputs(model), axis=0)
    return replace(model, output_offset=(-middle).astype(np.float32))


def _lively(matrix: Matrix) -> Matrix:
    """Without biases, and with more of the inputs."""
    multiplier = np.minimum(8 * matrix.multiplier, 2**31 - 1)
    return replace(matrix, bias=0 * matrix.bias, multiplier=multiplier)


def outputs(model: ModelFile) -> Float:
    """The real outputs (STEPS, O) of the examples, which make up their inputs."""
    k, i = np.arange(STEPS)[:, None], np.arange(model.input_size)
    wave = ((k * 7919 + i * 2741) % 32768 - 16384).astype(np.float32)
    x = model.quantise_input(model.input_offset + model.input_scale * wave)
    engine = Reference(model, lanes=1)
    dt = np.array([20_000_000 // model.tick_ns])
    return model.dequantise_output(
        np.concatenate([engine.step(x[t : t + 1], dt) for t in k[:, 0]])
    )


def decisions(model: ModelFile) -> str:
    """What the examples print."""
    best = outputs(model).argmax(1)
    assert len(set(best)) == model.output_size
    return "".join(f"{model.meta['labels'][label]}\n" for label in best)
