"""Layers of a state dict, in their order: cells found by their names, dense layers around them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping

from ..base.errors import UlnnError
from ..network.layers import Array, Dense, FloatLayer, Gru, Lstm
from . import import_cells as cells
from .import_cells import Hints
from .module_order import Part, Row, arranged
from .state_dict import StateDict, some

EXPECTED = (
    "CfC or LTC of ncps (rnn_cell.ff1.weight, rnn_cell.layer_0.ff1.weight, rnn_cell.sensory_w) "
    "or LSTM or GRU of torch (weight_ih_l0), and a dense layer such as fc.weight"
)
Reader = Callable[[StateDict, str, str, Hints], tuple[FloatLayer, ...]]
KINDS: tuple[tuple[str, Reader], ...] = (
    (r"layer_0\.ff1\.weight", cells.wired_cfc),
    (r"ff1\.weight", cells.cfc),
    (r"sensory_w", cells.ltc),
    (r"weight_ih_l0", cells.torch_rnn),
)


def read(weights: Mapping[str, Array], hints: Hints, name: str) -> Row:
    """All layers of the state dict in their order. Raises UlnnError where something does not fit,
    is left over, or would be guessed."""
    state = StateDict(weights, name)
    found = cells_of(state, hints)
    if not found:
        raise UlnnError(f"{name}: found {some(weights)}; expected a {EXPECTED}")
    dense = dense_of(state)
    if state.keys:
        key = min(state.keys)
        raise UlnnError(f"{name}: unknown tensor {key}{_kind(state, key)}; expected a {EXPECTED}")
    ours = {"cell", "hidden_size", "output_size"} <= set(hints.hyper)  # as `ulnn train` notes
    row = arranged(found, dense, hints.order, ours)
    parts = _with_dt_input(row.parts, hints, name)
    for line in row.assumed:
        hints.assume(line)
    return dataclasses.replace(row, parts=parts)


def cells_of(state: StateDict, hints: Hints) -> list[Part]:
    """The cells, taken out of the state dict. Raises UlnnError."""
    found: dict[str, Reader] = {}
    for key in state.keys:
        for pattern, reader in KINDS:
            match = re.fullmatch(rf"(?P<prefix>(.*\.)?){pattern}", key)
            if match:
                if not re.search(r"(^|\.)layer_\d+\.$", match["prefix"]):
                    found.setdefault(match["prefix"], reader)
                break
    parts = []
    for prefix, reader in found.items():
        module = re.sub(r"(^|(?<=\.))rnn_cell\.$", "", prefix)
        parts.append(
            Part(module.removesuffix("."), reader(state, prefix, f"{module}lstm.", hints))
        )
    return parts


def dense_of(state: StateDict) -> list[Part]:
    """The dense layers, taken out of the state dict. Raises UlnnError."""
    parts = []
    for key in state.keys:
        path, _, last = key.rpartition(".")
        if last == "weight" and path and len(state.shape(key)) == 2:
            if "emb" in path and f"{path}.bias" not in state:
                raise UlnnError(
                    f"{state.name}: {key} has no bias and may be an nn.Embedding, a table of "
                    f"vectors; expected a {EXPECTED}"
                )
            parts.append(Part(path, (Dense(state.linear(path, bias=False)),), True))
    return parts


def _kind(state: StateDict, key: str) -> str:
    """What an unknown tensor may be a part of, in words; "" where nothing says it."""
    path = key.rpartition(".")[0]
    axes = {k.rpartition(".")[2]: len(state.shape(k)) for k in state.keys if k.startswith(path)}
    fold = "fold it into the Linear beside it, or train without it"
    if {"running_mean", "num_batches_tracked"} & axes.keys():
        return f" of a BatchNorm; {fold}"
    if "in_proj_weight" in axes:
        return " of an attention, which looks at whole sequences"
    if axes.get("weight", 0) > 2:
        return " of a convolution or a bilinear layer"
    if axes.get("weight") == 1:
        return f" of a LayerNorm, a PReLU or a scale; {fold}"
    return ""


# ---- checks -------------------------------------------------------------------------------------


def _with_dt_input(parts: tuple[Part, ...], hints: Hints, name: str) -> tuple[Part, ...]:
    if not hints.hyper.get("dt_input"):
        return parts
    first, *rest = parts[0].layers
    if not isinstance(first, (Lstm, Gru)):
        raise UlnnError(
            f"{name}: dt_input = true, but the first layer is a {type(first).__name__}; "
            "expected an LSTM or GRU (a CfC or LTC has its elapsed time already)"
        )
    if first.input_size < 2:
        raise UlnnError(f"{name}: dt_input = true and 1 input column, expected inputs and dt: 2")
    first = dataclasses.replace(first, dt_input=True)
    return (dataclasses.replace(parts[0], layers=(first, *rest)), *parts[1:])
