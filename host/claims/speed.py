"""The claim that CfC runs at 450 Hz on a Cortex-M7, where a Transformer reaches 10 Hz."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from count_calls import count_call_overhead
from count_cases import Case, bench_case
from count_kernels import Count, count_kernel
from count_machines import CORTEX_M7, KERNELS, build, build_plugin, cmsis_sources
from count_machines import run as run_cases
from count_report import recorded_peers
from ulnn_host.base.errors import UlnnError
from ulnn_host.base.paths import project_root
from ulnn_host.board.bench import HIDDEN_SIZES
from ulnn_host.experiments.intervals import Interval
from ulnn_host.format import cost
from ulnn_host.format.model import ModelFile

from . import cells, wrist
from .claim import Chart, Claim, Dot, Findings, Run, Table
from .study import Float, model, networks

CLOCK = 480e6  # Hz
STEPS, COUNTED = 8, 5
TIMES = 100  # steps in a window, 4 s at 25 Hz
EXP = 8  # cycles of an exponential out of a table
HIDDEN = 32
CMSIS_SIZE = 128
OWN, CMSIS = "this project's dense kernel", "CMSIS-NN's dense kernel"


@dataclass(frozen=True)
class Attention:
    """A Transformer's encoder. Multiply-accumulates and exponentials, of int8 throughout; norms,
    residuals and the requantising of rows are not counted, in its favour."""

    layers: int
    width: int
    feed: int
    inputs: int = 6
    outputs: int = 7

    @property
    def weights(self) -> int:
        """Of all layers."""
        each = 4 * self.width**2 + 2 * self.width * self.feed
        return self.layers * each + self.width * (self.inputs + self.outputs)

    def window(self) -> tuple[int, int]:
        """(Products, exponentials) of a window, computed whole for every sample."""
        scores = TIMES * TIMES * self.layers
        return TIMES * self.weights + 2 * scores * self.width, scores

    def cached(self) -> tuple[int, int]:
        """The same of a sample, with the keys and values of those before kept."""
        scores = TIMES * self.layers
        return self.weights + 2 * scores * self.width, scores


def like(weights: int) -> Attention:
    """One layer of at most so many weights."""
    width = max(w for w in range(4, 257, 4) if Attention(1, w, 2 * w).weights <= weights)
    return Attention(1, width, 2 * width)


def price(work: tuple[int, int], product: float) -> float:
    """Cycles."""
    return work[0] * product + work[1] * EXP


def products() -> tuple[dict[str, float], str]:
    """(Cycles of a multiply-accumulate, by kernel; where those of CMSIS-NN come from)."""
    found: list[Count] = []
    if cmsis_sources():
        portable = next(k for k in KERNELS if k.machine is CORTEX_M7 and k.name == "portable")
        plugin = build_plugin(_folder())
        shapes = [("int8", CMSIS_SIZE)]
        found = count_kernel(portable, _folder(), shapes, plugin=plugin, peers=True)
    counted = next((c for c in found if _is_dense(c)), None)
    dense = counted or next(c for c in recorded_peers() if _is_dense(c))
    words = "counted in this run" if counted else f"recorded with {dense.version}"
    own = cost.CORTEX_M7.block[8] / 16
    return {OWN: own, CMSIS: (dense.modelled_cycles or 0) / dense.macs}, words


def _is_dense(count: Count) -> bool:
    return (count.kernel, count.format, count.H) == ("cmsis_nn_dense", "int8", CMSIS_SIZE)


def _folder() -> Path:
    return project_root() / "build" / "claims" / "count"


def case(model: ModelFile, seed: int) -> Case:
    """A model with inputs to be counted with."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-20000, 20001, (STEPS, model.input_size)).astype(np.int16)
    dt = rng.integers(20_000, 200_000, STEPS).astype(np.int64)
    return Case(model, x, dt, COUNTED)


def counted(cases: list[Case]) -> list[int]:
    """Cycles of a step of each, counted in QEMU and modelled, as `make bench` does."""
    kernel = next(k for k in KERNELS if k.name == "cortex-m7")
    folder = _folder()
    results = run_cases(kernel, build(kernel, folder), cases, build_plugin(folder))
    if any(result.different for result in results):
        raise UlnnError("steps differ from the reference: no figures of wrong results")
    return [int(result.cycles or 0) for result in results]


