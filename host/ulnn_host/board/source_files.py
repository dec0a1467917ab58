"""What a board needs for a source of samples: put there where it is not yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..base.errors import UlnnError
from . import needed
from .identity import identify
from .link import Board
from .plan import code_file
from .source_session import SOURCES

# Which of some modules can be imported there, and where packages are.
_LOOK = """
def _ulnn_look(names, packages):
    import sys
    def there(name):
        try:
            __import__(name)
            return True
        except ImportError:
            return False
    found = [there(name) for name in names]
    paths = [there(name) and sys.modules[name].__path__ for name in packages]
    return found, [path if isinstance(path, str) else '' for path in paths]
""".replace("    ", " ")


@dataclass(frozen=True)
class _Seen:
    """missing: modules. paths: of packages, "" without one."""

    missing: list[str]
    paths: dict[str, str]


def prepare(board: Board, settings: dict[str, Any] | str, *, app: bool = False) -> list[str]:
    """Put what is missing there of the loop, the source and an app on the board.

    settings: of the source, or of an app, with its source; or the path of a file on the board
    with them, whose source is there. Returns the paths that were written. Raises UlnnError.
    """
    source = settings.get("source", settings) if isinstance(settings, dict) else {}
    kind = source.get("kind", "") if isinstance(source, dict) else ""
    loops = ("ulnn_record", "ulnn_live") if app else ("ulnn_record",)
    wanted = needed.with_imports(loops) | needed.of_source(kind)
    if app:
        wanted |= needed.of_app(settings if isinstance(settings, dict) else {})
    rules = sorted(name for name in wanted if name.startswith(needed.RULES))
    names = ("ulnn_stream", *rules, needed.source(kind))
    seen = _look(board, tuple(map(_dotted, names)))
    if "ulnn_stream" not in seen.missing:
        board.check_protocol(SOURCES)
    missing = {name for name in names if _dotted(name) in seen.missing}
    if needed.source(kind) in missing:
        missing |= needed.of_source(kind) - set(rules)
    if app and not seen.paths[needed.APP]:
        missing |= {name for name in wanted if name.startswith(needed.APP)}
    written = _put(board, missing, seen.paths)
    seen = _look(board, loops)  # which import the others
    return written + _put(board, set(seen.missing), seen.paths)


def _dotted(name: str) -> str:
    return name.removesuffix("/__init__").replace("/", ".")


def _look(board: Board, names: tuple[str, ...]) -> _Seen:
    said = board.eval(f"_ulnn_look({names!r}, {needed.PACKAGES!r})", setup=_LOOK, timeout=30)
    match said:
        case (list(found), list(paths)) if len(found) == len(names):
            missing = [name for name, there in zip(names, found, strict=True) if not there]
            return _Seen(missing, dict(zip(needed.PACKAGES, map(str, paths), strict=True)))
    raise board.odd(said, "the modules that it has")


def _put(board: Board, names: set[str], paths: dict[str, str]) -> list[str]:
    """Write modules of `firmware` to lib, and those of packages to where these are; then the heap
    is empty again."""
    if not names:
        return []
    identity = identify(board)
    written = []
    for name in sorted(names):
        suffix, data, _ = code_file(f"{name}.py", identity)
        package, _, stem = name.rpartition("/")
        place = paths.get(package) or f"{identity.lib}/{package}"
        if place.startswith(".frozen"):
            raise UlnnError(
                f"port {board.name}: the firmware holds an older {package}, without {stem}: build "
                "it again with this version"
            )
        target = f"{place.rstrip('/')}/{stem}{suffix}"
        board.make_folders(target)
        board.write_file(target, data)
        written.append(target)
    board.soft_reset()
    return written
