"""Reading trained weights of every dialect we know into a `FloatNetwork`.

A checkpoint is a file of arrays (`.safetensors`, `.pt`, `.npz`; Keras' `.keras`, `.weights.h5`
and `.h5`) and what weights do not say (`checkpoint_toml`): in the file itself, where `ulnn train`
wrote it, or in `NAME.toml` beside it. What is missing there is assumed, and reported; what would
be a guess is refused, with the option that says it.

dialect         what it is
ncps.torch      state dict of `ncps.torch` CfC (wired, mixed memory) and LTC, alone or stacked
ulnn            the same names; a wiring's mask holds for all four heads, not only ff1 and ff2
torch           state dict of `torch.nn` LSTM and GRU
raminmh.torch   state dict of raminmh/CfC torch_cfc.py: the equations of ncps.torch
ncps.keras      files of Keras with layers of `ncps.keras`, LSTM, GRU; or arrays named as for
                raminmh.tf
raminmh.tf      arrays of raminmh/CfC tf_cfc.py, named backbone.{k}, ff1, ff2, time_a, time_b, fc
                with .kernel (inputs, outputs) and .bias, and w_tau, A
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import UlnnError, one_line
from ..format.model import DIALECTS, Mode
from ..network.float_network import FloatNetwork
from ..network.layers import CELLS, FLOAT_ONLY, Array, CfC, Dense, FloatLayer
from . import checkpoint_files, checkpoint_toml, import_keras, import_state_dict
from .checkpoint_files import floats
from .import_cells import Arrays, Hints
from .keras_files import SAVE_AS
from .module_order import Part, Row
from .state_dict import some
from .state_dict_forms import below, resolve

META = ("labels", "readout", "channels", "units")
# keys that are for one kind of cell
FOR_CELLS = (
    "mode", "activation", "ode_unfolds", "implicit_param_constraints", "motor_neurons",
)  # fmt: skip


@dataclass(frozen=True)
class Loaded:
    """A network, and what had to be assumed to read it (one line each, for the user).

    parts: the modules of the original that its layers come from, in their order. end: a function
    at the end of the original that is left out ("softmax", "log_softmax", "sigmoid"; "": none).
    """

    network: FloatNetwork
    assumed: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    end: str = ""


def read_checkpoint(
    path: Path,
    mode: str | None = None,
    activation: str | None = None,
    dialect: str | None = None,
    *,
    order: Sequence[str] = (),
    weights: str | None = None,
) -> Loaded:
    """The network of a checkpoint file; what is given here overrides what the file says of
    itself, or its TOML file.

    order: the modules from input to output, and the functions after them. weights: which state
    dict, where the file holds several. Raises UlnnError when the file is missing, damaged, of no
    dialect we know, or does not say what the network is.
    """
    hyper = checkpoint_toml.read_hyper(path)
    said = {
        "mode": mode, "activation": activation, "dialect": dialect, "order": list(order) or None,
        "weights": weights,
    }  # fmt: skip
    hyper |= {key: value for key, value in said.items() if value is not None}
    return _network(checkpoint_files.read(path, hyper.get("weights", "")), hyper, path.name)


def from_weights(
    weights: Mapping[str, Array],
    hyper: Mapping[str, Any],
    mode: str | None = None,
    activation: str | None = None,
    name: str = "state dict",
    dialect: str | None = None,
    by_path: Mapping[str, Mapping[str, Any]] | None = None,
) -> Loaded:
    """The network of arrays by name, as for `read_checkpoint`; hyper: the keys of its TOML file;
    by_path: what is known of single cells, as in `Arrays`. Raises UlnnError."""
    said = {"mode": mode, "activation": activation, "dialect": dialect}
    hyper = {**hyper, **{key: value for key, value in said.items() if value is not None}}
    try:
        wanted = hyper.get("weights")
        chosen = below(weights, wanted) if wanted else weights
        arrays = Arrays(
            floats({key: np.asarray(value) for key, value in chosen.items()}),
            by_path={path: dict(facts) for path, facts in (by_path or {}).items()},
        )
    except UlnnError as error:
        raise UlnnError(f"{name}: {one_line(str(error))}") from error
    return _network(arrays, hyper, name)


def _network(arrays: Arrays, hyper: Mapping[str, Any], name: str) -> Loaded:
    try:
        hyper = checkpoint_toml.checked(hyper)
        if hyper.get("dialect") == FLOAT_ONLY:
            raise UlnnError(
                f"a network of cell {hyper.get('cell')}, which is float only: there is no integer "
                f"engine for it; expected one of {', '.join(CELLS)}"
            )
        dialect = _dialect(arrays, hyper.get("dialect"))
        weights = resolve(arrays.weights)
        if dialect in import_keras.DIALECTS and arrays.dialect is None:
            weights = import_keras.from_kernels(weights, name)
        order = tuple(hyper.get("order", ()))
        if order and arrays.order:
            raise UlnnError(f"order is said by the file: {', '.join(arrays.order)}")
        if arrays.idle and not order:
            raise UlnnError(
                f"{some(arrays.idle)} has no weights, and this file does not say what it does; "
                f"{SAVE_AS} (a function that --order knows can be given there)"
            )
        hints = Hints(dialect, hyper, arrays.by_path, list(arrays.assumed), order or arrays.order)
        for at in arrays.idle:
            hints.assume(f"{at} does nothing but what order says")
        row = import_state_dict.read(weights, hints, name)
        for key in FOR_CELLS:
            if key in hyper and key not in hints.used:
                raise UlnnError(f"{key} is for other cells than this network has; leave it out")
        _check_cell(hyper, row)
        inputs, outputs = row.parts[0].input_size, row.parts[-1].output_size
        checkpoint_toml.check_sizes(hyper, inputs, outputs)
        network = _with_units(row, arrays, dialect, hyper, hints)
        return Loaded(network, tuple(hints.assumed), row.parts, row.end)
    except UlnnError as error:
        text = one_line(str(error))
        raise UlnnError(text if text.startswith(name) else f"{name}: {text}") from error


def _check_cell(hyper: Mapping[str, Any], row: Row) -> None:
    """Refuse a cell that is none of the weights' cells. Raises UlnnError."""
    said = hyper.get("cell", "")
    cells = [layer for part in row.parts if not part.dense for layer in part.layers]
    if said and not any(isinstance(layer, CELLS[said]) for layer in cells):
        raise UlnnError(
            f"cell is {said}, but the weights are of {type(cells[0]).__name__}; leave it out"
        )


