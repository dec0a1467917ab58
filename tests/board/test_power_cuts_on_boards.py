"""Power cuts on the virtual boards, whose disk is reset in the middle of a write."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

from support.board_tools import model_file, need_tools
from support.cut_board import NEVER, CutBoard
from ulnn_host.base.errors import UlnnError
from ulnn_host.board.deploy import deploy
from ulnn_host.board.deployed import remove
from ulnn_host.board.virtual import BOARDS, VirtualBoard
from ulnn_host.format import container


class Deployed(CutBoard):
    """A board with versions of a model."""

    def __init__(self, board: VirtualBoard, folder: Path) -> None:
        super().__init__(board)
        self.model = {
            tag: model_file(folder, seed, f"{tag}.ulnn")
            for seed, tag in enumerate(("old", "new"), start=1)
        }

    def deploy(self, tag: str, cut: int = NEVER) -> int:
        """Deploy a version, with a power cut at a write; how many writes there were."""
        with self.open() as link:
            self.cut(link, cut)
            deploy(link, self.model[tag], "/models/m.ulnn", pure=tag == "old")
            left = self.left(link)
            self.cut(link, 0)
        return cut - left

    def starts_with(self) -> tuple[str, str]:
        """The engine and the model that a program gets, after the self test."""
        with self.open() as link:
            self.cut(link, 0)
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
        board = Deployed(virtual, tmp_path)
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
