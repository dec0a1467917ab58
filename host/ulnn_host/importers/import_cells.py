"""One cell from its tensors: CfC (wired, mixed memory, every mode), LTC, torch's LSTM and GRU.

Names and shapes are those of `ncps.torch` 1.0.1 and `torch.nn`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..base.errors import UlnnError
from ..format.model import MODES, Mode
from ..network.layers import (
    ACTIVATIONS,
    HEADS,
    Array,
    CfC,
    Decay,
    FloatLayer,
    Gru,
    Linear,
    Lstm,
    Ltc,
    Synapses,
)
from .checkpoint_toml import ALIASES
from .state_dict import StateDict


@dataclass
class Arrays:
    """Weights by name, and what their file says.

    by_path of a layer: mode, activation, ode_unfolds, motor_neurons. order: of the layers and the
    functions between them, empty where the file does not say it. idle: layers without weights of
    which the file does not say what they do. mean, std: by which the model
    itself normalises its inputs, (1,) or (inputs,).
    """

    weights: dict[str, Array]
    dialect: str | None = None
    by_path: dict[str, dict[str, Any]] = field(default_factory=dict)
    assumed: list[str] = field(default_factory=list)
    order: tuple[str, ...] = ()
    idle: list[str] = field(default_factory=list)
    mean: Array = field(default_factory=lambda: np.zeros(1))
    std: Array = field(default_factory=lambda: np.ones(1))


@dataclass
class Hints:
    """What tensors do not say; `assumed` collects what had to be guessed, one line each.

    hyper: hyper-parameters that hold for all layers. by_path and order: as in `Arrays`.
    """

    dialect: str
    hyper: Mapping[str, Any]
    by_path: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    assumed: list[str] = field(default_factory=list)
    order: tuple[str, ...] = ()
    used: set[str] = field(default_factory=set)

    @property
    def head_activation(self) -> str:
        """Of ff1 and ff2 in modes default and no_gate."""
        return {"ncps.keras": "linear", "raminmh.tf": "lecun_tanh"}.get(self.dialect, "tanh")

    def assume(self, line: str) -> None:
        """Note a guess, once."""
        if line not in self.assumed:
            self.assumed.append(line)

    def get(self, key: str, prefix: str) -> Any:
        """What is said about the layer whose tensors start with `prefix`; None: nothing. Raises
        UlnnError where the user and the file say different things."""
        self.used.add(key)
        said, own = self.hyper.get(key), None
        for path, facts in self.by_path.items():
            if prefix == path or prefix.startswith(f"{path}." if path else ""):
                own = facts.get(key)
                break
        differ = ALIASES.get(str(said), said) != ALIASES.get(str(own), own)
        if said is not None and own is not None and differ:
            raise UlnnError(f"{key} {said}, but the file says {own}")
        return own if said is None else said

    def choice(self, key: str, prefix: str, known: tuple[str, ...]) -> str | None:
        """One of the known words; None where nothing is said. Raises UlnnError."""
        value = self.get(key, prefix)
        value = ALIASES.get(value, value) if isinstance(value, str) else value
        if value is not None and value not in known:
            raise UlnnError(f"{key} {value!r}, expected one of: {', '.join(known)}")
        return value

    def number(self, key: str, default: int, prefix: str) -> int:
        """A whole number above 0; the default is noted as a guess. Raises UlnnError."""
        value = self.get(key, prefix)
        if value is None:
            self.assume(f"{key} {default} (weights do not say it; else write it into the .toml)")
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UlnnError(f"{key} {value!r}, expected a whole number above 0")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false; the default is noted as a guess. Raises UlnnError."""
        self.used.add(key)
        value = self.hyper.get(key)
        if value is None:
            word = str(default).lower()
            self.assume(f"{key} {word} (weights do not say it; else write it into the .toml)")
            return default
        if not isinstance(value, bool):
            raise UlnnError(f"{key} {value!r}, expected true or false")
        return value


# ---- CfC ----------------------------------------------------------------------------------------


def cfc(state: StateDict, prefix: str, lstm: str, hints: Hints) -> tuple[FloatLayer, ...]:
    """A CfC with names under `prefix`, its mixed memory under `lstm`."""
    memory = _memory(state, lstm) if f"{lstm}input_map.weight" in state else None
    return (_cfc(state, prefix, memory, hints),)


def wired_cfc(state: StateDict, prefix: str, lstm: str, hints: Hints) -> tuple[FloatLayer, ...]:
    """A wired CfC: its layers `prefix`layer_{k}, each with a state of its own."""
    numbers = _numbers(state, re.escape(prefix) + r"layer_([0-9]{1,9})\.ff1\.weight")
    memory = None
    if f"{lstm}input_map.weight" in state:
        if len(numbers) > 1:
            raise UlnnError(
                f"{state.name}: mixed memory with a wiring of {len(numbers)} layers (one LSTM "
                "over all their states); expected mixed memory with a number of units, or none"
            )
        memory = _memory(state, lstm)
    return tuple(_cfc(state, f"{prefix}layer_{k}.", memory, hints) for k in numbers)


