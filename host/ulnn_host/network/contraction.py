"""Do errors die away along the rollout? Per layer, measured on the float network.

Two copies of a network see the same inputs and times; in one of them a layer's state starts a
little beside the other's. The logarithm of the growth of the difference, a step, is the layer's
finite-time exponent. Above 0, what rounding adds at every step grows along the rollout, whatever
the widths of the weights. The difference is brought back to its first length after every step
(Benettin et al. 1980), so that it neither vanishes nor leaves the neighbourhood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.sequences import Sequences
from .float_network import FloatNetwork
from .layers import Array, CfC, FloatLayer, State

PERTURBATION = 2.0**-10
STARTS, DIRECTIONS = 8, 3
WARM_UP, SETTLING, STEPS = 50, 10, 150
# An exponent is known to about this much from some hundred steps.
MARGIN = 0.005
ADVICE = (
    "train with a consistency penalty (consistency in the recipe) or weight decay, make the "
    "weights smaller, or use quantisation-aware training"
)


@dataclass(frozen=True)
class Contraction:
    """How a small difference of one layer's state goes on. exponent: natural logarithm of the
    growth a step, mean over all start points and directions; worst: the largest of one of them;
    peak: the largest that a difference was, over what it was at first."""

    layer: int
    kind: str
    exponent: float
    worst: float
    peak: float

    @property
    def contractive(self) -> bool:
        """Whether differences die away, wherever they start."""
        return self.worst <= MARGIN

    @property
    def memory(self) -> float | None:
        """Steps after which a difference is 1/e of what it was; None where it does not shrink."""
        return -1 / self.exponent if self.exponent < 0 else None

    @property
    def warning(self) -> str:
        """One line for the user: what was found, what it means, what to do."""
        always = "" if self.exponent > MARGIN else " in part of the data"
        return (
            f"layer {self.layer} ({self.kind}) is not contractive: a small error of its state "
            f"grows by up to {np.expm1(self.worst):.1%} a step{always}, so integer and float "
            f"outputs drift apart along the rollout at any width of the weights; {ADVICE}"
        )


def measure(network: FloatNetwork, data: Sequences, seed: int = 0) -> tuple[Contraction, ...]:
    """One entry for each layer with a state. Short sequences are gone through again and again,
    the state kept. Deterministic for a seed."""
    stateful = [n for n, layer in enumerate(network.layers) if layer.state_sizes]
    starts = min(STARTS, max(1, int(data.length.sum())))
    lanes = np.linspace(0, len(data) - 1, starts).round().astype(np.int64)
    length = data.length[lanes]
    first = (np.linspace(0, 1, starts, endpoint=False) * length).astype(np.int64)

    def inputs(t: int, copies: int) -> tuple[Array, Array]:
        at = (first + t) % length
        x = (data.x[lanes, at].astype(np.float64) - network.mean) / network.std
        ts = network.times(data.dt[lanes, at].astype(np.float64)[:, None])
        return np.tile(x, (copies, 1)), np.tile(ts, (copies, 1))

    states = network.zero_state(inputs(0, 1)[0])
    for t in range(WARM_UP):
        x, ts = inputs(t, 1)
        _, states, _ = network.step(x, states, ts)
    # Copy 0 of the starts is the path itself, then DIRECTIONS copies for each layer.
    copies = 1 + DIRECTIONS * len(stateful)
    states = tuple(tuple(np.tile(part, (copies, 1)) for part in state) for state in states)
    rng = np.random.default_rng(seed)
    rows = {
        n: slice((1 + DIRECTIONS * k) * starts, (1 + DIRECTIONS * (k + 1)) * starts)
        for k, n in enumerate(stateful)
    }
    for n, chosen in rows.items():
        flat = _flat(states[n])
        delta = rng.normal(size=flat[chosen].shape)
        flat[chosen] += PERTURBATION * delta / np.linalg.norm(delta, axis=1, keepdims=True)
        states = _with(states, n, flat)
    logs: dict[int, list[Array]] = {n: [] for n in stateful}
    for t in range(WARM_UP, WARM_UP + STEPS):
        x, ts = inputs(t, copies)
        _, states, _ = network.step(x, states, ts)
        for n, chosen in rows.items():
            flat = _flat(states[n])
            path = np.tile(flat[:starts], (DIRECTIONS, 1))
            delta = flat[chosen] - path
            size = np.maximum(np.linalg.norm(delta, axis=1, keepdims=True), 1e-300)
            logs[n].append(np.log(size[:, 0] / PERTURBATION))
            flat[chosen] = path + delta * (PERTURBATION / size)
            states = _with(states, n, flat)
    return tuple(_summary(network, n, np.stack(logs[n])) for n in stateful)


def _summary(network: FloatNetwork, layer: int, logs: Array) -> Contraction:
    """logs: (steps, lanes), the logarithm of each step's growth."""
    rate = logs[SETTLING:].mean(axis=0)
    peak = float(np.exp(min(np.maximum(logs.cumsum(axis=0), 0).max(), 700.0)))
    kind = _kind(network.layers[layer])
    return Contraction(layer, kind, float(rate.mean()), float(rate.max()), peak)


def _kind(layer: FloatLayer) -> str:
    if isinstance(layer, CfC):
        return f"CfC {layer.mode.name.lower()}" + ("" if layer.memory is None else " with an LSTM")
    return type(layer).__name__.upper()


def _flat(state: State) -> Array:
    return np.concatenate(state, axis=1)


def _with(states: tuple[State, ...], layer: int, flat: Array) -> tuple[Any, ...]:
    sizes = [part.shape[1] for part in states[layer]]
    parts = tuple(np.split(flat, np.cumsum(sizes)[:-1], axis=1))
    return (*states[:layer], parts, *states[layer + 1 :])
