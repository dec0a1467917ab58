"""Reading and writing `.ulnn` files (SPEC.md sections 2 and 4).

`read` trusts nothing: any byte string either gives a ModelFile or raises ValueError with the text
of SPEC.md section 4.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ulnn_rules import beats as beat_recipes
from ulnn_rules import features as recipes
from ulnn_rules.unknown import read_unknown

from ..base.errors import UlnnError
from . import layout, meaning
from .container_layer import Rules, check, layer_bytes, padded, read_layer
from .layout import ENTRY, GOLDEN, HEADER, INPUT, LAYERS, META, OUTPUT, REPEATS, TABLE, TIME
from .limits import FILE_MAX, GOLDEN_MAX, SECTIONS_MAX, SIZE_MAX, TICKS_MAX
from .model import (
    BEATS_MINOR,
    DIALECTS,
    FEATURES_MINOR,
    FORMAT,
    UNKNOWN_MINOR,
    Centres,
    Decision,
    Golden,
    Layer,
    ModelFile,
    Names,
    Table,
)
from .tables import first_bad_segment, table_bytes

__all__ = ["ModelFile", "read", "read_file", "write"]

MAGIC = b"ULNN"
REQUIRED = (TIME, INPUT, OUTPUT, LAYERS)


@dataclass(frozen=True)
class _Section:
    type: int
    index: int
    offset: int
    size: int

    def of(self, data: bytes) -> bytes:
        """Its bytes in a file."""
        return data[self.offset : self.offset + self.size]


# ---- reading ----------------------------------------------------------------------------------


def read(data: bytes, *, as_engine: bool = False) -> ModelFile:
    """Check every rule of SPEC.md section 4, in its order, and return the model. as_engine: as
    engines do, which ignore NAMES, DECISION, FEATURES and BEATS."""
    size = len(data)
    check(size >= HEADER.size, f"file too short: {size} bytes, expected at least {HEADER.size}")
    (
        magic,
        major,
        minor,
        flags,
        file_size,
        crc,
        sha,
        model_version,
        dialect,
        count,
        inputs,
        outputs,
        reserved,
    ) = HEADER.unpack_from(data)
    check(magic == MAGIC, "not a ulnn file: it does not start with ULNN")
    check(major == FORMAT[0], f"format version {major} not supported, expected 1")
    check(size <= FILE_MAX, f"file too large: {size} bytes, expected at most {FILE_MAX}")
    check(file_size == size, f"file size {size} bytes, expected {file_size}")
    check(zlib.crc32(data[16:]) == crc, "CRC32 does not match: the file is damaged")
    check(flags == 0 and reserved == 0, "header: reserved field is not 0")
    check(dialect in DIALECTS, f"dialect {dialect} not supported")
    check(1 <= count <= SECTIONS_MAX, f"section count {count}, expected 1 to {SECTIONS_MAX}")
    check(1 <= inputs <= SIZE_MAX, f"input size {inputs}, expected 1 to {SIZE_MAX}")
    check(1 <= outputs <= SIZE_MAX, f"output size {outputs}, expected 1 to {SIZE_MAX}")
    check(size >= layout.body_start(count), "section table does not fit in the file")

    sections = _read_sections(data, count, inputs, outputs)
    by_type: dict[int, list[_Section]] = {}
    for section in sections:
        by_type.setdefault(section.type, []).append(section)
    for kind in REQUIRED:
        check(kind in by_type, f"section {layout.NAMES[kind]} is missing")

    tick_ns, dt_max = struct.unpack_from("<II", data, by_type[TIME][0].offset)
    check(tick_ns >= 1, "tick of 0 ns")
    check(1 <= dt_max <= TICKS_MAX, f"dt_max {dt_max}, expected 1 to {TICKS_MAX}")

    tables = []
    for number, section in enumerate(by_type.get(TABLE, [])):
        pairs = np.frombuffer(data, "<i2", 1024, section.offset).reshape(512, 2)
        table = Table(pairs[:, 0].astype(np.int16), pairs[:, 1].astype(np.int16))
        segment = first_bad_segment(table)
        check(segment is None, f"table {number}: segment {segment} leaves the range")
        tables.append(table)

    layers: list[Layer] = []
    incoming = inputs
    for number, section in enumerate(by_type[LAYERS]):
        rules = Rules(number, incoming, len(tables), dt_max)
        layers.append(read_layer(section.of(data), rules))
        incoming = layers[-1].output_size
    check(incoming == outputs, f"output size {incoming}, expected {outputs}")

    golden = None
    if GOLDEN in by_type:
        state_size = sum(layer.state_size for layer in layers)
        golden = _read_golden(data, by_type[GOLDEN][0], inputs, outputs, state_size)
    said = _Meaning() if as_engine else _read_meaning(data, by_type, inputs, outputs)
    features, beats = (b"", b"") if as_engine else _read_recipes(data, by_type, inputs)
    unknown = b"" if as_engine else _read_unknown(data, by_type, inputs)
    scales_in = np.frombuffer(data, "<f4", 2 * inputs, by_type[INPUT][0].offset).reshape(-1, 2)
    scales_out = np.frombuffer(data, "<f4", 2 * outputs, by_type[OUTPUT][0].offset).reshape(-1, 2)
    return ModelFile(
        input_scale=scales_in[:, 0].astype(np.float32),
        input_offset=scales_in[:, 1].astype(np.float32),
        output_scale=scales_out[:, 0].astype(np.float32),
        output_offset=scales_out[:, 1].astype(np.float32),
        tick_ns=tick_ns,
        dt_max=dt_max,
        tables=tuple(tables),
        layers=tuple(layers),
        golden=golden,
        meta=_read_meta(data, by_type.get(META, [])),
        names=said.names,
        decision=said.decision,
        centres=said.centres,
        features=features,
        beats=beats,
        unknown=unknown,
        dialect=DIALECTS[dialect],
        model_version=model_version,
        sha256=sha.hex(),
        file_size=size,
        format_minor=minor,
    )


def read_file(path: Path) -> tuple[bytes, ModelFile]:
    """A model file and what is in it. Raises UlnnError naming the path and the reason."""
    try:
        data = path.read_bytes()
        model = read(data)
        check_sha256(data)
    except FileNotFoundError:
        raise UlnnError(f"{path}: no such file; expected a model made by `ulnn convert`") from None
    except (OSError, ValueError) as error:
        raise UlnnError(f"{path}: {error}") from None
    return data, model


def check_sha256(data: bytes) -> None:
    """Raise ValueError when the SHA-256 in the header is not that of the file's contents."""
    if hashlib.sha256(data[48:]).digest() != data[16:48]:
        raise ValueError("SHA-256 does not match: the file was changed after it was written")


