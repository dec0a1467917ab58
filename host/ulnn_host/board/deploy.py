"""Bring a model, the engine, the serial loop and the rules onto a board; prove that they work."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .link import Board, BoardError
from .plan import DeployError, Item, NoSpaceError, Plan, make_plan

__all__ = [
    "DeployError",
    "DeployReport",
    "NoSpaceError",
    "Plan",
    "deploy",
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

    def __repr__(self) -> str:
        plan = self.plan
        count = f"{len(plan.to_send)} of {len(plan.items)} files"
        if self.dry_run:
            return f"<DeployReport {plan.model_path}: dry run, {count} to send>"
        return (
            f"<DeployReport {plan.model_path}: {count} sent, {self.engine} engine, self test "
            f"{self.self_test} steps>"
        )

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
    def drop():
        for n in list(sys.modules):
            if n.startswith('ulnn'):
                del sys.modules[n]
        gc.collect()
    drop()
    for n in ('decider', 'scaling'):
        __import__('ulnn_rules.' + n)
    drop()
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
        said = board.eval(f"_ulnn_prove({plan.model_path!r})", timeout=120)
    except BoardError as error:
        if plan.engine.startswith("native,") and _is_load_failure(error) and not pure:
            return _fall_back(board, model_path, to, progress, error)
        raise DeployError(
            f"port {board.name}: the model does not work on the board: {error.line}",
            5,
        ) from error
    kinds = (str, str, int, dict)
    if not isinstance(said, tuple) or tuple(map(type, said)) != kinds:
        raise board.odd(said, "the model's self test")
    engine, version, steps, info = said
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
    return "mpy" in error.line or error.kind == "ImportError"


def _fall_back(
    board: Board,
    model_path: Path,
    to: str | None,
    progress: Callable[[str, int, int], None] | None,
    error: BoardError,
) -> DeployReport:
    """The board refuses the native module after all: the engine in Python takes its place."""
    why = error.line
    report = deploy(board, model_path, to, pure=True, progress=progress)
    warning = f"the board refuses the native module ({why}); the slower engine in Python is used"
    return DeployReport(**{**vars(report), "warnings": (warning, *report.warnings)})
