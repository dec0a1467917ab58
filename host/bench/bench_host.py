"""All that is measured on the PC, written into host/BENCHMARKS.md: training speed beside ncps,
wired networks, what integers cost in accuracy. `make bench-host`; some ten minutes.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console

import bench_qat
import bench_train
import bench_wired
from ulnn_host.base import console
from ulnn_host.base.paragraphs import wrapped
from ulnn_host.base.paths import project_root

TARGET = "host/BENCHMARKS.md"
HEAD = """# Benchmarks of the host

Written by `make bench-host`; do not edit. Accuracies are exact for a machine and these versions;
times are not: read their ratios.
"""
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def page(
    speed: Sequence[bench_train.Line],
    wired: Sequence[bench_wired.Result],
    accuracy: Sequence[bench_qat.Result],
) -> str:
    """The document."""
    return "\n".join([HEAD, _speed(speed), _wired(wired), _accuracy(accuracy), _versions()])


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _speed(lines: Sequence[bench_train.Line]) -> str:
    rows = [
        [line.name, f"{line.ours:.3f}", f"{line.ncps:.3f}", f"{line.ratio:.2f}"] for line in lines
    ]
    return (
        "## Training speed (`make bench-train`)\n\n"
        f"Milliseconds a sequence of {bench_train.STEPS} steps, batches of {bench_train.BATCH}: "
        "forward, backward, update; best of some rounds in turn, one process, one thread.\n\n"
        + _table(["network", "ulnn", "ncps 1.0.1", "times as fast"], rows)
    )


def _wired(results: Sequence[bench_wired.Result]) -> str:
    rows = []
    for dialect in dict.fromkeys(r.dialect for r in results):
        same = [r for r in results if r.dialect == dialect]
        seeds = [f"{100 * r.balanced:.1f}" for r in same]
        means = [float(np.mean([getattr(r, n) for r in same])) for n in ("accuracy", "balanced")]
        counts = [str(same[0].products), str(same[0].weights), str(same[0].size)]
        rows.append([dialect, *(f"{100 * m:.1f}" for m in means), ", ".join(seeds), *counts])
    names = ["dialect", "accuracy, %", "balanced, %", "balanced, by seed"]
    return (
        "## Wired CfC, AutoNCP(19, 4) (`make bench-wired`)\n\n"
        "The demo's task, people that no training sees. `ncps` masks two of four heads and has a "
        "dense h to h; `ulnn` masks all four and honours the wiring's recurrent synapses.\n\n"
        + _table([*names, "products a step", "weights", "int8 bytes, about"], rows)
    )


def _accuracy(results: Sequence[bench_qat.Result]) -> str:
    rows = []
    for task in dict.fromkeys(r.task for r in results):
        same = [r for r in results if r.task == task]
        for r in same:
            values = [f"{100 * r.accuracy[way]:.2f}" for way in bench_qat.WAYS]
            rows.append([task, str(r.seed), *values])
        means = [np.mean([r.accuracy[way] for r in same]) for way in bench_qat.WAYS]
        losses = [f"{100 * (means[0] - m):+.2f}" for m in means[1:]]
        rows.append([task, "points lost, mean", "", *losses])
    decisions = ", ".join(f"{r.task} {r.decisions}" for r in results if r.seed == results[0].seed)
    return (
        "## What integers cost in accuracy (`make bench-qat`)\n\n"
        "Accuracy in %, on people never seen (watch) and the test set (vowels: JapaneseVowels). "
        f"Decisions: {decisions}. `int8, to nearest` is plain rounding after training, `int8` "
        "rounding that follows the data, `int8, fine-tuned` quantisation-aware training.\n\n"
        + _table(["task", "seed", *bench_qat.WAYS], rows)
    )


def _versions() -> str:
    return (
        f"Versions: Python {platform.python_version()}, torch {torch.__version__}, "
        f"numpy {np.__version__}.\n"
    )


@app.command()
def main(
    output: Annotated[Path | None, typer.Option(help="file to write")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="few epochs: to try the command")] = False,
) -> None:
    """Measure everything and write host/BENCHMARKS.md.

    Example: python host/bench/bench_host.py --quick --output host.md
    """
    error = Console(stderr=True)
    folder = project_root() / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)

    def measured(name: str, measure: Callable[[], Sequence[Any]]) -> Sequence[Any]:
        error.print(name)
        found = measure()
        (folder / f"{name}.json").write_text(json.dumps([asdict(r) for r in found], indent=2))
        return found

    seeds, epochs = ((1,), 1) if quick else (bench_qat.SEEDS, None)
    speed = measured("train", lambda: bench_train.measure(rounds=1 if quick else 5))
    wired = measured("wired", lambda: bench_wired.compare(seeds, epochs))
    accuracy = measured("qat", lambda: bench_qat.measure(seeds=seeds, epochs=epochs))
    bench_wired.picture(wired).savefig(folder / "wired.png", dpi=150)
    bench_qat.picture(accuracy).savefig(folder / "qat.png", dpi=150)
    target = output or project_root() / TARGET
    target.write_text(wrapped(page(speed, wired, accuracy)), encoding="utf-8")
    error.print(f"wrote {target}")


if __name__ == "__main__":
    console.run(app, "bench_host")
