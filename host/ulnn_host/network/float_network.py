"""A trained network in float: what checkpoints are read into and converters start from.

A network is a sequence of `layers`, each with its own state.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from .layers import Array, FloatLayer, Seen, State

Node = TypeVar("Node")


@dataclass(frozen=True)
class Trace:
    """A float rollout: y (N, T, O); state: the last valid one of each layer; seen: for each layer
    what its `step` saw, one row a valid step."""

    y: Array
    state: tuple[State, ...]
    seen: tuple[dict[str, Array], ...]


@dataclass(frozen=True)
class FloatNetwork:
    """Layers one after the other.

    Inputs are normalised as (x - mean) / std; the elapsed time of the equations is seconds /
    time_scale. timed: whether somebody said the time scale; else it is a guess. fixed_dt: seconds
    that every sample is taken to come after the one before; 0: as dt says.
    """

    layers: tuple[FloatLayer, ...]
    mean: Array
    std: Array
    time_scale: float = 1.0
    dialect: str = "ncps.torch"
    meta: dict[str, Any] = field(default_factory=dict)
    timed: bool = False
    fixed_dt: float = 0.0

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the inputs; empty: not known."""
        return tuple(str(name) for name in self.meta.get("channels", ()))

    @property
    def units(self) -> tuple[str, ...]:
        """Units of the inputs, "" where there is none; empty: not known."""
        return tuple(str(unit) for unit in self.meta.get("units", ()))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes; empty: not known."""
        return tuple(str(name) for name in self.meta.get("labels", ()))

    @property
    def readout(self) -> str:
        """What decides: last, mean or each; empty: not known."""
        return str(self.meta.get("readout", ""))

    @property
    def input_size(self) -> int:
        """Number of inputs."""
        return self.layers[0].input_size

    @property
    def output_size(self) -> int:
        """Number of outputs."""
        return self.layers[-1].output_size

    def times(self, dt: Any) -> Any:
        """Elapsed times in units of the cells, from seconds, of any library and shape."""
        # 0 * dt: an exported graph keeps its input
        return (0 * dt + self.fixed_dt if self.fixed_dt else dt) / self.time_scale

    def zero_state(self, like: Any) -> tuple[State, ...]:
        """States 0 for the batch of `like` (N, ...), of its library, type and device."""
        xp = array_namespace(like)
        return tuple(
            tuple(
                xp.zeros((like.shape[0], size), dtype=like.dtype, device=like.device)
                for size in layer.state_sizes
            )
            for layer in self.layers
        )

    def step(
        self, x: Any, states: tuple[State, ...], ts: Any
    ) -> tuple[Any, tuple[State, ...], list[Seen]]:
        """One step. x (N, I) normalised, ts (N, 1) in units of the cells."""
        new, seen = [], []
        for layer, state in zip(self.layers, states, strict=True):
            x, state, what = layer.step(x, state, ts)
            new.append(state)
            seen.append(what)
        return x, tuple(new), seen

    def run(self, x: NDArray[Any], dt: NDArray[Any], length: NDArray[Any] | None = None) -> Trace:
        """Roll out from a zero state. x (N, T, I), dt (N, T) seconds, length (N,) valid steps."""
        count, steps = dt.shape
        valid = np.arange(steps) < (np.full(count, steps) if length is None else length)[:, None]
        # behind the valid steps x may be anything, and dt 0, which an LTC divides by
        inputs = np.where(valid[..., None], np.asarray(x, np.float64), 0.0)
        inputs = (inputs - self.mean) / self.std
        ts = self.times(np.where(valid, np.asarray(dt, np.float64), 1.0))
        states = self.zero_state(inputs[:, 0])
        outputs, rows = [], [dict[str, list[Array]]() for _ in self.layers]
        for t in range(steps):
            now = valid[:, t]
            y, after, seen = self.step(inputs[:, t], states, ts[:, t, None])
            outputs.append(y)
            states = tuple(
                tuple(np.where(now[:, None], b, a) for a, b in zip(old, new, strict=True))
                for old, new in zip(states, after, strict=True)
            )
            for store, what in zip(rows, seen, strict=True):
                for name, value in what.items():
                    store.setdefault(name, []).append(value[now])
        return Trace(
            np.stack(outputs, axis=1),
            states,
            tuple({name: np.concatenate(v) for name, v in store.items()} for store in rows),
        )


# ---- all arrays of a network, by name -----------------------------------------------------------


def arrays(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(name, array) of everything trainable below a layer or a tuple of layers, in a fixed order;
    names such as `0.heads.ff1.weight`."""
    for key, value in _children(node):
        name = f"{prefix}{key}"
        if hasattr(value, "ndim"):
            yield name, value
        else:
            yield from arrays(value, f"{name}.")


def replaced(node: Node, values: Mapping[str, Any], prefix: str = "") -> Node:
    """The same structure with the arrays of `values`; those not named stay."""
    new = {
        key: values.get(f"{prefix}{key}", value)
        if hasattr(value, "ndim")
        else replaced(value, values, f"{prefix}{key}.")
        for key, value in _children(node)
    }
    if isinstance(node, tuple):
        return tuple(new[str(k)] for k in range(len(node)))  # type: ignore[return-value]
    if isinstance(node, dict):
        return new  # type: ignore[return-value]
    return dataclasses.replace(node, **new) if new else node  # type: ignore[type-var]


def mapped(node: Node, function: Callable[[str, Any], Any]) -> Node:
    """The same structure with every array replaced by function(name, array)."""
    return replaced(node, {name: function(name, value) for name, value in arrays(node)})


def _children(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, tuple):
        pairs = [(str(k), value) for k, value in enumerate(node)]
    elif isinstance(node, dict):
        pairs = list(node.items())
    elif dataclasses.is_dataclass(node):
        pairs = [(f.name, getattr(node, f.name)) for f in dataclasses.fields(node)]
    else:
        pairs = []
    for key, value in pairs:
        if (
            hasattr(value, "ndim")
            or isinstance(value, (tuple, dict))
            or (dataclasses.is_dataclass(value) and not isinstance(value, type))
        ):
            yield key, value
