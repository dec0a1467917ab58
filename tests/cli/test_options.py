"""What messages recommend exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer

import ulnn_host
from ulnn_host.cli.main import app

HOST = Path(ulnn_host.__file__).parent
# of other programs, which messages name or start
OTHERS = {
    "--pdeathsig", "--no-deps", "--download-only", "--weights-only",
}  # fmt: skip


def options() -> set[str]:
    """The options of all commands, --debug and --help, which are everywhere, included."""
    found = {"--debug", "--help"}
    commands = [typer.main.get_command(app)]
    while commands:
        command = commands.pop()
        found |= {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
        commands += getattr(command, "commands", {}).values()
    return found


def recommended(path: Path) -> set[str]:
    """Options in the texts of the errors and warnings of a module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        if not name.endswith(("Error", "warn", "append", "odd", "assume", "UlnnWarning")):
            continue
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                found |= set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", part.value))
    return found


@pytest.mark.parametrize(
    "path", sorted(HOST.rglob("*.py")), ids=lambda path: str(path.relative_to(HOST))
)
def test_options_that_messages_recommend_exist(path: Path) -> None:
    assert recommended(path) - OTHERS <= options()


def test_the_search_finds_what_is_recommended() -> None:
    found = set().union(*map(recommended, HOST.rglob("*.py")))
    assert {"--order", "--tick-ns", "--weights"} <= found


def test_the_timeout_of_validate_is_an_option() -> None:
    assert "--timeout" in options()
