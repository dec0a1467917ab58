"""Bring a model, the engine, the serial loop and the rules onto a board; prove that they work."""

from __future__ import annotations

import contextlib
import errno
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import ulnn_rules

from ..base.errors import UlnnError
from . import versions
from .app import App
from .deployed import prove, prove_app, writable
from .identity import DeployError, NoSpaceError
from .line import LineLost
from .link import Board, BoardError, is_errno
from .plan import Item, Plan, make_plan

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
    """What was done. self_test: steps replayed on the board; info: of the model there.

    deployed: number of the version that counts on the board now.
    """

    plan: Plan
    dry_run: bool
    seconds: float = 0.0
    engine: str = ""
    version: str = ""
    self_test: int = 0
    info: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    deployed: int | None = None

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
            {
                "name": i.name,
                "path": i.path,
                "size": len(i.data),
                "status": i.status,
                "note": i.note,
            }
            for i in plan.items
        ]
        return {
            "board": {**asdict(plan.board), "arch": plan.board.arch},
            "model": plan.model_path,
            "engine_chosen": plan.engine,
            "files": files,
            "deployed": self.deployed,
            "removed": [*plan.stale, *plan.hiding, *plan.leftover],
            "warnings": [*plan.warnings, *self.warnings],
            "dry_run": self.dry_run,
            "seconds": round(self.seconds, 3),
            "engine": self.engine,
            "version": self.version,
            "self_test_steps": self.self_test,
            "info": self.info,
        }


# ---- doing ------------------------------------------------------------------------------------

_WINDOW_BITS = 10  # of what the board unpacks: 1 KB of heap

Progress = Callable[[str, int, int], None]


def deploy(
    board: Board,
    model_path: Path,
    to: str | None = None,
    dry_run: bool = False,
    pure: bool = False,
    progress: Progress | None = None,
    planned: Callable[[Plan], None] | None = None,
    app: App | None = None,
) -> DeployReport:
    """Send what is new or changed, switch to it, load the model and run its self test; have an app
    check its settings.

    When that fails, the board is back with the version before. progress(name, bytes sent, size)
    is called while sending, planned(plan) before. app: to start when the board does; without it,
    one that is there stays. Raises UlnnError; DeployError and its kin carry an exit status.
    """
    start = time.monotonic()
    plan = make_plan(board, model_path, to, pure=pure, app=app)
    if planned:
        planned(plan)
    if dry_run:
        return DeployReport(plan, dry_run=True)
    with writable(board), _in_words(board, plan):
        _make_ready(board, plan)
        _send(board, plan, progress)
        _install(board, plan)
        if plan.changes:
            _switch(board, plan)
    try:
        engine, version, steps, info = prove(board, plan.model_path)
        prove_app(board, plan.version.app)
    except BoardError as error:
        _give_up(board, plan)
        if plan.engine.startswith("native,") and _is_load_failure(error) and not pure:
            return _fall_back(board, model_path, to, progress, error, app)
        raise DeployError(f"{_not_working(board, error)}; {_state(plan)}", 5) from error
    active = plan.version if plan.changes else plan.held.active
    if plan.changes:
        versions.sweep(board, plan.held, active, plan.before)
    versions.remove_paths(board, plan.leftover)
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
        deployed=active.number if active else None,
    )


def _make_ready(board: Board, plan: Plan) -> None:
    """Clear up what was cut off earlier, and make the folders."""
    held, identity = plan.held, plan.board
    versions.remove_paths(board, plan.stale)
    paths = [path for path, _ in (*plan.boot, *plan.stubs)] + [item.path for item in plan.items]
    paths += [to for _, to in plan.adopted[1]] if plan.adopted else []
    versions.ask(board, f"_dirs({sorted({p.rpartition('/')[0] + '/' for p in paths})!r})")
    _fix(board, plan.boot)
    if held.active and not held.active.finished:
        versions.finish(board, identity)
    if plan.adopted:
        copies = list(plan.adopted[1])
        versions.ask(board, f"_copy({identity.lib!r},{copies!r})", timeout=300)
    if plan.forget:
        versions.sweep(board, held, held.active, plan.version)


def _install(board: Board, plan: Plan) -> None:
    """Put the stubs in their places, which changes no version.

    Files that were put there without versions have become one before, so that the stubs find them.
    """
    if plan.adopted:
        versions.put(board, f"{plan.held.folder}/1.ok", b"")
        versions.put(board, f"{plan.held.folder}/1.json", plan.adopted[0].text())
    _fix(board, plan.stubs)
    versions.remove_paths(board, plan.hiding)


