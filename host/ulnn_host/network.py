"""A trained CfC network in float, as plain numpy arrays: what a converter starts from.

Equations: research of the `ncps.torch` dialect, Hasani et al. 2022 (Nature Machine Intelligence
4), eq. 4 as coded there:
    z = backbone([x; h]);  f1 = tanh(ff1 z), f2 = tanh(ff2 z), g = sigmoid(time_a(z) dt +
    time_b(z)) default: h' = f1 (1 - g) + g f2;   no_gate: h' = f1 + g f2;   y = fc(h') where there
    is a head
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import erf
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .model import Mode

Array = NDArray[np.float64]
LECUN_OUT, LECUN_IN = 1.7159, 0.666
Activation = Literal["silu", "relu", "tanh", "gelu", "lecun_tanh"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
HEADS = ("ff1", "ff2", "time_a", "time_b")

_erf = np.vectorize(erf, otypes=[np.float64])


def activate(name: str, z: Array) -> Array:
    """A backbone activation of ncps, elementwise."""
    if name == "lecun_tanh":
        return np.asarray(LECUN_OUT * np.tanh(LECUN_IN * z))
    if name == "tanh":
        return np.tanh(z)
    if name == "relu":
        return np.maximum(z, 0.0)
    if name == "silu":
        return z * sigmoid(z)
    return np.asarray(z * (1 + _erf(z / np.sqrt(2))) / 2)


def sigmoid(z: Array) -> Array:
    """Logistic function without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * z)))


@dataclass(frozen=True)
class Linear:
    """weight (rows, columns), bias (rows,)."""

    weight: Array
    bias: Array


@dataclass(frozen=True)
class Trace:
    """A float rollout: y (N, T, O), the last valid state (N, H), and what each matrix saw, one
    vector a valid step."""

    y: Array
    state: Array
    vectors: tuple[Array, ...]


@dataclass(frozen=True)
class FloatNetwork:
    """A CfC layer and its optional dense head.

    Inputs are normalised as (x - mean) / std; the elapsed time of the equations is seconds /
    time_scale.
    """

    mode: Mode
    activation: str
    backbone: tuple[Linear, ...]
    heads: dict[str, Linear]
    fc: Linear | None
    mean: Array
    std: Array
    time_scale: float = 1.0
    dialect: str = "ncps.torch"
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def hidden_size(self) -> int:
        """Number of hidden units."""
        return int(self.heads["ff1"].weight.shape[0])

    @property
    def input_size(self) -> int:
        """Number of inputs."""
        first = self.backbone[0] if self.backbone else self.heads["ff1"]
        return int(first.weight.shape[1]) - self.hidden_size

    def run(self, x: NDArray[Any], dt: NDArray[Any], length: NDArray[Any] | None = None) -> Trace:
        """Roll out from a zero state. x (N, T, I), dt (N, T) seconds, length (N,) valid steps."""
        count, steps = dt.shape
        valid = np.arange(steps) < (np.full(count, steps) if length is None else length)[:, None]
        inputs = (np.asarray(x, np.float64) - self.mean) / self.std
        ts = np.asarray(dt, np.float64) / self.time_scale
        h = np.zeros((count, self.hidden_size))
        stages = len(self.backbone) + 1
        seen: list[list[Array]] = [[] for _ in range(stages + (self.fc is not None))]
        outputs = []
        for t in range(steps):
            now = valid[:, t]
            v = np.concatenate([inputs[:, t], h], axis=1)
            for j, linear in enumerate(self.backbone):
                seen[j].append(v[now])
                v = activate(self.activation, v @ linear.weight.T + linear.bias)
            seen[stages - 1].append(v[now])
            h = np.where(now[:, None], self._heads(v, ts[:, t, None]), h)
            if self.fc is None:
                outputs.append(h)
            else:
                seen[stages].append(h[now])
                outputs.append(h @ self.fc.weight.T + self.fc.bias)
        return Trace(np.stack(outputs, axis=1), h, tuple(np.concatenate(rows) for rows in seen))

    def _heads(self, z: Array, ts: Array) -> Array:
        f1, f2, a, b = (z @ self.heads[name].weight.T + self.heads[name].bias for name in HEADS)
        gate = sigmoid(a * ts + b)
        if self.mode is Mode.NO_GATE:
            return np.tanh(f1) + gate * np.tanh(f2)
        return np.tanh(f1) * (1 - gate) + gate * np.tanh(f2)
