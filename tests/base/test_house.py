"""The layout that CONTRIBUTING.md describes."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

from ulnn_host.base.paths import project_root

ROOT = project_root()
PACKAGE = ROOT / "host" / "ulnn_host"


def tracked(*patterns: str) -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def imported_rooms(path: Path) -> set[str]:
    package = path.relative_to(PACKAGE).parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            inside = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            found.add(inside[0])
    return found


def test_few_modules_lie_at_the_top() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 4


def test_few_rooms_know_each_other() -> None:
    rooms = {room(path) for path in PACKAGE.rglob("*.py")} - {""}
    pairs = {
        (room(path), other)
        for path in PACKAGE.rglob("*.py")
        for other in imported_rooms(path) & rooms
        if room(path) not in ("", other)
    }
    assert len(pairs) <= 60


def test_no_file_is_long() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked("*.py", "*.c", "*.h", "*.S")
        if (lines := len(path.read_text().splitlines())) > 500
    }
    assert long.keys() <= {"firmware/ulnn.py"}


def test_every_room_is_on_the_map() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"^\| \d+ \| `(\w+)` \|", text, re.MULTILINE))
    assert named == {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def test_documents_have_short_lines() -> None:
    for path in tracked("CONTRIBUTING.md", "CHANGELOG.md", "README.md", "*/README.md"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert len(line) <= 100 or line.startswith(("|", "    ", "![")), f"{path}:{number}"
