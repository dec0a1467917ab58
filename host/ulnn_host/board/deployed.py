"""What was deployed to a board: prove it, list it, go back to the version before, remove it."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from . import versions
from .discover import opened
from .identity import DeployError, Identity, identify
from .line import BAUDRATE
from .link import Board, BoardError, is_errno
from .versions import Held, Version

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
""".replace("    ", " ")


@dataclass(frozen=True)
class Deployed:
    """What was deployed to the board at a port; `auto` is the only one that is plugged in."""

    port: str
    baudrate: int = BAUDRATE

    def versions(self) -> list[Listed]:
        """The versions there, the one that counts first."""
        with opened(self.port, self.baudrate) as board:
            return listing(board)

    def rollback(self) -> RolledBack:
        """See the function `rollback`."""
        with opened(self.port, self.baudrate) as board:
            return rollback(board)

    def remove(self) -> list[str]:
        """See the function `remove`."""
        with opened(self.port, self.baudrate) as board:
            return remove(board)


@dataclass(frozen=True)
class Listed:
    """A version that a board holds. active: it counts. whole: every file is as it was sent.

    changed: models that are not in their places as they were deployed; people may have replaced
    them. Looked for in the active version alone.
    """

    version: Version
    active: bool
    whole: bool
    changed: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {**asdict(self.version), **asdict(self), "version": self.version.number}


@dataclass(frozen=True)
class RolledBack:
    """given_up: the version that ran before; now: the one that runs. self_test: steps equal, in
    all its models."""

    given_up: int
    now: Version
    self_test: int

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def prove(board: Board, path: str) -> tuple[str, str, int, dict[str, Any]]:
    """(engine, its version, steps of the self test, info) of the model at a path on the board."""
    board.soft_reset()
    said = board.eval(f"_ulnn_prove({path!r})", setup=_PROVE, timeout=120)
    if not isinstance(said, tuple) or tuple(map(type, said)) != (str, str, int, dict):
        raise board.odd(said, "the model's self test")
    engine, version, steps, info = said
    return engine, version, steps, info


def prove_app(board: Board, settings: str) -> None:
    """Have the app at a path on the board (its settings; "": none) checked there, but not run."""
    if settings:
        board.soft_reset()
        board.exec(f"import ulnn_app\nulnn_app.make({settings!r})", timeout=60)


def listing(board: Board) -> list[Listed]:
    """The versions on a board, the one that counts first."""
    held = versions.look(board, identify(board))
    return [
        Listed(v, not n, held.whole(v), () if n else tuple(_changed(held, v)))
        for n, v in enumerate(held.versions)
    ]


def _changed(held: Held, version: Version) -> Iterator[str]:
    for path, stored in version.models.items():
        if not versions.agree(held.flat.get(path), version.files[stored]):
            yield path


def rollback(board: Board) -> RolledBack:
    """Go back to the version before, and run the self tests of its models.

    Raises DeployError when there is none, or when it does not work.
    """
    identity = identify(board)
    held = versions.look(board, identity)
    active, before = held.active, held.before
    if active is None:
        raise DeployError(f"port {board.name}: nothing is deployed here that this program made", 1)
    if before is None:
        raise DeployError(
            f"port {board.name}: version {active.number} is the only one here; deploy another",
            1,
        )
    if not held.whole(before):
        raise DeployError(
            f"port {board.name}: files of version {before.number} are missing or damaged, so "
            f"version {active.number} stays; deploy again",
            1,
        )
    with writable(board):
        versions.withdraw(board, identity, held)
    try:
        steps = sum(prove(board, path)[2] for path in before.model_paths)
        prove_app(board, before.app)
    except BoardError as error:
        raise DeployError(
            f"port {board.name}: version {before.number} is back, and does not work: {error.line}",
            5,
        ) from error
    return RolledBack(active.number, before, steps)


def remove(board: Board) -> list[str]:
    """Remove everything that was deployed, older forms too; the paths. A main.py stays unless it
    is still as it was deployed.
    """
    identity = identify(board)
    held = versions.look(board, identity)
    models = sorted({path for v in held.versions for path in held.placed(v) if path in held.flat})
    modules = sorted(_modules(held, identity), key=lambda path: "ulnn_boot" in path)
    ends = (".json", ".ok")
    rest = [f"{held.folder}/{v.number}{end}" for v in held.versions for end in ends]
    with writable(board):
        folders = [f"{identity.lib}/{name}" for name in versions.PACKAGES]
        versions.remove_paths(board, [*models, *modules, *folders])
        versions.sweep(board, held)
        versions.remove_paths(board, [*rest, held.folder])
    return [*models, *modules, *(f"{held.folder}/{name}" for name in sorted(held.stored))]


def _modules(held: Held, identity: Identity) -> Iterator[str]:
    for path in held.flat:
        if path.startswith(f"{identity.lib}/ulnn"):
            yield path


@contextlib.contextmanager
def writable(board: Board) -> Iterator[None]:
    """Say what to do where a board's programs may not write to its disk."""
    try:
        yield
    except BoardError as error:
        if is_errno(error, errno.EROFS):
            raise DeployError(f"port {board.name}: {_READ_ONLY}", 3) from error
        raise


_READ_ONLY = (
    "the board's programs may not write to its disk. CircuitPython lends it to the PC: put "
    "`import storage; storage.remount('/', readonly=False)` in boot.py and reset the board, or "
    "copy ulnn.py, ulnn_rules and the model to the CIRCUITPY drive by hand (firmware/README.md)"
)