def _fix(board: Board, files: Iterable[tuple[str, bytes]]) -> None:
    for path, data in files:
        versions.put(board, path, data)


def _send(board: Board, plan: Plan, progress: Progress | None) -> None:
    if not plan.to_send:
        return
    unpacks = bool(versions.ask(board, "_try('deflate')"))
    incoming = f"{plan.held.folder}/incoming"
    for item in plan.to_send:
        size = len(item.data)
        packed = _packed(item.data) if unpacks else item.data
        sent = 0

        def count(more: int, item: Item = item, whole: int = len(packed)) -> None:
            nonlocal sent
            sent += more
            if progress:
                progress(item.name, sent * len(item.data) // whole, len(item.data))

        if len(packed) < size:
            board.send(incoming, packed, count)
            versions.ask(board, f"_unpack({incoming!r},{item.path!r})", timeout=120)
        else:
            board.send(item.path, item.data, count)
        seen = versions.ask(board, f"_sum({item.path!r})", timeout=120)
        versions.check(board, item.path, seen, item.data)
    if unpacks:  # not as soon as it is unpacked, which a reset can make happen twice
        versions.remove_paths(board, [incoming])


def _packed(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, _WINDOW_BITS)
    return packer.compress(data) + packer.flush()


def _switch(board: Board, plan: Plan) -> None:
    """From one version to the other, by a file that is not there before; then the models."""
    made = time.strftime("%Y-%m-%d %H:%M")
    text = replace(plan.version, made=made, by=ulnn_rules.__version__).text()
    board.make_folders(plan.model_path)
    versions.put(board, f"{plan.held.folder}/{plan.version.number}.json", text)
    versions.finish(board, plan.board)


def _give_up(board: Board, plan: Plan) -> None:
    """Back to the version before, where this deployment has made a new one."""
    if not plan.changes:
        return
    held = versions.look(board, plan.board)
    made = held.active is not None and held.active.number == plan.version.number
    if made and not versions.withdraw(board, plan.board, held):
        versions.remove_paths(board, [path for path, _ in (*plan.stubs, *plan.boot)])


def _state(plan: Plan) -> str:
    if not plan.changes:
        return "it was the version before already; deploy another one, or ulnn deploy --rollback"
    if plan.before:
        return f"the board is back with the version before ({plan.before.engine})"
    return "nothing is deployed now"


def _not_working(board: Board, error: BoardError) -> str:
    return f"port {board.name}: the model does not work on the board: {error.line}"


@contextlib.contextmanager
def _in_words(board: Board, plan: Plan) -> Iterator[None]:
    """What a board's disk refuses, with what to do about it; nothing half-sent stays."""
    try:
        yield
    except BaseException as error:
        # The board may be gone; the first error is the one to report.
        with contextlib.suppress(UlnnError):
            _clean(board, plan, error)
        if isinstance(error, BoardError) and is_errno(error, errno.ENOSPC):
            raise NoSpaceError(
                f"port {board.name}: no space left on the board's disk, although it said "
                f"{plan.board.free} bytes; delete files on the board and try again"
            ) from error
        raise


def _clean(board: Board, plan: Plan, error: BaseException) -> None:
    if isinstance(error, LineLost):
        return
    if not isinstance(error, BoardError):
        board.repl.interrupt(soft_reset=False)
    board.exec("try:\n _f.close()\nexcept Exception:\n pass")
    held = versions.look(board, plan.board)
    versions.sweep(board, held, *held.versions)
    if not held.versions:
        ours = [path for path, _ in (*plan.stubs, *plan.boot) if path not in plan.held.flat]
        versions.remove_paths(board, [*ours, held.folder])


def _is_load_failure(error: BoardError) -> bool:
    return "mpy" in error.line or error.kind == "ImportError"


def _fall_back(
    board: Board,
    model_path: Path,
    to: str | None,
    progress: Progress | None,
    error: BoardError,
    app: App | None,
) -> DeployReport:
    """The board refuses the native module after all: the engine in Python takes its place."""
    why = error.line
    report = deploy(board, model_path, to, pure=True, progress=progress, app=app)
    warning = f"the board refuses the native module ({why}); the slower engine in Python is used"
    return replace(report, warnings=(warning, *report.warnings))
