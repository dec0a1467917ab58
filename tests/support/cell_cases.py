"""Good and broken files with what version 1.1 of SPEC.md added: cells and sparse streams.

Written from SPEC.md alone, but for `cells_file`, which makes a valid file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from support.raw_file import GOLDEN, LAYER, TABLE, File, Section, streams

Case = tuple[str, bytes, str]

# The layers of `cells_file`
MIXED, LSTM, GRU, LTC, LINEAR, DENSE = range(6)


def cells_file(seed: int = 1, *, weight_bits: int = 8) -> bytes:
    """A valid file with a layer of every kind, mode `pure`, linear heads and sparse matrices:
    groups with filling columns, groups of filling rows, lists with filling."""
    from support.random_models import Shape, random_model, with_golden
    from ulnn_host.format.model import Activation, Kind, Mode

    size = {"outputs": None, "weight_bits": weight_bits, "dt_max": 1000}
    shapes = (
        Shape(
            **size, kind=Kind.MIXED, inputs=3, hidden=5, backbone=((6, Activation.TABLE),),
            mode=Mode.PURE, density=0.6, gate_shift=2, state_shift=1, cell_shift=3,
        ),
        Shape(**size, kind=Kind.LSTM, inputs=5, hidden=6, dt_input=True, cell_shift=1),
        Shape(**size, kind=Kind.GRU, inputs=6, hidden=3, dt_input=True, density=0.4),
        Shape(**size, kind=Kind.LTC, inputs=3, hidden=5, motor=2, density=0.6, unfolds=3),
        Shape(
            **size, inputs=2, hidden=4, backbone=(), mode=Mode.NO_GATE, linear=True,
            density=0.5, gate_shift=3,
        ),
        Shape(**size, inputs=4, hidden=1, backbone=(), density=0.5),
    )  # fmt: skip
    models = [random_model(seed + n, shape) for n, shape in enumerate(shapes)]
    dense = random_model(seed, Shape(inputs=4, hidden=4, density=0.5, outputs=2))
    layers = (*(model.layers[0] for model in models[:-1]), dense.layers[-1])
    model = replace(
        random_model(seed, Shape(inputs=3, hidden=1, outputs=2, dt_max=1000)), layers=layers
    )
    return with_golden(model, 4)


def head_cases(data: bytes) -> Iterator[Case]:
    """Checks 25 to 34 and 55, for each layer."""
    f = File.read(data)
    bad = {
        MIXED: [(2, (5, 255)), (3, (13, 255)), (8, (0, 1, 17)), (10, (9, 255)), (11, (9, 255))],
        LSTM: [(2, (2, 255)), (3, (1, 255)), (8, (0, 2, 17)), (10, (1, 255)), (11, (9, 255))],
        GRU: [(2, (2, 255)), (3, (1, 255)), (8, (0, 1, 2, 4)), (10, (9, 255)), (11, (1, 255))],
        LTC: [(2, (1, 255)), (3, (1, 255)), (8, (1, 255)), (10, (1, 255)), (11, (1, 255))],
        LINEAR: [(2, (5, 255)), (3, (13, 255)), (8, (0, 17)), (10, (1, 255)), (11, (1, 255))],
    }
    names = {
        2: "25 mode",
        3: "26 gate shift",
        8: "29 matrix count",
        10: "30 state shift",
        11: "31 cell shift",
    }
    for number, fields in bad.items():
        k = f.find(LAYER, number)
        s = f.sections[k]
        where = f"layer {number}: "

        def case(title: str, broken: Section, text: str, *, k: int = k, w: str = where) -> Case:
            return f"{title}, {w[:-2]}", f.swap(k, broken).write(), w + text

        for at, values in fields:
            for got in values:
                code = "H" if at == 8 else "B"
                text = f"{names[at].partition(' ')[2]} {got} not supported"
                yield case(f"{names[at]} {got}", s.patched(at, code, got), text)
        for got in (1, 2**31):
            fixed = s.patched(12, "I", got)
            yield case(f"32 dt_fixed {got}", fixed, "reserved field is not 0")
        fit = "descriptors do not fit in the section"
        (count,) = struct.unpack_from("<H", s.data, 8)
        for size in (16, 16 + 16 * (count or 1) - 1):
            yield case(f"34 size {size}", replace(s, data=s.data[:size]), fit)
        want = len(s.data)
        for more in (1, 16) if number != LTC else ():
            longer = replace(s, data=s.data + bytes(more))
            yield case(f"55 + {more}", longer, f"section size {want + more}, expected {want}")
        both = s.patched(10, "BB", 9, 9)
        yield case("30 before 31", both, "state shift 9 not supported")
    k = f.find(LAYER, MIXED)
    fixed = f.sections[k].patched(2, "BB", 2, 0).patched(10, "B", 0)
    text = "layer 0: fixed dt 0, expected 1 to 1000"
    yield "33 mixed", f.swap(k, fixed).write(), text


def matrix_cases(data: bytes) -> Iterator[Case]:
    """Checks 35 to 49 on every matrix."""
    f = File.read(data)
    tables = sum(s.type == TABLE for s in f.sections)
    allowed = {
        (MIXED, 0): (2,),
        (MIXED, 1): (1, 2, 3),
        (MIXED, 2): (0,),
        (LSTM, 0): (2,),
        (GRU, 0): (2,),
        (GRU, 1): (0,),
        (GRU, 2): (0,),
        (LINEAR, 0): (0, 2),
        (DENSE, 0): (0, 1, 2, 3),
    }
    for (number, j), activations in allowed.items():
        k = f.find(LAYER, number)
        s = f.sections[k]
        st = streams(s)[j]
        where = f"layer {number} matrix {j}: "
        at = 16 + 16 * j
        backbone = (number, j) == (MIXED, 1)
        has_table = (number, j) in ((MIXED, 2), (LINEAR, 0)) or s.data[at + 1] >= 2
        wrong = tuple(a for a in (0, 1, 2, 3, 4, 255) if a not in activations)
        beyond = (0, 4097) if backbone else (0, st.rows - 1, st.rows + 1)
        text = f"columns {{}}, expected {st.columns}"
        fields = [
            ("35 bits", 0, "B", (0, 9), "weight bits {} not supported"),
            ("36 activation", 1, "B", wrong, "activation {} not supported"),
            ("37 shift", 2, "B", (9, 255), "shift {} not supported"),
            ("39 table", 4, "B", (tables if has_table else 1, 255), "table {} not supported"),
            ("40 storage", 5, "B", (2, 255), "storage {} not supported"),
            ("41 reserved", 10, "H", (1, 256), "reserved field is not 0"),
            ("42 rows", 6, "H", beyond, "rows {} not supported"),
            ("43 columns", 8, "H", (0, st.columns - 1, st.columns + 1), text),
            ("44 offset", 12, "I", (0, st.offset + 16), f"offset {{}}, expected {st.offset}"),
        ]
        for name, field, code, values, text in fields:
            for got in values:
                broken = f.swap(k, s.patched(at + field, code, got)).write()
                yield f"{name} {got}, {where}", broken, where + text.format(got)
        fit = where + "weights do not fit in the section"
        for size in (st.offset, st.end - 1):
            cut = f.swap(k, replace(s, data=s.data[:size])).write()
            yield f"47 size {size}, {where}", cut, fit
        if st.listed:
            yield from sparse_cases(f, k, j)


def sparse_cases(f: File, k: int, j: int) -> Iterator[Case]:
    """Checks 45 to 49 for one sparse matrix."""
    s = f.sections[k]
    st = streams(s)[j]
    where = f"layer {s.index} matrix {j}: "

    def case(title: str, broken: Section, text: str) -> Case:
        return f"{title}, {where}", f.swap(k, broken).write(), where + text

    fit = "weights do not fit in the section"
    for size in (st.offset + 1, st.entries - 1, st.entries, st.list_end):
        yield case(f"45 size {size}", replace(s, data=s.data[:size]), fit)
    for group in {0, len(st.listed) - 1}:
        for got in (0, st.columns + 1, 65535):
            broken = s.patched(st.offset + 2 * group, "H", got)
            text = f"group {group}: columns {got}, expected 1 to {st.columns}"
            yield case(f"46 group {group} {got}", broken, text)
    if len(st.listed) > 1:
        both = s.patched(st.offset, "HH", 1, 0)
        text = f"group 1: columns 0, expected 1 to {st.columns}"
        yield case("46 second", both, text)
    # The filling of the last block, too, is an entry
    first = 0
    entries = []
    for n in st.listed:
        filled = -(-n // 4) * 4
        entries += [(first, True), (first + n - 1, True)]
        entries += [(first + c, False) for c in range(n, filled)]
        first += filled
    for entry, listed in entries:
        wrong = (1, 2 * st.columns, 2 * st.columns + 1, 65535) if listed else (1, 2)
        for got in wrong:
            broken = s.patched(st.entries + 2 * entry, "H", got)
            text = f"entry {entry}: offset {got} not supported"
            yield case(f"48 entry {entry} {got}", broken, text)
    end = st.offset + -(-(st.list_end - st.offset) // 16) * 16
    for at in {st.list_end, end - 1} if end > st.list_end else ():
        broken = s.patched(at, "B", 1)
        yield case(f"49 filling at {at}", broken, "reserved field is not 0")
    both = s.patched(st.entries, "H", 1).patched(st.multiplier(0), "i", -1)
    yield case("48 before 50", both, "entry 0: offset 1 not supported")


def pure_cases(data: bytes) -> Iterator[Case]:
    """Checks 53, 54 and 55 of mode `pure`."""
    f = File.read(data)
    k = f.find(LAYER, MIXED)
    s = f.sections[k]
    start = streams(s)[-1].end
    neurons = (len(s.data) - start) // 16
    assert neurons == 5
    where = "layer 0: "
    for size in (start, start + 16, len(s.data) - 1):
        cut = f.swap(k, replace(s, data=s.data[:size])).write()
        yield f"53 size {size}", cut, f"{where}neurons do not fit in the section"
    wrong = {0: (-1, 2**30 + 1, -(2**31)), 4: (-32769, 32768, 2**31 - 1), 12: (1, -1)}
    for neuron in (0, neurons - 1):
        for at, values in wrong.items():
            for got in values:
                broken = f.swap(k, s.patched(start + 16 * neuron + at, "i", got)).write()
                text = f"{where}neuron {neuron}: bad numbers"
                yield f"54 neuron {neuron} byte {at} {got}", broken, text


class LtcSection:
    """Where things are in the LTC layer of `cells_file`."""

    def __init__(self, s: Section) -> None:
        self.inputs, self.motor = struct.unpack_from("<HH", s.data, 4)
        self.neurons, self.unfolds, self.table, self.count = struct.unpack_from(
            "<HBBI", s.data, 16
        )
        counts = struct.unpack_from(f"<{2 * self.neurons}H", s.data, 32)
        self.counts = counts
        self.sensory = sum(counts[: self.neurons])
        self.sources = 32 + 4 * self.neurons
        self.sources_end = self.sources + 2 * self.count
        self.numbers = -(-self.sources_end // 16) * 16
        self.synapses = self.numbers + 16 * self.neurons
        self.synapses_end = self.synapses + 12 * self.count
        self.end = -(-self.synapses_end // 16) * 16

    def of(self, neuron: int) -> list[int]:
        """The synapses of a neuron."""
        before = sum(self.counts[:neuron])
        found = list(range(before, before + self.counts[neuron]))
        neuron += self.neurons
        before = sum(self.counts[:neuron])
        return found + list(range(before, before + self.counts[neuron]))


def ltc_cases(data: bytes) -> Iterator[Case]:
    """Checks 56 to 65."""
    f = File.read(data)
    tables = sum(s.type == TABLE for s in f.sections)
    k = f.find(LAYER, LTC)
    s = f.sections[k]
    at = LtcSection(s)
    assert at.end == len(s.data)
    assert 0 < at.sensory < at.count
    where = f"layer {LTC}: "

    def case(title: str, broken: Section, text: str) -> Case:
        return title, f.swap(k, broken).write(), where + text

    size = f"section size {len(s.data)}, expected {{}}"
    for got in (0, at.motor - 1, 1025, 65535):
        text = f"neurons {got}, expected {at.motor} to 1024"
        yield case(f"56 neurons {got}", s.patched(16, "H", got), text)
    for got in (0, 65, 255):
        yield case(f"57 {got}", s.patched(18, "B", got), f"unfolds {got} not supported")
    for got in (tables, 255):
        yield case(f"58 {got}", s.patched(19, "B", got), f"table {got} not supported")
    for field in (24, 28):
        yield case(f"59 {field}", s.patched(field, "I", 1 << 24), "reserved field is not 0")
    for got in (1048577, 2**31, 2**32 - 1):
        text = f"synapses {got}, expected at most 1048576"
        yield case(f"60 {got}", s.patched(20, "I", got), text)
    for count in (0, at.count - 8, at.count + 8, 1048576):
        numbers = -(-(at.sources + 2 * count) // 16) * 16 + 16 * at.neurons
        text = size.format(-(-(numbers + 12 * count) // 16) * 16)
        yield case(f"61 synapses {count}", s.patched(20, "I", count), text)
    for more in (-16, -1, 1, 16):
        resized = replace(s, data=(s.data + bytes(16))[: len(s.data) + more])
        text = f"section size {len(s.data) + more}, expected {len(s.data)}"
        yield case(f"61 size {more}", resized, text)
    for n in (0, at.neurons - 1, at.neurons, 2 * at.neurons - 1):
        for got in (at.counts[n] + 1, 65535):
            sum_ = at.count - at.counts[n] + got
            text = f"synapses {sum_}, expected {at.count}"
            yield case(f"62 number {n} {got}", s.patched(32 + 2 * n, "H", got), text)
    for n in (0, at.sensory - 1, at.sensory, at.count - 1):
        top = 2 * (at.inputs if n < at.sensory else at.neurons)
        for got in (1, top, top + 1, 65535):
            broken = s.patched(at.sources + 2 * n, "H", got)
            yield case(f"63 source {n} {got}", broken, f"entry {n}: offset {got} not supported")
    fillings = [(at.sources_end, at.numbers), (at.synapses_end, at.end)]
    for start, end in fillings:
        for byte in {start, end - 1} if end > start else ():
            broken = s.patched(byte, "B", 1)
            yield case(f"64 byte {byte}", broken, "reserved field is not 0")
    yield from ltc_neuron_cases(f, k)


def ltc_neuron_cases(f: File, k: int) -> Iterator[Case]:
    """Check 65."""
    s = f.sections[k]
    at = LtcSection(s)

    def case(title: str, broken: Section, neuron: int) -> Case:
        text = f"layer {LTC}: neuron {neuron}: bad numbers"
        return f"65 neuron {neuron}, {title}", f.swap(k, broken).write(), text

    for neuron in range(at.neurons):
        numbers = at.numbers + 16 * neuron
        synapses = at.of(neuron)
        for got in (0, -1, 2**30 + 1, -(2**31)):
            yield case(f"capacity {got}", s.patched(numbers + 8, "i", got), neuron)
        yield case("den < 0", s.patched(numbers + 4, "i", -1), neuron)
        yield case("fourth", s.patched(numbers + 12, "i", 1), neuron)
        yield case("fourth, high", s.patched(numbers + 12, "i", -(2**31)), neuron)
        for n in {synapses[0], synapses[-1]} if synapses else ():
            for got in (2**30 + 1, -(2**30) - 1, 2**31 - 1, -(2**31)):
                broken = s.patched(at.synapses + 12 * n + 4, "i", got)
                yield case(f"synapse {n} offset {got}", broken, neuron)
        if not synapses:
            continue
        # w_den = 3, w_num = -2 at the last synapse alone
        plain = s
        for n in synapses:
            plain = plain.patched(at.synapses + 12 * n + 8, "hh", 0, 0)
        plain = plain.patched(at.synapses + 12 * synapses[-1] + 8, "hh", 3, -2)
        top = 2**31 - 1
        for name, num, den in (
            ("den low", 0, 3 * 32768 - 1),
            ("den high", 0, top - 3 * 32768 + 1),
            ("num high", top - 2 * 32768 + 1, 3 * 32768),
            ("num low", -top + 2 * 32768 - 1, 3 * 32768),
            ("num -2^31", -(2**31), 3 * 32768),
        ):
            yield case(name, plain.patched(numbers, "ii", num, den), neuron)
        if len(synapses) >= 3:
            full = plain.patched(numbers, "ii", 0, top)
            for n in synapses:
                full = full.patched(at.synapses + 12 * n + 8, "hh", -32768, 0)
            yield case("w_den", full, neuron)
            full = plain.patched(numbers, "ii", 0, 0)
            for n in synapses:
                full = full.patched(at.synapses + 12 * n + 8, "hh", 0, -32768)
            yield case("w_num", full, neuron)


def cell_cases(data: bytes) -> Iterator[Case]:
    """All of these; `data` as `cells_file` makes it."""
    for cases in (head_cases, matrix_cases, pure_cases, ltc_cases):
        yield from cases(data)


def good_cell_files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, file) of files with such layers that must load; `data` as `cells_file` makes it."""
    yield "every cell", data
    f = File.read(data)
    f = f.swap(f.find(GOLDEN))
    yield "every cell, repacked", f.write()
    k = f.find(LAYER, LTC)
    s = f.sections[k]
    at = LtcSection(s)
    for unfolds in (1, 2, 64):
        yield f"{unfolds} unfolds", f.swap(k, s.patched(18, "B", unfolds)).write()
    neuron = next(n for n in range(at.neurons) if at.of(n))
    numbers = at.numbers + 16 * neuron
    edge = s
    for n in at.of(neuron):
        edge = edge.patched(at.synapses + 12 * n + 4, "ihh", 2**30, 0, 0)
    last = at.synapses + 12 * at.of(neuron)[-1]
    edge = edge.patched(last, "iihh", -(2**31), -(2**30), -3, 2)
    top = 2**31 - 1
    for name, num, den in (
        ("low", 2 * 32768 - top, 3 * 32768),
        ("high", top - 2 * 32768, top - 3 * 32768),
    ):
        for capacity in (1, 2**30):
            broken = edge.patched(numbers, "iii", num, den, capacity)
            yield f"LTC bounds, {name}, {capacity}", f.swap(k, broken).write()
    none = struct.pack("<HBBIII", 5, 1, 0, 0, 0, 0) + bytes(4 * 5)
    none += bytes(-len(none) % 16) + struct.pack("<iiii", -5, 7, 1, 0) * 5
    yield "LTC without synapses", f.swap(k, replace(s, data=s.data[:16] + none)).write()
    k = f.find(LAYER, MIXED)
    s = f.sections[k]
    start = streams(s)[-1].end
    for tau, a, gain in ((0, -32768, -(2**31)), (2**30, 32767, 2**31 - 1)):
        edge = s.patched(start, "iii", tau, a, gain)
        yield f"pure bounds, {tau}", f.swap(k, edge).write()
    # Any order, and any number of times
    k = f.find(LAYER, GRU)
    s = f.sections[k]
    st = next(st for st in streams(s) if max(st.listed) >= 2)
    group = next(g for g, n in enumerate(st.listed) if n >= 2)
    entry = st.entries + 8 * sum(-(-n // 4) for n in st.listed[:group])
    twice = s.patched(entry, "HH", 2 * (st.columns - 1), 2 * (st.columns - 1))
    yield "a column twice", f.swap(k, twice).write()
    yield "columns out of order", f.swap(k, s.patched(entry, "HH", 2, 0)).write()
