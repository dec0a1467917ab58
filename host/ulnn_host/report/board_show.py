"""What commands print about boards: plans, deployments, validations."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from ..base.console import Terminal
from ..board.deploy import DeployReport
from ..board.deployed import Listed, RolledBack
from ..board.plan import Plan
from ..board.validate import ValidationReport
from ..engines.decided import NONE
from . import scores_text


def show_plan(plan: Plan, console: Terminal) -> None:
    """Print the board and what is to be done."""
    b = plan.board
    version = ".".join(map(str, b.version))
    free = "not known" if b.free is None else f"{b.free:,} bytes"
    console.print(f"board   {b.machine}, {b.implementation} {version}, {b.arch or 'no'} natmods")
    console.print(f"free    {free}")
    console.print(f"engine  {plan.engine}")
    table = Table("what the board gets", "bytes", "status", "what", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    styles = {"new": "green", "changed": "yellow", "same": "dim"}
    for item in plan.items:
        style = styles[item.status]
        table.add_row(
            item.name, f"{len(item.data):,}", Text(item.status, style), item.note, style=None
        )
    removed = (
        (plan.stale, "of no version"),
        (plan.hiding, "hides ours"),
        (plan.leftover, "not used any more"),
    )
    for paths, why in removed:
        for path in paths:
            table.add_row(path, "", Text("remove", "red"), why)
    console.print(table)
    main = [path for path in b.files if path.rpartition("/")[2] == "main.py"]
    if main and not any(path.endswith("/main.py") for path in plan.version.models):
        console.print(f"{main[0]} is there and stays as it is")
    if plan.adopted:
        console.print("what is there was put there without versions; it is kept as version 1")
    if plan.forget:
        text = " no room for three: the version before goes first"
        console.print(Text.assemble(("warning", "yellow"), text))
    for warning in plan.warnings:
        console.print(Text.assemble(("warning", "yellow"), f" {warning}"))


def show_deployment(report: DeployReport, console: Terminal) -> None:
    """Print what was done."""
    if report.dry_run:
        console.print("dry run: nothing was written")
        return
    for warning in report.warnings:
        console.print(Text.assemble(("warning", "yellow"), f" {warning}"))
    info = report.info
    sent = report.plan.to_send
    app = report.plan.version.app
    test = (
        f"self test: {report.self_test} steps equal"
        if report.self_test
        else "the model holds no golden vectors, so there was no self test"
    )
    console.print(
        Text.assemble(
            ("done", "green"),
            f"    {len(sent)} of {len(report.plan.items)} files sent and compared, "
            f"{report.seconds:.1f} s\n"
            f"running {report.engine} engine {report.version}, kernel {info.get('kernel')}, "
            f"{info.get('ram')} bytes RAM; {test}"
            + (f"\n{app} was checked there; the app starts when the board does" if app else ""),
        )
    )


def show_versions(found: list[Listed], console: Terminal) -> None:
    """Print what a board holds."""
    if not found:
        console.print("nothing is deployed here that this program made")
        return
    table = Table("version", "", "made", "engine", "models", "", box=None, pad_edge=False)
    for listed in found:
        v = listed.version
        state = Text("whole", "green") if listed.whole else Text("damaged", "red")
        if listed.changed:
            state.append(f", replaced by hand: {', '.join(listed.changed)}", "yellow")
        models = (f"{path} ({v.files[stored][1][:8]})" for path, stored in v.models.items())
        table.add_row(
            str(v.number),
            "runs" if listed.active else "before",
            f"{v.made} by {v.by}" if v.made else "",
            v.engine,
            "\n".join(models),
            state,
        )
    console.print(table, highlight=False)


def show_rollback(report: RolledBack, console: Terminal) -> None:
    """Print what was done."""
    text = (
        f"    version {report.now.number} runs again, {report.given_up} is removed; "
        f"self test: {report.self_test} steps equal"
    )
    console.print(Text.assemble(("done", "green"), text))


def show_validation(report: ValidationReport, console: Terminal) -> None:
    """Print the verdict and what was measured."""
    r, info = report, report.board
    console.print(
        f"board     {info.facts.get('board')}, {info.facts.get('python')}, "
        f"{info.facts.get('engine')} engine, kernel {info.facts.get('kernel')}",
        highlight=False,
    )
    for name, latency in (("step", r.latency), ("step, gc", r.latency_gc)):
        if latency:
            times = ", ".join(f"{k} {getattr(latency, k):,.1f}" for k in ("min", "p50", "p99"))
            cycles = f"; p50 {latency.cycles['p50']:,} cycles" if latency.cycles else ""
            line = f"{times}, max {latency.max:,.1f} us over {latency.count:,} steps{cycles}"
            console.print(f"{name:10}{line}", highlight=False)
    if info.emulated:
        console.print("          (times of the emulator, not of a chip)")
    console.print(
        f"line      {r.samples_per_second:,.0f} samples/s; {r.traffic.lost} lost, "
        f"{r.traffic.resent} frames sent again; {r.wall_seconds:.1f} s in all",
        highlight=False,
    )
    if r.traffic.restarts:
        console.print(
            f"          the loop was started again {r.traffic.restarts} times, and "
            f"{r.traffic.repeated:,} steps were made twice",
            highlight=False,
        )
    if r.traffic.faults:
        console.print(f"          {r.traffic.faults:,} faults were injected", highlight=False)
    console.print(f"sampling  {r.coverage.sampling}", highlight=False)
    if r.score_board and r.score_reference:
        title = f"measures  on {r.data}, readout {r.readout}"
        both = {"reference": r.score_reference, "board": r.score_board}
        scores_text.show(both, title, console)
    if r.different_decisions is not None and r.arrays and r.arrays.decisions is not None:
        count = int((r.arrays.decisions != NONE).sum())
        different = f"{r.different_decisions:,} not" if r.different_decisions else "all"
        alone = ", without what a wearer taught" if r.adapts else ""
        text = f"decisions {count:,}, {different} those of the reference{alone}"
        console.print(text, highlight=False)
    if r.equal:
        text = (
            f"     all {r.outputs_compared:,} outputs of {r.steps:,} steps in "
            f"{r.sequences} sequences, and the {r.sequences} last states"
        )
        console.print(Text.assemble(("equal", "green"), text))
        for line in r.coverage.facts:
            console.print(Text.assemble(("but", "yellow"), f"       {line}"), soft_wrap=True)
        return
    if r.broken_off and not r.different_steps and not r.different_states:
        text = f" after {r.compared:,} of {r.steps:,} steps, which are equal"
        console.print(Text.assemble(("broken off", "yellow"), text))
        return
    text = (
        f" {r.different_steps:,} of {r.compared:,} steps, {r.different_states} of "
        f"{r.sequences} last states"
    )
    console.print(Text.assemble(("DIFFERENT", "red"), text))
    d = r.first_difference
    if d:
        console.print(
            f"first     sequence {d.sequence}, step {d.step}, {d.what} {d.index}: "
            f"board {d.board}, reference {d.reference}",
            highlight=False,
        )
    if not r.clamped_equal:
        console.print(f"clamped   the board clamped {r.clamped_steps} steps, not as the reference")
