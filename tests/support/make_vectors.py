"""Writes native_module/vectors/: the same files at every call.

make vectors
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace

import numpy as np

from support.band_cases import small_cases
from support.cell_cases import Case, cell_cases, cells_file
from support.loader_cases import loader_cases, rich_file
from support.meaning_cases import decision_cases, names_cases
from support.random_models import Shape, random_input, random_stack, with_golden
from support.raw_file import GOLDEN, LAYER, META, OUTPUT, File, Section, patch, with_crc
from support.spec_bands import features
from support.vectors import BANDS, BROKEN, BROKEN_MEANING, FOLDER, run_reference
from ulnn_host.engines.reference import lookup
from ulnn_host.format import container
from ulnn_host.format.model import Activation as A
from ulnn_host.format.model import Decision, Kind, Layer, Matrix, Mode, ModelFile, Names
from ulnn_host.format.tables import tanh_table

STEPS = 16
CELL = Shape(inputs=3, hidden=6, backbone=(), outputs=None)
DENSE = Shape(kind=Kind.DENSE, hidden=6, outputs=None)


def compact(model: ModelFile) -> ModelFile:
    """The same with the tables that it uses alone, in another order."""
    used = {matrix.table for layer in model.layers for matrix in layer.matrices}
    used |= {layer.ltc.table for layer in model.layers if layer.ltc is not None}
    order = sorted(used, reverse=True)
    # The table of a row without one is 0.
    place = {table: k for k, table in enumerate(order)}

    def matrix(m: Matrix, heads: bool) -> Matrix:
        return replace(m, table=place[m.table] if heads or m.activation >= A.TABLE else 0)

    def layer(each: Layer) -> Layer:
        matrices = [
            matrix(m, each.kind.is_cfc and k == len(each.matrices) - 1)
            for k, m in enumerate(each.matrices)
        ]
        ltc = each.ltc and replace(each.ltc, table=place[each.ltc.table])
        return replace(each, matrices=tuple(matrices), ltc=ltc)

    return replace(
        model,
        tables=tuple(model.tables[table] for table in order),
        layers=tuple(map(layer, model.layers)),
    )


def with_ties(model: ModelFile) -> ModelFile:
    """The last matrix with products that often end in a half, of both signs."""
    last = model.layers[-1]
    (matrix,) = last.matrices
    rng = np.random.default_rng(0)
    ties = replace(
        matrix,
        weights=rng.integers(-2, 3, matrix.weights.shape),
        bias=rng.integers(-9, 10, matrix.bias.shape),
        multiplier=np.full_like(matrix.multiplier, 2**30),
    )
    return replace(model, layers=(*model.layers[:-1], replace(last, matrices=(ties,))))


def with_odd_products(model: ModelFile) -> ModelFile:
    """A GRU, state_shift 8, as the first layer: half of what its reset gate lets through is -1/2
    and whole units, and what the table sees turns on that half."""
    layer = model.layers[0]
    table = model.tables[layer.matrices[0].table]
    size = layer.output_size
    u = 1000
    while (r := int(lookup(table, np.int64(u)))) % 2 == 0:
        u += 1
    # (32768 + r) * q is one below a multiple of 32.
    q = next(q for q in range(-32, 0) if (32768 + r) * q % 32 == 31)
    gates, hidden, inputs = (
        replace(
            m,
            weights=np.zeros_like(m.weights),
            bias=np.zeros_like(m.bias),
            multiplier=np.full_like(m.multiplier, 2**30),
            shift=0,
        )
        for m in layer.matrices
    )
    gates = replace(gates, bias=np.tile([4 * u, -(2**30)], size))
    hidden = replace(hidden, bias=np.full(size, 4 * q))
    rng = np.random.default_rng(0)
    weights = rng.integers(-100, 101, inputs.weights.shape)
    weights[:, layer.input_size :] = 0
    inputs = replace(inputs, weights=weights, multiplier=np.full_like(inputs.multiplier, 2**15))
    first = replace(layer, matrices=(gates, hidden, inputs))
    return replace(model, layers=(first, *model.layers[1:]))


def with_far_states(model: ModelFile) -> ModelFile:
    """The first neuron's heads (linear) are -32768 and -32767 with a gate below a half: their
    mixture is -32769 before it is saturated."""
    first = model.layers[0]
    heads = first.matrices[-1]
    weights, bias, multiplier = heads.weights.copy(), heads.bias.copy(), heads.multiplier.copy()
    weights[:4] = 0
    bias[:4] = (-(2**30), -4 * 32767, 0, -(2**22))
    multiplier[:4] = 2**30
    far = replace(heads, weights=weights, bias=bias, multiplier=multiplier, shift=0)
    layer = replace(first, matrices=(*first.matrices[:-1], far))
    return replace(model, layers=(layer, *model.layers[1:]))


def in_any_order(model: ModelFile) -> ModelFile:
    """Lists of columns out of order; of int8 matrices some columns twice, with weights that add up
    to more than 127."""
    rng = np.random.default_rng(0)

    def shuffled(m: Matrix) -> Matrix:
        assert m.lists is not None
        lists = [tuple(int(c) for c in rng.permutation(columns)) for columns in m.lists]
        weights = m.weights.copy()
        for group, columns in enumerate(lists):
            if m.weight_bits == 8 and len(columns) < m.columns:
                lists[group] = columns + columns[:1]
                weights[4 * group : 4 * group + 4, columns[0]] = 200
        return replace(m, weights=weights, lists=tuple(lists))

    layers = tuple(
        replace(layer, matrices=tuple(map(shuffled, layer.matrices))) for layer in model.layers
    )
    return replace(model, layers=layers)


def stack(
    seed: int, *shapes: Shape, change: Callable[[ModelFile], ModelFile] = lambda model: model
) -> bytes:
    """The file, of version 1.1, of a stack of layers, without META."""
    model = compact(change(random_stack(seed, shapes)))
    return container.write(replace(model, meta={}, format_minor=1))


# By name: what it is about, the seed, and how its file is made. The seeds are those, of some
# dozens, whose vectors notice the most misreadings and saturate the least.
MODELS: dict[str, tuple[str, int, Callable[[int], bytes]]] = {
    "dense": (
        "dense layers of every activation, in any order; rows that end in a half",
        1,
        lambda seed: stack(
            seed,
            replace(DENSE, activation=A.TABLE, hidden=5, shift=1),
            replace(DENSE, activation=A.RELU, weight_bits=16, shift=3),
            replace(DENSE, activation=A.GATED, hidden=7),
            replace(DENSE, activation=A.LINEAR, hidden=6, weight_bits=16),
            replace(DENSE, activation=A.GATED, hidden=5, weight_bits=16, shift=1),
            replace(DENSE, activation=A.LINEAR, hidden=9),
            change=with_ties,
        ),
    ),
    "dense_far": (
        "dense layers with weights and shifts that go to their bounds",
        6,
        lambda seed: stack(
            seed,
            replace(DENSE, activation=A.RELU, extreme=True, shift=8),
            replace(DENSE, activation=A.LINEAR, shift=2),
            replace(DENSE, activation=A.TABLE, extreme=True, weight_bits=16),
            replace(DENSE, activation=A.GATED, hidden=11, extreme=True, shift=8),
        ),
    ),
    "default": (
        "CfC, mode default, with backbones of every activation; dt_max of 2^20",
        58,
        lambda seed: stack(
            seed,
            replace(CELL, backbone=((7, A.TABLE), (5, A.GATED)), gate_shift=3, dt_max=2**20),
            replace(CELL, backbone=((4, A.RELU),), shift=2, weight_bits=16, outputs=2),
        ),
    ),
    "no_gate": (
        "CfC, mode no_gate and linear heads, without backbones; dt_max of 2^31-1",
        26,
        lambda seed: stack(
            seed,
            replace(CELL, linear=True, dt_max=2**31 - 1),
            replace(CELL, mode=Mode.NO_GATE, weight_bits=16, gate_shift=5),
            replace(CELL, linear=True, mode=Mode.NO_GATE, extreme=True, hidden=5),
            change=with_far_states,
        ),
    ),
    "fixed_dt": (
        "CfC with two different fixed dt, and one without",
        45,
        lambda seed: stack(
            seed,
            replace(CELL, dt_fixed=500, dt_max=1000),
            replace(CELL, dt_fixed=900, mode=Mode.NO_GATE, backbone=((5, A.TABLE),), shift=1),
            replace(CELL, hidden=3),
        ),
    ),
    "pure": (
        "CfC, mode pure",
        21,
        lambda seed: stack(
            seed,
            replace(CELL, mode=Mode.PURE, gate_shift=6, state_shift=1),
            replace(CELL, mode=Mode.PURE, gate_shift=12, extreme=True, weight_bits=16),
        ),
    ),
    "gates": (
        "LSTM and GRU, with dt as an input and without",
        6,
        lambda seed: stack(
            seed,
            replace(CELL, kind=Kind.GRU, inputs=5, hidden=5, state_shift=8),
            replace(CELL, kind=Kind.LSTM, dt_input=True, cell_shift=3, weight_bits=16),
            replace(CELL, kind=Kind.GRU, dt_input=True, state_shift=2),
            replace(CELL, kind=Kind.LSTM, hidden=5, extreme=True),
            replace(CELL, kind=Kind.GRU, hidden=7, weight_bits=16),
            change=with_odd_products,
        ),
    ),
    "ltc": (
        "LTC",
        43,
        lambda seed: stack(
            seed,
            replace(CELL, kind=Kind.LTC, motor=3, density=0.5, unfolds=4),
            replace(CELL, kind=Kind.LTC, motor=2, extreme=True),
        ),
    ),
    "mixed": (
        "mixed memories and dense layers, each before and after the other",
        13,
        lambda seed: stack(
            seed,
            replace(DENSE, activation=A.GATED),
            replace(CELL, kind=Kind.MIXED, hidden=5, backbone=((4, A.TABLE),), cell_shift=2),
            replace(DENSE, activation=A.RELU, hidden=4),
            replace(CELL, kind=Kind.MIXED, hidden=4, mode=Mode.PURE, gate_shift=4),
            replace(CELL, kind=Kind.MIXED, hidden=3, mode=Mode.NO_GATE, weight_bits=16),
        ),
    ),
    "sparse": (
        "sparse matrices: columns in any order, some of them twice",
        38,
        lambda seed: stack(
            seed,
            replace(CELL, inputs=9, hidden=7, density=0.3),
            replace(CELL, kind=Kind.GRU, hidden=6, density=0.5, weight_bits=16),
            replace(DENSE, activation=A.TABLE, hidden=6, density=0.5),
            change=in_any_order,
        ),
    ),
}


def models() -> Iterator[tuple[str, str, bytes]]:
    """(name, what it is about, file)."""
    for name, (about, seed, make) in MODELS.items():
        yield name, about, make(seed)
    for name, file in (("cfc", rich_file()), ("cells", cells_file())):
        model = compact(container.read(file))
        about = "what broken.json starts from; with golden vectors"
        yield name, about, with_golden(replace(model, golden=None, format_minor=1), 4)
    yield NAMED, "version 1.2: every section that it added", named_file()
    yield (
        EXAMPLE,
        "the example of SPEC.md: its bytes (2.13) and its first steps (3.9)",
        example_file(),
    )


# ---- version 1.2 --------------------------------------------------------------------------------

NAMED, EXAMPLE = "named", "example"
NAMES_THERE = Names(("ax", "pulse"), ("m/s²", ""), ("still", "walking", "läuft"))
DECISION_THERE = Decision(
    "mean", reset=True, window=8, votes=3, enter=9000, leave=4000, least=16
)  # fmt: skip
SIGNATURE_AT = 16  # where a signature begins in its section


def named_file() -> bytes:
    """A file with NAMES, DECISION, CENTRES and SIGNATURE (of no key)."""
    shape = replace(CELL, inputs=2, hidden=4, outputs=3, gate_shift=2, dt_max=40_000)
    model = compact(random_stack(11, [shape]))
    model = replace(model, meta={}, names=NAMES_THERE, decision=DECISION_THERE, model_version=7)
    f = File.read(with_golden(model, 4))
    signature = struct.pack("<HHI", 1, 64, 0) + bytes(range(72))
    centres = struct.pack("<HH9h", 2, 0, *range(-4000, 5000, 1000))
    more = (Section(0x8002, 0, signature), Section(0x8005, 0, centres))
    sections = tuple(sorted((*f.sections, *more), key=lambda s: (s.type, s.index)))
    data = bytearray(replace(f, sections=sections).write())
    data[5] = 2
    data[16:48] = hashlib.sha256(data[48:]).digest()
    return with_crc(bytes(data))


def example_file() -> bytes:
    """One CfC neuron with one input: small enough to be read byte by byte."""
    heads = Matrix(
        weights=np.array([[60, 25], [-45, 30], [15, -8], [-12, 20]]),
        bias=np.array([40_000, -60_000, 300_000, -100_000]),
        multiplier=np.array([2**30, 2**30, 3 * 2**28, 2**30]),
        weight_bits=8,
        activation=A.TABLE,
        shift=1,
    )
    one, none = np.ones(1, np.float32), np.zeros(1, np.float32)
    layer = Layer(Kind.CFC, (heads,), 1, 1, gate_shift=2)
    return container.write(
        ModelFile(
            one / 4096, none, one / 32768, none, 1000, 1000, (tanh_table(),), (layer,),
            names=Names(("x",), ("V",), ("y",)), decision=Decision("each", values=True),
            dialect="ulnn",
        )
    )  # fmt: skip


EXAMPLE_STEPS = np.array([[10_000], [-20_000], [300]]), np.array([700, 5, 2000])


def signed(data: bytes) -> bytes:
    """What SIGNATURE signs (SPEC.md 2.11)."""
    f = File.read(data)
    k = f.find(0x8002)
    start, end = f.offsets[k] + SIGNATURE_AT, f.offsets[k] + len(f.sections[k].data)
    blank = data[:start] + bytes(end - start) + data[end:]
    return b"ulnn-sig-1" + hashlib.sha256(blank[48:]).digest()


def meaning_entries() -> Iterator[dict[str, object]]:
    """The entries of broken_meaning.json: the section in the place of the one in `named`."""
    for kind, found in (("NAMES", names_cases()), ("DECISION", decision_cases())):
        for _, content, text in found:
            yield {"section": kind, "content": content.hex(), "text": text}


def bands_entries() -> Iterator[dict[str, object]]:
    """The entries of bands.json: a track, samples, and the features after the last of them."""
    for case in small_cases():
        yield {"track": case.track, "x": case.x, "y": features(case.track, case.x)}


# ---- broken files -------------------------------------------------------------------------------


def patches(base: bytes, broken: bytes) -> list[tuple[int, bytes]]:
    """What to write into the base, cut or filled up with zeros to the same size, to get the broken
    file. Differences a few bytes apart are one patch."""
    old = base[: len(broken)].ljust(len(broken), b"\0")
    found: list[tuple[int, bytes]] = []
    for k in range(len(broken)):
        if old[k] == broken[k]:
            continue
        start, content = found[-1] if found else (-99, b"")
        if k - start - len(content) <= 3:
            found[-1] = start, broken[start : k + 1]
        else:
            found.append((k, broken[k : k + 1]))
    return found


def shape_of(text: str) -> str:
    """A text without its numbers."""
    return re.sub(r"\d+", "N", text)


def table_cases(base: bytes) -> Iterator[Case]:
    """Cases that others make by moving sections, by changes of the section table alone."""
    f = File.read(base)

    def entry(kind: int) -> int:
        return 64 + 16 * f.find(kind)

    short = patch(base, entry(LAYER) + 8, "I", 15)
    yield "19", short, f"section {f.find(LAYER)}: size 15, expected at least 16"
    only = patch(patch(base, 54, "H", 1), 64, "H", META)
    yield "20", only, "section TIME is missing"
    for count, name in enumerate(("INPUT", "OUTPUT", "LAYER"), 1):
        yield "20", patch(base, 54, "H", count), f"section {name} is missing"
    fit = "layer 0: descriptors do not fit in the section"
    yield "34", patch(base, entry(LAYER) + 8, "I", 31), fit
    fewer = patch(patch(base, 58, "H", 1), entry(OUTPUT) + 8, "I", 8)
    yield "66", fewer, "output size 2, expected 1"
    golden = patch(base, entry(GOLDEN) + 8, "I", 7)
    yield "67", golden, "golden vectors: size 7, expected at least 8"


def cases(name: str, base: bytes) -> Iterator[Case]:
    """What changes of a few bytes break in a base."""
    # Most cases are made of the file as File puts it together: another end, and no SHA-256, which
    # no engine looks at. The header's end and what follows are the same.
    plain = File.read(base).write()
    found = loader_cases(base) if name == "cfc" else cell_cases(base)
    for title, data, text in (*found, *table_cases(base)):
        changed = patches(base, data)
        if len(data) == len(plain):
            again = bytearray(base)
            for at, content in patches(plain[48:], data[48:]):
                again[48 + at : 48 + at + len(content)] = content
            data, changed = with_crc(bytes(again)), patches(base, again)
        if len(data) <= len(base) + 64 and sum(len(content) for _, content in changed) <= 24:
            yield title.partition(" ")[0], data, text


def broken_entries() -> Iterator[dict[str, object]]:
    """The entries of broken.json: two for each text that an engine may raise, where there are."""
    bases = {name: data for name, _, data in models() if name in ("cfc", "cells")}
    seen: dict[str, int] = {}
    for name, base in bases.items():
        for check, data, text in cases(name, base):
            if seen.setdefault(shape_of(text), 0) == 2:
                continue
            seen[shape_of(text)] += 1
            entry: dict[str, object] = {"check": check, "base": name}
            if len(data) != len(base):
                entry["size"] = len(data)
            entry["patches"] = {at: content.hex() for at, content in patches(base, data)}
            yield entry | {"text": text}


# ---- writing ------------------------------------------------------------------------------------


def lines(entries: Sequence[object]) -> str:
    """A JSON list with one entry a line."""
    texts = [json.dumps(entry, separators=(",", ":")) for entry in entries]
    return "[\n" + ",\n".join(texts) + "\n]"


def files() -> Iterator[tuple[str, bytes]]:
    """(name, content) of every file."""
    for number, (name, about, data) in enumerate(models()):
        model = container.read(data)
        if name == EXAMPLE:
            x, dt = EXAMPLE_STEPS
        else:
            x, dt = random_input(number, model, STEPS)
            dt[:3] = 1, model.dt_max, 2**31 - 1
        want = run_reference(model, x, dt)
        columns = {"x": x, "dt": dt, "y": want.y, "state": want.state, "clamped": want.clamped}
        texts = [f'"about": {json.dumps(about)}']
        if name == NAMED:
            said = {"names": asdict(NAMES_THERE), "decision": asdict(DECISION_THERE)}
            said["signed"] = signed(data).hex()
            texts += [f'"{key}": {json.dumps(value)}' for key, value in said.items()]
        texts += [f'"{key}": {lines(column.tolist())}' for key, column in columns.items()]
        yield f"{name}.ulnn", data
        yield f"{name}.json", ("{" + ",\n".join(texts) + "}\n").encode()
    yield BROKEN.name, (lines(list(broken_entries())) + "\n").encode()
    yield BROKEN_MEANING.name, (lines(list(meaning_entries())) + "\n").encode()
    yield BANDS.name, (lines(list(bands_entries())) + "\n").encode()


def main() -> None:
    """Writes them all."""
    for name, content in files():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
