"""The bytes of a LAYER section (SPEC.md 2.5); the loader's checks 24 to 65."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import layout
from .layout import LAYER, LTC, LTC_START, MATRIX
from .limits import MATRICES_MAX, ROWS_MAX, SIZE_MAX, SYNAPSES_MAX, UNFOLDS_MAX
from .model import Activation, Int, Kind, Layer, LtcNumbers, Matrix, Mode, Pure

LIMIT = 1 << 30
ROOM = 2**31 - 1

MODES_MAX = {Kind.CFC: 4, Kind.MIXED: 4, Kind.LSTM: 1, Kind.GRU: 1}
MATRICES = {
    Kind.CFC: (1, MATRICES_MAX),
    Kind.MIXED: (2, MATRICES_MAX),
    Kind.DENSE: (1, 1),
    Kind.LSTM: (1, 1),
    Kind.GRU: (3, 3),
    Kind.LTC: (0, 0),
}


def check(condition: bool, text: str) -> None:
    """Raise ValueError(text) when the condition does not hold."""
    if not condition:
        raise ValueError(text)


@dataclass(frozen=True)
class Rules:
    """What stands before a layer: its number, what comes in, tables of the file, its dt_max."""

    number: int
    incoming: int
    table_count: int
    dt_max: int


@dataclass(frozen=True)
class _Allowed:
    """What a matrix may be. rows: (least, most)."""

    activations: tuple[int, ...]
    rows: tuple[int, int]
    columns: int
    any_table: bool = False


# ---- reading ------------------------------------------------------------------------------------


def read_layer(data: bytes, rules: Rules) -> Layer:
    """The layer in a section's bytes. Raises ValueError as SPEC.md section 4 says."""
    name = f"layer {rules.number}"
    kind, mode, gate_shift, inputs, outputs, count, state_shift, cell_shift, dt_fixed = (
        LAYER.unpack_from(data)
    )
    check(kind in list(Kind), f"{name}: kind {kind} not supported")
    kind = Kind(kind)
    check(mode <= MODES_MAX.get(kind, 0), f"{name}: mode {mode} not supported")
    mode = Mode(mode)
    fixed, pure = kind.is_cfc and mode.fixed_dt, kind.is_cfc and mode is Mode.PURE
    check(
        gate_shift <= (12 if kind.is_cfc and not fixed else 0),
        f"{name}: gate shift {gate_shift} not supported",
    )
    check(inputs == rules.incoming, f"{name}: input size {inputs}, expected {rules.incoming}")
    check(1 <= outputs <= SIZE_MAX, f"{name}: output size {outputs}, expected 1 to {SIZE_MAX}")
    least, most = MATRICES[kind]
    check(least <= count <= most, f"{name}: matrix count {count} not supported")
    check(
        state_shift <= (8 if pure or kind is Kind.GRU else 0),
        f"{name}: state shift {state_shift} not supported",
    )
    check(
        cell_shift <= (8 if kind in (Kind.LSTM, Kind.MIXED) else 0),
        f"{name}: cell shift {cell_shift} not supported",
    )
    check(fixed or dt_fixed == 0, f"{name}: reserved field is not 0")
    check(
        not fixed or 1 <= dt_fixed <= rules.dt_max,
        f"{name}: fixed dt {dt_fixed}, expected 1 to {rules.dt_max}",
    )
    position = LTC_START if kind is Kind.LTC else layout.streams_start(count)
    check(len(data) >= position, f"{name}: descriptors do not fit in the section")
    if kind is Kind.LTC:
        ltc = _read_ltc(data, name, inputs, outputs, rules.table_count)
        return Layer(kind, (), inputs, outputs, ltc=ltc)

    matrices: list[Matrix] = []
    for j in range(count):
        allowed = _allowed(kind, mode, j, count, inputs, outputs, matrices)
        matrix, position = _read_matrix(
            data, j, f"{name} matrix {j}: ", allowed, position, rules.table_count
        )
        matrices.append(matrix)
    numbers = None
    if pure:
        end = position + layout.pure_size(outputs)
        check(end <= len(data), f"{name}: neurons do not fit in the section")
        numbers = _read_pure(data[position:end], name)
        position = end
    check(len(data) == position, f"{name}: section size {len(data)}, expected {position}")
    return Layer(
        kind, tuple(matrices), inputs, outputs, mode, gate_shift, dt_fixed,
        state_shift, cell_shift, numbers,
    )  # fmt: skip


