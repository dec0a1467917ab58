"""One or more broken files for every check of SPEC.md section 4, with the text it must give.

Written from SPEC.md alone, so that it can judge every engine: it uses
nothing of ulnn_host but in `rich_file`, which makes a valid file with all features.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from support.cell_cases import cell_cases, cells_file, good_cell_files
from support.fixed_dt_cases import Case, fixed_dt_cases, good_fixed_dt_files, with_fixed_dt
from support.layer_cases import layer_cases, matrix_cases, stream_cases
from support.raw_file import (
    GOLDEN,
    INPUT,
    LAYER,
    META,
    OUTPUT,
    TABLE,
    TIME,
    File,
    patch,
    streams,
    with_crc,
)


def header_cases(data: bytes) -> Iterator[Case]:
    n = len(data)
    short = "file too short: {} bytes, expected at least 64"
    yield "01 empty", b"", short.format(0)
    yield "01 short", data[:63], short.format(63)
    yield "01 short, no magic", b"x", short.format(1)
    magic = "not a ulnn file: it does not start with ULNN"
    yield "02 magic", b"ULNX" + data[4:], magic
    yield "02 zeros", bytes(64), magic
    for got in (0, 2, 255):
        text = f"format version {got} not supported, expected 1"
        yield f"03 major {got}", data[:4] + bytes([got]) + data[5:], text
    yield "03 before 05", data[:4] + b"\x02" + data[5:-1], text.replace("255", "2")
    large = "file too large: 16777217 bytes, expected at most 16777216"
    yield "04 large", data + bytes(16777217 - n), large
    size = "file size {} bytes, expected {}"
    yield "05 cut", data[:-1], size.format(n - 1, n)
    yield "05 cut to the header", data[:64], size.format(64, n)
    yield "05 longer", data + b"\0", size.format(n + 1, n)
    claimed = data[:8] + b"\xff\xff\xff\xff" + data[12:]
    yield "05 claims 4 GiB", claimed, size.format(n, 0xFFFFFFFF)
    crc = "CRC32 does not match: the file is damaged"
    for at in (12, 15, 16, 48, n // 2, n - 1):
        yield f"06 flip in byte {at}", data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :], crc
    reserved = "header: reserved field is not 0"
    yield "07 flags", patch(data, 6, "H", 1), reserved
    yield "07 flags, high", patch(data, 6, "H", 0x8000), reserved
    yield "07 reserved", patch(data, 60, "I", 1 << 31), reserved
    for got in (0, 7, 65535):
        yield f"08 dialect {got}", patch(data, 52, "H", got), f"dialect {got} not supported"
    for got in (0, 65, 65535):
        text = f"section count {got}, expected 1 to 64"
        yield f"09 sections {got}", patch(data, 54, "H", got), text
    for got in (0, 1025, 65535):
        text = f"size {got}, expected 1 to 1024"
        yield f"10 inputs {got}", patch(data, 56, "H", got), "input " + text
        yield f"11 outputs {got}", patch(data, 58, "H", got), "output " + text
    table = "section table does not fit in the file"
    yield "12 header only", with_crc(data[:64]), table
    (count,) = struct.unpack_from("<H", data, 54)
    yield "12 a byte short", with_crc(data[: 64 + 16 * count - 1]), table
    both = patch(patch(data, 52, "H", 9), 54, "H", 0)
    yield "08 before 09", both, "dialect 9 not supported"


def table_cases(data: bytes) -> Iterator[Case]:
    """Broken section tables: checks 13 to 20."""
    f = File.read(data)
    count = len(f.sections)
    n = len(data)

    def entry(k: int, at: int, code: str, *values: int) -> bytes:
        return patch(data, 64 + 16 * k + at, code, *values)

    for k in (0, count - 1):
        yield f"13 reserved {k}", entry(k, 12, "I", 1), f"section {k}: bad entry"
        odd = entry(k, 4, "I", f.offsets[k] + 8)
        yield f"13 offset {k}", odd, f"section {k}: bad entry"
    fit = "section {}: does not fit in the file"
    yield "14 in the table", entry(0, 4, "I", 64 + 16 * count - 16), fit.format(0)
    yield "14 in the header", entry(0, 4, "I", 0), fit.format(0)
    yield "14 overlap", entry(1, 4, "I", f.offsets[0]), fit.format(1)
    yield (
        "14 behind the end",
        entry(count - 1, 4, "I", -(-n // 16) * 16 + 16),
        fit.format(count - 1),
    )
    beyond = entry(count - 1, 8, "I", n - f.offsets[-1] + 1)
    yield "14 a byte too long", beyond, fit.format(count - 1)
    wrap = entry(count - 1, 4, "II", 0xFFFFFFF0, 0x20)
    yield "14 sum of 2^32", wrap, fit.format(count - 1)
    yield "14 size 2^32-1", entry(0, 8, "I", 0xFFFFFFFF), fit.format(0)
    yield "15 the same twice", entry(1, 0, "H", TIME), "section 1: out of order"
    yield "15 smaller", entry(1, 0, "H", 0), "section 1: out of order"
    last_layer = max(k for k, s in enumerate(f.sections) if s.type == LAYER)
    yield "15 index", entry(last_layer, 2, "H", 0), f"section {last_layer}: out of order"
    yield "16 type 0", entry(0, 0, "H", 0), "section 0: type 0 not supported"
    meta = f.find(META)
    for got in (7, 0x7FFF):
        text = f"section {meta}: type {got} not supported"
        yield f"16 type {got}", entry(meta, 0, "H", got), text
    for kind in (TIME, TABLE, LAYER, GOLDEN):
        k = f.find(kind)
        last = max(i for i, s in enumerate(f.sections) if s.type == kind)
        text = f"section {last}: bad index"
        yield f"17 type {kind}", entry(last, 2, "H", f.sections[last].index + 1), text
        if kind in (TABLE, LAYER):
            most = 4 if kind == TABLE else 16
            more = tuple(replace(f.sections[k], index=i) for i in range(most + 1))
            others = tuple(s for s in f.sections[k:] if s.type != kind)
            crowd = replace(f, sections=f.sections[:k] + more + others)
            yield f"17 too many of type {kind}", crowd.write(), f"section {k + most}: bad index"
    sizes = {TIME: 8, INPUT: 8 * f.input_size, OUTPUT: 8 * f.output_size, TABLE: 2048}
    for kind, want in sizes.items():
        k = f.find(kind)
        for got in (0, want - 1, want + 1, want + 16):
            resized = replace(f.sections[k], data=(f.sections[k].data + bytes(16))[:got])
            text = f"section {k}: size {got}, expected {want}"
            yield f"18 type {kind} size {got}", f.swap(k, resized).write(), text
    for k in (f.find(LAYER), last_layer):
        for got in (0, 15):
            cut = f.swap(k, replace(f.sections[k], data=f.sections[k].data[:got]))
            text = f"section {k}: size {got}, expected at least 16"
            yield f"19 section {k} size {got}", cut.write(), text
    names = {TIME: "TIME", INPUT: "INPUT", OUTPUT: "OUTPUT", LAYER: "LAYER"}
    for kind, name in names.items():
        without = replace(f, sections=tuple(s for s in f.sections if s.type != kind))
        yield f"20 no {name}", without.write(), f"section {name} is missing"
    for first, second in pairwise(names):
        without = replace(
            f, sections=tuple(s for s in f.sections if s.type not in (first, second))
        )
        yield f"20 no {names[first]} first", without.write(), f"section {names[first]} is missing"
    only = replace(f, sections=(f.sections[meta],))
    yield "20 META only", only.write(), "section TIME is missing"


def time_and_lookup_cases(data: bytes) -> Iterator[Case]:
    """Checks 21 to 23."""
    f = File.read(data)
    k = f.find(TIME)
    yield "21 tick", f.swap(k, f.sections[k].patched(0, "I", 0)).write(), "tick of 0 ns"
    for got in (0, 2**31, 2**32 - 1):
        text = f"dt_max {got}, expected 1 to 2147483647"
        yield f"22 {got}", f.swap(k, f.sections[k].patched(4, "I", got)).write(), text
    bad = {
        "both ends, low": (256, 0, -32768),
        "the end": (264, 32767, 0),
        "the start": (247, 32767, 1),
        "the first": (0, 32767, 0),
        "the last": (511, 32767, 32767),
        "negative slope": (511, -32768, 0),
    }
    for t in range(sum(s.type == TABLE for s in f.sections)):
        k = f.find(TABLE, t)
        for name, (segment, slope, offset) in bad.items():
            broken = f.swap(k, f.sections[k].patched(4 * segment, "hh", slope, offset))
            text = f"table {t}: segment {segment} leaves the range"
            yield f"23 table {t}, {name}", broken.write(), text


def golden_cases(data: bytes) -> Iterator[Case]:
    """Checks 67 to 71."""
    f = File.read(data)
    k = f.find(GOLDEN)
    s = f.sections[k]
    (steps,) = struct.unpack_from("<I", s.data)
    name = "golden vectors: "
    for size in (0, 7):
        text = f"{name}size {size}, expected at least 8"
        yield f"67 size {size}", f.swap(k, replace(s, data=s.data[:size])).write(), text
    for got in (0, 4097, 2**32 - 1):
        text = f"{name}steps {got}, expected 1 to 4096"
        yield f"68 steps {got}", f.swap(k, s.patched(0, "I", got)).write(), text
    reserved = s.patched(4, "I", 1)
    yield "69 reserved", f.swap(k, reserved).write(), f"{name}reserved field is not 0"
    cut = replace(reserved, data=reserved.data[:-2])
    yield "69 reserved first", f.swap(k, cut).write(), f"{name}reserved field is not 0"
    want = len(s.data)
    for got in (8, want - 1, want + 1):
        resized = replace(s, data=(s.data + b"\0")[:got])
        text = f"{name}size {got}, expected {want}"
        yield f"70 size {got}", f.swap(k, resized).write(), text
    per_step = 4 + 2 * f.input_size + 2 * f.output_size
    text = f"{name}size {want}, expected {want + per_step}"
    yield "70 steps", f.swap(k, s.patched(0, "I", steps + 1)).write(), text
    for step in (0, steps - 1):
        for got in (0, 2**31, 2**32 - 1):
            broken = s.patched(8 + 4 * step, "I", got)
            text = f"{name}bad dt at step {step}"
            yield f"71 step {step} {got}", f.swap(k, broken).write(), text


def loader_cases(data: bytes) -> Iterator[Case]:
    """(name, broken file, text of the ValueError) for all checks; names start with the number.

    `data` is a valid file as `rich_file` makes it. "04 large" has 16 MiB: skip it on boards.
    """
    for cases in (
        header_cases,
        table_cases,
        time_and_lookup_cases,
        layer_cases,
        matrix_cases,
        stream_cases,
        golden_cases,
        fixed_dt_cases,
    ):
        yield from cases(data)
    for name, broken, text in stream_cases(with_fixed_dt(data)):
        if name.endswith("layer 0 matrix 3"):  # the heads
            yield f"{name}, fixed dt", broken, text
    cells = cells_file()
    yield from cell_cases(cells)
    for name, broken, text in stream_cases(cells):
        yield f"{name}, cells", broken, text


def good_cases(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, file) of unusual files that must load."""
    f = File.read(data)
    yield "as it is", data
    yield "repacked", f.write()
    for minor in (1, 255):
        yield f"minor {minor}", data[:5] + bytes([minor]) + data[6:]
    for dialect in range(1, 7):
        yield f"dialect {dialect}", patch(data, 52, "H", dialect)
    k = f.find(META)
    for kind in (0x8000, 0x8002, 0xFFFF):
        other = replace(f.sections[k], type=kind, index=7)
        yield f"unknown section {kind:#x}", f.swap(k, other).write()
    yield "empty META", f.swap(k, replace(f.sections[k], data=b"")).write()
    k = f.find(GOLDEN)
    yield "no golden vectors", f.swap(k).write()
    k = f.find(TIME)
    yield "dt_max 2^31-1", f.swap(k, f.sections[k].patched(4, "I", 2**31 - 1)).write()
    yield "dt_max 1", f.swap(k, f.sections[k].patched(4, "I", 1)).write()
    k = f.find(TABLE)
    ends = f.sections[k].patched(4 * 256, "hh", 0, -32767).patched(4 * 257, "hh", 0, 32767)
    yield "table to its ends", f.swap(k, ends).write()
    k = f.find(LAYER)
    s = f.sections[k]
    st = streams(s)[0]
    code = "b" if st.bits == 8 else "h"
    for sign in (1, -1):
        edge = s.patched(st.bias(0), "i", sign * (2**31 - 1 - 32768))
        for column in range(st.columns):
            edge = edge.patched(st.weight(0, column), code, 0)
        edge = edge.patched(st.weight(0, 1), code, sign).patched(st.multiplier(0), "i", 2**31 - 1)
        yield f"a row to its bound, {sign}", f.swap(k, edge).write()
    yield from good_fixed_dt_files(data)
    yield from good_cell_files(cells_file())


