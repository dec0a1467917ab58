"""Code as if some modules were not there: `python without.py torch,tty CODE [ARGUMENT ...]`."""

from __future__ import annotations

import sys
from importlib.machinery import BuiltinImporter, PathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


def ulnn(absent: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """`ulnn WORDS` in a process of its own without the modules of a list with commas."""
    return python(absent, "from ulnn_host.cli.main import main; main()", *words)


def python(absent: str, code: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Code in a process of its own without the modules of a list with commas."""
    import subprocess  # not above: it imports fcntl

    command = [sys.executable, __file__, absent, code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def hide(absent: set[str]) -> None:
    """Let the import system find these modules, and those below them, no longer."""
    for finder in (BuiltinImporter, PathFinder):
        find = finder.find_spec

        def find_spec(name, path=None, target=None, find=find):  # type: ignore[no-untyped-def]
            return None if name.partition(".")[0] in absent else find(name, path, target)

        finder.find_spec = staticmethod(find_spec)  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    hidden = set(sys.argv[1].split(","))
    code = sys.argv[2]
    sys.argv[1:3] = []
    assert not hidden & set(sys.modules), "already imported"
    hide(hidden)
    exec(code)