def _numbers(state: StateDict, pattern: str) -> list[int]:
    """The numbers in names, 0 and on. Raises UlnnError where one is missing."""
    numbers = sorted(int(m[1]) for k in state.keys if (m := re.fullmatch(pattern, k)))
    if numbers != list(range(len(numbers))):
        missing = next(k for k, number in enumerate(numbers) if k != number)
        raise UlnnError(f"{state.name}: layer {missing} is missing; expected all layers of a cell")
    return numbers


def _cfc(state: StateDict, prefix: str, memory: Linear | None, hints: Hints) -> CfC:
    pattern = re.compile(re.escape(prefix) + r"backbone\.([0-9]{1,9})\.weight$")
    stages = sorted({int(m[1]) for k in state.keys if (m := pattern.match(k))})
    activation = hints.choice("activation", prefix, ACTIVATIONS)
    if stages and activation is None:
        hints.assume("activation lecun_tanh (weights do not say it; else give --activation)")
    mode = _mode(state, prefix, hints)
    backbone: list[Linear] = []
    columns = size = None
    for k in stages:
        backbone.append(state.linear(f"{prefix}backbone.{k}", columns=columns))
        columns = len(backbone[-1].weight)
    names = ("ff1",) if mode is Mode.PURE else HEADS
    heads: dict[str, Linear] = {}
    for head in names:
        heads[head] = state.linear(f"{prefix}{head}", size, columns)
        size, columns = heads[head].weight.shape
    assert size is not None
    decay = None
    if mode is Mode.PURE:
        w_tau, a = (state.take(f"{prefix}{k}", 1, size)[0] for k in ("w_tau", "A"))
        decay = Decay(w_tau, a)
    if f"{prefix}sparsity_mask" in state:
        mask = state.take(f"{prefix}sparsity_mask", size, columns)
        if backbone:
            raise UlnnError(
                f"{state.name}: {prefix}sparsity_mask beside a backbone; expected one of the two"
            )
        masked = names if hints.dialect == "ulnn" else names[:2]
        for head in masked:
            heads[head] = Linear(heads[head].weight * mask, heads[head].bias)
    layer = CfC(
        mode,
        activation or "lecun_tanh",
        tuple(backbone),
        heads,
        decay,
        memory,
        hints.head_activation,
    )
    first = backbone[0] if backbone else heads["ff1"]
    if layer.input_size < 1 or first.weight.shape[1] != layer.input_size + size:
        raise UlnnError(
            f"{state.name}: {prefix or 'the CfC'} has {first.weight.shape[1]} columns, expected "
            f"inputs and {size} hidden states" + (", as its LSTM has" if memory else "")
        )
    return layer


def _mode(state: StateDict, prefix: str, hints: Hints) -> Mode:
    said = hints.choice("mode", prefix, tuple(MODES))
    if f"{prefix}w_tau" in state:
        if said not in (None, "pure"):
            raise UlnnError(
                f"{state.name}: mode {said}, but {prefix}w_tau is of mode pure; expected mode pure"
            )
        return Mode.PURE
    if said == "pure":
        raise UlnnError(
            f"{state.name}: mode pure, but there is no {prefix}w_tau; "
            "expected mode default or no_gate"
        )
    if said is None:
        hints.assume("mode default (weights do not say it from no_gate; else give --mode)")
        return Mode.DEFAULT
    return MODES[said]


def _memory(state: StateDict, prefix: str) -> Linear:
    """The LSTM of mixed memory: ncps has rows candidate, input, forget (+ 1), output."""
    recurrent = state.take(f"{prefix}recurrent_map.weight", None, None)
    size = recurrent.shape[1]
    inputs = state.linear(f"{prefix}input_map", 4 * size)
    if len(recurrent) != 4 * size:
        raise UlnnError(
            f"{state.name}: {prefix}recurrent_map.weight has shape {recurrent.shape}, "
            f"expected {(4 * size, size)}"
        )
    bias = inputs.bias.copy()
    bias[2 * size : 3 * size] += 1.0
    order = np.concatenate([np.arange(k * size, (k + 1) * size) for k in (1, 2, 0, 3)])
    return Linear(np.concatenate([inputs.weight, recurrent], axis=1)[order], bias[order])


# ---- LTC ----------------------------------------------------------------------------------------


