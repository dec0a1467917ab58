"""What a float network costs as integers, from its shapes alone: products a step, bytes of a file.

An estimate for those who choose a network before they convert it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..format import layout
from .float_network import FloatNetwork, arrays
from .layers import HEADS, CfC, Dense, FloatLayer, Gru, Lstm, Ltc

Used = NDArray[np.bool_]
REST = (480, 560)  # golden vectors and metadata, about


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
    fixed = layout.fixed_sizes(network.input_size, network.output_size)
    tables = {"tanh"}
    sizes = [fixed[layout.TIME], fixed[layout.INPUT], fixed[layout.OUTPUT], *REST]
    for layer in network.layers:
        if isinstance(layer, Ltc):
            synapses = int(np.count_nonzero(layer.sensory.w) + np.count_nonzero(layer.internal.w))
            sizes.append(layout.ltc_places(layer.neurons, synapses).size)
            continue
        size = layout.matrices_size([_stream(used, bits) for used in _matrices(layer)])
        if isinstance(layer, CfC):
            if layer.backbone and layer.activation == "gelu":
                tables.add("erf")
            if layer.decay is not None:
                tables.add("decay")
                size += layout.pure_size(layer.hidden_size)
        sizes.append(size)
    return layout.file_size(sizes + [fixed[layout.TABLE]] * len(tables))


def dense_bytes(
    shapes: Iterable[tuple[int, int]], inputs: int, outputs: int, bits: int = 8
) -> int:
    """The size of a file with dense matrices (rows, columns), each in a layer of its own, and one
    table; of a network that the format does not have."""
    fixed = layout.fixed_sizes(inputs, outputs)
    parts = [fixed[layout.TIME], fixed[layout.INPUT], fixed[layout.OUTPUT], fixed[layout.TABLE]]
    layers = [layout.matrices_size([layout.dense_size(*shape, bits)]) for shape in shapes]
    return layout.file_size([*parts, *REST, *layers])


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
    rows, columns = used.shape
    counts = np.maximum(1, _groups(used).sum(axis=1)).tolist()
    return min(layout.dense_size(rows, columns, bits), layout.sparse_size(counts, bits))