def _with_units(
    row: Row, arrays: Arrays, dialect: str, hyper: Mapping[str, Any], hints: Hints
) -> FloatNetwork:
    """The network with its scales of inputs and time."""
    size = row.parts[0].input_size
    if "time_scale" not in hyper:
        own = "mean" in hyper or (arrays.std != 1).any() or arrays.mean.any()
        what = "times in seconds" if own else "inputs as they are, times in seconds"
        keys = "time_scale" if own else "mean, std, time_scale"
        hints.assume(f"{what} (no {keys} in a .toml)")
    mean, std = (
        _vector(hyper.get(key, [default]), key, size)
        for key, default in (("mean", 0.0), ("std", 1.0))
    )
    own_mean, own_std = _vector(arrays.mean, "mean", size), _vector(arrays.std, "std", size)
    layers = tuple(layer for part in row.parts for layer in part.built)
    if hyper.get("fixed_dt") and not _takes_fixed_dt(layers):
        raise UlnnError("fixed_dt is for CfC layers of mode default or no_gate; leave it out")
    return FloatNetwork(
        layers,
        mean + std * own_mean,
        std * own_std,
        float(hyper.get("time_scale", 1.0)),
        dialect,
        {k: hyper[k] for k in META if k in hyper},
        "time_scale" in hyper,
        float(hyper.get("fixed_dt", 0.0)),
    )


def _takes_fixed_dt(layers: tuple[FloatLayer, ...]) -> bool:
    """Can integers of the layers ignore dt, all of them?"""
    cells = [layer for layer in layers if isinstance(layer, CfC) and layer.mode is not Mode.PURE]
    without = [v for v in layers if isinstance(v, Dense) or not getattr(v, "dt_input", True)]
    return bool(cells) and len(cells) + len(without) == len(layers)


def _vector(value: Any, key: str, size: int) -> Array:
    vector = np.asarray(value, np.float64)
    if vector.size not in (1, size):
        raise UlnnError(f"{key}: found {vector.size} numbers, expected {size}")
    return np.array(np.broadcast_to(vector.ravel(), (size,)))


def _dialect(arrays: Arrays, said: Any) -> str:
    """What was said; else what the file or the names say."""
    known = tuple(DIALECTS.values())
    if said is not None and said not in known:
        raise UlnnError(f"dialect {said!r}, expected one of: {', '.join(known)}")
    if arrays.dialect is not None:
        if said not in (None, arrays.dialect):
            raise UlnnError(f"dialect {said}, but the file is of {arrays.dialect}")
        return arrays.dialect
    keys = arrays.weights
    if said is not None:
        if said == "torch" and not _only_torch(keys):
            raise UlnnError(
                f"dialect torch, but found {some(keys)}; expected an nn.LSTM or nn.GRU "
                "(weight_ih_l0)"
            )
        return str(said)
    if any(key.endswith(".kernel") for key in keys):
        raise UlnnError(
            f"found {some(keys)}: kernels of Keras or TensorFlow; "
            "give --dialect ncps.keras or raminmh.tf"
        )
    return "torch" if _only_torch(keys) else "ncps.torch"


def _only_torch(keys: Iterable[str]) -> bool:
    cells = [k for k in keys if re.search(r"(^|\.)(weight_ih_l0|ff1\.weight|sensory_w)$", k)]
    return bool(cells) and all(k.endswith("weight_ih_l0") for k in cells)
