"""A virtual board whose power can be cut at a write to its disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ulnn_host.base.errors import UlnnError
from ulnn_host.board.link import Board
from ulnn_host.board.virtual import VirtualBoard

NEVER = 1 << 24


class CutBoard:
    """A virtual board whose power can be cut."""

    def __init__(self, board: VirtualBoard) -> None:
        self.board, self._word = board, board.kind.config_address + 12

    @contextlib.contextmanager
    def open(self) -> Iterator[Board]:
        """The host gives up when the board starts again by itself."""
        with Board.open(self.board.port) as link:
            repl = link.repl
            install, soft_reset = repl._install, repl.soft_reset
            expected = [True]

            def expect() -> None:
                expected[0] = True
                soft_reset()

            def once() -> None:
                if not expected[0]:
                    raise UlnnError("the board started again")
                expected[0] = False
                install()

            repl._install, repl.soft_reset = once, expect  # type: ignore[method-assign]
            yield link

    def cut(self, link: Board, writes: int) -> None:
        """Cut the power at that write from now on; 0: never."""
        link.exec(f"import machine\nmachine.mem32[{self._word}] = {writes}")

    def left(self, link: Board) -> int:
        """Writes until the cut."""
        return int(link.eval(f"__import__('machine').mem32[{self._word}]"))
