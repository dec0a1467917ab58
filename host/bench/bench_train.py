"""Training speed beside ncps.torch: same networks, weights and data, one process, one thread.

`make bench-train`, or: python host/bench/bench_train.py --json
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from ulnn_host.base import console
from ulnn_host.base.errors import UlnnError
from ulnn_host.base.progress import track
from ulnn_host.network import wiring
from ulnn_host.network.wiring import DIALECTS
from ulnn_host.train.cfc_cell import CfC, wired
from ulnn_host.train.ltc_cell import LTC

INPUTS, OUTPUTS, STEPS, BATCH, ROUNDS = 6, 7, 100, 64, 5
Pass = Callable[[nn.Module, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Line:
    """Milliseconds a sequence for a training step (forward, backward, update), ours and ncps'.

    difference: of the outputs before the first update, as a check that both do the same.
    """

    name: str
    ours: float
    ncps: float
    difference: float

    @property
    def ratio(self) -> float:
        """How many times as fast as ncps."""
        return self.ncps / self.ours


@dataclass(frozen=True)
class Case:
    """A pair of networks. ncps 1.0.1 takes elapsed times of a batch as (B, T, H) only, and none
    that are right for wired CfC: width H, or 0, where it gets none."""

    name: str
    ours: nn.Module
    theirs: nn.Module
    width: int
    comparable: bool = True


def cases() -> Iterator[Case]:
    """The pairs. Raises UlnnError without ncps."""
    try:
        from ncps import torch as ncps
        from ncps import wirings
    except ImportError:
        raise UlnnError("ncps is missing, which this compares with: pip install ncps") from None
    dense = CfC(INPUTS, 32, OUTPUTS, backbone_units=32)
    yield Case(
        "CfC, 32 neurons, backbone 32",
        dense,
        ncps.CfC(INPUTS, 32, proj_size=OUTPUTS, backbone_units=32, backbone_layers=1),
        32,
    )
    policy = wiring.auto_ncp(INPUTS, 19, 4)
    for dialect in DIALECTS:
        yield Case(
            f"wired CfC, AutoNCP(19, 4), dialect {dialect}",
            wired(policy, OUTPUTS, dialect=dialect),
            ncps.CfC(INPUTS, wirings.AutoNCP(19, 4), proj_size=OUTPUTS),
            0,
            dialect == "ncps",
        )
    yield Case("LTC, AutoNCP(19, 4)", LTC(policy), ncps.LTC(INPUTS, wirings.AutoNCP(19, 4)), 19)
    yield Case(
        "LTC, 19 neurons, all connected",
        LTC(wiring.fully_connected(INPUTS, 19)),
        ncps.LTC(INPUTS, wirings.FullyConnected(19)),
        19,
    )


def measure(
    batch: int = BATCH, steps: int = STEPS, rounds: int = ROUNDS, *, quiet: bool = False
) -> list[Line]:
    """The best of some rounds, ours and ncps in turn. Raises UlnnError without ncps."""
    with _one_thread():
        torch.manual_seed(0)
        x, dt = torch.randn(batch, steps, INPUTS), torch.rand(batch, steps) + 0.5
        pairs = list(cases())
        shown = track(pairs, "measuring", quiet=quiet)
        return [_pair(case, x, dt, rounds) for case in shown]


def _pair(case: Case, x: Tensor, dt: Tensor, rounds: int) -> Line:
    wide = dt[..., None].expand(*dt.shape, case.width) if case.width else None
    plain = dt if case.width else None
    difference = float("nan")
    if case.comparable:
        case.theirs.load_state_dict(case.ours.state_dict())
        with torch.no_grad():
            one, other = case.ours(x, timespans=plain)[0], case.theirs(x, timespans=wide)[0]
        difference = float((one - other).abs().max())
    steppers = [_stepper(case.ours, x, plain), _stepper(case.theirs, x, wide)]
    times = [[step() for step in steppers] for _ in range(rounds)]
    ours, theirs = (min(row[k] for row in times) * 1e3 / len(x) for k in range(2))
    return Line(case.name, ours, theirs, difference)


def _stepper(net: nn.Module, x: Tensor, ts: Tensor | None) -> Callable[[], float]:
    optimiser = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], 1e-3)

    def step() -> float:
        started = time.perf_counter()
        optimiser.zero_grad()
        net(x, timespans=ts)[0].square().mean().backward()
        optimiser.step()
        return time.perf_counter() - started

    return step


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(before)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    batch: Annotated[int, typer.Option(help="sequences in a batch")] = BATCH,
    steps: Annotated[int, typer.Option(help="steps of a sequence")] = STEPS,
    rounds: Annotated[int, typer.Option(help="the best of so many counts")] = ROUNDS,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Time training steps beside ncps.torch; exit status 1 where ncps is faster.

    Example: python host/bench/bench_train.py --batch 64 --json
    """
    lines = measure(batch, steps, rounds)
    if as_json:
        values: list[dict[str, Any]] = [asdict(line) | {"ratio": line.ratio} for line in lines]
        for value in values:
            if value["difference"] != value["difference"]:
                value["difference"] = None
        print(json.dumps({"batch": batch, "steps": steps, "lines": values}, indent=2))
    else:
        title = f"ms a sequence of {steps} steps, batches of {batch}, one thread"
        table = Table("network", "ulnn", "ncps", "faster", title=title, title_justify="left")
        for line in lines:
            table.add_row(line.name, f"{line.ours:.3f}", f"{line.ncps:.3f}", f"{line.ratio:.2f} x")
        Console().print(table)
    if any(line.ratio < 1 for line in lines):
        raise typer.Exit(1)


if __name__ == "__main__":
    console.run(app, "bench_train")
