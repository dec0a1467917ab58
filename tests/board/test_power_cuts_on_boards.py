"""Power cuts on the virtual boards, whose disk is reset in the middle of a write."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.board_tools import model_file, need_tools
from ulnn_host.base.errors import UlnnError
from ulnn_host.board.deploy import deploy
from ulnn_host.board.deployed import remove
from ulnn_host.board.link import Board
from ulnn_host.board.virtual import BOARDS, VirtualBoard
from ulnn_host.format import container

NEVER = 1 << 24


class CutBoard:
    """A virtual board whose power can be cut."""

    def __init__(self, board: VirtualBoard, folder: Path) -> None:
        self.board, self._word = board, board.kind.config_address + 12
        self.model = {
            tag: model_file(folder, seed, f"{tag}.ulnn")
            for seed, tag in enumerate(("old", "new"), start=1)
        }

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

    def deploy(self, tag: str, cut: int = NEVER) -> int:
        """Deploy a version, with a power cut at a write; how many writes there were."""
        with self.open() as link:
            link.exec(f"import machine\nmachine.mem32[{self._word}] = {cut}")
            deploy(link, self.model[tag], "/models/m.ulnn", pure=tag == "old")
            left = int(link.eval(f"__import__('machine').mem32[{self._word}]"))
            link.exec(f"import machine\nmachine.mem32[{self._word}] = 0")
        return cut - left

    def starts_with(self) -> tuple[str, str]:
        """The engine and the model that a program gets, after the self test."""
        with self.open() as link:
            link.exec(f"import machine\nmachine.mem32[{self._word}] = 0")
            link.soft_reset()
            engine, sha256, steps = link.eval(
                "(lambda u, m: (u.ENGINE, m.info()['sha256'], m.self_test()))"
                "(__import__('ulnn'), __import__('ulnn').load('/models/m.ulnn'))",
                timeout=60,
            )
        assert steps == 12
        return engine, sha256

    def whole(self, tag: str) -> tuple[str, str]:
        sha256 = container.read(self.model[tag].read_bytes()).sha256
        return "pure" if tag == "old" else "native", sha256


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("name", sorted(BOARDS))
def test_two_power_cuts_leave_a_whole_version(name: str, tmp_path: Path, full: bool) -> None:
    if not full:
        pytest.skip("takes half an hour: --full")
    need_tools(name)
    rng = random.Random(11)
    with VirtualBoard(name) as virtual:
        board = CutBoard(virtual, tmp_path)
        board.deploy("old")
        writes = board.deploy("new")
        print(name, writes, "writes", flush=True)
        for trial in range(30):
            with board.open() as link:
                remove(link)
            board.deploy("old")
            seen = []
            for cut in (rng.randrange(1, writes), rng.randrange(1, writes)):
                with contextlib.suppress(UlnnError):
                    board.deploy("new", cut)
                engine = board.starts_with()
                assert engine in (board.whole("old"), board.whole("new"))
                seen.append(f"{cut}: {engine[0]}")
            board.deploy("new")
            assert board.starts_with() == board.whole("new")
            print(trial, seen, flush=True)
