"""The layers of float networks.

Every layer's equations are written once, over any array library (numpy for conversion, torch for
quantisation-aware training and export): arrays are float, batches come first.

Sources: CfC: Hasani et al. 2022 (Nature Machine Intelligence 4, eq. 4) as coded in ncps 1.0.1;
LTC: Hasani et al. 2021 (AAAI, eq. 1 and algorithm 1) as coded there; LSTM and GRU: torch.nn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..format.model import Mode

Array = NDArray[np.float64]
LECUN_OUT, LECUN_IN = 1.7159, 0.666
Activation = Literal["silu", "relu", "tanh", "gelu", "lecun_tanh"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
HeadActivation = Literal["tanh", "lecun_tanh", "linear"]
HEAD_ACTIVATIONS: tuple[HeadActivation, ...] = get_args(HeadActivation)
HEADS = ("ff1", "ff2", "time_a", "time_b")
EPSILON = 1e-8  # of ncps, in the denominator of an LTC neuron
_ERF = np.vectorize(math.erf, otypes=[np.float64])

State = tuple[Any, ...]
Seen = dict[str, Any]
Node = TypeVar("Node")


def activate(name: str, z: Any) -> Any:
    """A backbone activation of ncps, elementwise; `linear` gives z back."""
    xp = array_namespace(z)
    if name == "lecun_tanh":
        return LECUN_OUT * xp.tanh(LECUN_IN * z)
    if name == "tanh":
        return xp.tanh(z)
    if name == "relu":
        return (z + xp.abs(z)) / 2
    if name == "silu":
        return z * sigmoid(z)
    if name == "linear":
        return z
    return z * (1 + _erf(z / 2**0.5)) / 2


def sigmoid(z: Any) -> Any:
    """Logistic function without overflow."""
    return 0.5 * (1 + array_namespace(z).tanh(0.5 * z))


def _erf(z: Any) -> Any:
    if isinstance(z, np.ndarray):
        return _ERF(z).astype(z.dtype)
    import torch

    return torch.erf(z)


@dataclass(frozen=True)
class Linear:
    """weight (rows, columns), bias (rows,). A weight that is exactly 0 is no connection."""

    weight: Array
    bias: Array

    def __call__(self, v: Any) -> Any:
        """Rows over vectors v (N, columns)."""
        return v @ self.weight.T + self.bias


@dataclass(frozen=True)
class Dense:
    """y = activation(linear(x)); no state."""

    linear: Linear
    activation: str = "linear"

    @property
    def input_size(self) -> int:
        """Number of inputs."""
        return int(self.linear.weight.shape[1])

    @property
    def output_size(self) -> int:
        """Number of outputs."""
        return int(self.linear.weight.shape[0])

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """No state."""
        return ()

    def step(self, x: Any, state: State, ts: Any) -> tuple[Any, State, Seen]:
        """Output, state, what was seen. x (N, I); ts (N, 1) is not used."""
        return activate(self.activation, self.linear(x)), state, {"matrix": x}


def lstm_step(gates: Linear, v: Any, c: Any) -> tuple[Any, Any]:
    """New (h, c) of an LSTM over v = [x; h]. Rows of `gates`: input, forget, cell, output, one
    after the other for all neurons, as in torch.nn.LSTM."""
    xp = array_namespace(v)
    size = c.shape[1]
    z = gates(v)
    i, f, g, o = (z[:, k * size : (k + 1) * size] for k in range(4))
    c = c * sigmoid(f) + sigmoid(i) * xp.tanh(g)
    return sigmoid(o) * xp.tanh(c), c


@dataclass(frozen=True)
class Decay:
    """What mode `pure` has beside ff1: w_tau and A, (H,) each."""

    w_tau: Array
    a: Array


@dataclass(frozen=True)
class CfC:
    """A CfC layer, wired or not, with an LSTM before it where `memory` is given (mixed memory).

        z = backbone([x; h]);  g = sigmoid(time_a(z) ts + time_b(z))
        default: h' = f1 (1 - g) + g f2;   no_gate: h' = f1 + g f2, f = head_activation(ff(z))
        pure: h' = A - A exp(-ts (|w_tau| + |ff1 z|)) ff1 z

    backbone: layers with `activation` behind each. heads: ff1, ff2, time_a, time_b; pure: ff1.
    memory: rows as in `lstm_step` over [x; h]; the LSTM's output takes the place of h in [x; h].
    """

    mode: Mode
    activation: str
    backbone: tuple[Linear, ...]
    heads: dict[str, Linear]
    decay: Decay | None = None
    memory: Linear | None = None
    head_activation: str = "tanh"

    @property
    def hidden_size(self) -> int:
        """Number of neurons H."""
        return int(self.heads["ff1"].weight.shape[0])

    @property
    def input_size(self) -> int:
        """Number of inputs I."""
        first = self.memory or (self.backbone[0] if self.backbone else self.heads["ff1"])
        return int(first.weight.shape[1]) - self.hidden_size

    @property
    def output_size(self) -> int:
        """H."""
        return self.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """(H,), with memory (H, H): hidden state, cell state."""
        return (self.hidden_size,) * (1 if self.memory is None else 2)

    def step(self, x: Any, state: State, ts: Any) -> tuple[Any, State, Seen]:
        """Output, state, what was seen: `memory`, `backbone.{k}`, `heads`: vectors;
        `cell`, `hidden`: states; `drive`: ff1 z in mode pure."""
        xp = array_namespace(x)
        seen: Seen = {}
        h, *rest = state
        if self.memory is not None:
            seen["memory"] = xp.concat([x, h], axis=1)
            h, cell = lstm_step(self.memory, seen["memory"], rest[0])
            rest = [cell]
            seen["cell"] = cell
        v = xp.concat([x, h], axis=1)
        for k, linear in enumerate(self.backbone):
            seen[f"backbone.{k}"] = v
            v = activate(self.activation, linear(v))
        seen["heads"] = v
        h = self._heads(v, ts, seen)
        seen["hidden"] = h
        return h, (h, *rest), seen

    def _heads(self, z: Any, ts: Any, seen: Seen) -> Any:
        xp = array_namespace(z)
        f1 = self.heads["ff1"](z)
        if self.mode is Mode.PURE:
            assert self.decay is not None
            seen["drive"] = f1
            rate = xp.abs(self.decay.w_tau) + xp.abs(f1)
            return self.decay.a - self.decay.a * xp.exp(-ts * rate) * f1
        f2, a, b = (self.heads[name](z) for name in HEADS[1:])
        f1, f2 = activate(self.head_activation, f1), activate(self.head_activation, f2)
        seen["targets"] = xp.concat([f1, f2], axis=1)
        gate = sigmoid(a * ts + b)
        return f1 + gate * f2 if self.mode is Mode.NO_GATE else f1 * (1 - gate) + gate * f2


@dataclass(frozen=True)
class Lstm:
    """An LSTM layer. gates: as in `lstm_step`, over [x; h], with dt_input over [x; ts; h]; the two
    biases of torch.nn.LSTM are added up."""

    gates: Linear
    dt_input: bool = False

    @property
    def hidden_size(self) -> int:
        """H."""
        return int(self.gates.weight.shape[0]) // 4

    @property
    def input_size(self) -> int:
        """I, without dt."""
        return int(self.gates.weight.shape[1]) - self.hidden_size - self.dt_input

    @property
    def output_size(self) -> int:
        """H."""
        return self.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """(H, H): hidden state, cell state."""
        return self.hidden_size, self.hidden_size

    def step(self, x: Any, state: State, ts: Any) -> tuple[Any, State, Seen]:
        """Output, state, what was seen: `gates`: the vector; `cell`: the new cell state."""
        v = array_namespace(x).concat([x, *([ts] if self.dt_input else []), state[0]], axis=1)
        h, c = lstm_step(self.gates, v, state[1])
        return h, (h, c), {"gates": v, "cell": c}


@dataclass(frozen=True)
class Gru:
    """A GRU layer as torch.nn.GRU: r, z = sigmoid(gates([x; h])); n = tanh(candidate_input(x) +
    r candidate_hidden(h)); h' = (1 - z) n + z h.

    gates: reset rows, then update rows, over [x; h]. With dt_input, x is [x; ts] in both.
    """

    gates: Linear
    candidate_hidden: Linear
    candidate_input: Linear
    dt_input: bool = False

    @property
    def hidden_size(self) -> int:
        """H."""
        return int(self.candidate_hidden.weight.shape[0])

    @property
    def input_size(self) -> int:
        """I, without dt."""
        return int(self.candidate_input.weight.shape[1]) - self.dt_input

    @property
    def output_size(self) -> int:
        """H."""
        return self.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """(H,)."""
        return (self.hidden_size,)

    def step(self, x: Any, state: State, ts: Any) -> tuple[Any, State, Seen]:
        """Output, state, what was seen: `gates`, `input`, `hidden`: vectors; `candidates`."""
        xp = array_namespace(x)
        (h,) = state
        inputs = xp.concat([x, ts], axis=1) if self.dt_input else x
        v = xp.concat([inputs, h], axis=1)
        gate = sigmoid(self.gates(v))
        r, z = gate[:, : self.hidden_size], gate[:, self.hidden_size :]
        p, q = self.candidate_input(inputs), self.candidate_hidden(h)
        n = xp.tanh(p + r * q)
        new = n + z * (h - n)
        seen = {"gates": v, "input": inputs, "hidden": h, "candidates": xp.concat([p, q], axis=1)}
        return new, (new,), seen


@dataclass(frozen=True)
class Synapses:
    """From every source (rows) to every neuron (columns): all (sources, N).

    A synapse carries w sigmoid(sigma (v - mu)) and pulls to the potential erev. w: 0 or more,
    exactly 0 where there is none.
    """

    w: Array
    sigma: Array
    mu: Array
    erev: Array

    def currents(self, v: Any) -> tuple[Any, Any]:
        """(sum of w f erev, sum of w f) over the sources v (B, sources), each (B, N)."""
        xp = array_namespace(v)
        f = self.w * sigmoid(self.sigma * (v[:, :, None] - self.mu))
        return xp.sum(f * self.erev, axis=1), xp.sum(f, axis=1)


@dataclass(frozen=True)
class Ltc:
    """An LTC layer: cm dv/dt = gleak (vleak - v) + sum of w f(s) (erev - v) over the synapses.

    `unfolds` fused semi-implicit steps a sample. Weights, gleak and cm are those after the
    constraint (softplus or clipping), 0 or more. inputs = x input_scale + input_offset; output =
    v[:M] output_scale + output_offset, (M,) each.
    """

    sensory: Synapses
    internal: Synapses
    gleak: Array
    vleak: Array
    cm: Array
    input_scale: Array
    input_offset: Array
    output_scale: Array
    output_offset: Array
    unfolds: int = 6

    @property
    def neurons(self) -> int:
        """N."""
        return int(self.gleak.shape[0])

    @property
    def input_size(self) -> int:
        """I."""
        return int(self.input_scale.shape[0])

    @property
    def output_size(self) -> int:
        """M, motor neurons: the first of all."""
        return int(self.output_scale.shape[0])

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """(N,): potentials."""
        return (self.neurons,)

    def step(self, x: Any, state: State, ts: Any) -> tuple[Any, State, Seen]:
        """Output, state, what was seen: `inputs`: after the input map; `potentials`."""
        inputs = x * self.input_scale + self.input_offset
        numerator, denominator = self.sensory.currents(inputs)
        numerator = numerator + self.gleak * self.vleak
        denominator = denominator + self.gleak + EPSILON
        (v,) = state
        capacity = self.cm / (ts / self.unfolds)
        for _ in range(self.unfolds):
            n, d = self.internal.currents(v)
            v = (capacity * v + numerator + n) / (capacity + denominator + d)
        y = v[:, : self.output_size] * self.output_scale + self.output_offset
        return y, (v,), {"inputs": inputs, "potentials": v}

    @staticmethod
    def of_time_constants(tau: Array, w: Array, a: Array, sigma: Array, mu: Array) -> Ltc:
        """The network dy/dt = -[1/tau + sum w f] y + sum A f of the LTC paper (eq. 1), with one
        f = sigmoid(sigma (s - mu)) a connection.

        tau (N,) > 0; w (> 0), a, sigma, mu: (I + N, N), rows: inputs, then neurons.
        """
        size = len(tau)
        parts = [np.asarray(p, np.float64) for p in (w, sigma, mu, np.where(w > 0, a / w, 0.0))]
        inputs = len(w) - size
        sensory, internal = (
            Synapses(*(p[rows] for p in parts)) for rows in (slice(inputs), slice(inputs, None))
        )
        return Ltc(
            sensory, internal, 1 / tau, np.zeros(size), np.ones(size),
            np.ones(inputs), np.zeros(inputs), np.ones(size), np.zeros(size), unfolds=6,
        )  # fmt: skip


FloatLayer = Dense | CfC | Lstm | Gru | Ltc

# the layers of cells that have integer engines, by the names that recipes and checkpoints have
CELLS: dict[str, type[FloatLayer]] = {
    "cfc": CfC,
    "wired": CfC,
    "mixed": CfC,
    "ltc": Ltc,
    "lstm": Lstm,
    "gru": Gru,
}
FLOAT_ONLY = "ulnn.float"  # the dialect of a checkpoint whose cell has none
