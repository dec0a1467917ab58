"""What the tests of the line and of boards share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.pty_board import FAKE_MODULES, PtyBoard
from support.ram_disk import DISK, Disk
from ulnn_host.base.errors import UlnnError
from ulnn_host.board.link import Board
from ulnn_host.toolchain import natmod


@pytest.fixture
def pure_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No native module can be built."""

    def none(arch: str) -> Path:
        raise UlnnError(f"no compiler for {arch} here")

    monkeypatch.setattr(natmod, "find", none)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[PtyBoard]:
    """A board with the fake engine and a model of it."""
    (tmp_path / "m.ulnn").write_text("6 7 8")
    with PtyBoard(tmp_path, modules=FAKE_MODULES) as running:
        yield running


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Disk]]:
    with contextlib.ExitStack() as stack:

        def make(blocks: int = 256) -> Disk:
            pty = stack.enter_context(PtyBoard(tmp_path / "board", heap="4M"))
            link = stack.enter_context(Board.open(pty.port))
            link.exec(DISK.replace("BLOCKS", str(blocks)))
            return Disk(link, pty)

        yield make
