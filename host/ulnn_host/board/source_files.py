"""What a board needs for a source of samples: put there where it is not yet."""

from __future__ import annotations

from typing import Any

from ..base.paths import board_files
from .identity import identify
from .link import Board
from .plan import code_file
from .source_session import SOURCES

NEEDED = ("ulnn_stream", "ulnn_rules.settings", "ulnn_sources.base", "ulnn_record")
NEEDED_FOR_APPS = (*NEEDED, "ulnn_app.settings", "ulnn_live")
WHOLE = ("ulnn_app",)  # packages of which all modules are needed
# Which of some modules can be imported there, and the module of a kind of source.
_LOOK = """
def _ulnn_look(names, kind):
    def there(name):
        try:
            __import__(name)
            return True
        except ImportError:
            return False
    found = [there(name) for name in names]
    import sys
    sources = sys.modules.get('ulnn_sources')
    module = sources and sources.KINDS.get(kind)
    return found, module and ('ulnn_sources.' + module, there('ulnn_sources.' + module))
""".replace("    ", " ")


def prepare(board: Board, settings: dict[str, Any] | str, *, app: bool = False) -> list[str]:
    """Put the modules of the loop and of the source on the board that are missing there.

    settings: of the source, or of an app, with its source; or the path of a file on the board
    with them, whose source is there. Returns the paths that were written. Raises UlnnError.
    """
    needed = NEEDED_FOR_APPS if app else NEEDED
    source = settings.get("source", settings) if isinstance(settings, dict) else {}
    kind = source.get("kind", "") if isinstance(source, dict) else ""
    found, module = _look(board, needed, kind)
    if found[0]:
        board.check_protocol(SOURCES)
    missing = [name for name, there in zip(needed, found, strict=True) if not there]
    written = _put(board, missing)
    if kind and module is None:
        if not written:
            written = _put(board, ["ulnn_sources.base"])  # an older one does not know this kind
        _, module = _look(board, needed, kind)
        if module is None:
            return written  # whoever makes the source knows the kinds that there are
    if module and not module[1]:
        written += _put(board, [module[0]])
    return written


def _look(
    board: Board, needed: tuple[str, ...], kind: str
) -> tuple[list[bool], tuple[str, bool] | None]:
    said = board.eval(f"_ulnn_look({needed!r}, {kind!r})", setup=_LOOK, timeout=30)
    if not isinstance(said, tuple) or len(said) != 2 or len(said[0]) != len(needed):
        raise board.odd(said, "the modules that it has")
    found, module = said
    return found, module


def _put(board: Board, modules: list[str]) -> list[str]:
    """Write modules to lib, packages with their `__init__`; then an empty heap."""
    if not modules:
        return []
    identity = identify(board)
    paths = []
    for name in modules:
        package, dot, rest = name.partition(".")
        if package in WHOLE:
            folder = board_files(f"firmware/{package}")
            paths += [f"{package}/{path.name}" for path in sorted(folder.glob("*.py"))]
        else:
            paths += [f"{package}/__init__.py", f"{package}/{rest}.py"] if dot else [f"{name}.py"]
    written = []
    for path in dict.fromkeys(paths):
        suffix, data, _ = code_file(path, identity)
        target = f"{identity.lib}/{path.removesuffix('.py')}{suffix}"
        board.make_folders(target)
        board.write_file(target, data)
        written.append(target)
    board.soft_reset()
    return written
