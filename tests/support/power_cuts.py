"""Deployments that are recorded, so that a power cut can be tried at each of their writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.paths import SUPPORT
from support.pty_board import PtyBoard
from support.unix import unix
from ulnn_host.base.paths import board_files
from ulnn_host.board.link import Board, BoardError
from ulnn_host.toolchain import bytecode

FILESYSTEMS = ("VfsLfs2", "VfsFat")
BLOCKS = 1024
_FOLDER = SUPPORT / "power"
_TAGGED = ("ulnn.py", "ulnn_stream.py", "ulnn_rules/__init__.py", "ulnn_rules/scaling.py")


def tagged_source(name: str, tag: str) -> bytes:
    """A module's source, which says which version it is of."""
    text = board_files(f"firmware/{name}").read_text()
    return (text + f'\nTAG = "{tag}"\n' * (name in _TAGGED)).encode()


def tag_modules(monkeypatch: pytest.MonkeyPatch, tag: str, folder: Path) -> None:
    """Have deployments bring modules that say which version they are of."""

    def tagged(name: str) -> bytes:
        source = folder / Path(name).name
        source.write_bytes(tagged_source(name, tag))
        return bytecode.compiled(source)

    monkeypatch.setattr(bytecode, "find", tagged)


@dataclass
class TornBoard:
    """A board whose disk can be torn: unix MicroPython behind a pty."""

    link: Board
    kind: str
    folder: Path
    recorded: list[tuple[Any, ...]] = field(default_factory=list)

    def image(self) -> bytes:
        """The disk at this moment."""
        path = self.folder / "disk.bin"
        self.link.exec(f"with open({str(path)!r}, 'wb') as f:\n f.write(torn.disk.data)")
        return path.read_bytes()

    def restore(self, image: bytes) -> None:
        """Put a disk back as it was, and switch the board on."""
        path = self.folder / "disk.bin"
        path.write_bytes(image)
        self.link.exec(
            f"with open({str(path)!r}, 'rb') as f:\n"
            f" torn.power_on({self.kind!r}, bytearray(f.read()))"
        )

    def power_on(self) -> None:
        """Switch it off and on."""
        self.link.exec(f"torn.power_on({self.kind!r}, torn.disk.data)")

    def writes(self) -> int:
        """How often the disk was written to since the board was switched on."""
        return int(self.link.eval("torn.disk.writes"))

    def cut_after(self, left: int) -> None:
        """Cut the power in the middle of a write that is to come."""
        self.link.exec(f"torn.disk.left = {left}")

    def starts_with(self) -> list[str]:
        """What a program gets."""
        found: list[str] = self.link.eval("torn.starts_with()", timeout=60)
        return found

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keep what the host has the board do."""
        self.link.exec("globals().pop('_versions', 0)")  # so that the host brings its tools again
        repl = self.link.repl
        run, write = repl.run, repl.write

        def run_recorded(program: str, timeout: float = 10) -> str:
            try:
                answer = run(program, timeout)
            except BoardError as error:
                self.recorded.append(("run", program, error.kind))
                raise
            self.recorded.append(("run", program, ""))
            return answer

        def write_recorded(offset: int, data: bytes) -> int | None:
            self.recorded.append(("write", offset, data))
            return write(offset, data)

        repl.run, repl.write = run_recorded, write_recorded  # type: ignore[method-assign]
        try:
            yield
        finally:
            repl.run, repl.write = run, write  # type: ignore[method-assign]


@contextmanager
def torn_board(kind: str, folder: Path) -> Iterator[TornBoard]:
    """A board with an empty disk of that kind."""
    with PtyBoard(folder / "board", heap="8M") as pty, Board.open(pty.port) as link:
        link.exec(
            f"import sys\nsys.path.insert(0, {str(_FOLDER)!r})\nimport torn\n"
            f"torn.power_on({kind!r}, torn.format_disk({kind!r}, {BLOCKS}))"
        )
        yield TornBoard(link, kind, folder)


def replay(
    board: TornBoard, image: bytes, folder: Path, *, step: int, seed: int
) -> tuple[int, dict[str, list[str]]]:
    """(writes of what was recorded, what a board started with and after which cuts).

    The cuts are at every step-th write; after each, the start that repairs is cut as well.
    """
    (folder / "before.bin").write_bytes(image)
    (folder / "operations.txt").write_text(repr(board.recorded))
    printed = unix(
        _FOLDER / "replay.py", board.kind, "before.bin", "operations.txt",
        *map(str, (step, seed)),
        cwd=folder, heap="64M",
    ).splitlines()  # fmt: skip
    found: dict[str, list[str]] = {}
    for line in printed[1:]:
        at, tab, what = line.partition("\t")
        if tab:  # not what the collector says when it closes files of a disk without power
            found.setdefault(what, []).append(at)
    return int(printed[0].split()[1]), found
