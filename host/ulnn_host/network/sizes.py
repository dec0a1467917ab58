"""What a float network costs as integers, from its shapes alone: products a step, bytes of a file.

An estimate for those who choose a network before they convert it (SPEC.md 2.1 to 2.8).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .float_network import FloatNetwork, arrays
from .layers import HEADS, CfC, Dense, FloatLayer, Gru, Lstm, Ltc

Used = NDArray[np.bool_]
TABLE = 2048
REST = 1060  # golden vectors and metadata, about


def products(network: FloatNetwork) -> int:
    """Multiply-accumulates a step, as SPEC.md section 5 counts them: a sparse matrix has those of
    the columns that some row of a group of four has."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, Ltc):
            internal = int(np.count_nonzero(layer.internal.w))
            total += 3 * (int(np.count_nonzero(layer.sensory.w)) + layer.unfolds * internal)
            continue
        for used in _matrices(layer):
            rows = len(used)
            total += sum(
                int(group.sum()) * min(4, rows - 4 * k) for k, group in enumerate(_groups(used))
            )
    return total


def weights(network: FloatNetwork) -> int:
    """Weights that are not 0; of an LTC four numbers a synapse."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, Ltc):
            for synapses in (layer.sensory, layer.internal):
                total += 4 * int(np.count_nonzero(synapses.w))
        else:
            every = (value for name, value in arrays(layer) if name.endswith("weight"))
            total += sum(int(np.count_nonzero(value)) for value in every)
    return total


def file_bytes(network: FloatNetwork, bits: int = 8) -> int:
    """The size of the .ulnn file with weights of 8 or 16 bits; golden vectors and metadata count
    as a kilobyte, about what they have."""
    sections = 5 + len(network.layers)
    tables = {"tanh"}
    size = 64 + 8 * (network.input_size + network.output_size) + REST
    for layer in network.layers:
        if isinstance(layer, Ltc):
            synapses = int(np.count_nonzero(layer.sensory.w) + np.count_nonzero(layer.internal.w))
            size += 32 + _filled(4 * layer.neurons + 2 * synapses)
            size += 16 * layer.neurons + _filled(12 * synapses)
            continue
        matrices = _matrices(layer)
        size += 16 + 16 * len(matrices) + sum(_stream(used, bits) for used in matrices)
        if isinstance(layer, CfC):
            if layer.backbone and layer.activation == "gelu":
                tables.add("erf")
            if layer.decay is not None:
                tables.add("decay")
                size += 16 * layer.hidden_size
    return size + (16 + TABLE) * len(tables) + 16 * sections


def _matrices(layer: FloatLayer) -> list[Used]:
    """Which weights there are, rows in the order of the file: all rows of a neuron together."""
    if isinstance(layer, Dense):
        return [layer.linear.weight != 0]
    if isinstance(layer, Lstm):
        return [_interleaved(layer.gates.weight != 0, 4)]
    if isinstance(layer, Gru):
        gates = _interleaved(layer.gates.weight != 0, 2)
        inner, incoming = (m.weight != 0 for m in (layer.candidate_hidden, layer.candidate_input))
        # in the file the inputs are filled up to a multiple of four, and count
        filling = np.ones((len(gates), -incoming.shape[1] % 4), np.bool_)
        gates = np.concatenate([filling, gates], axis=1)
        return [gates, inner, np.concatenate([filling[: len(inner)], incoming], axis=1)]
    assert isinstance(layer, CfC)
    found = [] if layer.memory is None else [_interleaved(layer.memory.weight != 0, 4)]
    found += [stage.weight != 0 for stage in layer.backbone]
    heads = [layer.heads[name].weight != 0 for name in HEADS if name in layer.heads]
    return [*found, _interleaved(np.concatenate(heads), len(heads))]


def _interleaved(used: Used, kinds: int) -> Used:
    rows, columns = used.shape
    return used.reshape(kinds, -1, columns).swapaxes(0, 1).reshape(rows, columns)


def _groups(used: Used) -> Used:
    """(groups of four rows, columns): whether a row of the group has the column."""
    filled = np.pad(used, ((0, -len(used) % 4), (0, 0)))
    return np.asarray(filled.reshape(-1, 4, used.shape[1]).any(axis=1), np.bool_)


def _stream(used: Used, bits: int) -> int:
    """Bytes of a matrix's stream, dense or sparse, whichever is shorter."""
    groups = _groups(used)
    counts = np.maximum(1, groups.sum(axis=1))
    blocks = -(-counts // 4)
    dense = len(groups) * (32 + 2 * bits * -(-used.shape[1] // 4))
    lists = _filled(2 * len(groups) + 8 * int(blocks.sum()))
    sparse = lists + _filled(32 * len(groups) + 2 * bits * int(blocks.sum()))
    return int(min(dense, sparse))


def _filled(size: int) -> int:
    return size + -size % 16
