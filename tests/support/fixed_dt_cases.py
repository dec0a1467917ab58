"""Good and broken files with a CfC layer of a fixed dt (SPEC.md 3.4), from SPEC.md alone."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from support.raw_file import GOLDEN, LAYER, TIME, File, Stream, streams

Case = tuple[str, bytes, str]
MODES = (2, 3)


def with_fixed_dt(data: bytes, mode: int = 2, dt_fixed: int = 1000, time: int = 3) -> bytes:
    """The file with a fixed dt in layer 0, whose heads lose a row of each neuron.

    data: a file whose layer 0 is a CfC with four rows a neuron. time: the row that stays as
    `time`, 2 or 3. The golden vectors, which would not fit any more, are left out.
    """
    f = File.read(data)
    f = f.swap(f.find(GOLDEN))
    k = f.find(LAYER)
    s = f.sections[k]
    count = len(streams(s))
    old = streams(s)[-1]
    new = Stream(old.offset, old.rows // 4 * 3, old.columns, old.bits)
    size = old.bits // 8
    out = bytearray(s.data[: old.offset]) + bytes(new.end - new.offset)
    for row in range(new.rows):
        source = row // 3 * 4 + (0, 1, time)[row % 3]
        pairs = [
            (new.bias(row), old.bias(source), 4),
            (new.multiplier(row), old.multiplier(source), 4),
        ]
        for column in range(old.columns):
            pairs.append((new.weight(row, column), old.weight(source, column), size))
        for to, at, n in pairs:
            out[to : to + n] = s.data[at : at + n]
    struct.pack_into("<BB", out, 2, mode, 0)
    struct.pack_into("<I", out, 12, dt_fixed)
    struct.pack_into("<H", out, 16 * count + 6, new.rows)
    return f.swap(k, replace(s, data=bytes(out))).write()


def fixed_dt_cases(data: bytes) -> Iterator[Case]:
    """Checks 25 to 33, 36, 42 and 55; `data` as `rich_file` makes it."""
    plain = File.read(data)
    (dt_max,) = struct.unpack_from("<I", plain.sections[plain.find(TIME)].data, 4)
    k = plain.find(LAYER)
    s = plain.sections[k]
    hidden = streams(s)[-1].rows // 4
    heads = len(streams(s)) - 1
    where = "layer 0: "
    rows = f"layer 0 matrix {heads}: rows {{}} not supported"
    for mode in MODES:
        # Three rows a neuron are asked for, and four are there
        four = s.patched(2, "BB", mode, 0).patched(12, "I", 1)
        yield f"42 four rows, mode {mode}", plain.swap(k, four).write(), rows.format(4 * hidden)
        f = File.read(with_fixed_dt(data, mode, dt_max))
        k = f.find(LAYER)
        fixed = f.sections[k]
        end = len(fixed.data)

        def case(title: str, broken: bytes, text: str, *, mode: int = mode) -> Case:
            return f"{title}, mode {mode}", broken, text

        for got in (5, 255):
            broken = f.swap(k, fixed.patched(2, "B", got)).write()
            yield case(f"25 mode {got}", broken, f"{where}mode {got} not supported")
        for got in (1, 12, 13, 255):
            broken = f.swap(k, fixed.patched(3, "B", got)).write()
            yield case(f"26 gate {got}", broken, f"{where}gate shift {got} not supported")
        reserved = f"{where}reserved field is not 0"
        for at, name in ((10, "30 state"), (11, "31 cell")):
            text = f"{where}{name.split()[1]} shift 1 not supported"
            yield case(f"{name} shift", f.swap(k, fixed.patched(at, "B", 1)).write(), text)
        linear = fixed.patched(16 + 16 * heads + 1, "B", 0)
        text = f"layer 0 matrix {heads}: activation 0 not supported"
        yield case("36 linear heads", f.swap(k, linear).write(), text)
        outside = f"{where}fixed dt {{}}, expected 1 to {dt_max}"
        for got in (0, dt_max + 1, 2**31 - 1, 2**31, 2**32 - 1):
            broken = f.swap(k, fixed.patched(12, "I", got)).write()
            yield case(f"33 dt_fixed {got}", broken, outside.format(got))
        t = f.find(TIME)
        shorter = f.swap(t, f.sections[t].patched(4, "I", dt_max - 1)).write()
        text = f"{where}fixed dt {dt_max}, expected 1 to {dt_max - 1}"
        yield case("33 dt_max lowered", shorter, text)
        both = fixed.patched(10, "B", 1).patched(12, "I", 0)
        text = f"{where}state shift 1 not supported"
        yield case("30 before 33", f.swap(k, both).write(), text)
        both = fixed.patched(3, "B", 1).patched(12, "I", 0)
        text = f"{where}gate shift 1 not supported"
        yield case("26 before 33", f.swap(k, both).write(), text)
        cut = replace(fixed.patched(12, "I", 0), data=fixed.patched(12, "I", 0).data[:16])
        yield case("33 before 34", f.swap(k, cut).write(), outside.format(0))
        # As mode 0 or 1 the same bytes have a dt_fixed, then a row too few a neuron
        as_plain = fixed.patched(2, "B", mode - 2)
        yield case("32 dt_fixed, as plain", f.swap(k, as_plain).write(), reserved)
        as_plain = as_plain.patched(12, "I", 0)
        broken = f.swap(k, as_plain).write()
        yield case("42 three rows, as plain", broken, rows.format(3 * hidden))
        for got in (0, 3 * hidden - 1, 3 * hidden + 1, 4 * hidden, 65535):
            broken = f.swap(k, fixed.patched(16 + 16 * heads + 6, "H", got)).write()
            yield case(f"42 rows {got}", broken, rows.format(got))
        cut = replace(fixed, data=fixed.data[:-1])
        text = f"layer 0 matrix {heads}: weights do not fit in the section"
        yield case("47 a byte short", f.swap(k, cut).write(), text)
        longer = replace(fixed, data=fixed.data + bytes(16))
        text = f"{where}section size {end + 16}, expected {end}"
        yield case("55 section size", f.swap(k, longer).write(), text)
    last = max(i for i, section in enumerate(plain.sections) if section.type == LAYER)
    dense = plain.sections[last]
    for mode in MODES:
        broken = plain.swap(last, dense.patched(2, "B", mode).patched(12, "I", 1)).write()
        text = f"layer {dense.index}: mode {mode} not supported"
        yield f"25 mode {mode}, dense", broken, text


def good_fixed_dt_files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, file) of files with a fixed dt that must load."""
    f = File.read(data)
    (dt_max,) = struct.unpack_from("<I", f.sections[f.find(TIME)].data, 4)
    for mode in MODES:
        for dt in (1, dt_max):
            yield f"fixed dt {dt}, mode {mode}", with_fixed_dt(data, mode, dt)
    t = f.find(TIME)
    top = f.swap(t, f.sections[t].patched(4, "I", 2**31 - 1)).write()
    yield "fixed dt 2^31-1", with_fixed_dt(top, 2, 2**31 - 1)