def _allowed(
    kind: Kind, mode: Mode, j: int, count: int, inputs: int, size: int, before: list[Matrix]
) -> _Allowed:
    """The rules for matrix j of a layer of `count` (SPEC.md 2.5)."""
    if kind is Kind.DENSE:
        return _Allowed((0, 1, 2, 3), (size, size), inputs)
    if kind in (Kind.LSTM, Kind.GRU):
        inputs += mode is Mode.DT_INPUT
    if kind is Kind.LSTM or (kind is Kind.MIXED and j == 0):
        return _Allowed((2,), (4 * size, 4 * size), inputs + size)
    if kind is Kind.GRU:
        filled = inputs + -inputs % 4
        if j == 0:
            return _Allowed((2,), (2 * size, 2 * size), filled + size)
        return _Allowed((0,), (size, size), size if j == 1 else filled)
    columns = inputs + size if j == (kind is Kind.MIXED) else before[-1].rows
    if j < count - 1:
        return _Allowed((1, 2, 3), (1, ROWS_MAX), columns)
    activations = (0,) if mode is Mode.PURE else (2,) if mode.fixed_dt else (0, 2)
    rows = mode.heads * size
    return _Allowed(activations, (rows, rows), columns, any_table=True)


def _read_matrix(
    data: bytes, j: int, where: str, allowed: _Allowed, position: int, table_count: int
) -> tuple[Matrix, int]:
    bits, activation, shift, output_shift, table, storage, rows, columns, reserved, offset = (
        MATRIX.unpack_from(data, layout.streams_start(j))
    )
    check(bits in (8, 16), f"{where}weight bits {bits} not supported")
    check(activation in allowed.activations, f"{where}activation {activation} not supported")
    check(shift <= 8, f"{where}shift {shift} not supported")
    gated, tabled = activation == Activation.GATED, activation >= Activation.TABLE
    check(
        output_shift <= (14 if gated else 0), f"{where}output shift {output_shift} not supported"
    )
    tabled = tabled or allowed.any_table
    check(table < table_count if tabled else table == 0, f"{where}table {table} not supported")
    check(storage <= 1, f"{where}storage {storage} not supported")
    check(reserved == 0, f"{where}reserved field is not 0")
    check(allowed.rows[0] <= rows <= allowed.rows[1], f"{where}rows {rows} not supported")
    check(columns == allowed.columns, f"{where}columns {columns}, expected {allowed.columns}")
    check(offset == position, f"{where}offset {offset}, expected {position}")
    groups = -(-rows // 4)
    listed = None
    if storage:
        listed, records = _read_lists(data, where, position, groups, columns, bits)
        weights, bias, multiplier = _read_sparse(data, records, listed, bits)
        counts = [len(n) for n in listed]
        position = records + layout.records_size(counts, bits)
        used = np.array(counts).repeat(4)
    else:
        position = offset + layout.dense_size(rows, columns, bits)
        check(position <= len(data), f"{where}weights do not fit in the section")
        weights, bias, multiplier = _read_records(data[offset:position], groups, bits)
        used = np.full(4 * groups, columns)

    real = np.arange(4 * groups) < rows
    filling = ((weights != 0) & (np.arange(weights.shape[1]) >= used[:, None])).any(axis=1)
    filling |= ~real & ((weights != 0).any(axis=1) | (bias != 0) | (multiplier != 0))
    faults = {
        "multiplier is negative": multiplier < 0,
        "filling is not 0": filling,
        "accumulator can overflow": 32768 * np.abs(weights).sum(axis=1) + np.abs(bias) > ROOM,
    }
    bad_rows = np.logical_or.reduce(list(faults.values()))
    if bad_rows.any():
        r = int(np.argmax(bad_rows))
        raise ValueError(
            f"{where}row {r}: " + next(text for text, bad in faults.items() if bad[r])
        )
    if listed is not None:
        weights = _spread(weights, listed, columns)
    matrix = Matrix(
        weights[:rows, :columns], bias[:rows], multiplier[:rows], bits,
        Activation(activation), shift, output_shift, table, listed,
    )  # fmt: skip
    return matrix, position


def _read_lists(
    data: bytes, where: str, position: int, groups: int, columns: int, bits: int
) -> tuple[tuple[tuple[int, ...], ...], int]:
    """Columns of each group, and where the records start. Checks 45 to 49."""
    fit = f"{where}weights do not fit in the section"
    check(position + 2 * groups <= len(data), fit)
    counts = np.frombuffer(data, "<u2", groups, position).astype(np.int64)
    bad = (counts < 1) | (counts > columns)
    if bad.any():
        r = int(np.argmax(bad))
        raise ValueError(f"{where}group {r}: columns {counts[r]}, expected 1 to {columns}")
    records = position + layout.lists_size(counts.tolist())
    check(records + layout.records_size(counts.tolist(), bits) <= len(data), fit)
    filled = counts + -counts % 4
    offsets = np.frombuffer(data, "<u2", int(filled.sum()), position + 2 * groups)
    starts = np.cumsum(filled) - filled
    place = np.arange(len(offsets)) - starts.repeat(filled)
    filling = place >= counts.repeat(filled)
    bad = np.where(filling, offsets != 0, (offsets % 2 != 0) | (offsets >= 2 * columns))
    if bad.any():
        r = int(np.argmax(bad))
        raise ValueError(f"{where}entry {r}: offset {offsets[r]} not supported")
    end = position + 2 * groups + offsets.nbytes
    check(not any(data[end:records]), f"{where}reserved field is not 0")
    lists = tuple(
        tuple(int(v) // 2 for v in offsets[start : start + n])
        for start, n in zip(starts, counts, strict=True)
    )
    return lists, records


def _read_sparse(
    data: bytes, position: int, lists: tuple[tuple[int, ...], ...], bits: int
) -> tuple[Int, Int, Int]:
    """Weights (4 groups, widest list), biases and multipliers of records of different lengths."""
    widest = max(-(-len(n) // 4) for n in lists)
    weights = np.zeros((4 * len(lists), 4 * widest), np.int64)
    bias, multiplier = np.zeros((2, 4 * len(lists)), np.int64)
    for k, columns in enumerate(lists):
        blocks = -(-len(columns) // 4)
        size = layout.record_size(len(columns), bits)
        rows = slice(4 * k, 4 * k + 4)
        record = data[position : position + size]
        weights[rows, : 4 * blocks], bias[rows], multiplier[rows] = _read_records(record, 1, bits)
        position += size
    return weights, bias, multiplier


def _spread(weights: Int, lists: tuple[tuple[int, ...], ...], columns: int) -> Int:
    """Listed weights at their columns; those of a column listed more than once add up."""
    full = np.zeros((len(weights), columns), np.int64)
    for k, listed in enumerate(lists):
        rows = slice(4 * k, 4 * k + 4)
        for c, column in enumerate(listed):
            full[rows, column] += weights[rows, c]
    return full


def _read_records(stream: bytes, groups: int, bits: int) -> tuple[Int, Int, Int]:
    """Weights (4 groups, 4 blocks), biases, multipliers (4 groups,) of records of one length."""
    raw = np.frombuffer(stream, np.uint8).reshape(groups, -1)
    bias = np.ascontiguousarray(raw[:, :16]).view("<i4").astype(np.int64).reshape(-1)
    multiplier = np.ascontiguousarray(raw[:, -16:]).view("<i4").astype(np.int64).reshape(-1)
    blocks = (raw.shape[1] - 32) // (2 * bits)
    return _unpack(np.ascontiguousarray(raw[:, 16:-16]), groups, blocks, bits), bias, multiplier


def _read_pure(data: bytes, name: str) -> Pure:
    numbers = np.frombuffer(data, "<i4").reshape(-1, 4).astype(np.int64)
    tau, a, gain, reserved = numbers.T
    bad = (tau < 0) | (tau > LIMIT) | (np.abs(a + 0.5) > 32768) | (reserved != 0)
    check(not bad.any(), f"{name}: neuron {int(np.argmax(bad))}: bad numbers")
    return Pure(tau, a, gain)


def _read_ltc(data: bytes, name: str, inputs: int, outputs: int, table_count: int) -> LtcNumbers:
    size, unfolds, table, count, reserved, reserved2 = LTC.unpack_from(data, LAYER.size)
    check(
        outputs <= size <= SIZE_MAX,
        f"{name}: neurons {size}, expected {outputs} to {SIZE_MAX}",
    )
    check(1 <= unfolds <= UNFOLDS_MAX, f"{name}: unfolds {unfolds} not supported")
    check(table < table_count, f"{name}: table {table} not supported")
    check(reserved == 0 and reserved2 == 0, f"{name}: reserved field is not 0")
    check(count <= SYNAPSES_MAX, f"{name}: synapses {count}, expected at most {SYNAPSES_MAX}")
    at = layout.ltc_places(size, count)
    check(len(data) == at.size, f"{name}: section size {len(data)}, expected {at.size}")
    counts = np.frombuffer(data, "<u2", 2 * size, LTC_START).astype(np.int64)
    total = int(counts.sum())
    check(total == count, f"{name}: synapses {total}, expected {count}")
    sensory = int(counts[:size].sum())
    source = np.frombuffer(data, "<u2", count, at.sources).astype(np.int64)
    limit = np.where(np.arange(count) < sensory, inputs, size)
    bad = (source % 2 != 0) | (source >= 2 * limit)
    if bad.any():
        r = int(np.argmax(bad))
        raise ValueError(f"{name}: entry {r}: offset {source[r]} not supported")
    check(
        not any(data[at.sources + 2 * count : at.neurons]) and not any(data[at.end : at.size]),
        f"{name}: reserved field is not 0",
    )
    num, den, capacity, fourth = (
        np.frombuffer(data, "<i4", 4 * size, at.neurons).reshape(-1, 4).astype(np.int64).T
    )
    raw = np.frombuffer(data, "<i4", 3 * count, at.synapses).reshape(-1, 3)
    slope, offset = (raw[:, k].astype(np.int64) for k in range(2))
    pair = np.ascontiguousarray(raw[:, 2]).view("<i2").reshape(-1, 2).astype(np.int64)
    ltc = LtcNumbers(
        unfolds, table, counts[:size], counts[size:], source // 2, num, den, capacity,
        slope, offset, pair[:, 0], pair[:, 1],
    )  # fmt: skip
    to_den, to_num = (
        32768 * np.bincount(ltc.targets, np.abs(w), size).astype(np.int64)
        for w in (ltc.w_den, ltc.w_num)
    )
    bad = (den < 0) | (capacity < 1) | (capacity > LIMIT) | (fourth != 0)
    bad |= np.bincount(ltc.targets, np.abs(offset) > LIMIT, size) > 0
    bad |= (to_den > den) | (to_den + den > ROOM) | (to_num + np.abs(num) > ROOM)
    check(not bad.any(), f"{name}: neuron {int(np.argmax(bad))}: bad numbers")
    return ltc


# ---- writing ------------------------------------------------------------------------------------


def padded(data: bytes) -> bytes:
    """The bytes and zeros up to a multiple of 16."""
    return data.ljust(layout.filled(len(data)), b"\0")


def layer_bytes(layer: Layer) -> bytes:
    """The section's bytes."""
    head = LAYER.pack(
        layer.kind,
        layer.mode,
        layer.gate_shift,
        layer.input_size,
        layer.output_size,
        len(layer.matrices),
        layer.state_shift,
        layer.cell_shift,
        layer.dt_fixed,
    )
    if layer.ltc is not None:
        return head + _ltc_bytes(layer.ltc)
    descriptors, position = b"", layout.streams_start(len(layer.matrices))
    for matrix in layer.matrices:
        descriptors += MATRIX.pack(
            matrix.weight_bits,
            matrix.activation,
            matrix.shift,
            matrix.output_shift,
            matrix.table,
            matrix.lists is not None,
            matrix.rows,
            matrix.columns,
            0,
            position,
        )
        position += layout.matrix_size(matrix)
    numbers = b""
    if layer.pure is not None:
        pure = layer.pure
        columns = [pure.tau, pure.a, pure.gain, np.zeros_like(pure.a)]
        numbers = np.stack(columns, axis=1).astype("<i4").tobytes()
    return head + descriptors + b"".join(map(_stream, layer.matrices)) + numbers


def _stream(matrix: Matrix) -> bytes:
    groups, blocks = -(-matrix.rows // 4), -(-matrix.columns // 4)
    bias = np.zeros(4 * groups, "<i4")
    multiplier = np.zeros(4 * groups, "<i4")
    weights = np.zeros((4 * groups, 4 * blocks), np.int64)
    bias[: matrix.rows] = matrix.bias
    multiplier[: matrix.rows] = matrix.multiplier
    weights[: matrix.rows, : matrix.columns] = matrix.weights
    if matrix.lists is None:
        return _records(weights, bias, multiplier, matrix.weight_bits)
    counts = [len(columns) for columns in matrix.lists]
    entries = [2 * np.array(_filled(columns)) for columns in matrix.lists]
    listed = padded(np.concatenate([np.array(counts), *entries]).astype("<u2").tobytes())
    records = b""
    for k, columns in enumerate(matrix.lists):
        rows = slice(4 * k, 4 * k + 4)
        picked = np.zeros((4, len(_filled(columns))), np.int64)
        picked[:, : len(columns)] = _listed(weights[rows], columns, matrix.weight_bits)
        records += _records(picked, bias[rows], multiplier[rows], matrix.weight_bits)
    return listed + records


def _listed(weights: Int, columns: tuple[int, ...], bits: int) -> Int:
    """Weights (rows, columns) in the order of a list. Where a column is listed more than once, its
    weights add up to what there is."""
    if len(set(columns)) == len(columns):
        return weights[:, list(columns)]
    top = (1 << (bits - 1)) - 1
    left = weights.copy()
    picked = np.zeros((len(weights), len(columns)), np.int64)
    for k, column in enumerate(columns):
        picked[:, k] = np.clip(left[:, column], -top - 1, top)
        left[:, column] -= picked[:, k]
    return picked


def _filled(columns: tuple[int, ...]) -> tuple[int, ...]:
    return columns + (0,) * (-len(columns) % 4)


def _records(
    weights: Int,
    bias: np.ndarray[Any, Any],
    multiplier: np.ndarray[Any, Any],
    bits: int,
) -> bytes:
    groups, blocks = len(weights) // 4, weights.shape[1] // 4
    return np.concatenate(
        [
            bias.view(np.uint8).reshape(groups, 16),
            _pack(weights, groups, blocks, bits),
            multiplier.view(np.uint8).reshape(groups, 16),
        ],
        axis=1,
    ).tobytes()


def _ltc_bytes(ltc: LtcNumbers) -> bytes:
    head = LTC.pack(ltc.neurons, ltc.unfolds, ltc.table, len(ltc.source), 0, 0)
    counts = np.concatenate([ltc.sensory, ltc.internal, 2 * ltc.source]).astype("<u2").tobytes()
    columns = [ltc.num, ltc.den, ltc.capacity, np.zeros_like(ltc.num)]
    neurons = np.stack(columns, axis=1).astype("<i4").tobytes()
    pair = np.stack([ltc.w_den, ltc.w_num], axis=1).astype("<i2").view("<i4").reshape(-1)
    synapses = np.stack([ltc.slope, ltc.offset, pair], axis=1).astype("<i4").tobytes()
    return padded(head + counts) + neurons + padded(synapses)


def _pack(
    weights: Int, groups: int, blocks: int, bits: int
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(4 groups, 4 blocks) weights to the bytes of each group's blocks (SPEC.md 2.5)."""
    grid = weights.reshape(groups, 4, blocks, 4)
    if bits == 8:
        ordered = grid.transpose(0, 2, 1, 3)[..., [0, 2, 1, 3]].astype("<i1")
    else:
        ordered = grid.reshape(groups, 4, blocks, 2, 2).transpose(0, 2, 3, 1, 4).astype("<i2")
    return np.ascontiguousarray(ordered).reshape(groups, -1).view(np.uint8)


def _unpack(
    stream: np.ndarray[Any, np.dtype[np.uint8]], groups: int, blocks: int, bits: int
) -> Int:
    if bits == 8:
        grid = (
            stream.view("<i1")
            .reshape(groups, blocks, 4, 4)[..., [0, 2, 1, 3]]
            .transpose(0, 2, 1, 3)
        )
    else:
        grid = stream.view("<i2").reshape(groups, blocks, 2, 4, 2).transpose(0, 3, 1, 2, 4)
    return grid.reshape(4 * groups, 4 * blocks).astype(np.int64)
