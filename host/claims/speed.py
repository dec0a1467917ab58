"""The claim that CfC runs at 450 Hz on a Cortex-M7, where a Transformer reaches 10 Hz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from ulnn_host.format import cache
from ulnn_host.format.cost import CORTEX_M7 as PRICES
from ulnn_host.format.model import ModelFile

from . import attention, cells, wrist
from .attention import GROUP, TIMES, Attention, like
from .claim import Chart, Claim, Dot, Findings, Run, Table
from .study import Float, model, networks

CLOCK = 480e6  # Hz
STEPS, COUNTED = 8, 5
EXP = 8  # cycles of an exponential out of a table
HIDDEN = 32
CMSIS_SIZE = 128
OWN, CMSIS = "this project's dense kernel", "CMSIS-NN's dense kernel"
HEAD = (
    *("network", "computed", "weights", "cycles, TCM", "steps a second", "lines fetched"),
    *("cycles, default heap", "steps a second, default heap"),
)


@dataclass(frozen=True)
class Cost:
    """Of a sample. cycles: from tightly coupled memory; misses: lines that the data cache fetches
    where all lies in the heap of a board."""

    cycles: float
    misses: int

    @property
    def from_heap(self) -> Interval:
        """Cycles, with what a line may cost."""
        low, likely, high = (self.cycles + self.misses * penalty for penalty in cache.PENALTY)
        return Interval(likely, low, high)

    @staticmethod
    def mean(costs: Sequence[Cost]) -> Cost:
        """Of some."""
        misses = round(float(np.mean([cost.misses for cost in costs])))
        return Cost(float(np.mean([cost.cycles for cost in costs])), misses)


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
    words = (
        f"counted in this run, {dense.version}" if counted else f"recorded with {dense.version}"
    )
    own = PRICES.block[8] / 16
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


def counted(cases: list[Case]) -> list[Cost]:
    """A step of each, counted in QEMU and modelled, as `make bench` does."""
    kernel = next(k for k in KERNELS if k.name == "cortex-m7")
    folder = _folder()
    results = run_cases(kernel, build(kernel, folder), cases, build_plugin(folder))
    if any(result.different for result in results):
        raise UlnnError("steps differ from the reference: no figures of wrong results")
    return [Cost(int(result.cycles or 0), int(result.misses or 0)) for result in results]


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
    costs = [replace(cost, cycles=cost.cycles + call) for cost in counted(cases + others)]
    own, of_sizes = costs[: len(cases)], costs[len(cases) :]
    steps = np.array([cost.cycles for cost in own])
    weights = _weights(made[0])
    per, words = products()
    step = Cost.mean(own)
    rows = [_row(f"CfC {HIDDEN}", "every sample", weights, step)]
    for size, each, cost in zip(HIDDEN_SIZES, others, of_sizes, strict=True):
        name = f"CfC {size}, backbone of {size} (not trained)"
        rows.append(_row(name, "every sample", _weights(each.model), cost))
    dots = [Dot.of(f"CfC {HIDDEN}", "CfC", _rate(steps))]
    rivals = {"of the same weights": like(weights)}
    rivals |= {f"of {n} layers of 64": Attention(n, 64, 256) for n in (2, 4)}
    for name, net in rivals.items():
        run.report(f"speed: attention {name}, and its cache")
        done = {
            "whole window": (net.window(), net.window_misses()),
            "cached": (net.cached(), net.cached_misses()),
        }
        for kernel, product in per.items():
            for how, (work, misses) in done.items():
                cost = Cost(price(work, product), misses)
                rows.append(_row(f"attention {name}, {kernel}", how, net.weights, cost))
                if kernel == OWN:
                    rate = _rate(np.array([cost.cycles]))
                    dots.append(Dot.of(f"attention {name}", how, rate))
    best = price(rivals["of the same weights"].cached(), per[OWN])
    ratios = np.sort(best / steps)
    whole = price(rivals["of the same weights"].window(), per[OWN]) / steps.mean()
    cold = Cost(step.cycles, len(set(cache.trace(made[0])))).from_heap
    return Findings(
        measured=Interval(float(ratios.mean()), float(ratios[0]), float(ratios[-1])),
        seeds=len(steps),
        clusters="nothing, counts are exact: the interval is the range of the networks",
        tables=(Table(f"A sample, at {CLOCK / 1e6:g} MHz", HEAD, tuple(rows)),),
        chart=Chart("Samples a second on a Cortex-M7", "Hz", tuple(dots)),
        losses=(),
        notes=(
            f"450 Hz is far below what a CfC of {HIDDEN} neurons reaches, the call from "
            f"MicroPython ({call} instructions, counted as cycles) included: {_hz(step.cycles)} "
            f"Hz. Against attention that computes its window again for every sample, CfC is "
            f"{whole:,.0f} times as fast; a program that keeps keys and values loses most of "
            "that factor.",
            "A trained network can be slower than one with more weights: where sums exceed the "
            "range of the tables of tanh and sigmoid, a slower loop reads these.",
            f"A multiply-accumulate costs {per[OWN]:.2f} cycles with {OWN}, which is in "
            f"attention's favour, and {per[CMSIS]:.2f} with {CMSIS} ({words}).",
            "What MicroPython itself does between two samples takes lines of the cache, too, and "
            f"is in no row. If it took all of them, CfC {HIDDEN} would take {_cycles(cold)} "
            f"cycles a sample from the heap, {_hz(cold.value)} Hz.",
        ),
        data={"watch": found.data},
    )


def _weights(model: ModelFile) -> int:
    return sum(m.weights.size for layer in model.layers for m in layer.matrices)


def _row(name: str, how: str, weights: int, cost: Cost) -> tuple[str, ...]:
    """Of the table, as HEAD says."""
    heap = cost.from_heap
    near = f"{cost.cycles:,.0f}", _hz(cost.cycles)
    return name, how, f"{weights:,}", *near, f"{cost.misses:,}", _cycles(heap), _hz(heap.value)


def _cycles(heap: Interval) -> str:
    if heap.low == heap.high:
        return f"{heap.value:,.0f}"
    return f"{heap.value:,.0f} ({heap.low:,.0f} to {heap.high:,.0f})"


def _rate(cycles: Float) -> Interval:
    rates = CLOCK / cycles
    return Interval(float(rates.mean()), float(rates.min()), float(rates.max()))


def _hz(cycles: float) -> str:
    return f"{CLOCK / cycles:,.0f}"


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
are priced, also with CMSIS-NN's kernel, which is counted where CMSIS_DIR names a checkout of it
and is else as recorded; norms, residuals and the call are free. All is in int8. Cycles are those
from memory without wait states (TCM). A board's default heap lies behind a data cache of
{cache.SIZE // 1024} KB: the lines that a sample fetches are simulated, and a line costs
{cache.PENALTY[1]} cycles ({cache.PENALTY[0]} to {cache.PENALTY[2]}; assumed, not measured). CfC's
lines are of the emulator's addresses. Attention's are of a trace that is made up: weights, keys
and values of a byte each, one matrix after the other, {GROUP} rows at a time, which are used for
all samples that are computed before the next rows.""",
    sources=(wrist.SOURCE,),
    test=test,
    modules=(wrist, attention),
)
