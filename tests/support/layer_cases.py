"""Broken layers, matrices and streams: checks 24 to 66 of SPEC.md section 4.

Written from SPEC.md alone, so that it can judge every engine.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from support.fixed_dt_cases import Case
from support.raw_file import LAYER, OUTPUT, TABLE, File, Section, streams


def layer_cases(data: bytes) -> Iterator[Case]:
    """Checks 24 to 34 and 55, 66, for a CfC layer 0 and a dense last layer."""
    f = File.read(data)
    last = sum(s.type == LAYER for s in f.sections) - 1
    for number, cfc in ((0, True), (last, False)):
        k = f.find(LAYER, number)
        s = f.sections[k]
        kind, _, _, inputs, _, count = struct.unpack_from("<HBBHHH", s.data)
        assert kind == (1 if cfc else 2)
        where = f"layer {number}: "
        fields = [
            ("24 kind", 0, "H", (0, 7, 65535), "kind {} not supported"),
            ("25 mode", 2, "B", (5, 255) if cfc else (1, 255), "mode {} not supported"),
            ("26 gate", 3, "B", (13, 255) if cfc else (1, 255), "gate shift {} not supported"),
            (
                "27 inputs",
                4,
                "H",
                (0, inputs + 1, 65535),
                f"input size {{}}, expected {inputs}",
            ),
            ("28 outputs", 6, "H", (0, 1025, 65535), "output size {}, expected 1 to 1024"),
            (
                "29 matrices",
                8,
                "H",
                (0, 17, 65535) if cfc else (0, 2),
                "matrix count {} not supported",
            ),
            ("30 state shift", 10, "B", (1, 255), "state shift {} not supported"),
            ("31 cell shift", 11, "B", (1, 255), "cell shift {} not supported"),
            ("32 dt_fixed", 12, "I", (1, 2**31), "reserved field is not 0"),
        ]
        for name, at, code, values, text in fields:
            for got in values:
                broken = f.swap(k, s.patched(at, code, got)).write()
                yield f"{name} {got}, layer {number}", broken, where + text.format(got)
        descriptors = 16 + 16 * count
        fit = where + "descriptors do not fit in the section"
        for size in (16, descriptors - 1):
            cut = f.swap(k, replace(s, data=s.data[:size]))
            yield f"34 size {size}, layer {number}", cut.write(), fit
        longer = f.swap(k, replace(s, data=s.data + bytes(16)))
        text = f"section size {len(s.data) + 16}, expected {len(s.data)}"
        yield f"55 layer {number}", longer.write(), where + text
        two = s.patched(0, "H", 9).patched(10, "B", 1)
        yield (
            f"24 before 30, layer {number}",
            f.swap(k, two).write(),
            where + "kind 9 not supported",
        )
    k = f.find(OUTPUT)
    wider = replace(
        f.swap(k, replace(f.sections[k], data=f.sections[k].data + bytes(8))),
        output_size=f.output_size + 1,
    )
    text = f"output size {f.output_size}, expected {f.output_size + 1}"
    yield "66 outputs", wider.write(), text


def matrix_cases(data: bytes) -> Iterator[Case]:
    """Checks 35 to 47, on every matrix of the first and of the last layer."""
    f = File.read(data)
    tables = sum(s.type == TABLE for s in f.sections)
    last_layer = sum(s.type == LAYER for s in f.sections) - 1
    for number in (0, last_layer):
        k = f.find(LAYER, number)
        s = f.sections[k]
        cfc = s.data[0] == 1
        matrices = streams(s)
        for j, stream in enumerate(matrices):
            heads = cfc and j == len(matrices) - 1
            backbone = cfc and not heads
            activation = s.data[16 + 16 * j + 1]
            rows, columns = stream.rows, stream.columns
            wrong = (0, 4) if backbone else (1, 3, 4) if heads else (4, 255)
            most = 14 if activation == 3 else 0
            fields = [
                ("35 bits", 0, "B", (0, 1, 7, 32), "weight bits {} not supported"),
                ("36 activation", 1, "B", wrong, "activation {} not supported"),
                ("37 shift", 2, "B", (9, 255), "shift {} not supported"),
                ("38 output shift", 3, "B", (most + 1, 255), "output shift {} not supported"),
                (
                    "39 table",
                    4,
                    "B",
                    (tables, 255) if activation >= 2 else (1, 255),
                    "table {} not supported",
                ),
                ("40 storage", 5, "B", (2, 255), "storage {} not supported"),
                ("41 reserved word", 10, "H", (1, 256), "reserved field is not 0"),
                (
                    "42 rows",
                    6,
                    "H",
                    (0, 4097, 65535) if backbone else (0, rows - 1, rows + 1),
                    "rows {} not supported",
                ),
                (
                    "43 columns",
                    8,
                    "H",
                    (0, columns - 1, columns + 1, 65535),
                    f"columns {{}}, expected {columns}",
                ),
                (
                    "44 offset",
                    12,
                    "I",
                    (0, stream.offset - 16, stream.offset + 16, 2**32 - 16),
                    f"offset {{}}, expected {stream.offset}",
                ),
            ]
            where = f"layer {number} matrix {j}: "
            for name, at, code, values, text in fields:
                for got in values:
                    broken = f.swap(k, s.patched(16 + 16 * j + at, code, got)).write()
                    name_here = f"{name} {got}, layer {number} matrix {j}"
                    yield name_here, broken, where + text.format(got)
            for size in (stream.offset, stream.end - 1):
                cut = f.swap(k, replace(s, data=s.data[:size])).write()
                name_here = f"47 size {size}, layer {number} matrix {j}"
                yield name_here, cut, where + "weights do not fit in the section"
            if backbone:
                tall = f.swap(k, s.patched(16 + 16 * j + 6, "H", 4096)).write()
                name_here = f"47 4096 rows, layer {number} matrix {j}"
                yield name_here, tall, where + "weights do not fit in the section"
    no_tables = replace(f, sections=tuple(s for s in f.sections if s.type != TABLE))
    s = f.sections[f.find(LAYER)]
    first = next(j for j in range(len(streams(s))) if s.data[16 + 16 * j + 1] >= 2)
    if first == 0:
        table = s.data[16 + 4]
        text = f"layer 0 matrix 0: table {table} not supported"
        yield "39 no tables", no_tables.write(), text


def stream_cases(data: bytes) -> Iterator[Case]:
    """Checks 50 to 52 on every matrix."""
    f = File.read(data)
    negative = "multiplier is negative"
    filling = "filling is not 0"
    overflow = "accumulator can overflow"
    for k, s in enumerate(f.sections):
        if s.type != LAYER:
            continue
        for j, st in enumerate(streams(s)):
            where = f"layer {s.index} matrix {j}: row {{}}: {{}}"
            name = f", layer {s.index} matrix {j}"
            code = "b" if st.bits == 8 else "h"
            top = 127 if st.bits == 8 else 32767
            all_rows = -(-st.rows // 4) * 4

            def case(
                title: str, broken: Section, row: int, text: str, *, k: int = k, n: str = name,
                where: str = where,
            ) -> Case:  # fmt: skip
                return title + n, f.swap(k, broken).write(), where.format(row, text)

            for row in {0, 3, st.rows - 1, all_rows - 1}:
                for got in (-1, -(2**31)):
                    broken = s.patched(st.multiplier(row), "i", got)
                    yield case(f"50 row {row} {got}", broken, row, negative)
            for row in range(st.rows, all_rows):
                for at, size in (
                    (st.bias(row), "i"),
                    (st.multiplier(row), "i"),
                    (st.weight(row, 0), code),
                    (st.weight(row, -(-st.columns_of(row) // 4) * 4 - 1), code),
                ):
                    yield case(f"51 row {row} byte {at}", s.patched(at, size, 1), row, filling)
                minus = s.patched(st.bias(row), "i", -1)
                yield case(f"51 row {row} bias -1", minus, row, filling)
                both = s.patched(st.bias(row), "i", 1).patched(st.multiplier(row), "i", -1)
                yield case(f"50 before 51 row {row}", both, row, negative)
                huge = s.patched(st.bias(row), "i", -(2**31))
                yield case(f"51 before 52 row {row}", huge, row, filling)
            for row in {0, st.rows - 1}:
                columns = st.columns_of(row)
                for column in range(columns, -(-columns // 4) * 4):
                    for got in (1, -top - 1):
                        broken = s.patched(st.weight(row, column), code, got)
                        yield case(f"51 row {row} column {column} {got}", broken, row, filling)
            for row in {0, st.rows - 1}:
                one = s.patched(st.weight(row, 0), code, 1)
                for got in (2**31 - 1, -(2**31) + 1, -(2**31)):
                    broken = one.patched(st.bias(row), "i", got)
                    yield case(f"52 row {row} bias {got}", broken, row, overflow)
                edge = s.patched(st.bias(row), "i", 0)
                columns = st.columns_of(row)
                for column in range(columns):
                    edge = edge.patched(st.weight(row, column), code, 0)
                alone = edge.patched(st.bias(row), "i", -(2**31))
                yield case(f"52 row {row} bias alone", alone, row, overflow)
                edge = edge.patched(st.weight(row, columns - 1), code, top)
                tight = 2**31 - 32768 * top
                yield case(
                    f"52 row {row} one too many",
                    edge.patched(st.bias(row), "i", tight),
                    row,
                    overflow,
                )
                yield case(
                    f"52 row {row} one too few",
                    edge.patched(st.bias(row), "i", -tight),
                    row,
                    overflow,
                )
                if st.bits == 16 and columns >= 2:
                    for column in range(columns):
                        edge = edge.patched(st.weight(row, column), code, -32768)
                    full = edge.patched(st.bias(row), "i", 0)
                    yield case(f"52 row {row} weights", full, row, overflow)
            if st.rows > 1:
                order = s.patched(st.multiplier(1), "i", -1).patched(st.bias(0), "i", -(2**31))
                yield case("52 of row 0 before 50 of row 1", order, 0, overflow)
