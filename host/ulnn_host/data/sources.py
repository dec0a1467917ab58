"""Which files a person means: files, folders, patterns; and what their names say."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..base.errors import UlnnError

TEXT = (".csv", ".tsv", ".txt", ".dat", ".log")
PARQUET = (".parquet", ".pq")
KNOWN = (".npz", *PARQUET, *TEXT)
EVENTS = "ulnn-events.json"  # is in a folder of events, which is read as a whole


def is_events(path: Path) -> bool:
    """Is it a folder of events?"""
    return (path / EVENTS).is_file()


def find_files(sources: Iterable[str | Path]) -> list[Path]:
    """The files that are meant, each once, by name in each folder. Raises UlnnError."""
    found: dict[Path, None] = {}
    for source in sources:
        path = Path(source).expanduser()
        if is_events(path):
            found[path] = None
            continue
        if path.is_dir():
            files = [p for p in path.rglob("*") if p.suffix.lower() in KNOWN and p.is_file()]
            here = sorted(p for p in files if not p.name.startswith("."))
            if not here:
                raise UlnnError(f"{path}: the folder holds no {', '.join(KNOWN)} file")
        elif path.exists():
            here = [path]
        elif not glob.has_magic(str(path)):
            raise UlnnError(f"{path}: no such file or folder")
        else:
            names = glob.glob(str(path), recursive=True)  # noqa: PTH207, it may be absolute
            here = [p for p in map(Path, sorted(names)) if p.is_file()]
            if not here:
                raise UlnnError(f"{path}: no file has such a name")
        for file in here:
            if file.suffix.lower() not in KNOWN:
                raise UlnnError(f"{file}: expected a {', '.join(KNOWN[:-1])} or {KNOWN[-1]} file")
            found[file] = None
    if not found:
        raise UlnnError("no file of data is named")
    return list(found)


def source_name(files: Sequence[Path]) -> str:
    """One name for files, in messages."""
    return str(files[0]) if len(files) == 1 else f"{files[0].parent} ({len(files)} files)"


def part_of_name(path: Path, pattern: str, key: str) -> str:
    """What stands for {} in a pattern of the end of a path. Raises UlnnError where none fits."""
    if pattern.count("{}") != 1:
        raise UlnnError(f"{key} is {pattern!r}, expected one {{}} in a pattern of a file's name")
    whole = path.resolve().as_posix()
    if "." not in pattern.rpartition("/")[2]:
        whole = whole.removesuffix(path.suffix)
    parts = [re.escape(part).replace(r"\*", "[^/]*") for part in pattern.split("{}")]
    match = re.search(f"(?:^|/){parts[0]}([^/]+?){parts[1]}$", whole, re.IGNORECASE)
    if not match:
        raise UlnnError(f'{path}: the name does not fit {key} = "{pattern}"')
    return match[1]
