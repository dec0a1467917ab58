"""What would explain that an import differs from its original: usual suspects, each tried."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..format.model import MODES, Mode
from ..network.float_network import FloatNetwork
from ..network.layers import ACTIVATIONS, HEAD_ACTIVATIONS, CfC, FloatLayer, Ltc
from .checkpoint import Loaded
from .module_order import ENDS, Part, Row, option

UNKNOWN = (
    "nothing usual explains it (a function between or after the modules, another mode, "
    "activation, unit of time or scale)"
)
GATED = ("default", "no_gate")
UNFOLDS = (1, 2, 3, 4, 5, 6, 8, 10, 12)
UNITS = {1e-3: "milliseconds", 1e3: "1000 s", 1e-6: "microseconds", 1 / 60: "minutes"}


@dataclass(frozen=True)
class Suspect:
    """Another network, with a function at its end. without_times: every dt is 1 in it. text: what
    to do if it fits."""

    network: FloatNetwork
    end: str
    text: str
    without_times: bool = False


def explain(loaded: Loaded, fits: Callable[[Suspect], bool]) -> str:
    """What to do about an import that differs."""
    for suspect in _all(loaded):
        if fits(suspect):
            return suspect.text
    return UNKNOWN


def _all(loaded: Loaded) -> Iterator[Suspect]:
    yield from _functions(loaded)
    yield from _times(loaded)
    yield from _cells(loaded)


def _functions(loaded: Loaded) -> Iterator[Suspect]:
    """Functions at the end, after one module, and both."""
    ends = [end for end in ("", *ENDS) if end != loaded.end]
    before = Row(loaded.parts, loaded.end).names
    between = [
        tuple(
            replace(part, functions=(*part.functions, name)) if j == k else part
            for j, part in enumerate(loaded.parts)
        )
        for k in range(len(loaded.parts))
        for name in ACTIVATIONS
    ]
    ways: Iterator[tuple[tuple[Part, ...], str]] = itertools.chain(
        ((loaded.parts, end) for end in ends),
        ((parts, loaded.end) for parts in between),
        itertools.product(between, ends),
    )
    for parts, end in ways:
        layers = tuple(layer for part in parts for layer in part.built) or loaded.network.layers
        names = Row(parts, end).names
        what = ", ".join(name for name in names if name not in before) or "a function more or less"
        text = f"it fits with {what}: give {option(names)}"
        yield Suspect(replace(loaded.network, layers=layers), end, text)


def _times(loaded: Loaded) -> Iterator[Suspect]:
    """Other times, and inputs that are not normalised."""
    network = loaded.network
    yield Suspect(
        network,
        loaded.end,
        "it fits when every dt is 1: the original was called without times",
        True,
    )
    if network.time_scale != 1:
        yield Suspect(
            replace(network, time_scale=1.0), loaded.end,
            "it fits without time_scale: the original had dt in seconds",
        )  # fmt: skip
    for factor, unit in UNITS.items():
        yield Suspect(
            replace(network, time_scale=network.time_scale * factor), loaded.end,
            f"it fits with time_scale = {network.time_scale * factor:g}: the original had dt in "
            f"{unit}",
        )  # fmt: skip
    if network.mean.any() or (network.std != 1).any():
        yield Suspect(
            replace(network, mean=np.zeros_like(network.mean), std=np.ones_like(network.std)),
            loaded.end,
            "it fits without mean and std: x of the pairs is normalised already, expected as the "
            "data have it",
        )


def _cells(loaded: Loaded) -> Iterator[Suspect]:
    """Other modes and activations of a CfC, other steps of an LTC's solver."""

    def other(text: str, **values: object) -> Suspect:
        layers = tuple(_changed(layer, values) for layer in loaded.network.layers)
        return Suspect(replace(loaded.network, layers=layers), loaded.end, f"it fits with {text}")

    kinds = {type(layer) for layer in loaded.network.layers}
    if CfC in kinds:
        for name in GATED:
            yield other(f"--mode {name}", mode=MODES[name])
        for name in GATED:
            for activation in ACTIVATIONS:
                yield other(
                    f"--mode {name} --activation {activation}",
                    mode=MODES[name],
                    activation=activation,
                )
        for head in HEAD_ACTIVATIONS:
            dialect = {"tanh": "ncps.torch", "linear": "ncps.keras", "lecun_tanh": "raminmh.tf"}
            yield other(
                f"the heads of {dialect[head]}: --dialect {dialect[head]}", head_activation=head
            )
    if Ltc in kinds:
        for unfolds in UNFOLDS:
            yield other(f"ode_unfolds = {unfolds} in the .toml", unfolds=unfolds)


def _changed(layer: FloatLayer, values: dict[str, object]) -> FloatLayer:
    """The layer with what it has of the values; a mode only where the layer is gated."""
    fields = {field.name for field in dataclasses.fields(layer)}
    fitting = {key: value for key, value in values.items() if key in fields}
    if isinstance(layer, CfC):
        if layer.mode is Mode.PURE:
            fitting.pop("mode", None)
        return replace(layer, **fitting)  # type: ignore[arg-type]
    return replace(layer, **fitting) if isinstance(layer, Ltc) else layer  # type: ignore[arg-type]