def test(run: Run) -> Findings:
    """Count CfC's step, seed by seed, and work out attention's."""
    content = wrist.content(run)
    content["model"] = {**content["model"], "hidden": HIDDEN}
    recipes = cells.recipes((cells.CFC,), content)
    part = wrist.parts((wrist.COMPLETE,), wrist.FEW)[0]
    found = wrist.found(run, recipes, "to be counted", budget="", count=wrist.FEW)
    made = [model(network, part.calibration) for network in networks(run, found, cells.CFC, part)]
    call = count_call_overhead(8)
    cases = [case(each, seed) for seed, each in enumerate(made)]
    others = [bench_case(8, size) for size in HIDDEN_SIZES]
    cycles = np.array(counted(cases + others), np.float64) + call
    steps, of_sizes = cycles[: len(cases)], cycles[len(cases) :]
    weights = _weights(made[0])
    per, words = products()
    rows = [(f"CfC {HIDDEN}", "every sample", f"{weights:,}", f"{steps.mean():,.0f}", _hz(steps))]
    for size, each, took in zip(HIDDEN_SIZES, others, of_sizes, strict=True):
        name = f"CfC {size}, backbone of {size} (not trained)"
        one = np.array([took])
        rows.append((name, "every sample", f"{_weights(each.model):,}", f"{took:,.0f}", _hz(one)))
    dots = [Dot(f"CfC {HIDDEN}", "CfC", *_rate(steps))]
    rivals = {"of the same weights": like(weights)}
    rivals |= {"2 layers of 64": Attention(2, 64, 256), "4 layers of 64": Attention(4, 64, 256)}
    for name, net in rivals.items():
        for kernel, product in per.items():
            for how, work in (("whole window", net.window()), ("cached", net.cached())):
                one = np.array([price(work, product)])
                label = f"attention {name}, {how}"
                rows.append(
                    (f"attention {name}, {kernel}", how, f"{net.weights:,}", f"{one[0]:,.0f}",
                     _hz(one))
                )  # fmt: skip
                if kernel == OWN:
                    dots.append(Dot(label, how, *_rate(one)))
    best = price(rivals["of the same weights"].cached(), per[OWN])
    ratios = np.sort(best / steps)
    head = ("network", "computed", "weights", "cycles", "steps a second")
    whole = price(rivals["of the same weights"].window(), per[OWN]) / steps.mean()
    return Findings(
        measured=Interval(float(ratios.mean()), float(ratios[0]), float(ratios[-1])),
        seeds=len(steps),
        clusters="the range of the trained networks",
        tables=(Table(f"A sample, at {CLOCK / 1e6:g} MHz", head, tuple(rows)),),
        chart=Chart("Samples a second on a Cortex-M7", "Hz", tuple(dots)),
        losses=(),
        notes=(
            f"450 Hz is far below what a CfC of {HIDDEN} neurons reaches, the call from "
            f"MicroPython ({call} instructions, counted as cycles) included: {_hz(steps)} Hz. "
            f"Against attention that computes its window again for every sample, CfC is "
            f"{whole:,.0f} times as fast; a program that keeps keys and values loses most of "
            "that factor.",
            f"A multiply-accumulate costs {per[OWN]:.2f} cycles with {OWN}, which is in "
            f"attention's favour, and {per[CMSIS]:.2f} with {CMSIS} ({words}).",
        ),
        data={"watch": found.data},
    )


def _weights(model: ModelFile) -> int:
    return sum(m.weights.size for layer in model.layers for m in layer.matrices)


def _rate(cycles: Float) -> tuple[float, float, float]:
    rates = CLOCK / cycles
    return float(rates.mean()), float(rates.min()), float(rates.max())


def _hz(cycles: Float) -> str:
    return f"{CLOCK / cycles.mean():,.0f}"


CLAIM = Claim(
    name="speed",
    title="Speed beside a Transformer",
    says="A liquid network runs at 450 Hz on a Cortex-M7, where a Transformer reaches 10 Hz.",
    effect=f"steps of CfC {HIDDEN} in the time of one of attention with as many weights, keys and "
    "values kept",
    claimed=45.0,
    unit="times",
    nothing=1.0,
    how=f"""A trained CfC of {HIDDEN} neurons (watch, five seeds) is run in QEMU, every
instruction is counted, and its cycles are modelled as in `make bench`, with the call from
MicroPython added. Attention looks at {TIMES} samples; its multiply-accumulates and exponentials
are priced; norms, residuals and the call are free. All is in int8 and in memory without wait
states; the default heap of a board has cache misses, which cost the larger networks more.""",
    sources=(wrist.SOURCE,),
    test=test,
    modules=(wrist,),
)
