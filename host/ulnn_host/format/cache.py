"""What a data cache in front of slow memory adds to a step: lines that a step has to fetch.

MicroPython's heap on an STM32H743, where a model lies, is AXI SRAM behind the Cortex-M7's data
cache. `trace` is where a step reads and writes, as the kernels do it: the records of a matrix in
order, the vector again for each group of four rows, tables, values. `misses` simulates the cache
over such a trace, or over one of an emulator (native_module/bench, which compares the two:
tests/bench/test_cache.py).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from . import layout
from .model import Activation, Layer, Matrix, ModelFile

SIZE, WAYS, LINE = 16384, 4, 32  # of the STM32H743: bytes, lines of a set, bytes of a line
PENALTY = (15, 25, 40)  # cycles of a line from AXI SRAM: lowest, likely, highest; not measured
WARM, MEASURED = 3, 4  # steps
MANY = 1 << 17  # lines of a step: it warms the cache by itself
LONG = 16  # times the cache: nothing of what streams is still there when it comes again
HEAD, LAYER_HEAD, MATRIX_HEAD = 96, 32, 24  # bytes in RAM of a model, a layer, a matrix
STACK = 176  # bytes of a step
SYNAPSE = 2 + 12  # bytes of an LTC's synapse: its source in RAM, its numbers
LOOKUPS = 128  # segments of a table that are in use, around its middle


def misses(lines: Iterable[int]) -> int:
    """Lines fetched in a step that goes on forever: numbers of lines in their order, one step.
    Lines are replaced at random, as that cache does; the same at every call."""
    sets = SIZE // WAYS // LINE
    order = list(lines)
    warm, measured = (WARM, MEASURED) if len(order) < MANY else (1, 1)
    cache: list[list[int]] = [[] for _ in range(sets)]
    chance, found = random.Random(1), 0
    for step in range(warm + measured):
        for line in order:
            held = cache[line % sets]
            if line in held:
                continue
            found += step >= warm
            if len(held) < WAYS:
                held.append(line)
            else:
                held[chance.getrandbits(2)] = line
    return round(found / measured)


def model_misses(model: ModelFile) -> int:
    """Lines that a step of a model fetches: 0 where all that it touches stays in the cache."""
    long = [LONG if layer.ltc is None else LONG // layer.ltc.unfolds for layer in model.layers]
    sizes = [_once(layer) / SIZE for layer in model.layers]
    if any(size > max(limit, 4) for size, limit in zip(sizes, long, strict=True)):
        return sum(_streamed(layer) for layer in model.layers) // LINE
    lines = list(trace(model))
    return misses(lines) if len(set(lines)) * LINE > SIZE // 2 else 0


def _once(layer: Layer) -> int:
    """Bytes of weights."""
    if layer.ltc is not None:
        return SYNAPSE * len(layer.ltc.source)
    return sum(layout.matrix_size(m) + _list(m) for m in layer.matrices)


def _streamed(layer: Layer) -> int:
    """Bytes of weights that a step reads, those of an LTC at every unfold."""
    again = 0 if layer.ltc is None else int(layer.ltc.internal.sum()) * (layer.ltc.unfolds - 1)
    return _once(layer) + SYNAPSE * again


Span = tuple[int, int]  # first byte, bytes


def trace(model: ModelFile) -> Iterator[int]:
    """The lines that one step of a model touches, in order."""
    return touched(_Places(model).step())


def touched(spans: Iterable[Span]) -> Iterator[int]:
    """The lines of spans, in order; repeats in a row are left out."""
    last = -1
    for start, size in spans:
        for line in range(start // LINE, (start + max(size, 1) - 1) // LINE + 1):
            if line != last:
                yield line
            last = line


class _Places:
    """Where the parts of a model lie: its file, and memory after it."""

    def __init__(self, model: ModelFile) -> None:
        self.model = model
        self.at: dict[tuple[int, int], int] = {}
        sections = layout.sections(model)
        end = layout.body_start(len(sections))
        for section in sections:
            self.at[section.type, section.index] = end
            end += layout.filled(section.size)
        self.head = end
        self.layer_head = self.head + HEAD
        self.matrix_head = self.layer_head + LAYER_HEAD * len(model.layers)
        count = sum(len(layer.matrices) for layer in model.layers)
        self.vectors = self.matrix_head + MATRIX_HEAD * count
        sizes = [_vector(layer) for layer in model.layers]
        widest = 2 * max(max([layer.input_size, *_rows(layer)]) for layer in model.layers)
        self.scratch = self.vectors + sum(sizes)
        self.other = self.scratch + widest
        self.lists = self.other + widest
        every = [_list(matrix) for layer in model.layers for matrix in layer.matrices]
        synapses = [len(layer.ltc.source) for layer in model.layers if layer.ltc is not None]
        self.stack = self.lists + sum(every) + 2 * sum(synapses)
        self.looked = 0

    def step(self) -> Iterator[Span]:
        """All spans of a step."""
        model = self.model
        vector, matrices, lists = self.vectors, self.matrix_head, self.lists
        yield self.stack, STACK
        yield self.head, HEAD
        for number, layer in enumerate(model.layers):
            yield self.layer_head + LAYER_HEAD * number, LAYER_HEAD
            yield vector, 2 * layer.input_size
            stream = self.at[layout.LAYERS, number]
            if layer.ltc is not None:
                yield from self._ltc(layer, stream, vector, lists)
                lists += 2 * len(layer.ltc.source)
            stream += layout.streams_start(len(layer.matrices))
            source = vector
            for j, matrix in enumerate(layer.matrices):
                yield matrices + MATRIX_HEAD * j, MATRIX_HEAD
                target = (self.scratch, self.other)[j % 2]
                yield from self._rows(matrix, stream, source, target, lists)
                stream += layout.matrix_size(matrix)
                lists += _list(matrix)
                source = target
            if layer.pure is not None:
                yield stream, layout.pure_size(layer.output_size)
            yield vector + 2 * layer.input_size, 2 * layer.state_size
            matrices += MATRIX_HEAD * len(layer.matrices)
            vector += _vector(layer)

    def _rows(
        self, matrix: Matrix, stream: int, source: int, target: int, lists: int
    ) -> Iterator[Span]:
        sparse = matrix.lists is not None
        groups = -(-matrix.rows // 4)
        counts = [len(c) for c in matrix.lists or ()] or [matrix.columns] * groups
        if sparse:
            stream += layout.lists_size(counts)
        at = lists + 2 * (groups + -groups % 4)
        tables = matrix.activation in (Activation.TABLE, Activation.GATED)
        for group, columns in enumerate(counts):
            if sparse:
                offsets = 4 * (columns + -columns % 4)
                yield lists + 2 * group, 2
                yield at, offsets
                at += offsets
            yield source, 2 * matrix.columns
            size = layout.record_size(columns, matrix.weight_bits)
            yield stream, size
            stream += size
            if tables:
                yield from self._lookups(matrix.table, 4)
            yield target + 8 * group, 8

    def _lookups(self, table: int, count: int) -> Iterator[Span]:
        """Places in a table, as values around 0 would find them."""
        start = self.at[layout.TABLE, table] + 4 * (256 - LOOKUPS // 2)
        for _ in range(count):
            self.looked = (self.looked + 79) % LOOKUPS
            yield start + 4 * self.looked, 4

    def _ltc(self, layer: Layer, start: int, vector: int, lists: int) -> Iterator[Span]:
        ltc = layer.ltc
        assert ltc is not None
        places = layout.ltc_places(ltc.neurons, len(ltc.source))
        sensory = int(ltc.sensory.sum())
        x = vector, 2 * layer.input_size
        v = vector + 2 * layer.input_size, 2 * ltc.neurons
        passes = [(0, ltc.sensory, x)] + [(sensory, ltc.internal, v)] * ltc.unfolds
        for number, (first, counts, values) in enumerate(passes):
            at = first
            for neuron, count in enumerate(counts.tolist()):
                if number == 0:
                    yield start + places.neurons + 16 * neuron, 16
                yield self.scratch + 16 * neuron, 16
                yield lists + 2 * at, 2 * count
                yield values[0], min(values[1], 2 * LINE * count)
                yield start + places.synapses + 12 * at, 12 * count
                yield from self._lookups(ltc.table, min(count, LOOKUPS))
                at += count


def _rows(layer: Layer) -> list[int]:
    """Values that scratch memory takes for a layer; an LTC's neurons have eight each."""
    return [matrix.rows for matrix in layer.matrices] or [8 * layer.neurons]


def _list(matrix: Matrix) -> int:
    """Bytes in memory of the lists of a sparse matrix: a count for each group, then offsets."""
    counts = [len(columns) for columns in matrix.lists or ()]
    return 2 * (len(counts) + -len(counts) % 4) + sum(4 * (n + -n % 4) for n in counts)


def _vector(layer: Layer) -> int:
    """Bytes of a layer's vector: x, dt, states, filling; an LTC has its new potentials, too."""
    return 2 * (layer.input_size + 4 + 2 * layer.state_size)
