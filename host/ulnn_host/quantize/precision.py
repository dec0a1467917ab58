"""Mixed precision: which matrices get 16-bit weights, chosen by the rollout error they remove per
byte, under a budget of flash."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ..base.errors import UlnnError
from ..format import layout
from ..format.model import ModelFile
from .calibration import FloatRollout, calibrate
from .golden import with_golden
from .options import Options
from .quantize import build, convert
from .rollouts import rms, sample

Place = tuple[int, int]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Promotion:
    """A step of the search: layer and matrix that went to 16 bits; what the whole model then has:
    rms rollout error (real units of the output) and bytes of its file."""

    layer: int
    matrix: int
    rms: float
    bytes: int


@dataclass(frozen=True)
class Choice:
    """What was chosen. rms and bytes: of the chosen model; rms_int8: with 8 bits everywhere;
    promotions: in the order in which they were made, empty when all is int8 or all is int16."""

    options: Options
    max_bytes: int
    rms: float
    bytes: int
    rms_int8: float
    promotions: tuple[Promotion, ...] = ()


def choose_bits(
    rollout: FloatRollout,
    options: Options,
    max_bytes: int,
    progress: Progress = lambda text: None,
) -> Choice:
    """Widths of the matrices with which the written file, golden vectors and all, has at most
    max_bytes: int16 everywhere where that fits; else int8, and int16 where it removes most error
    per byte, as far as that lessens it. `options.bits` and `bits_of` are replaced.

    Raises UlnnError when not even int8 fits.
    """
    measured = rollout.on(sample(rollout.data))
    int8 = dataclasses.replace(options, bits=8, bits_of={})
    calibration = calibrate(rollout, int8)
    progress("int8 everywhere")
    narrow = with_golden(build(rollout.network, calibration, int8), int8.room)
    size = layout.model_size(narrow)
    if size > max_bytes:
        raise UlnnError(
            f"--max-bytes {max_bytes}: expected at least {size}, the size with int8 everywhere"
        )
    narrow_rms = rms(measured, narrow)
    progress("int16 everywhere")
    places = _places(narrow)
    wishes = dataclasses.replace(int8, bits_of=dict.fromkeys(places, 16))
    wide = build(rollout.network, calibration, wishes)
    # The size is nearly that of `bits=16`, which has another margin and so another calibration.
    if layout.model_size(mixed(narrow, wide, places)) <= 1.01 * max_bytes:
        int16 = dataclasses.replace(options, bits=16, bits_of={})
        largest = convert(rollout, int16)
        size_int16 = layout.model_size(largest)
        if size_int16 <= max_bytes:
            return Choice(int16, max_bytes, rms(measured, largest), size_int16, narrow_rms)
    tried = _promote(narrow, wide, narrow_rms, measured, max_bytes, progress)
    errors = [narrow_rms, *(step.rms for step in tried)]
    kept = tuple(tried[: errors.index(min(errors))])
    widths = {(step.layer, step.matrix): 16 for step in kept}
    final = dataclasses.replace(int8, bits_of=widths)
    size = kept[-1].bytes if kept else size
    return Choice(final, max_bytes, min(errors), size, narrow_rms, kept)


def _places(model: ModelFile) -> list[Place]:
    return [(n, j) for n, layer in enumerate(model.layers) for j in range(len(layer.matrices))]


def _promote(
    narrow: ModelFile,
    wide: ModelFile,
    narrow_rms: float,
    measured: FloatRollout,
    max_bytes: int,
    progress: Progress,
) -> list[Promotion]:
    """Promotions until nothing more fits, each the one with most error removed (or least added)
    per byte: the first ones may do nothing alone."""
    left = _places(narrow)
    chosen: list[Place] = []
    promotions: list[Promotion] = []
    error, size = narrow_rms, layout.model_size(narrow)
    while True:
        best: tuple[float, Promotion] | None = None
        for layer, matrix in left:
            model = mixed(narrow, wide, (*chosen, (layer, matrix)))
            bytes_then = layout.model_size(model)
            if bytes_then > max_bytes:
                continue
            progress(f"layer {layer} matrix {matrix}")
            tried = Promotion(layer, matrix, rms(measured, model), bytes_then)
            # a padded stream can stay as long as it was: 1 byte keeps the quotient finite
            gain = (error - tried.rms) / max(tried.bytes - size, 1)
            if best is None or gain > best[0]:
                best = gain, tried
        if best is None:
            return promotions
        promotions.append(best[1])
        chosen.append((best[1].layer, best[1].matrix))
        left.remove(chosen[-1])
        error, size = best[1].rms, best[1].bytes


def mixed(narrow: ModelFile, wide: ModelFile, places: Collection[Place]) -> ModelFile:
    """The narrow model with the matrices at `places` from the wide one. Both are of one
    calibration with one margin, so that the rounding of a matrix depends on its own width only."""
    layers = []
    for number, (low, high) in enumerate(zip(narrow.layers, wide.layers, strict=True)):
        matrices = tuple(
            b if (number, j) in places else a
            for j, (a, b) in enumerate(zip(low.matrices, high.matrices, strict=True))
        )
        heads = (number, len(matrices) - 1) in places
        gate_shift = high.gate_shift if heads else low.gate_shift
        layers.append(dataclasses.replace(low, matrices=matrices, gate_shift=gate_shift))
    return dataclasses.replace(narrow, layers=tuple(layers))
