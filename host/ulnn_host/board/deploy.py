"""Bring a model, the engine and the serial loop onto a board, and prove that they work there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ..format import container
from .link import Board, BoardError
from .plan import DeployError, Item, NoSpaceError, Plan, make_plan

__all__ = [
    "DeployError",
    "DeployReport",
    "NoSpaceError",
    "Plan",
    "deploy",
    "deploy_command",
    "make_plan",
]


@dataclass(frozen=True)
class DeployReport:
    """What was done. self_test: steps replayed on the board; info: of the model there."""

    plan: Plan
    dry_run: bool
    seconds: float = 0.0
    engine: str = ""
    version: str = ""
    self_test: int = 0
    info: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything but the contents of the files."""
        plan = self.plan
        files = [
            {"path": i.path, "size": len(i.data), "status": i.status, "note": i.note}
            for i in plan.items
        ]
        return {
            "board": {**asdict(plan.board), "arch": plan.board.arch},
            "model": plan.model_path,
            "engine_chosen": plan.engine,
            "files": files,
            "removed": [*plan.stale, *plan.hiding],
            "warnings": [*plan.warnings, *self.warnings],
            "dry_run": self.dry_run,
            "seconds": round(self.seconds, 3),
            "engine": self.engine,
            "version": self.version,
            "self_test_steps": self.self_test,
            "info": self.info,
        }


# ---- doing ------------------------------------------------------------------------------------

_PROVE = """
import gc, sys
def _ulnn_prove(path):
    for n in ('ulnn', 'ulnn_stream'):
        sys.modules.pop(n, None)
    gc.collect()
    import ulnn
    import ulnn_stream
    m = ulnn.load(path)
    return ulnn.ENGINE, ulnn.__version__, m.self_test(), m.info()
"""


def deploy(
    board: Board,
    model_path: Path,
    to: str | None = None,
    *,
    dry_run: bool = False,
    pure: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
    planned: Callable[[Plan], None] | None = None,
) -> DeployReport:
    """Send what is new or changed, then load the model on the board and run its self test.

    progress(path, bytes sent, size) is called while sending, planned(plan) before. Raises
    UlnnError; DeployError and its kin carry an exit status.
    """
    start = time.monotonic()
    plan = make_plan(board, model_path, to, pure=pure)
    if planned:
        planned(plan)
    if dry_run:
        return DeployReport(plan, dry_run=True)
    for path in plan.stale:
        board.exec(f"import os\nos.remove({path!r})")
    for item in plan.to_send:
        board.make_folders(item.path)
        sent = 0

        def count(size: int, item: Item = item) -> None:
            nonlocal sent
            sent += size
            if progress:
                progress(item.path, sent, len(item.data))

        board.write_file(item.path, item.data, count)
    for path in plan.hiding:
        board.exec(f"import os\nos.remove({path!r})")
    board.soft_reset()
    board.exec(_PROVE)
    try:
        engine, version, steps, info = board.eval(f"_ulnn_prove({plan.model_path!r})", timeout=120)
    except BoardError as error:
        if plan.engine.startswith("native,") and _is_load_failure(error) and not pure:
            return _fall_back(board, model_path, to, progress, error)
        raise DeployError(
            f"port {board.name}: the model does not work on the board: "
            f"{error.remote.strip().splitlines()[-1]}",
            5,
        ) from error
    warnings = []
    if not plan.engine.startswith(engine):
        warnings.append(f"the engine that runs is {engine!r}, not the one that was sent")
    return DeployReport(
        plan,
        dry_run=False,
        seconds=time.monotonic() - start,
        engine=engine,
        version=version,
        self_test=steps,
        info=info,
        warnings=tuple(warnings),
    )


def _is_load_failure(error: BoardError) -> bool:
    return "mpy" in error.remote.strip().splitlines()[-1] or error.kind == "ImportError"


def _fall_back(
    board: Board,
    model_path: Path,
    to: str | None,
    progress: Callable[[str, int, int], None] | None,
    error: BoardError,
) -> DeployReport:
    """The board refuses the native module after all: the engine in Python takes its place."""
    why = error.remote.strip().splitlines()[-1]
    report = deploy(board, model_path, to, pure=True, progress=progress)
    warning = f"the board refuses the native module ({why}); the slower engine in Python is used"
    return DeployReport(**{**vars(report), "warnings": (warning, *report.warnings)})


# ---- the command ------------------------------------------------------------------------------


def show_plan(plan: Plan, console: Console) -> None:
    """Print the board and what is to be done."""
    b = plan.board
    version = ".".join(map(str, b.version))
    free = "not known" if b.free is None else f"{b.free:,} bytes"
    console.print(f"board   {b.machine}, {b.implementation} {version}, {b.arch or 'no'} natmods")
    console.print(f"free    {free}")
    console.print(f"engine  {plan.engine}")
    table = Table("file on the board", "bytes", "status", "what", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    styles = {"new": "green", "changed": "yellow", "same": "dim"}
    for item in plan.items:
        style = styles[item.status]
        table.add_row(
            item.path, f"{len(item.data):,}", f"[{style}]{item.status}[/]", item.note, style=None
        )
    for paths, why in ((plan.stale, "left by a deployment cut off"), (plan.hiding, "hides ours")):
        for path in paths:
            table.add_row(path, "", "[red]remove[/]", why)
    console.print(table)
    main = [path for path in b.files if path.rpartition("/")[2] == "main.py"]
    if main:
        console.print(f"{main[0]} is there and stays as it is")
    for warning in plan.warnings:
        console.print(f"[yellow]warning[/] {warning}", highlight=False)


def show_report(report: DeployReport, console: Console) -> None:
    """Print what was done."""
    if report.dry_run:
        console.print("dry run: nothing was written")
        return
    for warning in report.warnings:
        console.print(f"[yellow]warning[/] {warning}", highlight=False)
    info = report.info
    sent = report.plan.to_send
    test = (
        f"self test: {report.self_test} steps equal"
        if report.self_test
        else "the model holds no golden vectors, so there was no self test"
    )
    console.print(
        f"[green]done[/]    {len(sent)} of {len(report.plan.items)} files sent and compared, "
        f"{report.seconds:.1f} s\n"
        f"running {report.engine} engine {report.version}, kernel {info.get('kernel')}, "
        f"{info.get('ram')} bytes RAM; {test}",
        highlight=False,
    )


def deploy_command(
    port: str,
    model: Path,
    *,
    to: str | None = None,
    dry_run: bool = False,
    pure: bool = False,
    as_json: bool = False,
) -> DeployReport:
    """Deploy with a table and a progress bar, or silently for JSON. Raises UlnnError."""
    console = Console(quiet=as_json)
    container.read_file(model)
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,}/{task.total:,} bytes"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    tasks: dict[str, Any] = {}

    def progress(path: str, sent: int, size: int) -> None:
        if path not in tasks:
            tasks[path] = bars.add_task(path, total=size)
        bars.update(tasks[path], completed=sent)

    with Board.open(port) as board, bars:
        report = deploy(
            board,
            model,
            to,
            dry_run=dry_run,
            pure=pure,
            progress=progress,
            planned=lambda plan: show_plan(plan, console),
        )
    show_report(report, console)
    return report
