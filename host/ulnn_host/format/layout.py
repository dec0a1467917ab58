"""How many bytes a file, its sections and its streams have (SPEC.md 2.1 to 2.10).

`container` and `container_layer` read and write by these sizes. They are known before anything is
written, which the search for widths and `ulnn tune` need.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import meaning
from .limits import LAYERS_MAX, TABLES_MAX
from .model import Layer, Matrix, ModelFile

HEADER = struct.Struct("<4sBBHII32sIHHHHI")
ENTRY = struct.Struct("<HHIII")
LAYER = struct.Struct("<HBBHHHBBI")
MATRIX = struct.Struct("<BBBBBBHHHI")
LTC = struct.Struct("<HBBIII")
LTC_START = LAYER.size + LTC.size
TIME, INPUT, OUTPUT, TABLE, LAYERS, GOLDEN = 1, 2, 3, 4, 5, 6
META, MODEL_NAMES, DECISION, CENTRES = 0x8001, 0x8003, 0x8004, 0x8005
FEATURES, BEATS, UNKNOWN = 0x8006, 0x8007, 0x8008
NAMES = {
    TIME: "TIME",
    INPUT: "INPUT",
    OUTPUT: "OUTPUT",
    TABLE: "TABLE",
    LAYERS: "LAYER",
    GOLDEN: "GOLDEN",
    META: "META",
    0x8002: "SIGNATURE",
    MODEL_NAMES: "NAMES",
    DECISION: "DECISION",
    CENTRES: "CENTRES",
    FEATURES: "FEATURES",
    BEATS: "BEATS",
    UNKNOWN: "UNKNOWN",
}
REPEATS = {TABLE: TABLES_MAX, LAYERS: LAYERS_MAX}


@dataclass(frozen=True)
class Section:
    """A section's type, its index among those of the type, and its bytes without filling."""

    type: int
    index: int
    size: int

    @property
    def name(self) -> str:
        """Such as `TIME` or `LAYER 0`."""
        name = NAMES.get(self.type, hex(self.type))
        return f"{name} {self.index}" if self.type in REPEATS else name


def filled(size: int) -> int:
    """The size up to a multiple of 16."""
    return size + -size % 16


def body_start(count: int) -> int:
    """Where the first of `count` sections begins."""
    return HEADER.size + ENTRY.size * count


def file_size(sizes: Sequence[int]) -> int:
    """Bytes of a file with sections of these sizes."""
    return body_start(len(sizes)) + sum(map(filled, sizes))


def model_size(model: ModelFile) -> int:
    """Bytes of a model's file."""
    return file_size([section.size for section in sections(model)])


def sections(model: ModelFile) -> tuple[Section, ...]:
    """The sections of a model's file, in their order."""
    fixed = fixed_sizes(model.input_size, model.output_size)
    found = [Section(kind, 0, fixed[kind]) for kind in (TIME, INPUT, OUTPUT)]
    found += [Section(TABLE, k, fixed[TABLE]) for k in range(len(model.tables))]
    found += [Section(LAYERS, k, layer_size(layer)) for k, layer in enumerate(model.layers)]
    if model.golden is not None:
        steps = len(model.golden.dt)
        size = golden_size(steps, model.input_size, model.output_size, model.state_size)
        found.append(Section(GOLDEN, 0, size))
    if model.meta:
        found.append(Section(META, 0, len(meta_bytes(model.meta))))
    if model.names is not None:
        found.append(Section(MODEL_NAMES, 0, len(meaning.names_bytes(model.names))))
    if model.decision is not None:
        found.append(Section(DECISION, 0, len(meaning.decision_bytes(model.decision))))
    if model.centres is not None:
        found.append(Section(CENTRES, 0, len(meaning.centres_bytes(model.centres))))
    if model.features:
        found.append(Section(FEATURES, 0, len(model.features)))
    if model.beats:
        found.append(Section(BEATS, 0, len(model.beats)))
    if model.unknown:
        found.append(Section(UNKNOWN, 0, len(model.unknown)))
    return tuple(found)


def fixed_sizes(inputs: int, outputs: int) -> dict[int, int]:
    """Bytes of the sections whose size depends on nothing else, by type."""
    return {TIME: 8, INPUT: 8 * inputs, OUTPUT: 8 * outputs, TABLE: 2048}


def golden_size(steps: int, inputs: int, outputs: int, state: int) -> int:
    """Bytes of the golden vectors. state: values of all layers."""
    return 8 + 4 * steps + 2 * (steps * (inputs + outputs) + state)


def meta_bytes(meta: dict[str, Any]) -> bytes:
    """The META section."""
    return json.dumps(meta, sort_keys=True, separators=(",", ":")).encode()


# ---- layers -------------------------------------------------------------------------------------


def layer_size(layer: Layer) -> int:
    """Bytes of a LAYER section."""
    if layer.ltc is not None:
        return ltc_places(layer.ltc.neurons, len(layer.ltc.source)).size
    streams = [matrix_size(matrix) for matrix in layer.matrices]
    return matrices_size(streams) + (0 if layer.pure is None else pure_size(layer.output_size))


def matrices_size(streams: Sequence[int]) -> int:
    """Bytes of a layer's descriptors and of the streams of its matrices, given their sizes."""
    return streams_start(len(streams)) + sum(streams)


def streams_start(count: int) -> int:
    """Where the streams of a layer with `count` matrices begin."""
    return LAYER.size + MATRIX.size * count


def pure_size(neurons: int) -> int:
    """Bytes of the numbers of mode `pure`."""
    return 16 * neurons


def matrix_size(matrix: Matrix) -> int:
    """Bytes of a matrix's stream."""
    if matrix.lists is None:
        return dense_size(matrix.rows, matrix.columns, matrix.weight_bits)
    return sparse_size([len(columns) for columns in matrix.lists], matrix.weight_bits)


def dense_size(rows: int, columns: int, bits: int) -> int:
    """Bytes of a dense stream."""
    return -(-rows // 4) * record_size(columns, bits)


def sparse_size(counts: Sequence[int], bits: int) -> int:
    """Bytes of a sparse stream. counts: how many columns each group of four rows lists."""
    return lists_size(counts) + records_size(counts, bits)


def lists_size(counts: Sequence[int]) -> int:
    """Bytes of the column lists of a sparse stream."""
    return filled(2 * len(counts) + 2 * sum(n + -n % 4 for n in counts))


def records_size(counts: Sequence[int], bits: int) -> int:
    """Bytes of the records of a sparse stream."""
    return sum(record_size(n, bits) for n in counts)


def record_size(columns: int, bits: int) -> int:
    """Bytes of a group of four rows: bias, weights of that many columns, multipliers."""
    return 32 + 2 * bits * -(-columns // 4)


class LtcPlaces(NamedTuple):
    """Where the parts of an LTC section begin, where its synapses end, and its size."""

    sources: int
    neurons: int
    synapses: int
    end: int
    size: int


def ltc_places(neurons: int, synapses: int) -> LtcPlaces:
    """The places in an LTC section."""
    sources = LTC_START + 4 * neurons
    numbers = filled(sources + 2 * synapses)
    each = numbers + 16 * neurons
    end = each + 12 * synapses
    return LtcPlaces(sources, numbers, each, end, filled(end))
