"""Fits the constants of `cost` to counted steps; for those who change a kernel.

    python native_module/bench/fit_cost.py    # writes the counts; prints the constants to paste

Every model is run on the bare virtual machines of `bench`, its outputs are compared with the
reference, and the step in the middle is counted.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

import count_machines as bench
from count_cases import COUNTED, DT_FIXED, STEPS, Case
from ulnn_host.base.errors import UlnnError
from ulnn_host.base.paths import project_root
from ulnn_host.base.progress import track
from ulnn_host.board.bench import FORMATS, HIDDEN_SIZES, bench_model
from ulnn_host.data.sequences import Sequences
from ulnn_host.format import cost
from ulnn_host.format.model import Mode, ModelFile
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.network.layers import (
    HEADS,
    CfC,
    Decay,
    Dense,
    FloatLayer,
    Gru,
    Linear,
    Lstm,
    Ltc,
    Synapses,
)
from ulnn_host.quantize.calibration import FloatRollout
from ulnn_host.quantize.options import Options, Sparsity
from ulnn_host.quantize.quantize import convert

COUNTS = "tests/format/cost_counts.json"
KERNELS = {"cortex-m7": cost.CORTEX_M7, "rv32imc": cost.RV32}
Parts = dict[str, float]


# ---- models -------------------------------------------------------------------------------------


def models() -> Iterator[tuple[str, ModelFile]]:
    """(name, model) of every cell and many shapes; the same at every call."""
    for name, bits in FORMATS.items():
        for hidden in HIDDEN_SIZES:
            yield f"bench-{hidden}-{name}", bench_model(bits, hidden)
            yield f"bench-{hidden}-fixed-{name}", bench_model(bits, hidden, dt_fixed=DT_FIXED)
    make = _Maker(np.random.default_rng(0))
    for title, layers in make.networks():
        size = layers[0].input_size
        network = FloatNetwork(layers, np.zeros(size), np.ones(size))
        seen = FloatRollout(network, make.data(size))
        for name, bits in FORMATS.items():
            sparse: Sparsity = "always" if "wired" in title else "never"
            options = Options(bits, compensate=False, sparse=sparse)
            yield f"{title}-{name}", convert(seen, options)


@dataclasses.dataclass
class _Maker:
    """Random layers, as large in their values as trained ones."""

    random: np.random.Generator

    def data(self, inputs: int) -> Sequences:
        x = self.random.uniform(-1, 1, (2, 40, inputs)).astype(np.float32)
        dt = self.random.uniform(0.1, 1, (2, 40)).astype(np.float32)
        return Sequences(x, dt)

    def networks(self) -> Iterator[tuple[str, tuple[FloatLayer, ...]]]:
        for inputs, hidden in ((3, 8), (6, 19), (4, 32), (8, 64)):
            for dt_input in (False, True):
                seen = inputs + dt_input
                lstm = Lstm(self.linear(4 * hidden, seen + hidden), dt_input)
                yield f"lstm-{hidden}-{int(dt_input)}", (lstm,)
                gates = self.linear(2 * hidden, seen + hidden)
                both = self.linear(hidden, hidden), self.linear(hidden, seen)
                yield f"gru-{hidden}-{int(dt_input)}", (Gru(gates, *both, dt_input),)
            for mode in (Mode.DEFAULT, Mode.NO_GATE, Mode.PURE):
                name = f"{mode.name.lower()}-{hidden}"
                yield name, (self.cfc(inputs, hidden, (hidden,), mode),)
                yield f"{name}-bare", (self.cfc(inputs, hidden, (), mode),)
            linear = self.cfc(inputs, hidden, (hidden,), Mode.DEFAULT)
            yield f"keras-{hidden}", (dataclasses.replace(linear, head_activation="linear"),)
            memory = self.linear(4 * hidden, inputs + hidden)
            mixed = dataclasses.replace(linear, memory=memory)
            yield f"mixed-{hidden}", (mixed,)
            yield f"wired-{hidden}", (self.cfc(inputs, hidden, (), Mode.DEFAULT, 0.3),)
            yield f"wired-{hidden}-no_gate", (self.cfc(inputs, hidden, (), Mode.NO_GATE, 0.2),)
        for activation in ("relu", "silu", "gelu"):
            for units in (16, 64):
                layer = self.cfc(6, 24, (units, units), Mode.DEFAULT)
                layer = dataclasses.replace(layer, activation=activation)
                yield f"{activation}-{units}", (layer,)
        for activation in ("linear", "relu", "silu", "tanh"):
            for inputs, outputs in ((32, 8), (64, 32)):
                dense = Dense(self.linear(outputs, inputs), activation)
                yield f"dense-{activation}-{outputs}", (dense,)
        first, second = (self.cfc(i, h, (9,), Mode.DEFAULT) for i, h in ((3, 10), (10, 7)))
        yield "stacked", (first, second, Dense(self.linear(2, 7)))
        for inputs, neurons, density, unfolds in (
            (3, 8, 1.0, 6), (4, 16, 1.0, 6), (6, 24, 0.3, 6), (8, 19, 0.5, 3), (2, 40, 0.2, 6),
            (12, 12, 0.6, 1),
        ):  # fmt: skip
            yield f"ltc-{neurons}", (self.ltc(inputs, neurons, density, unfolds),)

    def linear(self, rows: int, columns: int, density: float = 1.0) -> Linear:
        there = self.random.random((rows, columns)) < density
        weight = self.random.normal(size=(rows, columns)) / np.sqrt(columns * density)
        return Linear(weight * there, 0.1 * self.random.normal(size=rows))

    def cfc(
        self, inputs: int, hidden: int, backbone: tuple[int, ...], mode: Mode, density: float = 1.0
    ) -> CfC:
        widths = (inputs + hidden, *backbone)
        stages = tuple(
            self.linear(rows, columns) for rows, columns in zip(backbone, widths[:-1], strict=True)
        )
        first = self.linear(hidden, widths[-1], density)
        heads = {
            name: Linear(first.weight * self.random.uniform(0.5, 1.5, first.weight.shape), bias)
            for name, bias in zip(HEADS, self.random.normal(size=(4, hidden)), strict=True)
        }
        if mode is not Mode.PURE:
            return CfC(mode, "lecun_tanh", stages, heads)
        decay = Decay(self.random.random(hidden), self.random.random(hidden))
        return CfC(mode, "lecun_tanh", stages, {"ff1": heads["ff1"]}, decay)

    def ltc(self, inputs: int, neurons: int, density: float, unfolds: int) -> Ltc:
        def synapses(count: int) -> Synapses:
            shape = (count, neurons)
            there = self.random.random(shape) < density
            w, sigma, mu = (
                self.random.uniform(low, high, shape)
                for low, high in ((0.01, 1), (3, 8), (0.3, 0.8))
            )
            return Synapses(w * there, sigma, mu, self.random.choice([-1.0, 1.0], shape))

        leak = self.random.uniform(0.1, 1, neurons), self.random.uniform(-0.2, 0.2, neurons)
        return Ltc(
            *(synapses(inputs), synapses(neurons), *leak, np.full(neurons, 0.5)),
            *(np.ones(inputs), np.zeros(inputs), np.ones(2), np.zeros(2), unfolds),
        )


# ---- counting and fitting -----------------------------------------------------------------------


def count(folder: Path) -> dict[str, dict[str, int]]:
    """By kernel and name of a model: cycles (cortex-m7) or instructions of a step. Raises
    UlnnError when a tool is missing or an output differs from the reference's."""
    named = dict(track(models(), "models"))
    plugin = bench.build_plugin(folder)
    counts: dict[str, dict[str, int]] = {}
    for kernel in (k for k in bench.KERNELS if k.name in KERNELS):
        cases = [_case(model) for model in named.values()]
        elf = bench.build(kernel, folder)
        results = bench.run(kernel, elf, cases, plugin if kernel.modelled else None)
        for name, result in zip(named, results, strict=True):
            if result.different:
                raise UlnnError(f"{kernel.name} {name}: an output is not that of the reference")
        counts[kernel.name] = {
            name: result.cycles or result.instructions
            for name, result in zip(named, results, strict=True)
        }
    return counts