def ltc(state: StateDict, prefix: str, lstm: str, hints: Hints) -> tuple[FloatLayer, ...]:
    """An LTC: constraint applied, masks multiplied into w."""
    if f"{lstm}input_map.weight" in state:
        raise UlnnError(
            f"{state.name}: an LTC with mixed memory (an LSTM over its potentials); "
            "expected an LTC without it"
        )
    if hints.dialect.startswith("raminmh"):
        raise UlnnError(
            f"{state.name}: an LTC of raminmh/CfC (its elapsed time is shifted); "
            "expected its CfC, or an LTC of ncps"
        )
    softplus = False
    if hints.dialect != "ncps.keras":
        softplus = hints.flag("implicit_param_constraints", True)

    def positive(key: str, *shape: int | None) -> Array:
        value = state.take(f"{prefix}{key}", *shape)
        return np.logaddexp(0.0, value) if softplus else value

    gleak = positive("gleak", None)
    size = len(gleak)
    cm, vleak = positive("cm", size), state.take(f"{prefix}vleak", size)
    groups = []
    for group, rows in (("sensory_", None), ("", size)):
        w = positive(f"{group}w", rows, size)
        shape = w.shape
        sigma, mu, erev, mask = (
            state.take(f"{prefix}{group}{k}", *shape)
            for k in ("sigma", "mu", "erev", "sparsity_mask")
        )
        groups.append(Synapses(np.where(mask == 0, 0.0, w * mask), sigma, mu, erev))
    for key, value in (
        ("sensory_w", groups[0].w),
        ("w", groups[1].w),
        ("gleak", gleak),
        ("cm", cm),
    ):
        if value.min() < 0:
            raise UlnnError(
                f"{state.name}: {prefix}{key} has negative values (down to {value.min():.3g}); "
                "expected 0 or more: call apply_weight_constraints() after training, or say "
                "implicit_param_constraints = true"
            )
    inputs = groups[0].w.shape[0]
    outputs = size
    said = hints.get("motor_neurons", prefix)
    if f"{prefix}output_w" in state:
        outputs = state.shape(f"{prefix}output_w")[0]
        if said not in (None, outputs):
            raise UlnnError(
                f"{state.name}: motor_neurons {said}, but {prefix}output_w has {outputs}"
            )
    elif said is not None:
        outputs = hints.number("motor_neurons", size, prefix)
    else:
        hints.assume(
            f"motor_neurons {size}, all neurons of the LTC (without an output map weights do not "
            "say it; else write it into the .toml)"
        )
    if outputs > size:
        raise UlnnError(f"{state.name}: {outputs} outputs of an LTC, expected at most {size}")
    return (
        Ltc(
            groups[0],
            groups[1],
            gleak,
            vleak,
            cm,
            state.optional(f"{prefix}input_w", inputs, 1.0),
            state.optional(f"{prefix}input_b", inputs, 0.0),
            state.optional(f"{prefix}output_w", outputs, 1.0),
            state.optional(f"{prefix}output_b", outputs, 0.0),
            hints.number("ode_unfolds", 6, prefix),
        ),
    )


# ---- torch.nn -----------------------------------------------------------------------------------


def torch_rnn(state: StateDict, prefix: str, lstm: str, hints: Hints) -> tuple[FloatLayer, ...]:
    """nn.LSTM or nn.GRU: its layers weight_ih_l{k}."""
    del lstm, hints
    numbers = _numbers(state, re.escape(prefix) + r"weight_ih_l([0-9]{1,9})")
    for suffix, what in (("_reverse", "both directions"), ("", "a projection (proj_size)")):
        key = f"{prefix}{'weight_ih' if suffix else 'weight_hr'}_l0{suffix}"
        if key in state:
            raise UlnnError(
                f"{state.name}: {key}: an LSTM or GRU with {what}; expected one direction, "
                "no projection"
            )
    return tuple(_torch_layer(state, prefix, k) for k in numbers)


def _torch_layer(state: StateDict, prefix: str, number: int) -> FloatLayer:
    hidden_key = f"{prefix}weight_hh_l{number}"
    w_hh = state.take(hidden_key, None, None)
    rows, size = w_hh.shape
    w_ih = state.take(f"{prefix}weight_ih_l{number}", rows, None)
    b_ih, b_hh = (
        state.optional(f"{prefix}bias_{part}_l{number}", rows, 0.0) for part in ("ih", "hh")
    )
    both = np.concatenate([w_ih, w_hh], axis=1)
    if rows == 4 * size:
        return Lstm(Linear(both, b_ih + b_hh))
    if rows != 3 * size:
        raise UlnnError(
            f"{state.name}: {hidden_key} has shape {w_hh.shape}; expected an nn.LSTM (4 H, H) or "
            "an nn.GRU (3 H, H)"
        )
    gates, new = slice(2 * size), slice(2 * size, None)
    return Gru(
        Linear(both[gates], (b_ih + b_hh)[gates]),
        Linear(w_hh[new], b_hh[new]),
        Linear(w_ih[new], b_ih[new]),
    )
