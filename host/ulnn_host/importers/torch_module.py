"""A module of torch itself as the original: its order is seen while it runs, and its outputs,
module by module, are what the import must give."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..base.errors import UlnnError
from ..network.float_network import FloatNetwork
from ..network.layers import Array
from . import check
from .check import Agreement
from .checkpoint import Loaded, from_weights
from .import_cells import Hints
from .import_state_dict import cells_of, dense_of
from .module_order import Part
from .state_dict import StateDict
from .state_dict_forms import WRAPPED, resolve
from .torch_files import floats_of

Call = Callable[[nn.Module, Tensor, Tensor], Any]
FUNCTIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu", nn.Tanh: "tanh", nn.SiLU: "silu", nn.GELU: "gelu",
    nn.Sigmoid: "sigmoid", nn.Softmax: "softmax", nn.LogSoftmax: "log_softmax",
}  # fmt: skip
_IDLE = (nn.Identity, nn.Dropout, nn.AlphaDropout, nn.Dropout1d)
_ACTIVATIONS = {
    "LeCun": "lecun_tanh", "Tanh": "tanh", "ReLU": "relu", "SiLU": "silu", "GELU": "gelu",
}  # fmt: skip
TIMES = ("timespans", "dt", "ts", "times", "time", "t")  # arguments that are elapsed times


@dataclass
class _Run:
    """What happened in one call: names of modules in the order of their first calls; inputs and
    outputs (T, n) of each, where they are sequences."""

    names: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    into: dict[str, list[Array]] = field(default_factory=dict)
    out: dict[str, list[Array]] = field(default_factory=dict)
    y: Array = field(default_factory=lambda: np.zeros((0, 0)))

    def sequence(self, of: Mapping[str, list[Array]], name: str, steps: int) -> Array | None:
        """(T, n) of a module that was called once for all steps, or once a step."""
        parts = of.get(name, [])
        if len(parts) in (1, steps) and all(part.size for part in parts):
            joined = np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts])
            return joined if len(joined) == steps else None
        return None


def read_module(
    module: nn.Module,
    x: NDArray[Any],
    dt: NDArray[Any],
    hyper: Mapping[str, Any] | None = None,
    *,
    call: Call | None = None,
) -> tuple[Loaded, Agreement]:
    """The network of a module, and how far it is from the module.

    x: (T, I) or (N, T, I), dt: (T,) or (N, T) seconds, in the units of the data. hyper: the keys
    of a checkpoint's TOML file; without `order` in it, the order is the one in which the modules
    run. call(module, x, dt): the outputs for one sequence x (1, T, I), dt (1, T), both normalised
    by mean, std and time_scale; without it, the module's signature decides. Raises UlnnError when
    the module cannot be imported, or differs: from which module and step on.
    """
    given = dict(hyper or {})
    unknown: list[str] = []
    weights = floats_of(module.state_dict())
    if not given.get("order"):
        first = _normalised(given, x[None] if x.ndim == 2 else x, dt[None] if x.ndim == 2 else dt)
        seen = _run(module, first[0][:1], first[1][:1], _call(call, given))
        given["order"] = _order(module, seen, _parts(weights, given))
        unknown = seen.unknown
    loaded = from_weights(weights, given, name=type(module).__name__, by_path=_facts(module))
    agreement = check_module(loaded, module, x, dt, call=_call(call, given))
    left = [f"{name} does nothing, as on these data" for name in unknown]
    left += [f"without the {loaded.end} of the last layer"] if loaded.end else []
    return replace(loaded, assumed=tuple(left)), agreement


def check_module(
    loaded: Loaded,
    module: nn.Module,
    x: NDArray[Any],
    dt: NDArray[Any],
    *,
    call: Call | None = None,
) -> Agreement:
    """The error of an import against the module, as `read_module`. Raises UlnnError."""
    flat = x.ndim == 2
    x, dt = (x[None], dt[None]) if flat else (x, dt)
    network = loaded.network
    inputs, ts = (x - network.mean) / network.std, network.times(dt)
    first = loaded.network.layers[0]
    call = _call(call, {"dt_input": getattr(first, "dt_input", False)})
    runs = [_run(module, inputs[k : k + 1], ts[k : k + 1], call) for k in range(len(x))]
    pairs = {"x": x, "dt": dt, "y": np.stack([run.y for run in runs])}
    try:
        return check.check(loaded, pairs)
    except UlnnError as error:
        where = _where(loaded, runs, inputs, ts)
        raise UlnnError(f"{where}{error}") from error


def _facts(module: nn.Module) -> dict[str, dict[str, Any]]:
    """What the cells of ncps say about themselves beside their weights, by their paths."""
    found: dict[str, dict[str, Any]] = {}
    for path, cell in module.named_modules():
        kind, facts = type(cell).__name__, {}
        if kind == "CfCCell":
            facts["mode"] = cell.mode
            backbone = cell.backbone
            steps = backbone if isinstance(backbone, nn.Sequential) else ()
            names = {_ACTIVATIONS.get(type(step).__name__) for step in steps} - {None}
            if len(names) == 1:
                facts["activation"] = names.pop()
        elif kind == "LTCCell":
            facts["ode_unfolds"] = cell._ode_unfolds
            facts["implicit_param_constraints"] = cell._implicit_param_constraints
        if facts and type(cell).__module__.startswith("ncps."):
            found[WRAPPED.sub("", path)] = facts
    return found


def _normalised(hyper: Mapping[str, Any], x: Any, dt: Any) -> tuple[Any, Any]:
    mean, std = np.asarray(hyper.get("mean", 0.0)), np.asarray(hyper.get("std", 1.0))
    return (x - mean) / std, dt / hyper.get("time_scale", 1.0)


# ---- running ------------------------------------------------------------------------------------


def _run(module: nn.Module, x: Any, dt: Any, call: Call) -> _Run:
    seen = _Run()
    handles = [
        child.register_forward_hook(_recorder(WRAPPED.sub("", name), seen))
        for name, child in module.named_modules()
    ]
    training = module.training
    module.eval()
    kind = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    try:
        with torch.no_grad():
            y = _tensor(
                call(module, *(torch.as_tensor(np.asarray(a), dtype=kind) for a in (x, dt)))
            )
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()
    if y is None:
        raise UlnnError("the module gives no tensor; expected call=... that gives its outputs")
    seen.y = _array(y)[0]
    return seen


def _call(call: Call | None, hyper: Mapping[str, Any]) -> Call:
    if call is not None:
        return call
    return _with_dt_input if hyper.get("dt_input") else _by_signature


def _by_signature(module: nn.Module, x: Tensor, dt: Tensor) -> Any:
    parameters = inspect.signature(module.forward).parameters
    inner = getattr(module, "module", getattr(module, "_orig_mod", None))
    if inner is not None and "args" in parameters:  # AveragedModel, DataParallel, torch.compile
        parameters = inspect.signature(inner.forward).parameters
    name = next((name for name in TIMES if name in parameters), None)
    return module(x, **{name: dt}) if name else module(x)


def _with_dt_input(module: nn.Module, x: Tensor, dt: Tensor) -> Any:
    return module(torch.cat([x, dt[..., None]], -1))


def _recorder(name: str, seen: _Run) -> Callable[[nn.Module, Any, Any], None]:
    def record(module: nn.Module, inputs: Any, output: Any) -> None:
        seen.names.append(name)
        for store, value in ((seen.into, inputs), (seen.out, output)):
            tensor = _tensor(value)
            store.setdefault(name, []).append(np.zeros(0) if tensor is None else _array(tensor))

    return record


def _tensor(value: Any) -> Tensor | None:
    """The first tensor of what goes in or comes out."""
    while isinstance(value, (tuple, list)) and value:
        value = value[0]
    return value if torch.is_tensor(value) else None


def _array(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach().to(torch.float64).numpy())


def _parts(weights: Mapping[str, Array], hyper: Mapping[str, Any]) -> list[Part]:
    """The modules that have weights, without projections, which belong to their cells."""
    state = StateDict(resolve(weights), "state dict")
    cells = cells_of(state, Hints("ncps.torch", hyper))
    projections = {f"{cell.path}.fc".lstrip(".") for cell in cells}
    return cells + [part for part in dense_of(state) if part.path not in projections]


def _order(module: nn.Module, seen: _Run, parts: list[Part]) -> list[str]:
    """Modules with weights, and functions that are modules, as they ended."""
    names = {part.path: part.name for part in parts}
    kinds = {WRAPPED.sub("", name): type(child) for name, child in module.named_modules()}
    leaves = {
        WRAPPED.sub("", name)
        for name, child in module.named_modules()
        if not isinstance(child, _IDLE) and not any(True for _ in child.children())
    }
    order: list[str] = []
    for path in dict.fromkeys(seen.names):
        inside = any(path.startswith(f"{outer}." if outer else "") for outer in names)
        # a cell of ncps may be called in place of the module that it belongs to
        owner = path if path in names else path.removesuffix("rnn_cell").removesuffix(".")
        if owner in names and (owner == path or path.endswith("rnn_cell")):
            if names[owner] not in order:
                order.append(names[owner])
        elif not inside:
            function = FUNCTIONS.get(kinds[path])
            order += [function] if function else []
            if not function and path in leaves:
                seen.unknown.append(f"{path} ({kinds[path].__name__})")
    return order


# ---- where it starts ----------------------------------------------------------------------------


def _where(loaded: Loaded, runs: list[_Run], x: Array, ts: Array) -> str:
    """The first module, or place between two, at which the original does something else; "" where
    the modules did not see whole sequences."""
    before: tuple[Part, ...] = ()
    for chain in _chains(loaded.parts):
        path, name = chain[0].path, chain[0].name
        for k, run in enumerate(runs):
            into, out = (run.sequence(of, path, len(ts[k])) for of in (run.into, run.out))
            given = x[k] if not before else run.sequence(run.out, before[0].path, len(ts[k]))
            if into is None or out is None or given is None:
                return ""
            if before:
                last = before[-1]
                given = _through(last.built[len(last.layers) :], given, ts[k])
            if (step := _differ(given, into)) is not None:
                place = f"between {before[-1].name} and {name}" if before else f"before {name}"
                return f"{place}, from step {step} on: "
            ours = _through(tuple(v for part in chain for v in part.layers), into, ts[k])
            if (step := _differ(ours, out)) is not None:
                kind = type(chain[0].layers[0]).__name__
                return f"in {name}, read as {kind}, from step {step} on: "
        before = chain
    return f"after {before[-1].name}: "


def _chains(parts: tuple[Part, ...]) -> list[tuple[Part, ...]]:
    """Each cell with the projection inside its module."""
    chains: list[tuple[Part, ...]] = []
    for part in parts:
        if chains and part.path == f"{chains[-1][0].path}.fc".lstrip("."):
            chains[-1] = (*chains[-1], part)
        else:
            chains.append((part,))
    return chains


def _through(layers: Any, x: Array, ts: Array) -> Array:
    if not layers:
        return x
    size = x.shape[1]
    network = FloatNetwork(tuple(layers), np.zeros(size), np.ones(size))
    return np.asarray(network.run(x[None], ts[None]).y[0])


def _differ(ours: Array, theirs: Array) -> int | None:
    if ours.shape != theirs.shape:
        return 0
    wrong = np.abs(ours - theirs).max(1) > 1e-4 * max(1e-3, float(np.abs(theirs).max()))
    return int(np.argmax(wrong)) if wrong.any() else None