def _read_sections(data: bytes, count: int, inputs: int, outputs: int) -> list[_Section]:
    sizes = layout.fixed_sizes(inputs, outputs)
    sections: list[_Section] = []
    seen: dict[int, int] = {}
    end, last = layout.body_start(count), (-1, -1)
    for k in range(count):
        kind, index, offset, size, reserved = ENTRY.unpack_from(data, layout.body_start(k))
        check(reserved == 0 and offset % 16 == 0, f"section {k}: bad entry")
        check(
            end <= offset and offset + size <= len(data), f"section {k}: does not fit in the file"
        )
        check((kind, index) > last, f"section {k}: out of order")
        check(TIME <= kind <= GOLDEN or kind >= 0x8000, f"section {k}: type {kind} not supported")
        number = seen.get(kind, 0)
        if kind in REPEATS:
            check(index == number and index < REPEATS[kind], f"section {k}: bad index")
        elif kind < 0x8000:
            check(index == 0, f"section {k}: bad index")
        if kind in sizes:
            check(size == sizes[kind], f"section {k}: size {size}, expected {sizes[kind]}")
        if kind == LAYERS:
            check(size >= 16, f"section {k}: size {size}, expected at least 16")
        seen[kind] = number + 1
        end, last = offset + size, (kind, index)
        sections.append(_Section(kind, index, offset, size))
    return sections


def _read_golden(
    data: bytes, section: _Section, inputs: int, outputs: int, state_size: int
) -> Golden:
    check(section.size >= 8, f"golden vectors: size {section.size}, expected at least 8")
    steps, reserved = struct.unpack_from("<II", data, section.offset)
    check(1 <= steps <= GOLDEN_MAX, f"golden vectors: steps {steps}, expected 1 to {GOLDEN_MAX}")
    check(reserved == 0, "golden vectors: reserved field is not 0")
    wanted = layout.golden_size(steps, inputs, outputs, state_size)
    check(section.size == wanted, f"golden vectors: size {section.size}, expected {wanted}")
    dt = np.frombuffer(data, "<u4", steps, section.offset + 8).astype(np.int64)
    bad = (dt < 1) | (dt > TICKS_MAX)
    check(not bad.any(), f"golden vectors: bad dt at step {int(np.argmax(bad))}")
    values = np.frombuffer(
        data, "<i2", (wanted - 8 - 4 * steps) // 2, section.offset + 8 + 4 * steps
    )
    x, y, state = np.split(values.astype(np.int16), [steps * inputs, steps * (inputs + outputs)])
    return Golden(dt, x.reshape(steps, inputs), y.reshape(steps, outputs), state)


def _read_meta(data: bytes, sections: list[_Section]) -> dict[str, Any]:
    """META is free-form: what cannot be read as a JSON object is no reason to refuse the model."""
    for section in sections:
        try:
            meta = json.loads(section.of(data))
        except (ValueError, RecursionError):
            continue
        if isinstance(meta, dict):
            return meta
    return {}


