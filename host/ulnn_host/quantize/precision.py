"""Mixed precision: which matrices get 16-bit weights, chosen by the rollout error they remove per
byte, under a budget of flash."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ..base.errors import UlnnError
from ..data.sequences import Sequences
from ..format import container
from ..format.model import ModelFile
from ..network.float_network import FloatNetwork
from .quantize import Options, build, calibration, with_golden
from .rollouts import Yardstick, sample

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
    network: FloatNetwork,
    data: Sequences,
    options: Options,
    max_bytes: int,
    progress: Progress = lambda text: None,
) -> Choice:
    """Widths of the matrices with which the written file, golden vectors and all, has at most
    max_bytes: int16 everywhere where that fits; else int8, and int16 where it removes most error
    per byte, as far as that lessens it. `options.bits` and `bits_of` are replaced.

    Raises UlnnError when not even int8 fits.
    """
    yardstick = Yardstick(network, sample(data))
    int8 = dataclasses.replace(options, bits=8, bits_of={})
    seen = calibration(network, data, int8)
    progress("int8 everywhere")
    narrow = with_golden(build(network, seen, int8), data)
    size = len(container.write(narrow))
    if size > max_bytes:
        raise UlnnError(
            f"--max-bytes {max_bytes}: expected at least {size}, the size with int8 everywhere"
        )
    rms = yardstick.rms(narrow)
    progress("int16 everywhere")
    places = [(n, j) for n, layer in enumerate(narrow.layers) for j in range(len(layer.matrices))]
    wide = build(network, seen, dataclasses.replace(int8, bits_of=dict.fromkeys(places, 16)))
    # The size is nearly that of `bits=16`, which has another margin and so another calibration.
    if len(container.write(dataclasses.replace(wide, golden=narrow.golden))) <= 1.01 * max_bytes:
        int16 = dataclasses.replace(options, bits=16, bits_of={})
        largest = with_golden(build(network, calibration(network, data, int16), int16), data)
        size_int16 = len(container.write(largest))
        if size_int16 <= max_bytes:
            return Choice(int16, max_bytes, yardstick.rms(largest), size_int16, rms)
    tried = _promote(narrow, wide, places, yardstick, max_bytes, progress)
    errors = [rms, *(step.rms for step in tried)]
    kept = tuple(tried[: errors.index(min(errors))])
    widths = {(step.layer, step.matrix): 16 for step in kept}
    final = dataclasses.replace(int8, bits_of=widths)
    size = kept[-1].bytes if kept else size
    return Choice(final, max_bytes, min(errors), size, rms, kept)


def _promote(
    narrow: ModelFile,
    wide: ModelFile,
    places: list[Place],
    yardstick: Yardstick,
    max_bytes: int,
    progress: Progress,
) -> list[Promotion]:
    """Promotions until nothing more fits, each the one with most error removed (or least added)
    per byte: the first ones may do nothing alone."""
    chosen: list[Place] = []
    promotions: list[Promotion] = []
    rms, size = yardstick.rms(narrow), len(container.write(narrow))
    while True:
        best: tuple[float, Promotion] | None = None
        for layer, matrix in places:
            if (layer, matrix) in chosen:
                continue
            model = mixed(narrow, wide, (*chosen, (layer, matrix)))
            tried = Promotion(layer, matrix, 0.0, len(container.write(model)))
            if tried.bytes > max_bytes:
                continue
            progress(f"layer {layer} matrix {matrix}")
            tried = dataclasses.replace(tried, rms=yardstick.rms(model))
            # a padded stream can stay as long as it was: 1 byte keeps the quotient finite
            gain = (rms - tried.rms) / max(tried.bytes - size, 1)
            if best is None or gain > best[0]:
                best = gain, tried
        if best is None:
            return promotions
        promotions.append(best[1])
        chosen.append((best[1].layer, best[1].matrix))
        rms, size = best[1].rms, best[1].bytes


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