def rich_file(seed: int = 1) -> bytes:
    """A valid file with all that the cases need: both weight widths, filling rows and columns,
    gated, table, relu and linear rows, two tables, a dense head, golden vectors, META."""
    import numpy as np

    from support.random_models import Shape, random_input, random_matrix, random_model
    from ulnn_host.engines.reference import Reference
    from ulnn_host.format import container
    from ulnn_host.format.model import Activation, Golden, Kind, Layer

    rng = np.random.default_rng(seed)
    narrow = Shape(inputs=3, hidden=5, weight_bits=8)
    wide = replace(narrow, weight_bits=16)
    matrices = (
        random_matrix(rng, 7, 8, narrow, Activation.GATED, 1),
        random_matrix(rng, 6, 7, wide, Activation.RELU),
        random_matrix(rng, 9, 6, narrow, Activation.TABLE),
        random_matrix(rng, 20, 9, wide, Activation.TABLE),
    )
    head = random_matrix(rng, 2, 5, narrow, Activation.LINEAR)
    model = replace(
        random_model(seed, narrow),
        layers=(
            Layer(Kind.CFC, matrices, 3, 5, gate_shift=2),
            Layer(Kind.DENSE, (head,), 5, 2),
        ),
    )
    x, dt = random_input(seed, model, 4)
    engine = Reference(model)
    y = engine.run(x, dt)
    return container.write(replace(model, golden=Golden(dt, x, y, engine.state)))