def _case(model: ModelFile) -> Case:
    rng = np.random.default_rng(0)
    x = rng.integers(-20000, 20001, (STEPS, model.input_size)).astype(np.int16)
    dt = np.full(STEPS, model.dt_fixed) if model.dt_fixed else rng.integers(1, model.dt_max, STEPS)
    return Case(model, x, dt.astype(np.int64), COUNTED)


def fit(named: dict[str, ModelFile], counts: dict[str, int], prices: cost.Prices) -> Parts:
    """Constants by name (`block.8` for those in a dict), the sum of which times what there is of
    them in a model is nearest to the counts, relatively."""
    names = list(parts(prices))
    unit = {name: with_parts(prices, dict.fromkeys(names, 0.0) | {name: 1.0}) for name in names}
    there: NDArray[np.float64] = np.array(
        [[cost.step(named[model], unit[name]) for name in names] for model in counts]
    )
    wanted = np.array(list(counts.values()), np.float64)
    values, _ = nnls(there / wanted[:, None], np.ones(len(wanted)))
    return {name: round(float(v), 1) for name, v in zip(names, values, strict=True)}


def parts(prices: cost.Prices) -> Parts:
    """The constants by name."""
    found: Parts = {}
    for key, value in dataclasses.asdict(prices).items():
        if isinstance(value, dict):
            found |= {f"{key}.{inner}": v for inner, v in value.items()}
        elif not isinstance(value, str):
            found[key] = value
    return found


def with_parts(prices: cost.Prices, values: Parts) -> cost.Prices:
    """The same with other constants."""
    new: dict[str, Any] = {}
    for key, value in dataclasses.asdict(prices).items():
        if isinstance(value, dict):
            new[key] = {inner: values[f"{key}.{inner}"] for inner in value}
        elif not isinstance(value, str):
            new[key] = values[key]
    return dataclasses.replace(prices, **new)


def main() -> None:
    """Count, fit, and print."""
    folder = project_root() / "build" / "bench"
    counts = count(folder)
    (project_root() / COUNTS).write_text(json.dumps(counts, indent=1) + "\n")
    named = dict(models())
    for kernel, prices in KERNELS.items():
        values = fit(named, counts[kernel], prices)
        fitted = with_parts(prices, values)
        errors = {
            name: cost.step(named[name], fitted) / wanted - 1
            for name, wanted in counts[kernel].items()
        }
        worst = sorted(errors, key=lambda name: -abs(errors[name]))[:5]
        print(f"{kernel}: largest errors", {name: f"{errors[name]:+.1%}" for name in worst})
        print("\n".join(f"    {name} = {value}" for name, value in values.items()))


if __name__ == "__main__":
    try:
        main()
    except UlnnError as error:
        sys.exit(f"error: {error}")