def _first(data: bytes, by_type: dict[int, list[_Section]], kind: int) -> bytes | None:
    """The section of a type with index 0."""
    return next((s.of(data) for s in by_type.get(kind, []) if s.index == 0), None)


class _Meaning(NamedTuple):
    names: Names | None = None
    decision: Decision | None = None
    centres: Centres | None = None


def _read_meaning(
    data: bytes, by_type: dict[int, list[_Section]], inputs: int, outputs: int
) -> _Meaning:
    """NAMES, DECISION and CENTRES, of which others than those with index 0 are ignored."""
    names, decision, centres = (
        _first(data, by_type, kind)
        for kind in (layout.MODEL_NAMES, layout.DECISION, layout.CENTRES)
    )
    return _Meaning(
        None if names is None else meaning.read_names(names, inputs, outputs),
        None if decision is None else meaning.read_decision(decision),
        None if centres is None else meaning.read_centres(centres, outputs),
    )


def _read_recipes(
    data: bytes, by_type: dict[int, list[_Section]], inputs: int
) -> tuple[bytes, bytes]:
    """FEATURES and BEATS with index 0, checked; empty without."""
    pairs = struct.unpack_from(f"<{2 * inputs}f", data, by_type[INPUT][0].offset)
    features, beats = (_first(data, by_type, kind) for kind in (layout.FEATURES, layout.BEATS))
    check(features is None or beats is None, "beats: the file has FEATURES, too")
    if features is not None:
        recipes.Recipe(features, inputs)
        recipes.input_scales(pairs)
    if beats is not None:
        beat_recipes.Recipe(beats, inputs)
        recipes.input_scales(pairs, "beats")
    return features or b"", beats or b""


def _read_unknown(data: bytes, by_type: dict[int, list[_Section]], inputs: int) -> bytes:
    """UNKNOWN with index 0, checked; empty without."""
    content = _first(data, by_type, layout.UNKNOWN)
    if content is None:
        return b""
    read_unknown(content, inputs)
    return content


# ---- writing ----------------------------------------------------------------------------------


def write(model: ModelFile) -> bytes:
    """The file of a model. Raises ValueError when the model breaks a rule of the format."""
    scales_in = np.stack([model.input_scale, model.input_offset], axis=1)
    scales_out = np.stack([model.output_scale, model.output_offset], axis=1)
    contents = [
        struct.pack("<II", model.tick_ns, model.dt_max),
        scales_in.astype("<f4").tobytes(),
        scales_out.astype("<f4").tobytes(),
        *map(table_bytes, model.tables),
        *map(layer_bytes, model.layers),
    ]
    if model.golden is not None:
        contents.append(_golden_bytes(model.golden))
    if model.meta:
        contents.append(layout.meta_bytes(model.meta))
    if model.names is not None:
        contents.append(meaning.names_bytes(model.names))
    if model.decision is not None:
        contents.append(meaning.decision_bytes(model.decision))
    if model.centres is not None:
        contents.append(meaning.centres_bytes(model.centres))
    if model.features:
        contents.append(model.features)
    if model.beats:
        contents.append(model.beats)
    if model.unknown:
        contents.append(model.unknown)

    sections = layout.sections(model)
    table, body = b"", b""
    start = layout.body_start(len(sections))
    for section, content in zip(sections, contents, strict=True):
        table += ENTRY.pack(section.type, section.index, start + len(body), section.size, 0)
        body += padded(content)
    dialect = next(number for number, name in DIALECTS.items() if name == model.dialect)
    named = struct.pack(
        "<IHHHHI",
        model.model_version,
        dialect,
        len(sections),
        model.input_size,
        model.output_size,
        0,
    )
    named += table + body
    checked = hashlib.sha256(named).digest() + named
    size = layout.file_size([section.size for section in sections])
    added = (
        FEATURES_MINOR * bool(model.features),
        BEATS_MINOR * bool(model.beats),
        UNKNOWN_MINOR * bool(model.unknown),
    )
    version = FORMAT[0], max(model.format_minor, *added)
    data = struct.pack("<4sBBHII", MAGIC, *version, 0, size, zlib.crc32(checked)) + checked
    read(data)
    return data


def section_sizes(data: bytes) -> dict[str, int]:
    """Bytes of each section of a valid file, by name, in file order."""
    (count,) = struct.unpack_from("<H", data, 54)
    sizes = {"header": layout.body_start(count)}
    for k in range(count):
        kind, index, _offset, size, _reserved = ENTRY.unpack_from(data, layout.body_start(k))
        sizes[layout.Section(kind, index, size).name] = size
    return sizes


def _golden_bytes(golden: Golden) -> bytes:
    head = struct.pack("<II", len(golden.dt), 0) + golden.dt.astype("<u4").tobytes()
    return head + b"".join(a.astype("<i2").tobytes() for a in (golden.x, golden.y, golden.state))
