"""Layers of a state dict, in their order: cells found by their names, dense layers around them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..base.errors import UlnnError
from ..network.layers import Array, Dense, FloatLayer, Gru, Lstm
from . import import_cells as cells
from .import_cells import Hints
from .state_dict import StateDict, some

EXPECTED = (
    "CfC or LTC of ncps (rnn_cell.ff1.weight, rnn_cell.layer_0.ff1.weight, rnn_cell.sensory_w) "
    "or LSTM or GRU of torch (weight_ih_l0), and a dense layer such as fc.weight"
)
FINAL = re.compile(
    r"(^|[._])(fc|head|out|output|readout|linear|dense|classifier|decoder|proj)([._\d]|$)"
)
Reader = Callable[[StateDict, str, str, Hints], tuple[FloatLayer, ...]]
KINDS: tuple[tuple[str, Reader], ...] = (
    (r"layer_0\.ff1\.weight", cells.wired_cfc),
    (r"ff1\.weight", cells.cfc),
    (r"sensory_w", cells.ltc),
    (r"weight_ih_l0", cells.torch_rnn),
)


@dataclass(frozen=True)
class Part:
    """A cell (or a dense layer) of the model: where its module is, and the layers it became."""

    path: str
    layers: tuple[FloatLayer, ...]
    dense: bool = False


def read(weights: Mapping[str, Array], hints: Hints, name: str) -> tuple[FloatLayer, ...]:
    """All layers of the state dict. Raises UlnnError where something does not fit or is left
    over."""
    state = StateDict(weights, name)
    found = _cells(state, hints)
    if not found:
        raise UlnnError(f"{name}: found {some(weights)}; expected a {EXPECTED}")
    parts = _ordered(found, _dense(state, hints), name)
    if state.keys:
        raise UlnnError(f"{name}: unknown tensor {min(state.keys)}; expected a {EXPECTED}")
    parts = _with_dt_input(parts, hints, name)
    _check_chain(parts, hints, name)
    return tuple(layer for part in parts for layer in part.layers)


def _cells(state: StateDict, hints: Hints) -> list[Part]:
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


def _dense(state: StateDict, hints: Hints) -> list[Part]:
    parts = []
    for key in state.keys:
        path, _, last = key.rpartition(".")
        if last == "weight" and path and len(state.shape(key)) == 2:
            activation = hints.by_path.get(path, {}).get("dense", "linear")
            parts.append(Part(path, (Dense(state.linear(path, bias=False), activation),), True))
    return parts


# ---- order --------------------------------------------------------------------------------------


def _tokens(path: str) -> list[str | int]:
    return [int(t) if t.isdigit() else t for t in re.findall(r"\d+|[^\d.]+", path)]


def _before(a: str, b: str) -> bool | None:
    """Whether module a comes before b by the number in which they differ; None: not told."""
    for one, other in zip(_tokens(a), _tokens(b), strict=False):
        if one != other:
            if isinstance(one, int) and isinstance(other, int):
                return one < other
            return None
    return None


def _ordered(found: list[Part], dense: list[Part], name: str) -> list[Part]:
    def compare(a: Part, b: Part) -> int:
        before = _before(a.path, b.path)
        if before is None:
            raise UlnnError(
                f"{name}: cells {a.path or 'at the top'} and {b.path or 'at the top'} have no "
                "order; expected numbers in their names, such as layers.0 and layers.1"
            )
        return -1 if before else 1

    ordered = sorted(found, key=functools.cmp_to_key(compare))
    final = []
    for part in sorted(dense, key=lambda p: _numbers_first(p.path)):
        place = _place(part, ordered)
        if place is None:
            final.append(part)
        else:
            ordered.insert(place, part)
    for part in final:
        if not FINAL.search(part.path):
            raise UlnnError(f"{name}: unknown tensor {part.path}.weight; expected a {EXPECTED}")
    return ordered + final


def _numbers_first(path: str) -> list[tuple[int, str]]:
    return [(t, "") if isinstance(t, int) else (-1, t) for t in _tokens(path)]


def _place(part: Part, ordered: list[Part]) -> int | None:
    """Where a dense layer goes: behind the cell it belongs to, or by its number; None: at the
    end."""
    for k, other in enumerate(ordered):
        if other.path and part.path == f"{other.path}.fc":
            return k + 1
    before = [_before(other.path, part.path) for other in ordered]
    if None in before:
        return None
    return sum(bool(b) for b in before)


# ---- checks -------------------------------------------------------------------------------------


def _with_dt_input(parts: list[Part], hints: Hints, name: str) -> list[Part]:
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
    return [dataclasses.replace(parts[0], layers=(first, *rest)), *parts[1:]]


def _check_chain(parts: list[Part], hints: Hints, name: str) -> None:
    for part, after in itertools.pairwise(parts):
        if not part.dense or part.path in hints.by_path:
            continue
        if after.dense:
            raise UlnnError(
                f"{name}: dense layers {part.path} and {after.path} follow each other, and "
                "weights do not tell what is between them; expected one"
            )
        if not part.path.endswith("fc"):
            hints.assume(f"nothing between {part.path} and {after.path}: weights do not tell")
    before: tuple[str, FloatLayer] | None = None
    for part in parts:
        for layer in part.layers:
            if before is not None and layer.input_size != before[1].output_size:
                raise UlnnError(
                    f"{name}: {part.path or 'a layer'} has {layer.input_size} inputs, expected "
                    f"{before[1].output_size}, the outputs of {before[0] or 'the layer before'}"
                )
            before = part.path, layer
