"""What a board needs for a source of samples: put there where it is not yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import app as apps
from .identity import identify
from .link import Board
from .plan import code_file
from .source_session import SOURCES

# Which of some modules can be imported there, where the sources are, and whether one of a kind is.
_LOOK = """
def _ulnn_look(names, kind):
    import sys
    def there(name):
        try:
            __import__(name)
            return True
        except ImportError:
            return False
    found = [there(name) for name in names]
    there('ulnn_sources')
    package = sys.modules.get('ulnn_sources')
    kinds = getattr(package, 'KINDS', None)
    path = '' if kinds is None else package.__path__
    known = kinds is not None and kind in kinds
    return found, path, known and there('ulnn_sources.' + kinds[kind])
""".replace("    ", " ")


@dataclass(frozen=True)
class _Seen:
    """missing: modules. path: of the package of sources, "" without one. source: it has ours."""

    missing: list[str]
    path: str
    source: bool


def prepare(board: Board, settings: dict[str, Any] | str, *, app: bool = False) -> list[str]:
    """Put what is missing there of the loop, the source and an app on the board.

    settings: of the source, or of an app, with its source; or the path of a file on the board
    with them, whose source is there. Returns the paths that were written. Raises UlnnError.
    """
    source = settings.get("source", settings) if isinstance(settings, dict) else {}
    kind = source.get("kind", "") if isinstance(source, dict) else ""
    seen = _look(
        board,
        ("ulnn_stream", "ulnn_rules.faults", "ulnn_rules.settings", "ulnn_rules.ticks"),
        kind,
    )
    if "ulnn_stream" not in seen.missing:
        board.check_protocol(SOURCES)
    files = [f"{name.replace('.', '/')}.py" for name in seen.missing]
    if not seen.path or (kind and not seen.source):
        files += [f"ulnn_sources/{stem}.py" for stem in apps.sources(kind)]
    written = _put(board, files, seen.path)
    if app and _look(board, ("ulnn_app",), kind).missing:
        written += _put(board, apps.modules({}), seen.path)
    loops = ("ulnn_record", "ulnn_live") if app else ("ulnn_record",)  # which import the others
    files = [f"{name}.py" for name in _look(board, loops, kind).missing]
    return written + _put(board, files, seen.path)


def _look(board: Board, names: tuple[str, ...], kind: str) -> _Seen:
    said = board.eval(f"_ulnn_look({names!r}, {kind!r})", setup=_LOOK, timeout=30)
    if not isinstance(said, tuple) or len(said) != 3 or len(said[0]) != len(names):
        raise board.odd(said, "the modules that it has")
    found, path, source = said
    missing = [name for name, there in zip(names, found, strict=True) if not there]
    return _Seen(missing, str(path), bool(source))


def _put(board: Board, files: list[str], sources: str) -> list[str]:
    """Write files of `firmware` to lib, and sources to where their package is; then the heap is
    empty again."""
    if not files:
        return []
    identity = identify(board)
    packages = {name.partition("/")[0] for name in files if "/" in name}
    starts = [f"{package}/__init__.py" for package in packages - {"ulnn_sources"}]
    written = []
    for name in sorted({*files, *starts}):
        suffix, data, _ = code_file(name, identity)
        folder, _, file = name.rpartition("/")
        place = sources if folder == "ulnn_sources" and sources else f"{identity.lib}/{folder}"
        target = f"{place.rstrip('/')}/{file.removesuffix('.py')}{suffix}"
        board.make_folders(target)
        board.write_file(target, data)
        written.append(target)
    board.soft_reset()
    return written
